/**
 * A controller as noble and bleno expect it (the interface of BluetoothHciSocket), over any pipe. Owns capture, the random
 * address, which packets the library sees, and what happens when the controller goes away: every link gets a
 * Disconnection Complete, then `gone` is emitted. Commands are commands.ts. Nothing that a controller or a peer sends throws
 * out of here.
 */
import { EventEmitter } from 'node:events';
import { systemIdentity } from '../adapter-identity.ts';
import { type ChosenProfile, chooseProfile, limitAclBuffers, prepareController } from '../adapter-profile.ts';
import { BtsnoopWriter } from './btsnoop.ts';
import { Commands, encodeCommand } from './commands.ts';
import { H4_ACL, H4_COMMAND, H4_EVENT } from './h4.ts';
import { L2capGuard } from './l2cap-guard.ts';
import { LongTermKeys } from './long-term-keys.ts';
import { formatMoniker, type Moniker, parseMoniker } from './moniker.ts';
import { openNativePipe } from './native-pipe.ts';
import { closeNativeSocket, type NativeHciSocket, newNativeSocket } from './native-socket.ts';
import {
  formatAddress,
  LE_SET_RANDOM_ADDRESS,
  randomStaticAddress,
  useRandomAddress,
} from './own-address.ts';
import type { HciPipe } from './pipe.ts';
import { openStreamPipe } from './stream-pipe.ts';
import { takeBack } from './take-back.ts';
import { BluetoothUnavailableError } from './unavailable.ts';

export interface TransportOptions {
  /** Path of a btsnoop file that gets every packet; overwritten. Default: none. */
  readonly capture?: string | undefined;
  /**
   * The same owner had it before: the capture file goes on, and an adapter that was powered on or off meanwhile is brought
   * back to how it was. Default: false.
   */
  readonly again?: boolean | undefined;
  /** Use a random static address instead of the controller's public one. Default: false. */
  readonly randomAddress?: boolean | undefined;
  /** Firmware profile: the name of one, or a file. Default: the one that fits the adapter. */
  readonly profile?: string | undefined;
}

/** A transport whose controller is ready for noble or bleno. */
export type ReadyTransport = HciTransport & { readonly chosen: ChosenProfile };

/** What bleno's mgmt.js wants of its second socket. */
export interface ManagementSocket {
  on(event: string, listener: (...values: never[]) => void): unknown;
  bindControl(): unknown;
  start(): void;
  write(packet: Buffer): void;
}

const DISCONNECT = 0x0406;
const READ_BD_ADDR = 0x1009;
const READ_RSSI = 0x1405;
const ERROR_UNKNOWN_CONNECTION = 0x02;
const EVENT_DISCONNECTION_COMPLETE = 0x05;
const EVENT_LE_META = 0x3e;
const META_CONNECTION_COMPLETE = 0x01;
const META_LTK_REQUEST = 0x05;
const META_ENHANCED_CONNECTION_COMPLETE = 0x0a;

export const REASON_CONNECTION_TIMEOUT = 0x08;
export const REASON_USER_ENDED = 0x13;
export const REASON_LOW_RESOURCES = 0x14;

/** Opens the controller a moniker names, ready for noble or bleno.
 * @throws MonikerError, ProfileError, BluetoothUnavailableError */
export async function openTransport(
  moniker: string,
  options: TransportOptions = {},
): Promise<ReadyTransport> {
  const parsed: Moniker = parseMoniker(moniker);
  const { pipe, before } = await openPipe(parsed, options);
  return readyTransport(formatMoniker(parsed), pipe, before, options);
}

/**
 * The way to a controller, and nothing said to it yet.
 * @returns with what the system alone says of it
 * @throws ProfileError, BluetoothUnavailableError
 */
export async function openPipe(
  moniker: Moniker,
  { profile, again }: TransportOptions,
): Promise<{ readonly pipe: HciPipe; readonly before: ChosenProfile }> {
  const before = chooseProfile(systemIdentity(moniker), profile);
  if (moniker.kind !== 'hci') return { pipe: await openStreamPipe(moniker), before };
  const adapter = { ...moniker, channel: moniker.channel ?? before.settings.channel.use };
  return { pipe: await (again ? takeBack : openNativePipe)(adapter), before };
}

/** A transport on a pipe, once the controller has answered; the pipe is closed when it does not. */
export async function readyTransport(
  name: string,
  pipe: HciPipe,
  before: ChosenProfile,
  options: TransportOptions,
): Promise<ReadyTransport> {
  const { profile } = options;
  const transport = new HciTransport(name, pipe, options);
  try {
    const chosen = await prepareController(transport, pipe.exclusive, before, profile);
    if (options.randomAddress === true) await transport.rotateAddress();
    return Object.assign(transport, { chosen });
  } catch (cause) {
    transport.close();
    throw new BluetoothUnavailableError(
      name,
      'the controller does not answer',
      'ETIMEDOUT',
      'Reset or replug the adapter; for a socket, check what listens there.',
      { cause },
    );
  }
}

/**
 * Events: `data` (packet), `error` (Error), `gone` (Error | undefined), and on a shared adapter `overheard`: somebody else's
 * command (opcode, first byte of its parameters).
 */
export class HciTransport extends EventEmitter {
  readonly name: string;
  /** Packets on which the library's own handler threw; each is a defect worth a look at the capture. */
  handlerFailures = 0;
  /** The random address in use, HCI byte order; undefined while the public one is used. */
  ownAddress: Buffer | undefined;
  /** Set when the controller is prepared. */
  chosen: ChosenProfile | undefined;
  readonly #pipe: HciPipe;
  readonly #capture: BtsnoopWriter | undefined;
  readonly #randomAddress: boolean;
  readonly #l2cap = new L2capGuard();
  /** Peer address in hex by connection handle. */
  readonly #links = new Map<number, string>();
  readonly #longTermKeys = new LongTermKeys();
  readonly #commands: Commands;
  #management: NativeHciSocket | undefined;
  #closed = false;

  constructor(name: string, pipe: HciPipe, options: TransportOptions = {}) {
    super();
    this.name = name;
    this.#pipe = pipe;
    this.#randomAddress = options.randomAddress === true;
    this.#commands = new Commands({
      exclusive: pipe.exclusive,
      send: (packet) => this.#send(packet),
      onDead: (error) => this.#end(error),
    });
    this.#capture =
      options.capture === undefined ? undefined : new BtsnoopWriter(options.capture, options.again);
    // An 'error' with no listener would be thrown; what matters is also said through `gone`.
    this.on('error', () => {});
    pipe.onPacket = (packet) => this.#receive(packet);
    pipe.onEnd = (error) => this.#end(error);
  }

  /**
   * Takes a new random static address. The controller refuses while it advertises, scans or initiates.
   * @returns the address as text
   */
  async rotateAddress(): Promise<string> {
    const address = randomStaticAddress();
    const answer = await this.command(LE_SET_RANDOM_ADDRESS, address);
    if (answer[0] !== 0)
      throw new Error(`the controller refused a random address: 0x${answer[0]?.toString(16)}`);
    this.ownAddress = address;
    return formatAddress(address);
  }

  /** One command of ours; its answer is hidden from the library. @returns the return parameters, status first */
  command(opcode: number, parameters: Buffer = Buffer.alloc(0)): Promise<Buffer> {
    return this.#commands.ask(opcode, parameters);
  }

  /** Whether the controller answers a question that changes nothing; any answer counts. Settles within its deadline. */
  answers(): Promise<boolean> {
    return this.command(READ_BD_ADDR).then(
      () => true,
      () => false,
    );
  }

  /** Makes up the end of each link that the controller does not know any more. Never rejects. */
  async endLostLinks(): Promise<void> {
    for (const handle of [...this.#links.keys()]) {
      const asked = this.command(READ_RSSI, Buffer.from([handle & 0xff, handle >> 8]));
      const [status] = await asked.catch(() => Buffer.alloc(0));
      if (status === ERROR_UNKNOWN_CONNECTION && this.#links.has(handle)) this.#endLink(handle);
    }
  }

  /** Ends one link at HCI level, whatever the library thinks of its handle (0 included). */
  disconnectHandle(handle: number, reason: number): void {
    this.#commands.push(encodeCommand(DISCONNECT, Buffer.from([handle & 0xff, handle >> 8, reason])));
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#commands.close();
    this.#pipe.close();
    // bleno starts it and never stops it: it would keep the process alive.
    if (this.#management) closeNativeSocket(this.#management);
    this.#capture?.close();
  }

  // The interface of BluetoothHciSocket. Opening was done before the library got here.
  bindRaw(index?: number): number {
    return index ?? 0;
  }
  bindUser(index?: number): number {
    return index ?? 0;
  }
  bindControl(): number {
    return 0;
  }
  start(): void {}
  stop(): void {
    this.close();
  }
  /** The pipe lets through what either library wants, and what this class wants. */
  setFilter(): void {}
  isDevUp(): boolean {
    return !this.#closed && this.#pipe.isUp();
  }
  getDeviceList(): readonly { devId: number; devUp: boolean }[] {
    return [{ devId: 0, devUp: this.isDevUp() }];
  }
  write(packet: Buffer): void {
    if (packet[0] !== H4_COMMAND) {
      this.#send(packet);
      return;
    }
    if (this.#randomAddress) useRandomAddress(packet);
    this.#commands.push(packet);
  }

  /** The socket of bleno's mgmt.js: the kernel's where the kernel keeps the keys, a stand-in that keeps them here otherwise. */
  managementSocket(): ManagementSocket | NativeHciSocket {
    if (!this.#pipe.exclusive) {
      try {
        this.#management = newNativeSocket();
        return this.#management;
      } catch {
        // Without it only pairing that a foreign central asks for is lost.
      }
    }
    return { on() {}, bindControl() {}, start() {}, write: (packet) => this.#longTermKeys.load(packet) };
  }

  #send(packet: Buffer): void {
    if (this.#closed) return;
    this.#capture?.record(packet, false);
    this.#pipe.send(packet);
  }

  #receive(packet: Buffer): void {
    if (this.#closed) return;
    this.#capture?.record(packet, true);
    if (packet[0] === H4_ACL) {
      const verdict = this.#l2cap.check(packet);
      if (verdict === 'pass') this.#deliver(packet);
      else if (verdict === 'violation') this.#cutLinkOf(packet);
    } else if (packet[0] === H4_EVENT) {
      if (this.#takeEvent(packet)) this.#deliver(packet);
    } else if (packet[0] === H4_COMMAND) {
      this.#deliver(packet); // the kernel's echo on a raw adapter: noble watches it for scan commands
      if (packet.length >= 5) this.emit('overheard', packet.readUInt16LE(1), packet[4]);
    }
  }

  /** @returns whether the library is to see it */
  #takeEvent(packet: Buffer): boolean {
    const { length } = packet;
    const code = packet[1];
    const answer = this.#commands.answered(packet);
    if (answer) {
      limitAclBuffers(answer.opcode, packet, this.chosen?.settings.aclBuffers);
      return !answer.hidden;
    }
    if (code === EVENT_DISCONNECTION_COMPLETE && length >= 7) {
      const handle = packet.readUInt16LE(4);
      if (packet[3] !== 0) return false; // "Disconnect failed" is no disconnection, but both libraries take it for one
      this.#links.delete(handle);
      this.#l2cap.forget(handle);
      return true;
    }
    if (code === EVENT_LE_META && length >= 5) return this.#takeMeta(packet);
    return length >= 4;
  }

  #takeMeta(packet: Buffer): boolean {
    const sub = packet[3];
    if (sub === META_CONNECTION_COMPLETE || sub === META_ENHANCED_CONNECTION_COMPLETE) {
      if (packet.length < 22) return false;
      if (packet[4] === 0) this.#links.set(packet.readUInt16LE(5), packet.toString('hex', 9, 15));
      return true;
    }
    if (sub === META_LTK_REQUEST && this.#pipe.exclusive && packet.length >= 6) {
      const handle = packet.subarray(4, 6);
      this.#commands.push(this.#longTermKeys.answer(handle, this.#links.get(handle.readUInt16LE(0))));
    }
    return true;
  }

  #deliver(packet: Buffer): void {
    try {
      this.emit('data', packet);
    } catch (error) {
      // Hostile or broken bytes that the library did not expect: the link they came on is what has to go.
      this.handlerFailures++;
      this.emit('error', error);
      if (packet[0] === H4_ACL) this.#cutLinkOf(packet);
    }
  }

  #cutLinkOf(packet: Buffer): void {
    if (packet.length >= 3) this.disconnectHandle(packet.readUInt16LE(1) & 0x0fff, REASON_USER_ENDED);
  }

  /** As if the controller had said that it is over. */
  #endLink(handle: number): void {
    const reason = REASON_CONNECTION_TIMEOUT;
    const lost = [H4_EVENT, EVENT_DISCONNECTION_COMPLETE, 4, 0, handle & 0xff, handle >> 8, reason];
    const packet = Buffer.from(lost);
    if (this.#takeEvent(packet)) this.#deliver(packet);
  }

  /** The controller is gone: what neither library handles by itself is made up here. */
  #end(error: Error | undefined): void {
    if (this.#closed) return;
    for (const handle of [...this.#links.keys()]) this.#endLink(handle);
    this.close();
    if (error !== undefined) this.emit('error', error);
    this.emit('gone', error);
  }
}
