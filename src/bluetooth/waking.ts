/**
 * Noticing that the machine has slept, or that this process has stood still: nobody tells a program, and a controller may
 * have forgotten meanwhile what it was to do. Owns the rule and the clocks it goes by. Must not know what is done then.
 * Two signs: CLOCK_BOOTTIME went on while CLOCK_MONOTONIC stood still (suspend), or a timer comes much too late (a
 * frozen or stopped process, a sleep in which neither clock stood still).
 */
import { uptime } from 'node:os';

/** How the clocks were at one moment. */
export interface Moment {
  /** CLOCK_MONOTONIC: stands still while the machine sleeps. */
  readonly monotonicMs: number;
  /** CLOCK_BOOTTIME, where known only to the second: goes on. */
  readonly bootMs: number;
}

const LOOK_MS = 2_000;
/** More than a clock in seconds and another can differ by. */
const LEAST_SLEEP_MS = 2_000;
/** A busy program is late as well, though hardly so late; what is done then is harmless. */
const LEAST_STANDSTILL_MS = 5_000;

/** Whether the machine slept or the process stood still between two looks that were to be `lookMs` apart. */
export function hasSlept(before: Moment, now: Moment, lookMs: number): boolean {
  const ranMs = now.monotonicMs - before.monotonicMs;
  const sleptMs = now.bootMs - before.bootMs - ranMs;
  return sleptMs >= LEAST_SLEEP_MS || ranMs - lookMs >= LEAST_STANDSTILL_MS;
}

/** Calls back within 2 s of each waking; keeps no process alive. @returns what ends it */
export function watchSleep(onWake: () => void): () => void {
  let last = now();
  const timer = setInterval(() => {
    const before = last;
    last = now();
    if (hasSlept(before, last, LOOK_MS)) onWake();
  }, LOOK_MS);
  timer.unref();
  return () => clearInterval(timer);
}

// Read one after the other: a sleep in between would be seen at the next look.
const now = (): Moment => ({ monotonicMs: performance.now(), bootMs: uptime() * 1000 });
