/**
 * The kernel's adapters: taken from it (user channel) or shared with it (raw). A vanished adapter is silent (ble-notes):
 * the pipe watches /sys/class/bluetooth, and of a shared one whether it is up and nobody else has reset it.
 */
import { existsSync } from 'node:fs';
import { H4_ACL, H4_COMMAND, H4_EVENT } from './h4.ts';
import { LinkHolder } from './link-holder.ts';
import type { Moniker } from './moniker.ts';
import { formatMoniker } from './moniker.ts';
import { closeNativeSocket, type NativeHciSocket, newNativeSocket } from './native-socket.ts';
import type { HciPipe } from './pipe.ts';
import { adapterUnavailable, errorCode } from './unavailable.ts';

/** An adapter whose channel is decided. */
export type AdapterMoniker = Extract<Moniker, { kind: 'hci' }> & { readonly channel: 'raw' | 'user' };

const WATCH_INTERVAL_MS = 500;
const RESET = 0x0c03;
const EVENT_COMMAND_COMPLETE = 0x0e;

/**
 * Opens an adapter of the kernel.
 * @throws BluetoothUnavailableError with the command that mends it
 */
export async function openNativePipe(moniker: AdapterMoniker): Promise<HciPipe> {
  let socket: NativeHciSocket | undefined;
  try {
    socket = newNativeSocket();
    if (moniker.channel === 'user') bindExclusive(socket, moniker.index);
    else bindShared(socket, moniker.index);
    if (moniker.channel === 'raw' && !socket.isDevUp()) {
      throw Object.assign(new Error('network is down'), { code: 'ENETDOWN' });
    }
    const holder = moniker.channel === 'raw' ? await LinkHolder.start(moniker.index) : undefined;
    return new NativePipe(socket, moniker, holder);
  } catch (cause) {
    if (socket) closeNativeSocket(socket);
    throw adapterUnavailable(formatMoniker(moniker), moniker.index, cause);
  }
}

/** The kernel has one code for an adapter that is up and for one whose first set-up has not ended, or ended in a failure. */
function bindExclusive(socket: NativeHciSocket, index: number): void {
  try {
    socket.bindUser(index);
  } catch (cause) {
    if (errorCode(cause) !== 'EBUSY' || socket.isDevUp()) throw cause;
    throw Object.assign(new Error('not set up', { cause }), { code: 'EUNFINISHED' });
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

  constructor(socket: NativeHciSocket, moniker: AdapterMoniker, holder: LinkHolder | undefined) {
    this.#socket = socket;
    this.exclusive = moniker.channel === 'user';
    this.#holder = holder;
    if (holder) holder.onEnd = (error) => this.#end(error);
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
