/**
 * Sockets of @abandonware/bluetooth-hci-socket. The only file that loads that package, and only when an adapter is opened, so
 * that everything else works where it is not built or the kernel has no Bluetooth. Owns their descriptors.
 */
import { closeSync, constants, existsSync, openSync, readdirSync, readlinkSync, writeSync } from 'node:fs';
import { createRequire } from 'node:module';
import { errorCode } from './unavailable.ts';

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

/**
 * Gives a bound socket one packet to read, and puts what it reads from in the place of the kernel's. The package does then
 * what it does at such a packet, but when we say. It says `data` when it has.
 * @param path of a FIFO
 * @throws Error of the system
 */
export function feedNativeSocket(socket: NativeHciSocket, path: string, packet: Buffer): void {
  const descriptor = made.get(socket);
  if (descriptor === undefined) throw new Error('the socket is closed');
  closeSync(descriptor);
  made.set(socket, undefined);
  // The system gives the lowest number that is free, which is the one that has just become so.
  const source = openSync(path, constants.O_RDWR | constants.O_NONBLOCK);
  if (source !== descriptor) {
    closeSync(source);
    throw new Error('the descriptor was taken meanwhile');
  }
  made.set(socket, source);
  writeSync(source, packet);
  socket.start();
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
