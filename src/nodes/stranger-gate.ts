/**
 * How many links of strangers a peripheral serves: ten in ten seconds, the later half one by one (docs/protocol.md §10).
 * Owns the count; whoever has the link says when its peer proved to be no stranger.
 */
import type { Clock } from '../base/time.ts';

const STRANGERS = 10;
const WINDOW_MS = 10_000;
/** More than so many in the window come one by one, so that the places do not all fall to whoever is fastest. */
const AT_ONCE = 5;
const APART_MS = 1_000;

export class StrangerGate {
  readonly #clock: Pick<Clock, 'monotonicMs'>;
  #admittedAtMs: number[] = [];

  constructor(clock: Pick<Clock, 'monotonicMs'>) {
    this.#clock = clock;
  }

  /** How long no further link may be served. */
  fullForMs(): number {
    const nowMs = this.#clock.monotonicMs();
    this.#admittedAtMs = this.#admittedAtMs.filter((atMs) => nowMs - atMs < WINDOW_MS);
    if (this.#admittedAtMs.length < AT_ONCE) return 0;
    const [oldest = 0] = this.#admittedAtMs;
    const newest = this.#admittedAtMs.at(-1) ?? 0;
    const apartMs = newest + APART_MS - nowMs;
    const placeMs = this.#admittedAtMs.length < STRANGERS ? 0 : oldest + WINDOW_MS - nowMs;
    return Math.max(0, apartMs, placeMs);
  }

  /** Takes a place, where there is one. */
  admit(): boolean {
    if (this.fullForMs() > 0) return false;
    this.#admittedAtMs.push(this.#clock.monotonicMs());
    return true;
  }

  /** The peer that was admitted last proved itself: it was no stranger. */
  proven(): void {
    this.#admittedAtMs.pop();
  }
}
