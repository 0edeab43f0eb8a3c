/**
 * The data buffers of one controller that two libraries share: each believes that all of them are its own, so what is
 * over waits here. Links take turns, and one is kept free for every link that uses none, so that a peer which takes
 * nothing can't hold up the others. Counts packets; must not read them.
 */

interface Link {
  readonly waiting: Buffer[];
  /** Packets that the controller has and has not yet said to be through. */
  pending: number;
}

export class AclGate {
  readonly #send: (packet: Buffer) => void;
  /** In the order of their turns. */
  readonly #links = new Map<number, Link>();
  #buffers: number | undefined;
  /** No more than so many are used, whatever the controller has. */
  limit = Number.POSITIVE_INFINITY;

  constructor(send: (packet: Buffer) => void) {
    this.#send = send;
  }

  /** How many packets the controller takes at once; nothing is sent before this is known. */
  setBuffers(count: number): void {
    this.#buffers = count;
    this.#flush();
  }

  opened(handle: number): void {
    this.#links.set(handle, { waiting: [], pending: 0 });
  }

  /** The controller has dropped whatever it held of this link. */
  ended(handle: number): void {
    this.#links.delete(handle);
    this.#flush();
  }

  /** A packet of a link that is not open is dropped, as a controller would. */
  write(handle: number, packet: Buffer): void {
    const link = this.#links.get(handle);
    if (link === undefined) return;
    link.waiting.push(packet);
    this.#flush();
  }

  completed(handle: number, count: number): void {
    const link = this.#links.get(handle);
    // The kernel sends packets of its own on an adapter that it shares.
    if (link !== undefined) link.pending = Math.max(0, link.pending - count);
    this.#flush();
  }

  #flush(): void {
    if (this.#buffers === undefined) return;
    let free = Math.min(this.#buffers, this.limit);
    let unused = 0;
    for (const { pending } of this.#links.values()) {
      free -= pending;
      if (pending === 0) unused++;
    }
    for (let sent = true; sent && free > 0; ) {
      sent = false;
      for (const [handle, link] of [...this.#links]) {
        if (link.waiting.length === 0 || free <= (link.pending === 0 ? 0 : unused)) continue;
        if (link.pending++ === 0) unused--;
        free--;
        sent = true;
        this.#links.delete(handle);
        this.#links.set(handle, link);
        this.#send(link.waiting.shift() as Buffer);
      }
    }
  }
}
