/**
 * One virtual LE controller: the state a host can see and change, its buffer credits and its way to the host.
 * Commands are in commands.ts, the air in advertising.ts and link.ts.
 */
import { H4_ACL, H4_COMMAND } from '../hci/h4.ts';
import { formatAddress } from '../hci/own-address.ts';
import { startAdvertising, stopAdvertising } from './advertising.ts';
import { runCommand } from './commands.ts';
import { dataBufferOverflow, numberOfCompletedPackets } from './events.ts';
import type {
  Advertising,
  ControllerPart,
  EndPart,
  HostPort,
  Initiating,
  RadioPart,
  Scanning,
} from './shapes.ts';

const FIRST_ROTATED_HANDLE = 0x0001;
const LAST_HANDLE = 0x0eff;
/** Data packets over its credits that a host may send before it is cut off. */
const MAX_OVERFLOWS = 64;

export class Controller implements ControllerPart {
  readonly radio: RadioPart;
  readonly host: HostPort;
  readonly publicAddress: Buffer;
  randomAddress: Buffer = Buffer.alloc(6);
  advertising: Advertising = idleAdvertising();
  scanning: Scanning = idleScanning();
  initiating: Initiating | undefined;
  readonly links = new Map<number, EndPart>();
  /** Fault: a scanner that says it scans and hears nothing, as chips do after hours. */
  deaf = false;
  hostBlocked = false;
  #nextHandle: number;
  #outstanding = 0;
  #overflows = 0;
  readonly #toReport = new Set<EndPart>();
  #flushQueued = false;

  constructor(radio: RadioPart, host: HostPort, publicAddress: Buffer) {
    this.radio = radio;
    this.host = host;
    this.publicAddress = publicAddress;
    this.#nextHandle = radio.options.firstHandle;
  }

  /** One packet of the host, type byte first; it is ours from now on. */
  receive(packet: Buffer): void {
    if (packet[0] === H4_COMMAND) {
      runCommand(this, packet.readUInt16LE(1), packet.subarray(4));
    } else if (packet[0] === H4_ACL) {
      this.#data(packet);
    }
  }

  /** The host reads again. */
  hostReady(): void {
    this.hostBlocked = false;
    for (const end of this.links.values()) end.link.wake();
  }

  /** The host is gone: peers notice at their supervision timeouts. */
  hostGone(): void {
    stopAdvertising(this);
    this.scanning.enabled = false;
    this.initiating = undefined;
    for (const end of [...this.links.values()]) end.link.abandon(end);
  }

  reset(): void {
    stopAdvertising(this);
    for (const end of [...this.links.values()]) end.link.abandon(end);
    this.links.clear();
    this.advertising = idleAdvertising();
    this.scanning = idleScanning();
    this.initiating = undefined;
    this.deaf = false;
    this.#outstanding = 0;
    this.#toReport.clear();
  }

  toHost(packet: Buffer): void {
    if (!this.host.send(packet)) this.hostBlocked = true;
  }

  setAdvertising(enabled: boolean): void {
    if (enabled) startAdvertising(this);
    else stopAdvertising(this);
  }

  ownAddress(type: number): Buffer {
    return (type & 1) === 1 ? this.randomAddress : this.publicAddress;
  }

  addresses(): readonly string[] {
    return [formatAddress(this.publicAddress), formatAddress(this.randomAddress)];
  }

  /** Handles are not reused soon, so that a stale one shows. */
  takeHandle(): number {
    let handle = this.#nextHandle;
    while (this.links.has(handle)) handle = handle >= LAST_HANDLE ? FIRST_ROTATED_HANDLE : handle + 1;
    this.#nextHandle = handle >= LAST_HANDLE ? FIRST_ROTATED_HANDLE : handle + 1;
    return handle;
  }

  /** A packet of ours reached the other side: its buffer is free, which the host is told once per turn or event. */
  packetCrossed(end: EndPart): void {
    this.#outstanding--;
    end.completed++;
    this.#toReport.add(end);
    if (this.#flushQueued || this.radio.options.intervalMs > 0) return;
    this.#flushQueued = true;
    process.nextTick(() => {
      this.#flushQueued = false;
      this.flushCompleted();
    });
  }

  /** Packets of a link that ended: the host counts their buffers as free at its Disconnection Complete. */
  packetsFlushed(count: number): void {
    this.#outstanding = Math.max(0, this.#outstanding - count);
  }

  flushCompleted(): void {
    for (const end of this.#toReport) {
      if (end.up) this.toHost(numberOfCompletedPackets(end.handle, end.completed));
      end.completed = 0;
    }
    this.#toReport.clear();
  }

  #data(packet: Buffer): void {
    const end = this.links.get(packet.readUInt16LE(1) & 0x0fff);
    // A packet for a link that just ended is what every host sends before it hears of the end.
    if (end === undefined || !end.link.open) return;
    if (this.#outstanding >= this.radio.options.aclBufferCount) {
      this.radio.overflows++;
      this.toHost(dataBufferOverflow());
      if (++this.#overflows > MAX_OVERFLOWS) this.host.close();
      return;
    }
    this.#outstanding++;
    end.link.send(end, packet);
  }
}

function idleAdvertising(): Advertising {
  return {
    enabled: false,
    type: 0,
    ownAddressType: 0,
    data: Buffer.alloc(0),
    scanResponse: Buffer.alloc(0),
    timer: undefined,
  };
}

function idleScanning(): Scanning {
  return { enabled: false, active: true, ownAddressType: 0, filterDuplicates: false, seen: new Set() };
}
