/**
 * One controller for a central and a peripheral in one process: splits a pipe in two, so that noble and bleno each see a
 * controller of their own. A command's answer goes to who sent it, a connection and all that concerns it to the half of
 * its role, what is heard while scanning to the central; command and data credits are shared here. Must not know the
 * libraries; knows of each packet only whose it is.
 * Source: Core Specification 5.4, Vol 4 Part E §5.4, §7.7.
 */
import { AclGate } from './acl-gate.ts';
import { BtsnoopWriter } from './btsnoop.ts';
import { H4_ACL, H4_COMMAND, H4_EVENT } from './h4.ts';
import { LE_SET_RANDOM_ADDRESS } from './own-address.ts';
import type { HciPipe } from './pipe.ts';

const DISCONNECT = 0x0406;
const RESET = 0x0c03;
const READ_BUFFER_SIZE = 0x1005;
const LE_READ_BUFFER_SIZE = 0x2002;
const LE_SET_SCAN_ENABLE = 0x200c;
const LE_CREATE_CONNECTION = 0x200d;
const ROLE_CENTRAL = 0;
const REASON_USER_ENDED = 0x13;
/** No attempt to connect has its turn for longer while another waits, and an answer is due within 4 s. */
const LONGEST_HOLD_MS = 3000;
/** Commands without an answer that are remembered; a kernel that goes down answers none. */
const MAX_UNANSWERED = 64;

/** Where the connection handle stands by LE subevent; those about no link are not here. */
const META_HANDLE_AT: ReadonlyMap<number, number> = new Map([
  [0x03, 5], // Connection Update Complete
  [0x04, 5], // Read Remote Features Complete
  [0x05, 4], // Long Term Key Request
  [0x06, 4], // Remote Connection Parameter Request
  [0x07, 4], // Data Length Change
  [0x0c, 5], // PHY Update Complete
]);
const ADVERTISING_REPORTS: ReadonlySet<number> = new Set([0x02, 0x0b, 0x0d]);
/** Encryption Change, Read Remote Version Information Complete, Encryption Key Refresh Complete. */
const EVENTS_OF_A_LINK: ReadonlySet<number> = new Set([0x08, 0x0c, 0x30]);

interface QueuedCommand {
  /** Whose answer it is; undefined for this file's own. */
  readonly half: Half | undefined;
  readonly packet: Buffer;
}

/**
 * @param pipe is the halves' from now on, and closed when both are
 * @param capture path of a btsnoop file that gets every packet of the controller
 * @param append goes on in that file
 */
export function splitPipe(pipe: HciPipe, capture?: string, append = false): SplitPipe {
  return new Splitter(pipe, capture === undefined ? undefined : new BtsnoopWriter(capture, append));
}

export interface SplitPipe {
  readonly central: HciPipe;
  readonly peripheral: HciPipe;
  /** The most data packets that the controller is to have at once. */
  limitAclPackets(count: number): void;
}

class Half implements HciPipe {
  onPacket: (packet: Buffer) => void = () => {};
  onEnd: (error: Error | undefined) => void = () => {};
  readonly #splitter: Splitter;
  open = true;

  constructor(splitter: Splitter) {
    this.#splitter = splitter;
  }

  get exclusive(): boolean {
    return this.#splitter.pipe.exclusive;
  }

  send(packet: Buffer): void {
    if (this.open) this.#splitter.send(this, packet);
  }

  isUp(): boolean {
    return this.open && this.#splitter.pipe.isUp();
  }

  close(): void {
    if (!this.open) return;
    this.open = false;
    this.#splitter.closed(this);
  }

  /** Copies, since the other half's owner may change what it gets. */
  take(packet: Buffer): void {
    if (this.open) this.onPacket(Buffer.from(packet));
  }
}

class Splitter implements SplitPipe {
  readonly pipe: HciPipe;
  readonly central = new Half(this);
  readonly peripheral = new Half(this);
  readonly #halves = [this.central, this.peripheral];
  readonly #links = new Map<number, Half>();
  readonly #acl: AclGate;
  readonly #capture: BtsnoopWriter | undefined;
  readonly #queue: QueuedCommand[] = [];
  readonly #unanswered: { readonly opcode: number; readonly half: Half | undefined }[] = [];
  #credits = 1;
  #wasReset = false;
  /** The last LE Set Scan Enable, while it enables. */
  #scan: Buffer | undefined;
  #initiating = false;
  #held: { readonly half: Half; readonly packet: Buffer; readonly timer: NodeJS.Timeout } | undefined;

  constructor(pipe: HciPipe, capture: BtsnoopWriter | undefined) {
    this.pipe = pipe;
    this.#capture = capture;
    this.#acl = new AclGate((packet) => this.#toController(packet));
    pipe.onPacket = (packet) => this.#receive(packet);
    pipe.onEnd = (error) => {
      clearTimeout(this.#held?.timer);
      this.#capture?.close();
      for (const half of this.#halves) if (half.open) half.onEnd(error);
    };
  }

  limitAclPackets(count: number): void {
    this.#acl.limit = count;
  }

  send(half: Half, packet: Buffer): void {
    if (packet[0] === H4_ACL && packet.length >= 3) {
      const handle = handleAt(packet, 1);
      if (this.#links.get(handle) === half) this.#acl.write(handle, packet);
    } else if (packet[0] === H4_COMMAND && packet.length >= 4) {
      this.#command(half, packet);
    }
  }

  /** Its links end with it, and a connection that comes later finds nobody. */
  closed(half: Half): void {
    if (this.#halves.every(({ open }) => !open)) {
      clearTimeout(this.#held?.timer);
      this.pipe.close();
      this.#capture?.close();
      return;
    }
    for (const [handle, owner] of this.#links) if (owner === half) this.#disconnect(handle);
  }

  #command(half: Half, packet: Buffer): void {
    const opcode = packet.readUInt16LE(1);
    if (opcode === RESET) {
      // The second half's would take away what the first has set up.
      if (this.#wasReset) queueMicrotask(() => half.take(Buffer.from([H4_EVENT, 0x0e, 4, 1, 0x03, 0x0c, 0])));
      else this.#enqueue(half, packet);
      this.#wasReset = true;
      return;
    }
    if (opcode === LE_SET_SCAN_ENABLE) this.#scan = packet[4] === 1 ? packet : undefined;
    if (opcode === LE_CREATE_CONNECTION) this.#initiating = true;
    if (opcode === LE_SET_RANDOM_ADDRESS) this.#setRandomAddress(half, packet);
    else this.#enqueue(half, packet);
  }

  /**
   * A controller takes no new address while it scans or initiates, and the peripheral takes one with each announcement:
   * the scan pauses for it, an attempt to connect is let end.
   */
  #setRandomAddress(half: Half, packet: Buffer): void {
    if (this.#initiating && this.#held === undefined) {
      this.#held = { half, packet, timer: setTimeout(() => this.#release(), LONGEST_HOLD_MS) };
      return;
    }
    const scan = this.#scan;
    if (scan !== undefined) {
      const pause = Buffer.from(scan);
      pause[4] = 0;
      this.#enqueue(undefined, pause);
    }
    this.#enqueue(half, packet);
    if (scan !== undefined) this.#enqueue(undefined, scan);
  }

  #release(): void {
    const held = this.#held;
    this.#held = undefined;
    if (held === undefined) return;
    clearTimeout(held.timer);
    this.#initiating = false;
    this.#setRandomAddress(held.half, held.packet);
  }

  #enqueue(half: Half | undefined, packet: Buffer): void {
    this.#queue.push({ half, packet });
    this.#pump();
  }

  /** On a shared adapter the kernel keeps the credits. */
  #pump(): void {
    while (!this.pipe.exclusive || this.#credits > 0) {
      const next = this.#queue.shift();
      if (next === undefined) return;
      this.#credits--;
      this.#unanswered.push({ opcode: next.packet.readUInt16LE(1), half: next.half });
      if (this.#unanswered.length > MAX_UNANSWERED) this.#unanswered.shift();
      this.#toController(next.packet);
    }
  }

  #toController(packet: Buffer): void {
    this.#capture?.record(packet, false);
    this.pipe.send(packet);
  }

  #disconnect(handle: number): void {
    const parameters = [handle & 0xff, handle >> 8, REASON_USER_ENDED];
    this.#enqueue(undefined, Buffer.from([H4_COMMAND, DISCONNECT & 0xff, DISCONNECT >> 8, 3, ...parameters]));
  }

  #receive(packet: Buffer): void {
    this.#capture?.record(packet, true);
    if (packet[0] === H4_ACL) {
      if (packet.length >= 3) this.#links.get(handleAt(packet, 1))?.take(packet);
    } else if (packet[0] !== H4_EVENT || packet.length < 4) {
      this.#toBoth(packet); // the kernel's echo of a command of somebody else
    } else {
      this.#event(packet);
    }
  }

  #event(packet: Buffer): void {
    const code = packet[1] ?? 0;
    if (code === 0x0e && packet.length >= 6) this.#answered(packet, packet.readUInt16LE(4), 3);
    else if (code === 0x0f && packet.length >= 7) this.#answered(packet, packet.readUInt16LE(5), 4);
    else if (code === 0x05 && packet.length >= 7) this.#disconnected(packet);
    else if (code === 0x13) this.#completedPackets(packet);
    else if (code === 0x3e) this.#meta(packet);
    else if (EVENTS_OF_A_LINK.has(code) && packet.length >= 6)
      this.#links.get(handleAt(packet, 4))?.take(packet);
    else this.#toBoth(packet);
  }

  #toBoth(packet: Buffer): void {
    for (const half of this.#halves) half.take(packet);
  }

  #answered(packet: Buffer, opcode: number, creditsAt: 3 | 4): void {
    this.#credits = packet[creditsAt] ?? 1;
    if (opcode === LE_READ_BUFFER_SIZE && packet.length >= 10 && packet[9] !== 0)
      this.#acl.setBuffers(packet[9] ?? 0);
    if (opcode === READ_BUFFER_SIZE && packet.length >= 12) this.#acl.setBuffers(packet.readUInt16LE(10));
    if (opcode === LE_CREATE_CONNECTION && creditsAt === 4 && packet[3] !== 0) this.#initiated();
    const at = this.#unanswered.findIndex((command) => command.opcode === opcode);
    const [command] = at < 0 ? [] : this.#unanswered.splice(at, 1);
    if (command !== undefined) {
      // Each half has one command under way, whatever the controller takes at once.
      const answer = Buffer.from(packet);
      answer[creditsAt] = 1;
      command.half?.take(answer);
    } else if (opcode !== 0 && !this.pipe.exclusive) {
      this.#toBoth(packet); // of the kernel or another program
    }
    this.#pump();
  }

  #initiated(): void {
    this.#initiating = false;
    this.#release();
  }

  #disconnected(packet: Buffer): void {
    const handle = handleAt(packet, 4);
    const half = this.#links.get(handle);
    if (packet[3] === 0) {
      this.#links.delete(handle);
      this.#acl.ended(handle);
    }
    half?.take(packet);
  }

  #completedPackets(packet: Buffer): void {
    const count = Math.min(packet[3] ?? 0, Math.floor((packet.length - 4) / 4));
    for (let i = 0; i < count; i++) {
      const entry = packet.subarray(4 + 4 * i, 8 + 4 * i);
      const handle = handleAt(entry, 0);
      this.#links.get(handle)?.take(Buffer.concat([Buffer.from([H4_EVENT, 0x13, 5, 1]), entry]));
      this.#acl.completed(handle, entry.readUInt16LE(2));
    }
  }

  #meta(packet: Buffer): void {
    const sub = packet[3] ?? 0;
    const at = META_HANDLE_AT.get(sub);
    if (sub === 0x01 || sub === 0x0a) {
      if (packet.length >= 8) this.#connected(packet);
    } else if (at !== undefined) {
      if (packet.length >= at + 2) this.#links.get(handleAt(packet, at))?.take(packet);
    } else if (ADVERTISING_REPORTS.has(sub)) this.central.take(packet);
    else this.#toBoth(packet);
  }

  #connected(packet: Buffer): void {
    const failed = packet[4] !== 0;
    const half = failed || packet[7] === ROLE_CENTRAL ? this.central : this.peripheral;
    if (!failed) {
      const handle = handleAt(packet, 5);
      this.#links.set(handle, half);
      this.#acl.opened(handle);
      if (!half.open) this.#disconnect(handle);
    }
    half.take(packet);
    if (half === this.central) this.#initiated();
  }
}

function handleAt(packet: Buffer, offset: number): number {
  return packet.readUInt16LE(offset) & 0x0fff;
}
