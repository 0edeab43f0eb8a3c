/** The host's clock and random source; the only place that asks them. */
import { randomBytes } from 'node:crypto';
import type { Clock, RandomBytes } from '../base/time.ts';

export const systemClock: Clock = {
  monotonicMs: () => performance.now(),
  wallSeconds: () => Math.floor(Date.now() / 1000),
  wallMs: () => Date.now(),
};

export const systemRandom: RandomBytes = (length) => new Uint8Array(randomBytes(length));
