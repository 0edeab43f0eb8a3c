/** What the tests of the link share: seeded properties, segments by hand, statuses of thrown errors. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { CpnsError } from '../../src/base/errors.ts';
import type { Status } from '../../src/base/statuses.ts';
import { END, EPOCH, GRANT, LANE, START } from '../../src/link/segment.ts';

const { FC_SEED } = process.env;
export const SEED = Number(FC_SEED ?? Date.now() & 0x7fffffff);
console.log(`test/link: FC_SEED=${SEED}`);

/** Runs a property with the printed seed, for at most five seconds. */
export function check<T>(property: fc.IProperty<T>, numRuns = 300): void {
  fc.assert(property, { seed: SEED, numRuns, interruptAfterTimeLimit: 5000, markInterruptAsFailure: false });
}

/** A check for assert.throws: the peer's fault with exactly this status. */
export const fault = (status: Status) => (error: unknown) => {
  assert.ok(error instanceof CpnsError, String(error));
  assert.equal(error.status, status);
  return true;
};

export interface Hand {
  readonly start?: boolean;
  readonly end?: boolean;
  readonly lane?: 0 | 1;
  readonly epoch?: 0 | 1;
  readonly seq?: number;
  readonly grant?: number;
  readonly length?: number;
  readonly payload?: Uint8Array | number;
}

/** A segment made by hand, lawful or not: every field goes in as it is given. A number as payload is so many bytes. */
export function segment(hand: Hand): Uint8Array {
  const { start, end, lane, epoch, seq = 0, grant, length, payload = 1 } = hand;
  const header =
    (start ? START : 0) |
    (end ? END : 0) |
    (lane ? LANE : 0) |
    (epoch ? EPOCH : 0) |
    (grant === undefined ? 0 : GRANT) |
    seq;
  const bytes = typeof payload === 'number' ? new Uint8Array(payload).fill(0xa5) : payload;
  return Uint8Array.of(
    header,
    ...(grant === undefined ? [] : [grant]),
    ...(length === undefined ? [] : [length >> 8, length & 0xff]),
    ...bytes,
  );
}

/** So many bytes, each telling its place. */
export const pattern = (length: number): Uint8Array =>
  Uint8Array.from({ length }, (_, i) => (i * 7 + 1) & 0xff);
