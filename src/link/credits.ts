/**
 * The window, both ways: what we may still send, and what the peer may still send and is owed.
 * Owns the counts and the policy of when a grant is worth a segment of its own. Must not know segments or messages.
 * Source: docs/protocol.md §3.2.
 */
import { MAX_CREDITS, violation } from './segment.ts';

/** Credits the peer gave us. */
export class SendCredits {
  #available = 0;

  get available(): number {
    return this.#available;
  }

  /**
   * Takes in the peer's first credits or a grant, 0 to 255.
   * @throws CpnsError link-violation when more than 255 would be outstanding
   */
  add(grant: number): void {
    this.#available += grant;
    if (this.#available > MAX_CREDITS) violation('more than 255 credits outstanding');
  }

  /** Pays for one segment; ask {@link available} first. */
  spend(): void {
    this.#available--;
  }
}

/**
 * Credits we gave the peer. A segment is consumed as soon as it was taken in, because what it adds to is bounded by the
 * receive limit; so at any time `remaining + owed` is the first credits.
 */
export class ReceiveCredits {
  readonly #first: number;
  #remaining = 0;
  #owed = 0;
  #due = false;
  /** Segments since the last burst ended, and how many a burst of this peer has. */
  #burst = 0;
  #width = 0;

  /** @param first what our OPEN says, 1 to 255 */
  constructor(first: number) {
    this.#first = first;
  }

  /** Our OPEN is on its way: the peer has its first credits. */
  begin(): void {
    this.#remaining = this.#first;
  }

  /** Segments consumed and not yet granted again. */
  get owed(): number {
    return this.#owed;
  }

  /** True when the grant should not wait for a payload segment to ride on. */
  get due(): boolean {
    return this.#due;
  }

  /**
   * Counts one payload segment of the peer.
   * @throws CpnsError link-violation when the peer had no credit left
   */
  consume(): void {
    if (this.#remaining === 0) violation('segment without credit');
    this.#remaining--;
    this.#owed++;
    this.#burst++;
    // Below half, a silent receiver would soon be the only thing that holds the peer up.
    if (2 * this.#remaining < this.#first) this.#due = true;
  }

  /**
   * A burst of segments has ended: the moment at which one grant serves for many. It is due when what is left would not
   * last for three more such bursts: one that crosses with the grant, one for which it comes too late when it is given a
   * burst later, and one for jitter. Thus wide bursts are granted at once and narrow ones together. A single segment that
   * ended a message is not worth a grant, because an answer will carry it.
   */
  endOfBurst(messageIncomplete: boolean): void {
    // Shrinks slowly: one burst may come in two parts, and one backlog must not count for ever.
    this.#width = Math.max(this.#burst, this.#width - 1);
    this.#burst = 0;
    if (this.#remaining < 3 * this.#width && (messageIncomplete || this.#owed > 1))
      this.#due = this.#owed > 0;
  }

  /** Everything owed, as the grant of a segment that is being sent now. */
  grant(): number {
    const grant = this.#owed;
    this.#remaining += grant;
    this.#owed = 0;
    this.#due = false;
    return grant;
  }
}
