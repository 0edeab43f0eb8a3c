/**
 * Waiting in a soak: every wait ends at once when the run is interrupted, and none is without a deadline.
 */
import { setTimeout as wait } from 'node:timers/promises';

/** @returns false when the run was interrupted meanwhile */
export async function pause(ms: number, signal: AbortSignal): Promise<boolean> {
  try {
    await wait(ms, undefined, { signal });
    return true;
  } catch {
    return false;
  }
}

/** Looks again and again. @returns whether it held in time; false at once when interrupted */
export async function until(
  holds: () => boolean | Promise<boolean>,
  limitMs: number,
  signal: AbortSignal,
  everyMs = 250,
): Promise<boolean> {
  for (const endAt = performance.now() + limitMs; performance.now() < endAt; ) {
    if (await holds()) return true;
    if (!(await pause(everyMs, signal))) return false;
  }
  return false;
}

/** @returns whether the work was done in time; what it throws is thrown */
export async function within(work: Promise<unknown>, ms: number): Promise<boolean> {
  const over = new AbortController();
  try {
    const late = pause(ms, over.signal).then(() => 'late');
    return (await Promise.race([work, late])) !== 'late';
  } finally {
    over.abort();
  }
}

/** Settles when the run is interrupted. */
export const interruption = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (signal.aborted) resolve();
    signal.addEventListener('abort', () => resolve(), { once: true });
  });
