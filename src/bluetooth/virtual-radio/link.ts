/**
 * One connection between two virtual controllers: two queues, connection events on a clock that does not drift,
 * faults, and counters. A credit goes back to the sender when its packet has crossed, as on air; a receiver whose host
 * does not read makes the packets wait. Must not know commands.
 */
import { formatAddress } from '../hci/own-address.ts';
import { connectionComplete, disconnectionComplete, STATUS } from './events.ts';
import { limitAttMtu } from './faults.ts';
import type {
  ControllerPart,
  DirectionCounters,
  EndPart,
  LinkCounters,
  LinkParameters,
  LinkPart,
  RadioPart,
} from './shapes.ts';

/** Payload of one link-layer data packet with the data length extension. */
const LINK_LAYER_PAYLOAD_BYTES = 251;

interface Waiting {
  readonly packet: Buffer;
  readonly dueAt: number;
}

export class LinkEnd implements EndPart {
  readonly controller: ControllerPart;
  readonly handle: number;
  readonly address: Buffer;
  readonly addressType: number;
  readonly link: RadioLink;
  readonly sent: DirectionCounters = { packets: 0, bytes: 0, eventsUsed: 0 };
  readonly queue: Waiting[] = [];
  peer!: LinkEnd;
  /** Packets that crossed and are not yet reported back to the host. */
  completed = 0;
  /** When a slow receiver takes the next packet from here. */
  nextSlotAt = 0;
  longTermKey: Buffer | undefined;
  /** False once this side's host was told that the link is down. */
  up = true;

  constructor(link: RadioLink, controller: ControllerPart, address: Buffer, addressType: number) {
    this.link = link;
    this.controller = controller;
    this.address = address;
    this.addressType = addressType;
    this.handle = controller.takeHandle();
  }
}

export class RadioLink implements LinkPart {
  readonly central: LinkEnd;
  readonly peripheral: LinkEnd;
  readonly #radio: RadioPart;
  readonly #startedAt = performance.now();
  #endedAt = 0;
  #timeoutMs: number;
  #packets = 0;
  #lastSlot = 0;
  #eventsMissed = 0;
  #stalledUntil = 0;
  #timer: NodeJS.Timeout | undefined;
  #supervision: NodeJS.Timeout | undefined;
  #running = false;

  constructor(
    radio: RadioPart,
    central: ControllerPart,
    peripheral: ControllerPart,
    parameters: LinkParameters,
  ) {
    this.#radio = radio;
    this.#timeoutMs = parameters.timeout * 10;
    const centralType = central.initiating?.ownAddressType ?? 0;
    const peripheralType = peripheral.advertising.ownAddressType;
    this.central = new LinkEnd(this, central, central.ownAddress(centralType), centralType & 1);
    this.peripheral = new LinkEnd(
      this,
      peripheral,
      peripheral.ownAddress(peripheralType),
      peripheralType & 1,
    );
    this.central.peer = this.peripheral;
    this.peripheral.peer = this.central;
    for (const end of [this.peripheral, this.central]) end.controller.links.set(end.handle, end);
    const { intervalMs } = radio.options;
    const interval = intervalMs > 0 ? Math.max(6, Math.round(intervalMs / 1.25)) : parameters.interval;
    for (const end of [this.peripheral, this.central]) {
      end.controller.toHost(
        connectionComplete({
          status: STATUS.success,
          handle: end.handle,
          role: end === this.central ? 0 : 1,
          peerAddressType: end.peer.addressType,
          peerAddress: end.peer.address,
          interval,
          latency: parameters.latency,
          timeout: parameters.timeout,
        }),
      );
    }
  }

  get open(): boolean {
    return this.#endedAt === 0;
  }

  setTimeoutMs(timeoutMs: number): void {
    this.#timeoutMs = timeoutMs;
  }

  joins(a: string, b: string): boolean {
    const names = [...this.central.controller.addresses(), ...this.peripheral.controller.addresses()];
    return names.includes(a) && names.includes(b);
  }

  /** Takes one ACL packet from a host; the packet is ours from now on. */
  send(end: LinkEnd, packet: Buffer): void {
    const latency = this.#radio.dice.faults.extraLatencyMs ?? 0;
    end.queue.push({ packet, dueAt: latency > 0 ? performance.now() + latency : 0 });
    this.wake();
  }

  /** Carries what can be carried now and arms the timer for what can't. */
  wake(): void {
    if (!this.open || this.#running) return;
    const { intervalMs } = this.#radio.options;
    if (intervalMs > 0) {
      if (this.#timer === undefined && this.#pending()) this.#armEvent(intervalMs);
      return;
    }
    this.#running = true;
    const now = performance.now();
    let wakeAt = Number.POSITIVE_INFINITY;
    for (const end of [this.central, this.peripheral]) {
      while (end.queue.length > 0 && this.open) {
        const readyAt = this.#readyAt(end, now);
        if (readyAt > now) {
          wakeAt = Math.min(wakeAt, readyAt);
          break;
        }
        this.#cross(end, now);
      }
    }
    this.#running = false;
    if (wakeAt < Number.POSITIVE_INFINITY && this.#timer === undefined) this.#arm(wakeAt - now);
  }

  /** No packet crosses for `durationMs`; longer than the supervision timeout, and the link is lost at that point. */
  stall(durationMs: number): void {
    const now = performance.now();
    this.#stalledUntil = Math.max(this.#stalledUntil, now + durationMs);
    if (this.#stalledUntil - now >= this.#timeoutMs && this.#supervision === undefined) {
      this.#supervision = setTimeout(() => this.lose(0), this.#timeoutMs);
    }
  }

  /** The radio link breaks: each host is told `connection timeout`, after `delayMs`. */
  lose(delayMs: number): void {
    this.#stop();
    this.#tell(this.central, STATUS.connectionTimeout, delayMs);
    this.#tell(this.peripheral, STATUS.connectionTimeout, delayMs);
  }

  /** One host hangs up. */
  hangUp(end: LinkEnd, reason: number): void {
    this.#stop();
    this.#tell(end, STATUS.endedByHost, 0);
    this.#tell(end.peer, reason, 0);
  }

  /** One host is gone without a word: the other notices at its supervision timeout. */
  abandon(end: LinkEnd): void {
    end.up = false;
    end.controller.links.delete(end.handle);
    this.#stop();
    this.#tell(end.peer, STATUS.connectionTimeout, this.#timeoutMs);
  }

  counters(): LinkCounters {
    const { intervalMs } = this.#radio.options;
    const ageMs = (this.open ? performance.now() : this.#endedAt) - this.#startedAt;
    return {
      central: formatAddress(this.central.address),
      peripheral: formatAddress(this.peripheral.address),
      intervalMs,
      eventsElapsed: intervalMs > 0 ? Math.floor(ageMs / intervalMs) : 0,
      eventsMissed: this.#eventsMissed,
      ageMs,
      open: this.open,
      toPeripheral: { ...this.central.sent },
      toCentral: { ...this.peripheral.sent },
    };
  }

  #pending(): boolean {
    return this.central.queue.length > 0 || this.peripheral.queue.length > 0;
  }

  #arm(delayMs: number): void {
    this.#timer = setTimeout(
      () => {
        this.#timer = undefined;
        this.wake();
      },
      Math.max(0, delayMs),
    );
  }

  /** Events lie at start + n × interval, so lateness of one timer never moves the next; an idle link arms none. */
  #armEvent(intervalMs: number): void {
    const now = performance.now();
    const next = Math.max(this.#slotAt(now, intervalMs), this.#lastSlot) + 1;
    // Timers have whole milliseconds: the one for 7.5 may come at 7 or 8, but never twice for one slot.
    const delayMs = Math.round(this.#startedAt + next * intervalMs - now);
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      const slot = Math.max(next, this.#slotAt(performance.now(), intervalMs));
      this.#eventsMissed += slot - next;
      this.#lastSlot = slot;
      this.#connectionEvent();
      this.wake();
    }, delayMs);
  }

  #slotAt(now: number, intervalMs: number): number {
    return Math.floor((now - this.#startedAt) / intervalMs);
  }

  #connectionEvent(): void {
    if (!this.open) return;
    this.#running = true;
    const now = performance.now();
    for (const end of [this.central, this.peripheral]) {
      let room = this.#radio.options.packetsPerEvent;
      let used = false;
      while (this.open && room > 0 && end.queue.length > 0 && this.#readyAt(end, now) <= now) {
        room -= Math.ceil(((end.queue[0]?.packet.length ?? 5) - 5) / LINK_LAYER_PAYLOAD_BYTES) || 1;
        this.#cross(end, now);
        used = true;
      }
      if (used) end.sent.eventsUsed++;
    }
    this.#running = false;
    this.central.controller.flushCompleted();
    this.peripheral.controller.flushCompleted();
  }

  /** When the head of this queue may cross: now or earlier for at once, infinity for "when the receiver's host reads". */
  #readyAt(end: LinkEnd, now: number): number {
    if (end.peer.controller.hostBlocked) return Number.POSITIVE_INFINITY;
    const slow = this.#radio.dice.faults.slowPeerPacketsPerSecond === undefined ? 0 : end.nextSlotAt;
    return Math.max(this.#stalledUntil > now ? this.#stalledUntil : 0, end.queue[0]?.dueAt ?? 0, slow);
  }

  #cross(end: LinkEnd, now: number): void {
    const { dice } = this.#radio;
    const fault = dice.onData(this.#packets + 1);
    if (fault === 'drop-link') {
      this.lose(0);
      return;
    }
    this.#packets++;
    if (fault !== 'none') {
      this.stall(fault.stallMs);
      return;
    }
    const packet = end.queue.shift()?.packet;
    if (packet === undefined) return;
    const perSecond = dice.faults.slowPeerPacketsPerSecond;
    if (perSecond !== undefined) end.nextSlotAt = Math.max(now, end.nextSlotAt) + 1000 / perSecond;
    if (dice.faults.maxAttMtu !== undefined) limitAttMtu(packet, dice.faults.maxAttMtu);
    end.sent.packets++;
    end.sent.bytes += packet.length - 5;
    // Host to controller says "first, not flushable" 00; controller to host says "first" 10; "continuing" is 01 both ways.
    const boundary = ((packet[2] ?? 0) >> 4) & 0b11;
    const flags = boundary === 0b01 ? 0b01 : 0b10;
    packet[1] = end.peer.handle & 0xff;
    packet[2] = (end.peer.handle >> 8) | (flags << 4);
    const again = dice.repeats(packet) ? Buffer.from(packet) : undefined;
    end.peer.controller.toHost(packet);
    if (again) end.peer.controller.toHost(again);
    end.controller.packetCrossed(end);
  }

  #stop(): void {
    if (this.open) this.#endedAt = performance.now();
    clearTimeout(this.#timer);
    clearTimeout(this.#supervision);
    for (const end of [this.central, this.peripheral]) {
      end.controller.packetsFlushed(end.queue.length);
      end.queue.length = 0;
    }
    this.#radio.linkEnded(this);
  }

  #tell(end: LinkEnd, reason: number, delayMs: number): void {
    if (!end.up) return;
    const tell = (): void => {
      if (!end.up) return;
      end.up = false;
      end.controller.links.delete(end.handle);
      end.controller.toHost(disconnectionComplete(end.handle, reason));
    };
    if (delayMs > 0) this.#radio.later(tell, delayMs);
    else tell();
  }
}
