/** The doctor's table as data: nothing reported is left out, its commands are commands, its sentences are sentences. */
import assert from 'node:assert/strict';
import { capitalised, fillIn, inGeneral, shellWord } from '../../src/doctor/check.ts';
import { bySeverity, CHECKS, type CheckId, checkOf, PAINS } from '../../src/doctor/checks.ts';
import { asRunHere } from '../../src/doctor/fix.ts';
import { cpnsLines, faultOf, shellWords } from '../support/command-tree.ts';

const ids = Object.keys(CHECKS) as CheckId[];

describe("the doctor's table", () => {
  it('has a check for each thing that people report', () => {
    const covered = new Set(ids.flatMap((id) => checkOf(id).pains ?? []));
    assert.deepEqual(
      [...covered].sort((a, b) => a - b),
      Object.keys(PAINS).map(Number),
    );
    assert.equal(covered.size, 15);
  });

  for (const id of ids) {
    it(`${id}: one sentence, one command`, async () => {
      const { sentence, command, title, more, fix } = checkOf(id);
      assert.doesNotMatch(sentence, /[.!]$|\.\s[A-Z]|\n/, 'the full stop is put by whoever shows it');
      assert.match(title, /^([A-Z"]|rfkill |bluetoothd )/);
      assert.match(more, /[.`]$/);
      assert.doesNotMatch(command, /\n|;\s/);
      // What runs without a person reading it twice takes nothing that a stranger could have chosen.
      if (fix) {
        const chosen = [...command.matchAll(/\{(\w+)\}/g)].map(([, name]) => name);
        assert.ok(
          chosen.every((name) => ['dir', 'node', 'restart'].includes(name ?? '')),
          chosen.join(),
        );
      }
      for (const text of [command, ...[...more.matchAll(/`([^`]+)`/g)].map(([, inner = '']) => inner)]) {
        for (const line of cpnsLines(inGeneral(text).replaceAll('hciN', 'hci0').replaceAll('hci:N', 'hci:0')))
          assert.equal(await faultOf(line.replace(/\bROLE\b|\bSECOND\b/, 'pne')), undefined, line);
      }
    });
  }

  it('says the name of the adapter wherever the text has N', () => {
    const text = fillIn('hciN and {what} by hci:N/user', { adapter: 12, values: { what: 'more' } });
    assert.equal(text, 'hci12 and more by hci:12/user');
    assert.equal(capitalised('hci12 and'), 'hci12 and');
    assert.equal(capitalised('this'), 'This');
  });

  it('puts the worst first and keeps the order among equals', () => {
    const order = bySeverity([
      { check: 'several-adapters' },
      { check: 'fake-csr' },
      { check: 'rfkill-blocked', adapter: 1 },
      { check: 'rfkill-blocked', adapter: 0 },
    ]);
    assert.deepEqual(
      order.map(({ check, adapter }) => `${check} ${adapter}`),
      ['rfkill-blocked 1', 'rfkill-blocked 0', 'fake-csr undefined', 'several-adapters undefined'],
    );
  });

  it('quotes what a shell would act upon', () => {
    assert.equal(shellWord('/var/lib/cpns'), '/var/lib/cpns');
    assert.equal(shellWord('a b'), "'a b'");
    assert.equal(shellWord("$(reboot)'"), `'$(reboot)'\\'''`);
    assert.equal(shellWord(''), "''");
  });

  it('leaves sudo out for root, and lets it ask nobody who is not there', () => {
    const line = 'echo 200 | sudo tee x && sudo -u cpns true';
    assert.equal(asRunHere(line, true, true), 'echo 200 | tee x && sudo -u cpns true');
    assert.equal(asRunHere('sudo modprobe bluetooth', false, true), 'sudo modprobe bluetooth');
    assert.equal(asRunHere('sudo modprobe bluetooth', false, false), 'sudo -n modprobe bluetooth');
  });
});

describe('the check of documented command lines', () => {
  it('takes what is a command line and nothing else', async () => {
    assert.equal(await faultOf('cpns gateway init --server https://x:1 --adapter hci:1'), undefined);
    assert.equal(await faultOf('cpns gateway approvals allow 5f1c --always'), undefined);
    assert.match((await faultOf('cpns gateway init --servr x')) ?? '', /unknown option/);
    assert.match((await faultOf('cpns gatway run')) ?? '', /unknown command/);
    assert.match((await faultOf('cpns server user add')) ?? '', /missing required argument/);
    assert.match((await faultOf('cpns gateway')) ?? '', /./);
  });

  it('reads words as a shell does', () => {
    assert.deepEqual(shellWords(`cpns server token create ann "living room" > token.txt`), [
      ...['cpns', 'server', 'token', 'create', 'ann', 'living room'],
    ]);
    assert.deepEqual(shellWords('cpns pne enrol   # on the PNE'), ['cpns', 'pne', 'enrol']);
  });
});
