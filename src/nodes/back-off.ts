/**
 * How long to leave alone what failed: doubling per key, forgotten on success. Holds at most so many keys; the least
 * recently failed one leaves. Knows no clock: an instant is an argument.
 */
import type { MonotonicMs } from '../base/time.ts';

interface Failures {
  count: number;
  untilMs: MonotonicMs;
}

export class BackOff {
  readonly #firstMs: number;
  readonly #longestMs: number;
  readonly #maxKeys: number;
  readonly #failures = new Map<string, Failures>();

  constructor(firstMs: number, longestMs: number, maxKeys: number) {
    this.#firstMs = firstMs;
    this.#longestMs = longestMs;
    this.#maxKeys = maxKeys;
  }

  /** Whether this key is still to be left alone. */
  holds(key: string, nowMs: MonotonicMs): boolean {
    return nowMs < (this.#failures.get(key)?.untilMs ?? 0);
  }

  /** Whether this key failed and has not succeeded since. */
  isFailing(key: string): boolean {
    return this.#failures.has(key);
  }

  failed(key: string, nowMs: MonotonicMs): void {
    const count = (this.#failures.get(key)?.count ?? 0) + 1;
    this.#failures.delete(key);
    const waitMs = Math.min(this.#longestMs, this.#firstMs * 2 ** (count - 1));
    this.#failures.set(key, { count, untilMs: nowMs + waitMs });
    const oldest = this.#failures.keys().next();
    if (this.#failures.size > this.#maxKeys && !oldest.done) this.#failures.delete(oldest.value);
  }

  succeeded(key: string): void {
    this.#failures.delete(key);
  }

  clear(): void {
    this.#failures.clear();
  }
}
