/**
 * How soon somebody may try a password again: each wrong one doubles the wait of its address, and all addresses together
 * have a budget. Owns the counting; time is an argument. Whoever uses all of it up keeps the owner from the password, never
 * from a one-time link, whose secret nobody guesses.
 */
import { Buckets } from '../https/server-limits.ts';

/** Wrong ones without a wait: fingers slip. */
const FREE = 3;
const LONGEST_WAIT_MS = 15 * 60_000;
/** After so long without an attempt an address starts anew. */
const FORGOTTEN_MS = 24 * 3_600_000;
const MAX_NAMES = 1_024;
/** Attempts of everybody: ten at once, then four a minute. In a year two million, of a password of ten letters or more. */
const ALL = { burst: 10, perSecond: 4 / 60 };

interface Failures {
  count: number;
  atMs: number;
}

export class LoginAttempts {
  readonly #failures = new Map<string, Failures>();
  readonly #all = new Buckets(ALL);

  /** Before an attempt. @param name of the address @returns seconds to wait; 0: go on */
  begin(name: string, nowMs: number): number {
    const known = this.#failures.get(name);
    if (known && nowMs - known.atMs > FORGOTTEN_MS) this.#failures.delete(name);
    else if (known && known.count >= FREE) {
      const waitMs = Math.min(LONGEST_WAIT_MS, 1_000 * 2 ** (known.count - FREE));
      const leftMs = known.atMs + waitMs - nowMs;
      if (leftMs > 0) return Math.ceil(leftMs / 1_000);
    }
    return this.#all.take('', nowMs);
  }

  failed(name: string, nowMs: number): void {
    const count = (this.#failures.get(name)?.count ?? 0) + 1;
    this.#failures.delete(name);
    this.#failures.set(name, { count, atMs: nowMs });
    const [oldest] = this.#failures.keys();
    if (this.#failures.size > MAX_NAMES && oldest !== undefined) this.#failures.delete(oldest);
  }

  succeeded(name: string): void {
    this.#failures.delete(name);
  }
}
