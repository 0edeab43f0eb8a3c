/**
 * Trying again: jittered exponential back-off, and the one loop that uses it. Owns the delays only; whether a failure is
 * worth another attempt is in the table of statuses (src/base/statuses.ts), never in the text of a message.
 */
import { CpnsError } from '../base/errors.ts';
import { STATUSES } from '../base/statuses.ts';

export interface BackoffPolicy {
  /** Upper end of the first delay, milliseconds. */
  readonly firstMs: number;
  /** Upper end of every delay, milliseconds. */
  readonly maxMs: number;
  /** 0 ≤ n < 1; Math.random unless a test says otherwise. */
  readonly random?: () => number;
}

export interface RetryPolicy extends BackoffPolicy {
  /** Attempts in all, at least 1; unlimited when absent. */
  readonly attempts?: number;
}

/** Doubling delays, each between half of its upper end and the end, so that many gateways do not knock in step. */
export class Backoff {
  readonly #policy: BackoffPolicy;
  #failures = 0;

  constructor(policy: BackoffPolicy) {
    this.#policy = policy;
  }

  /** The next delay in milliseconds, firstMs / 2 to maxMs. */
  nextMs(): number {
    const { firstMs, maxMs, random = Math.random } = this.#policy;
    const endMs = Math.min(maxMs, firstMs * 2 ** Math.min(this.#failures++, 30));
    return (endMs * (1 + random())) / 2;
  }

  reset(): void {
    this.#failures = 0;
  }
}

/** What the server said no with; carries how long it wants to be left alone. */
export class ServerProblem extends CpnsError {
  /** Milliseconds to wait before the next attempt, when the server said so. */
  readonly retryAfterMs: number | undefined;

  constructor(status: CpnsError['status'], retryAfterSeconds?: number) {
    super(status, 'the server refused the request');
    this.retryAfterMs = retryAfterSeconds === undefined ? undefined : retryAfterSeconds * 1000;
  }
}

/**
 * Calls until it succeeds, fails for good, runs out of attempts or is called off; waits at least as long as the server
 * asked.
 * @throws the last failure; CpnsError shutting-down when called off
 */
export async function withRetry<T>(
  call: () => Promise<T>,
  policy: RetryPolicy,
  signal?: AbortSignal,
): Promise<T> {
  const backoff = new Backoff(policy);
  for (let attempt = 1; ; attempt++) {
    if (signal?.aborted) throw new CpnsError('shutting-down');
    try {
      return await call();
    } catch (error) {
      const last = attempt === policy.attempts;
      if (last || !isWorthRepeating(error)) throw error;
      const askedMs = error instanceof ServerProblem ? (error.retryAfterMs ?? 0) : 0;
      await sleep(Math.max(backoff.nextMs(), askedMs), signal);
    }
  }
}

/**
 * Whether the very same request may yet succeed. Not the same as `retryable`, which speaks of a new attempt: a stale
 * challenge or a taken PN ID wants another join, and repeating the request would get the same answer for ever.
 */
function isWorthRepeating(error: unknown): boolean {
  if (!(error instanceof CpnsError) || !error.retryable) return false;
  const { http } = STATUSES[error.status];
  return http === 429 || http >= 500;
}

/** Waits, or less when called off; resolves either way. */
export function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  if (signal?.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal?.addEventListener('abort', done);
  });
}
