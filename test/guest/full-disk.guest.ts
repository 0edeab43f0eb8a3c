/**
 * Disks that are full, really: the state directory of each party on a small file system that has not a byte left when the
 * party's turn to write has come. Nothing is promised that could not be written, the daemon says so and lives on, `cpns
 * doctor` names the disk, and with space again the join comes to its end by itself.
 */
// guest: --memory 1536 --timeout 1800
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { FourProcesses, type Party } from '../e2e/four-processes.ts';
import { judge } from '../faults/outcome.ts';
import { checks, doctor, MAIN, only } from './doctor.ts';
import { OUT } from './kernel.ts';
import { SmallDisks } from './small-disks.ts';

/** Emulation makes everything ten times slower. */
const PATIENCE_MS = 180_000;
const ROLE = { server: 'server', gw1: 'gateway', gw2: 'gateway', pne: 'pne' } as const;

describe('a disk that is full', function () {
  this.timeout(600_000);
  let world: FourProcesses;
  let disks: SmallDisks;

  beforeEach(async () => {
    disks = new SmallDisks();
    world = await FourProcesses.open({ patienceMs: PATIENCE_MS, disks, logsTo: OUT });
  });
  afterEach(() => world.close());

  const config = (party: Party) => join(world.stateDir(party), '../config', `${party}.toml`);
  const log = (party: Party) => readFileSync(join(world.stateDir(party), '../logs', `${party}.log`), 'utf8');
  const examine = (party: Party) =>
    doctor(['--role', ROLE[party], '--state', world.stateDir(party), '--config', config(party)]);

  /** The party can write nothing when it has to, and is told of; then it can. */
  const outlives = async (party: Party, complains: () => boolean) => {
    await world.until(`${party} to say it`, complains);
    const told = await examine(party);
    const found = only(told, 'disk-full');
    assert.equal(found.severity, 'error');
    assert.match(found.sentence, /has 0 MB left/);
    assert.ok(!checks(told).includes('daemon-silent'));
    assert.equal(told.code, 1);
    const { server, pne } = world.look();
    assert.deepEqual(server.pns, []);
    assert.ok(pne.joins.every(({ state }) => state === 'pending'));
    disks.empty(world.stateDir(party));
    assert.ok(!checks(await examine(party)).includes('disk-full'));
  };

  const becomesMember = async () => {
    await world.until('the question', () => world.asked().length > 0);
    await world.allow();
    const state = await world.untilOutcome('member');
    assert.match(judge(state).detail, /^version 1 /);
  };

  const holds = () => {
    assert.deepEqual(world.violations, []);
    assert.deepEqual(world.deaths, []);
  };

  it('of a server', async () => {
    disks.fill(world.stateDir('server'));
    await world.start('gw2');
    await outlives('server', () => /cannot-persist/.test(log('server')));
    await becomesMember();
    holds();
  });

  it('of a PNE', async () => {
    disks.fill(world.stateDir('pne'));
    await world.start('gw2');
    await outlives('pne', () => /cannot-persist/.test(log('pne')));
    await becomesMember();
    holds();
  });

  it('of the inviting gateway', async () => {
    world.pause('pne', 'SIGSTOP');
    await world.start('gw2');
    disks.fill(world.stateDir('gw2'));
    world.pause('pne', 'SIGCONT');
    await outlives('gw2', () => /cannot-persist/.test(log('gw2')));
    await becomesMember();
    holds();
  });

  it('of the home gateway, at the question and at the answer', async () => {
    disks.fill(world.stateDir('gw1'));
    await world.start('gw2');
    await outlives('gw1', () => /cannot-persist/.test(log('gw1')));
    await world.until('the question', () => world.asked().length > 0);
    disks.fill(world.stateDir('gw1'));
    await assert.rejects(world.allow(), /cannot-persist/);
    assert.equal(only(await examine('gw1'), 'disk-full').severity, 'error');
    disks.empty(world.stateDir('gw1'));
    // It is put to its owner again half a minute after it failed.
    await world.until('the question again', () => world.asked().length > 1);
    await world.allow();
    await world.untilOutcome('member');
    holds();
  });

  it('of a daemon that is to start, or to end', async () => {
    for (const party of ['server', 'gw1', 'pne'] as const) {
      disks.fill(world.stateDir(party));
      await world.end(party, 'SIGTERM');
      assert.doesNotMatch(log(party), /"msg":"failed"/);
      // What it let go of at its end.
      disks.fill(world.stateDir(party));
      const args = [ROLE[party], 'run', '--state', world.stateDir(party), '--config', config(party)];
      const { status, stderr } = spawnSync(process.execPath, [MAIN, ...args], {
        encoding: 'utf8',
        timeout: 60_000,
      });
      assert.equal(status, 1, stderr);
      assert.match(stderr, /cannot-persist: .*the disk is full/);
      disks.empty(world.stateDir(party));
      await world.start(party);
    }
    holds();
  });
});
