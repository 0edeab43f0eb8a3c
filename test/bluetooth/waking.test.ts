/** The rule by which a sleep of the machine, or a standstill of the process, is noticed. */
import assert from 'node:assert/strict';
import { hasSlept, type Moment } from '../../src/bluetooth/waking.ts';

const LOOK_MS = 2_000;
const START: Moment = { monotonicMs: 50_000, bootMs: 90_000 };
const later = (monotonicMs: number, bootMs: number): Moment => ({
  monotonicMs: START.monotonicMs + monotonicMs,
  bootMs: START.bootMs + bootMs,
});

const CASES: readonly (readonly [what: string, now: Moment, slept: boolean])[] = [
  ['a look in time', later(2_000, 2_000), false],
  ['a clock in whole seconds, just before and just after one', later(2_000, 2_990), false],
  ['a busy program', later(6_900, 6_900), false],
  ['a sleep in which the monotonic clock stood still', later(2_000, 602_000), true],
  ['a short one', later(2_001, 4_001), true],
  ['a sleep in which both clocks went on', later(602_000, 602_000), true],
  ['a stopped process', later(7_000, 7_000), true],
  ['a sleep in the middle of a standstill', later(4_000, 9_000), true],
  ['a boot clock that nobody has', later(2_000, 0), false],
];

describe('a sleep of the machine', () => {
  for (const [what, now, slept] of CASES)
    it(`${slept ? 'is' : 'is not'} seen in ${what}`, () => {
      assert.equal(hasSlept(START, now, LOOK_MS), slept);
    });
});
