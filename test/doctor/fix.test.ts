/** Mending: nothing runs without consent, each command once, and what it did is judged by looking again. */
import assert from 'node:assert/strict';
import type { Finding } from '../../src/doctor/checks.ts';
import type { Examination } from '../../src/doctor/examine.ts';
import { type Fixer, mend } from '../../src/doctor/fix.ts';
import { judge } from '../../src/doctor/judge.ts';
import { WELL } from './facts.ts';

const examined = (findings: readonly Finding[]): Examination => ({
  facts: WELL,
  ...judge(WELL),
  findings,
});
const BLOCKED: Finding = { check: 'rfkill-blocked', adapter: 0 };
const DOWN: Finding = { check: 'adapter-down', adapter: 0 };
const TAKEN: Finding = { check: 'adapter-taken', adapter: 0, values: { program: 'x', stop: 'sudo kill 9' } };
const SILENT: Finding = {
  check: 'daemon-silent',
  byHand: true,
  values: { role: 'gateway', restart: 'cpns gateway run' },
};

/** A host whose faults are mended one after the other by what is run. */
function host(states: readonly (readonly Finding[])[], status = 0, consent = true) {
  const ran: string[] = [];
  const asked: string[] = [];
  const fixer: Fixer = {
    consents: async (_finding, command) => {
      asked.push(command);
      return consent;
    },
    run: async (command) => {
      ran.push(command);
      return status;
    },
    look: async () => examined(states[Math.min(ran.length, states.length - 1)] ?? []),
  };
  return { ran, asked, fixed: mend(examined(states[0] ?? []), fixer) };
}

describe('mending', () => {
  it('goes on with what shows up once the first thing is mended', async () => {
    const { ran, fixed } = host([[BLOCKED], [DOWN], []]);
    const { fixed: done, examination } = await fixed;
    assert.deepEqual(ran, ['sudo rfkill unblock bluetooth', 'sudo hciconfig hci0 up']);
    assert.deepEqual(
      done.map(({ result }) => result),
      ['mended', 'mended'],
    );
    assert.deepEqual(examination.findings, []);
  });

  it('runs nothing without consent, and asks once', async () => {
    const { ran, asked, fixed } = host([[BLOCKED]], 0, false);
    assert.deepEqual(
      (await fixed).fixed.map(({ result }) => result),
      ['declined'],
    );
    assert.deepEqual(ran, []);
    assert.equal(asked.length, 1);
  });

  it('does not try twice what did not help, and tells a failure from no effect', async () => {
    const failing = host([[BLOCKED]], 1);
    assert.equal((await failing.fixed).fixed[0]?.result, 'failed');
    assert.equal(failing.ran.length, 1);
    const useless = host([[BLOCKED]], 0);
    assert.equal((await useless.fixed).fixed[0]?.result, 'remains');
  });

  it('never touches what the table does not offer, nor what is a person’s to do', async () => {
    const { asked, fixed } = host([[TAKEN, SILENT]]);
    assert.deepEqual((await fixed).fixed, []);
    assert.deepEqual(asked, []);
  });
});
