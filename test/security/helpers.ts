/** What the tests of this folder share: primitives, new keys, seeded properties and the check of a status. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { CpnsError } from '../../src/base/errors.ts';
import type { Status } from '../../src/base/statuses.ts';
import { generateKey, type SoftwareSigner, softwareSigner } from '../../src/security/keystore.ts';
import { nodePrimitives } from '../../src/security/primitives-node.ts';

const { FC_SEED } = process.env;
const seed = Number(FC_SEED ?? Date.now() & 0x7fffffff);
console.log(`test/security: FC_SEED=${seed}`);

export const primitives = nodePrimitives();

export const newSigner = (): SoftwareSigner => softwareSigner(generateKey());

/** Runs a property with the printed seed, for at most two seconds. */
export function check<T>(property: fc.IProperty<T>, numRuns = 1000): void {
  fc.assert(property, { seed, numRuns, interruptAfterTimeLimit: 2000, markInterruptAsFailure: false });
}

/** A check for assert.throws: exactly this status, and a text that matches. */
export const fault =
  (status: Status, text = /./) =>
  (error: unknown): boolean => {
    assert.ok(error instanceof CpnsError, `not a CpnsError: ${String(error)}`);
    assert.equal(error.status, status);
    assert.match(error.message, text);
    return true;
  };

/** The work ends, or throws one of these statuses and nothing else. */
export function onlyStatuses(statuses: readonly Status[], work: () => unknown): void {
  try {
    work();
  } catch (error) {
    assert.ok(error instanceof CpnsError, `not a CpnsError: ${String(error)}`);
    assert.ok(statuses.includes(error.status), error.status);
  }
}

/** A copy with one bit turned over. */
export function flipped(bytes: Uint8Array, index: number, bit = 0): Uint8Array {
  const copy = bytes.slice();
  copy[index] = (copy[index] ?? 0) ^ (1 << bit);
  return copy;
}
