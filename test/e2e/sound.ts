/** What every test between four processes holds at its end. */
import assert from 'node:assert/strict';
import type { FourProcesses } from './four-processes.ts';

/**
 * For a hook after each test: what must hold of a world whatever the test was about. Of a test that has failed only the
 * safety rules: it has said who died, and a hook that throws ends its suite, where the test may be one that runs again.
 */
export function assertSound({ violations, deaths }: FourProcesses, test: Mocha.Test | undefined): void {
  assert.deepEqual(violations, []);
  if (test?.isPassed()) assert.deepEqual(deaths, []);
}
