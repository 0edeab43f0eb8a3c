/**
 * How soon somebody may try to log in again: each wrong try doubles the wait of its address, and all addresses together
 * have a budget where there is something to guess. Owns the counting; time is an argument. Whoever uses all of it up keeps the
 * owner from the password, never from a passkey or a one-time link, which nobody guesses.
 */
import { type BucketPolicy, Buckets } from '../https/server-limits.ts';

/** Wrong ones without a wait: fingers slip. */
const FREE = 3;
const LONGEST_WAIT_MS = 15 * 60_000;
/** After so long without an attempt an address starts anew. */
const FORGOTTEN_MS = 24 * 3_600_000;
const MAX_NAMES = 1_024;
/** Passwords of everybody: ten at once, then four a minute. In a year two million, of ten letters or more. */
export const PASSWORDS = { burst: 10, perSecond: 4 / 60 };

interface Failures {
  count: number;
  atMs: number;
}

export class LoginAttempts {
  readonly #failures = new Map<string, Failures>();
  readonly #all: Buckets | undefined;

  /** @param all of all addresses together; without it each is for itself */
  constructor(all?: BucketPolicy) {
    this.#all = all && new Buckets(all);
  }

  /** Before an attempt. @param name of the address @returns seconds to wait; 0: go on */
  begin(name: string, nowMs: number): number {
    const known = this.#failures.get(name);
    if (known && nowMs - known.atMs > FORGOTTEN_MS) this.#failures.delete(name);
    else if (known && known.count >= FREE) {
      const waitMs = Math.min(LONGEST_WAIT_MS, 1_000 * 2 ** (known.count - FREE));
      const leftMs = known.atMs + waitMs - nowMs;
      if (leftMs > 0) return Math.ceil(leftMs / 1_000);
    }
    return this.#all?.take('', nowMs) ?? 0;
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
