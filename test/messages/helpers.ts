/** What the tests of this folder share: seeded properties and the two kinds of error. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { CpnsError } from '../../src/base/errors.ts';

const { FC_SEED } = process.env;
const seed = Number(FC_SEED ?? Date.now() & 0x7fffffff);
console.log(`test/messages: FC_SEED=${seed}`);

/** Runs a property with the printed seed, for at most three seconds. */
export function check<T>(property: fc.IProperty<T>, numRuns = 2000): void {
  fc.assert(property, { seed, numRuns, interruptAfterTimeLimit: 3000, markInterruptAsFailure: false });
}

/** A check for assert.throws: a CpnsError `malformed` whose text matches. */
export function malformed(reason: RegExp): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof CpnsError, `not a CpnsError: ${String(error)}`);
    assert.equal(error.status, 'malformed');
    assert.match(error.message, reason);
    return true;
  };
}
