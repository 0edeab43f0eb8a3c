/**
 * The queue of packets to a controller that serves several links (N1, and what bleno of stoprocent lacks). A peer whose
 * radio takes nothing can not hold every buffer of the controller, since one is kept for each link that has none in use;
 * and it is dropped when it makes us queue without end. Formats no hex string per packet. Owns what waits; the count of
 * what the controller has is the library's.
 */
import { MAX_WAITING_PACKETS, toAclPackets } from './library.ts';

export interface AclAccounts {
  /** The controller's buffers, once it has said. */
  buffers(): { readonly length: number; readonly num: number } | undefined;
  /** Packets of a link that the controller has; undefined when there is no such link. */
  pending(handle: number): number | undefined;
  /** The same of every link. */
  pendings(): Iterable<number>;
  /** One more packet of this link goes to the controller. */
  write(handle: number, packet: Buffer): void;
  /** Too much waits for this link. Called once for it. */
  drop(handle: number): void;
}

const LEAST_BUFFER_BYTES = 27;

export class AclQueue {
  readonly #accounts: AclAccounts;
  readonly #queues = new Map<number, Buffer[]>();
  readonly #dropping = new Set<number>();

  constructor(accounts: AclAccounts) {
    this.#accounts = accounts;
  }

  /** Queues one L2CAP frame; for a link that is gone it is dropped. */
  send(handle: number, cid: number, data: Buffer): void {
    const accounts = this.#accounts;
    if (accounts.pending(handle) === undefined) return;
    const packets = this.#queues.get(handle) ?? [];
    if (packets.length >= MAX_WAITING_PACKETS) {
      // Once: the commands of a controller have a queue as well.
      if (!this.#dropping.has(handle)) accounts.drop(handle);
      this.#dropping.add(handle);
      return;
    }
    packets.push(...toAclPackets(handle, cid, data, accounts.buffers()?.length ?? LEAST_BUFFER_BYTES));
    this.#queues.set(handle, packets);
    this.flush();
  }

  /** Gives the controller what it has buffers for. */
  flush(): void {
    const accounts = this.#accounts;
    const buffers = accounts.buffers();
    if (buffers === undefined) return;
    let free = buffers.num;
    let without = 0;
    for (const pending of accounts.pendings()) {
      free -= pending;
      if (pending === 0) without++;
    }
    // A packet of each in turn: the first of several that have much to say takes no more than the others.
    for (let sent = true; sent; ) {
      sent = false;
      for (const [handle, packets] of this.#queues) {
        const pending = accounts.pending(handle);
        if (pending === undefined) {
          this.#queues.delete(handle);
          this.#dropping.delete(handle);
        } else if (free > (pending === 0 ? 0 : without)) {
          const packet = packets.shift();
          if (packet === undefined) continue;
          if (packets.length === 0) this.#queues.delete(handle);
          if (pending === 0) without--;
          free--;
          accounts.write(handle, packet);
          sent = true;
        }
      }
    }
  }
}
