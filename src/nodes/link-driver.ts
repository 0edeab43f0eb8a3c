/**
 * The one driver of every link: carries segments between a GATT link and a Link, keeps one timer, tells when a burst of
 * segments has ended. Knows no message and no party; events go to whoever owns the link.
 * Nothing is thrown out of a callback, and no timer is left armed once the GATT link is down.
 * Source: docs/protocol.md §3.2 (b), §3.5.
 */
import { afterBurst } from '../base/after-burst.ts';
import type { Status } from '../base/statuses.ts';
import type { Clock, MonotonicMs } from '../base/time.ts';
import type { GattLink } from '../bluetooth/gatt-link.ts';
import type { Link, LinkEvent } from '../link/link.ts';

/** How long the peer has to read our last message and disconnect, before we do. */
const FAREWELL_MS = 500;

export interface LinkDriver {
  /** Sends what the link has to send. To be called after `send`, `advance` or `closeAfterSending`, not in `onEvents`. */
  flush(): void;
  /** Closes link and GATT link; settles as {@link ended}. */
  close(status?: Status): Promise<void>;
  /** Settles when the GATT link is down and no timer is armed. Never rejects. */
  readonly ended: Promise<void>;
}

/**
 * Takes over both callbacks of `gatt` and drives `link` to its end.
 * @param onEvents called with each batch of events, in order, before the next segment is looked at: a receive limit
 * raised there holds for it. It may call `link.send`; what it queues is sent without a `flush`. When it throws, the
 * link closes with `internal`
 */
export function driveLink(
  gatt: GattLink,
  link: Link,
  clock: Pick<Clock, 'monotonicMs'>,
  onEvents: (events: readonly LinkEvent[]) => void,
): LinkDriver {
  return new Driver(gatt, link, clock, onEvents);
}

class Driver implements LinkDriver {
  readonly ended: Promise<void>;
  readonly #gatt: GattLink;
  readonly #link: Link;
  readonly #clock: Pick<Clock, 'monotonicMs'>;
  readonly #onEvents: (events: readonly LinkEvent[]) => void;
  readonly #endBurst = () => this.#burstEnded();
  readonly #onTimer = () => this.#timeout();
  #resolveEnded: () => void = () => {};
  #timer: ReturnType<typeof setTimeout> | undefined;
  #timerAt: MonotonicMs = 0;
  #inBurst = false;
  #flushing = false;
  /** The GATT link is down, or we have asked for it. */
  #hungUp = false;

  constructor(
    gatt: GattLink,
    link: Link,
    clock: Pick<Clock, 'monotonicMs'>,
    onEvents: (events: readonly LinkEvent[]) => void,
  ) {
    this.#gatt = gatt;
    this.#link = link;
    this.#clock = clock;
    this.#onEvents = onEvents;
    this.ended = new Promise((resolve) => {
      this.#resolveEnded = resolve;
    });
    gatt.onSegment = (segment) => this.#receive(segment);
    gatt.onClose = () => this.#down();
    this.flush();
  }

  flush(): void {
    if (this.#flushing) return;
    this.#flushing = true;
    const nowMs = this.#clock.monotonicMs();
    // A lane that drained may be filled again by its owner, so events and segments take turns until both are used up.
    do {
      for (let next = this.#link.nextSegment(nowMs); next; next = this.#link.nextSegment(nowMs))
        this.#send(next);
    } while (this.#deliver());
    this.#flushing = false;
    this.#settle();
  }

  close(status: Status = 'shutting-down'): Promise<void> {
    this.#link.close(status);
    this.flush();
    return this.ended;
  }

  #receive(segment: Uint8Array): void {
    if (this.#link.closed) return;
    this.#link.receive(segment, this.#clock.monotonicMs());
    this.#deliver();
    if (this.#inBurst) return;
    this.#inBurst = true;
    afterBurst(this.#endBurst);
  }

  #burstEnded(): void {
    this.#inBurst = false;
    this.#link.endOfBurst();
    this.flush();
  }

  #send(segment: Uint8Array): void {
    try {
      this.#gatt.send(segment);
    } catch {
      this.#link.close('internal');
    }
  }

  /** Says whether there was anything to deliver. */
  #deliver(): boolean {
    const events = this.#link.takeEvents();
    if (events.length === 0) return false;
    try {
      this.#onEvents(events);
    } catch {
      this.#link.close('internal');
    }
    return true;
  }

  /** After every turn: hangs up when the link has closed, otherwise sees to the timer. */
  #settle(): void {
    const { deadlineAt } = this.#link;
    if (deadlineAt === undefined) {
      this.#linkClosed();
      return;
    }
    // A timer that fires early looks again, so that the deadlines that each segment puts off cost nothing.
    if (this.#timer !== undefined && this.#timerAt <= deadlineAt) return;
    this.#arm(deadlineAt, this.#onTimer);
  }

  #timeout(): void {
    this.#timer = undefined;
    this.#link.handleTimeout(this.#clock.monotonicMs());
    this.flush();
  }

  #linkClosed(): void {
    if (this.#hungUp) return;
    this.#hungUp = true;
    if (this.#link.farewell) this.#arm(this.#clock.monotonicMs() + FAREWELL_MS, () => this.#hangUp());
    else this.#hangUp();
  }

  #hangUp(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#gatt.close().then(this.#resolveEnded, this.#resolveEnded);
  }

  #down(): void {
    this.#hungUp = true;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#link.close('link-lost');
    this.#deliver();
    this.#resolveEnded();
  }

  #arm(at: MonotonicMs, run: () => void): void {
    clearTimeout(this.#timer);
    this.#timerAt = at;
    this.#timer = setTimeout(run, Math.max(0, at - this.#clock.monotonicMs()));
  }
}
