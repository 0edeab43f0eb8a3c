/**
 * The kernel's adapters through @abandonware/bluetooth-hci-socket. The only file that loads that package, and only
 * when an adapter is opened, so that everything else works where it is not built or the kernel has no Bluetooth.
 * A vanished adapter is silent (ble-notes): the pipe watches /sys/class/bluetooth.
 */
import { closeSync, existsSync, readdirSync, readlinkSync } from 'node:fs';
import { createRequire } from 'node:module';
import { H4_ACL, H4_COMMAND, H4_EVENT } from './h4.ts';
import { LinkHolder } from './link-holder.ts';
import type { Moniker } from './moniker.ts';
import { formatMoniker } from './moniker.ts';
import type { HciPipe } from './pipe.ts';
import { adapterUnavailable, errorCode } from './unavailable.ts';

/** The name noble and bleno require; load-library.ts answers it with a transport. */
export const HCI_SOCKET_PACKAGE = '@abandonware/bluetooth-hci-socket';

/** The part of the package's socket that is used here. */
export interface NativeHciSocket {
  bindRaw(index: number): number;
  bindUser(index: number): number;
  bindControl(): number;
  isDevUp(): boolean;
  setFilter(filter: Buffer): void;
  start(): void;
  stop(): void;
  write(packet: Buffer): void;
  on(event: 'data', listener: (packet: Buffer) => void): unknown;
  on(event: 'error', listener: (error: Error) => void): unknown;
  removeAllListeners(): unknown;
}

/** An adapter whose channel is decided. */
export type AdapterMoniker = Extract<Moniker, { kind: 'hci' }> & { readonly channel: 'raw' | 'user' };

const WATCH_INTERVAL_MS = 500;
const RESET = 0x0c03;
const EVENT_COMMAND_COMPLETE = 0x0e;

const KERNEL_BLUETOOTH = '/sys/class/bluetooth';

/**
 * A fresh socket of the package.
 * GUARD(X5): its destructor closes a poll handle that a constructor which failed never made; Node 24 runs that at exit and
 * aborts. So it is not even tried where the kernel has no Bluetooth.
 * @throws Error with `code`: EAFNOSUPPORT, or whatever loading or constructing it throws
 */
export function newNativeSocket(): NativeHciSocket {
  if (!existsSync(KERNEL_BLUETOOTH)) {
    throw Object.assign(new Error('the kernel has no Bluetooth'), { code: 'EAFNOSUPPORT' });
  }
  const require = createRequire(import.meta.url);
  const Socket = require(HCI_SOCKET_PACKAGE) as new () => NativeHciSocket;
  const before = ownSockets();
  const socket = new Socket();
  const descriptor = [...ownSockets()].find(([inode]) => !before.has(inode))?.[1];
  made.set(socket, descriptor);
  return socket;
}

/**
 * Every socket that was made, with its descriptor while that is open. GUARD(X6): the package closes the descriptor only
 * in its destructor, whenever memory is collected, so that an adapter that was closed stays taken (EBUSY); and it frees
 * the poll handle there while libuv still closes it. So none is ever collected, and the descriptor is closed by us.
 */
const made = new Map<NativeHciSocket, number | undefined>();

/** Stops a socket and gives its adapter back at once. */
export function closeNativeSocket(socket: NativeHciSocket): void {
  try {
    socket.stop();
  } catch {
    // Already down with its adapter, or never started.
  }
  const descriptor = made.get(socket);
  made.set(socket, undefined);
  if (descriptor !== undefined) closeSync(descriptor);
}

/** Descriptors of this process's sockets by what the kernel calls each: a number alone is soon used again. */
export function ownSockets(): ReadonlyMap<string, number> {
  const found = new Map<string, number>();
  for (const name of readdirSync('/proc/self/fd')) {
    try {
      const target = readlinkSync(`/proc/self/fd/${name}`);
      if (target.startsWith('socket:')) found.set(target, Number(name));
    } catch {
      // The descriptor of the listing itself.
    }
  }
  return found;
}

/** Why the package can't be loaded: `ENOBINDING` or another code; undefined when it can. Opens nothing. */
export function nativeModuleFault(): string | undefined {
  try {
    createRequire(import.meta.url)(HCI_SOCKET_PACKAGE);
    return undefined;
  } catch (error) {
    return errorCode(error);
  }
}

/**
 * Opens an adapter of the kernel.
 * @throws BluetoothUnavailableError with the command that mends it
 */
export function openNativePipe(moniker: AdapterMoniker): HciPipe {
  let socket: NativeHciSocket | undefined;
  try {
    socket = newNativeSocket();
    if (moniker.channel === 'user') socket.bindUser(moniker.index);
    else bindShared(socket, moniker.index);
    if (moniker.channel === 'raw' && !socket.isDevUp()) {
      throw Object.assign(new Error('network is down'), { code: 'ENETDOWN' });
    }
    return new NativePipe(socket, moniker);
  } catch (cause) {
    if (socket) closeNativeSocket(socket);
    throw adapterUnavailable(formatMoniker(moniker), moniker.index, cause);
  }
}

/**
 * Binds to an adapter that the kernel has as well, and keeps the package from what it does to links there (link-holder.ts):
 * it believes to be bound to the control channel, which the kernel refuses to a socket that is bound already.
 */
function bindShared(socket: NativeHciSocket, index: number): void {
  socket.bindRaw(index);
  try {
    socket.bindControl();
  } catch {
    // As it should be.
  }
}

class NativePipe implements HciPipe {
  readonly exclusive: boolean;
  onPacket: (packet: Buffer) => void = () => {};
  onEnd: (error: Error | undefined) => void = () => {};
  readonly #socket: NativeHciSocket;
  readonly #watch: NodeJS.Timeout;
  readonly #holder: LinkHolder | undefined;
  #ended = false;

  constructor(socket: NativeHciSocket, moniker: AdapterMoniker) {
    this.#socket = socket;
    this.exclusive = moniker.channel === 'user';
    if (!this.exclusive) this.#holder = new LinkHolder(moniker.index);
    socket.on('data', (packet) => {
      this.#holder?.seen(packet);
      // Nobody here resets a shared controller, and what we had set up in it is gone now.
      if (!this.exclusive && completesReset(packet))
        this.#end(new Error('another program reset the controller'));
      else this.onPacket(packet);
    });
    socket.on('error', (error) => {
      if (!existsSync(devicePath)) this.#end(error);
    });
    // A raw socket lets no event through until it has a filter. Commands as well: the kernel shows those of others.
    if (!this.exclusive) socket.setFilter(everything());
    socket.start();
    const devicePath = `/sys/class/bluetooth/hci${moniker.index}`;
    this.#watch = setInterval(() => {
      if (!existsSync(devicePath)) this.#end(new Error(`${devicePath} vanished`));
      else if (!this.isUp()) this.#end(new Error(`hci${moniker.index} was taken down`));
    }, WATCH_INTERVAL_MS).unref();
  }

  send(packet: Buffer): void {
    if (this.#ended) return;
    try {
      this.#socket.write(packet);
    } catch (error) {
      this.#end(error instanceof Error ? error : new Error(String(error)));
    }
  }

  close(): void {
    this.#ended = true;
    this.#release();
  }

  isUp(): boolean {
    if (this.#ended) return false;
    return this.exclusive || this.#socket.isDevUp();
  }

  #end(error: Error): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#release();
    this.onEnd(error);
  }

  #release(): void {
    clearInterval(this.#watch);
    this.#holder?.close();
    this.#socket.removeAllListeners();
    closeNativeSocket(this.#socket);
  }
}

function completesReset(packet: Buffer): boolean {
  return (
    packet[0] === H4_EVENT &&
    packet[1] === EVENT_COMMAND_COMPLETE &&
    packet.length >= 6 &&
    packet.readUInt16LE(4) === RESET
  );
}

/** struct hci_filter: commands, data and events of every kind. */
function everything(): Buffer {
  const filter = Buffer.alloc(16);
  filter.writeUInt32LE((1 << H4_COMMAND) | (1 << H4_ACL) | (1 << H4_EVENT), 0);
  filter.fill(0xff, 4, 12);
  return filter;
}
