/**
 * How much work of one kind may be done per second for whoever asks, known or not: a bucket that fills steadily and holds
 * one second's worth. Knows neither the work nor a clock: an instant is an argument.
 */
import type { MonotonicMs } from '../base/time.ts';

export class WorkBudget {
  readonly #perSecond: number;
  #left: number;
  #atMs: MonotonicMs | undefined;

  /** @param perSecond units of work */
  constructor(perSecond: number) {
    this.#perSecond = perSecond;
    this.#left = perSecond;
  }

  /**
   * Pays for some work, when there is enough.
   * @param cost units; what costs more than a second's worth is paid with a full bucket
   * @param reserve units that must be left after it, for what matters more
   */
  take(cost: number, nowMs: MonotonicMs, reserve = 0): boolean {
    const elapsedMs = nowMs - (this.#atMs ?? nowMs);
    this.#left = Math.min(this.#perSecond, this.#left + (elapsedMs * this.#perSecond) / 1_000);
    this.#atMs = nowMs;
    const price = Math.min(cost, this.#perSecond - reserve);
    if (this.#left - price < reserve) return false;
    this.#left -= price;
    return true;
  }
}
