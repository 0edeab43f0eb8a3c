/**
 * Holds the links of a shared adapter: the kernel ends one that no socket of its own uses, 2 s after it is up (4 s where
 * the peer connected). Owns one kernel socket per link, and nothing else of the link.
 * GUARD(X7): the package makes that socket itself, but at a moment when the kernel may not yet know of the link (whoever
 * reads a raw socket can be faster) or no longer: its connect(2) then blocks, and with it the whole process, for 20 s and more
 * while the kernel looks for the peer. So it is kept from doing so (native-pipe.ts), and made to do it here a moment later.
 */
import { closeSync } from 'node:fs';
import { H4_COMMAND, H4_EVENT } from './h4.ts';
import { closeNativeSocket, newNativeSocket, ownSockets } from './native-socket.ts';

/** By then the kernel has asked the controller what it asks of every new link. */
const AFTER_MS = 300;
const EVENT_DISCONNECTION_COMPLETE = 0x05;
const EVENT_LE_META = 0x3e;
/** Where the connection interval stands, by subevent of LE (Enhanced) Connection Complete. */
const INTERVAL_AT: ReadonlyMap<number, number> = new Map([
  [0x01, 15],
  [0x0a, 27],
]);

export class LinkHolder {
  readonly #index: number;
  /** What lets go, by connection handle. */
  readonly #links = new Map<number, () => void>();

  constructor(index: number) {
    this.#index = index;
  }

  /** @param packet from the controller, type byte first */
  seen(packet: Buffer): void {
    if (packet[0] !== H4_EVENT || packet.length < 7) return;
    const intervalAt = packet[1] === EVENT_LE_META ? INTERVAL_AT.get(packet[3] ?? 0) : undefined;
    if (packet[1] === EVENT_DISCONNECTION_COMPLETE && packet[3] === 0) this.#release(packet.readUInt16LE(4));
    else if (intervalAt !== undefined && packet[4] === 0 && packet.length >= intervalAt + 6)
      this.#hold(packet.readUInt16LE(5), packet.subarray(8, 15), packet.subarray(intervalAt, intervalAt + 6));
  }

  close(): void {
    for (const handle of [...this.#links.keys()]) this.#release(handle);
  }

  #release(handle: number): void {
    this.#links.get(handle)?.();
    this.#links.delete(handle);
  }

  /** @param peer address type and address @param parameters interval, latency, timeout, which the link has already */
  #hold(handle: number, peer: Buffer, parameters: Buffer): void {
    this.#release(handle);
    // Handed to the package as the command it answers with connect(2), and never sent.
    const command = Buffer.alloc(29);
    Buffer.from([H4_COMMAND, 0x0d, 0x20, 25]).copy(command);
    peer.copy(command, 9);
    parameters.copy(command, 17, 0, 2);
    parameters.copy(command, 19);
    const timer = setTimeout(() => this.#links.set(handle, connect(this.#index, command)), AFTER_MS).unref();
    this.#links.set(handle, () => clearTimeout(timer));
  }
}

/** @returns what closes the kernel's socket */
function connect(index: number, command: Buffer): () => void {
  try {
    const socket = newNativeSocket();
    try {
      socket.bindRaw(index);
      const before = ownSockets();
      socket.write(command);
      const made = [...ownSockets()]
        .filter(([inode]) => !before.has(inode))
        .map(([, descriptor]) => descriptor);
      return () => made.forEach(closeSync);
    } finally {
      closeNativeSocket(socket);
    }
  } catch {
    // The adapter has just gone, and the link with it.
    return () => {};
  }
}
