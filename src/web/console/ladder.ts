/**
 * Steps 0 to 13 of a join as its gateway can tell them: what it saw itself, what follows from what it saw, what it cannot
 * know. Pure; drawing is stories.ts.
 */
import type { StoryStep } from '../../console/view.ts';
import { LAST_STEP } from './words.ts';

/**
 * `done`: seen here. `inferred`: not seen here, but a later step cannot be without it. `failed`: here it ended.
 * `unknown`: the end came from beyond, and this gateway was not told what happened there. `ahead`: not reached.
 */
export type RungState = 'done' | 'inferred' | 'failed' | 'unknown' | 'ahead';

export interface Rung {
  readonly step: number;
  readonly state: RungState;
  /** What was seen of it, oldest first. */
  readonly seen: readonly StoryStep[];
}

/** The home gateway is asked before its user is waited for: the server's word for a step that is far from here. */
const ASKED_STEP = 8;

export function rungs(steps: readonly StoryStep[]): readonly Rung[] {
  const endAt = steps.findIndex(({ ends }) => ends);
  const before = endAt < 0 ? steps : steps.slice(0, endAt);
  const furthest = Math.max(-1, ...before.map(reached));
  const end = furthest < LAST_STEP ? steps[endAt] : undefined;
  const failedAt = end && (end.step ?? furthest + 1);
  return Array.from({ length: LAST_STEP + 1 }, (_, step) => {
    const seen = steps.filter((each) => each.step === step || (each.step === null && reached(each) === step));
    if (end && step === failedAt)
      return { step, state: 'failed', seen: seen.includes(end) ? seen : [...seen, end] };
    if (seen.some((each) => each.step === step)) return { step, state: 'done', seen };
    if (step <= furthest) return { step, state: 'inferred', seen };
    return { step, state: failedAt !== undefined && step < failedAt ? 'unknown' : 'ahead', seen };
  });
}

/** The step that a message proves; -1 for one that proves none. */
function reached({ step, status }: StoryStep): number {
  return step ?? (status === 'awaiting-user' ? ASKED_STEP : -1);
}
