/**
 * Two outcomes that are neither yes nor no at once, between real processes: the Notify that is lost after the server has
 * committed, and the question to a home gateway that is away (docs/protocol.md §12, design §2). What each party holds is
 * read from its own disk.
 */
import assert from 'node:assert/strict';
import type { Status } from '../../src/base/statuses.ts';
import { callControl } from '../../src/nodes/control-socket.ts';
import type { GatewayNode } from '../../src/nodes/gateway/gateway.ts';
import { judge } from '../faults/outcome.ts';
import { FourProcesses } from './four-processes.ts';
import { assertSound } from './sound.ts';

const WAITING = /Waiting for the home gateway to come online\./;

describe('two outcomes that are easily forgotten', function () {
  this.timeout(180_000);
  let world: FourProcesses;
  afterEach(async function () {
    await world.close();
    assertSound(world, this.currentTest);
  });

  /** Whether the initiating gateway has said, to whoever reads its log, whom a join waits for. */
  const waited = (status: Status) => () =>
    world.said('gw2', (line) => line.event === 'waiting' && line.status === status).length > 0;
  const sent = (party: 'gw2' | 'pne', name: string) => world.said(party, (line) => line.name === name);
  const join = async (): Promise<string> => {
    await world.start('gw2');
    const { server } = await world.until('step 7', (state) =>
      state.server.registrations.some(({ responded }) => responded),
    );
    return server.registrations[0]?.th3 ?? '';
  };
  /** The joins of the initiating gateway, as `cpns gateway status --json` shows them. */
  const joins = async () => {
    const status = (await callControl(world.stateDir('gw2'), 'status')) as ReturnType<GatewayNode['status']>;
    return status.pns.flatMap((pn) => pn.joins);
  };

  describe('Notify lost after the server committed', () => {
    beforeEach(async () => {
      world = await FourProcesses.open();
    });

    /** The PNE knows nothing, everybody else all; then it comes back and is told, over resumption and from what is there. */
    const assertLearnsOnContact = async (th3: string, comeBack: () => unknown): Promise<void> => {
      const lost = await world.until(
        'a registration that the PNE has not heard of',
        (state) =>
          judge(state).kind === 'not-yet-notified' && state.gw2.joins.every(({ state: at }) => at === 'live'),
      );
      assert.deepEqual(
        lost.pne.joins.map(({ state, th3: of }) => [state, of]),
        [['pending', th3]],
      );
      assert.deepEqual(
        lost.gw2.joins.map(({ state }) => state),
        ['live'],
      );
      const requests = sent('gw2', 'PnSetupRequest').length;
      await comeBack();
      const told = await world.untilOutcome('member');
      assert.deepEqual(
        told.pne.joins.map(({ state, th3: of }) => [state, of]),
        [['member', th3]],
      );
      assert.deepEqual(
        told.server.registrations.map(({ state, th3: of }) => [state, of]),
        [['registered', th3]],
      );
      assert.deepEqual(
        told.server.pns.map(({ version, members }) => [version, members.length]),
        [[1, 1]],
      );
      assert.equal(world.asked().length, 1, 'user A is asked once');
      assert.ok(sent('gw2', 'Resume').length > 0, 'it is told over resumption');
      assert.equal(sent('gw2', 'PnSetupRequest').length, requests, 'nobody invites it again');
    };

    it('the PNE dies before it reads step 13: no second registration', async () => {
      const th3 = await join();
      await world.until('the question', () => world.asked().length > 0);
      world.pause('pne', 'SIGSTOP');
      await world.allow();
      await world.until('step 13 on its way', () => sent('gw2', 'PnSetupNotify').length > 0);
      await world.end('pne', 'SIGKILL');
      await assertLearnsOnContact(th3, () => world.start('pne'));
    });

    it('the PNE is out of reach when the server commits: no second registration', async () => {
      const th3 = await join();
      await world.until('the question', () => world.asked().length > 0);
      world.pause('pne', 'SIGSTOP');
      assert.ok(world.dropLink());
      await world.allow();
      await assertLearnsOnContact(th3, () => world.pause('pne', 'SIGCONT'));
    });
  });

  describe('the home gateway is away', () => {
    it('the question is kept and delivered when it dials in; meanwhile whoever asks sees what is waited for', async () => {
      world = await FourProcesses.open();
      await world.end('gw1', 'SIGTERM');
      const th3 = await join();
      await world.until('word of it', waited('awaiting-home-gateway'));
      assert.deepEqual(
        (await joins()).map(({ state, status }) => [state, status]),
        [['pending', 'awaiting-home-gateway']],
      );
      assert.match(await world.cpns('gateway', 'status', '--state', world.stateDir('gw2')), WAITING);
      // The PNE hears the same, also when it comes back over resumption.
      world.lines.length = 0;
      assert.ok(world.dropLink());
      await world.until('Waiting', () => sent('gw2', 'Waiting').length > 0);
      assert.deepEqual(
        [...new Set(sent('gw2', 'Waiting').map(({ status }) => status))],
        ['awaiting-home-gateway'],
      );
      const kept = world.look();
      assert.deepEqual(
        kept.server.registrations.map(({ state }) => state),
        ['verified'],
      );
      assert.deepEqual(
        kept.server.outbox.map(({ kind }) => kind),
        ['pne-confirm-request'],
      );
      assert.deepEqual(kept.gw1.home, []);

      await world.start('gw1');
      await world.until('the question', () => world.asked().length > 0);
      await world.until('word of it', waited('awaiting-user'));
      assert.equal((await joins())[0]?.status, 'awaiting-user');
      await world.allow();
      const end = await world.untilOutcome('member');
      assert.deepEqual(
        end.server.registrations.map(({ state, th3: of }) => [state, of]),
        [['registered', th3]],
      );
      assert.equal((await joins())[0]?.status, 'ok');
    });

    it('it stays away: the question ends at its deadline, with one signed word at PNE and GW2, and is put to nobody', async () => {
      world = await FourProcesses.open({ limits: 'confirm_offline_seconds = 3' });
      await world.end('gw1', 'SIGTERM');
      const th3 = await join();
      await world.until('word of it', waited('awaiting-home-gateway'));
      const refusals = () => world.said('pne', ({ event }) => event === 'refused');
      const ends = () => world.said('gw2', ({ event, status }) => event === 'link' && status !== undefined);
      await world.until('the end', () => refusals().length > 0 && ends().length > 0);
      // No second attempt before the looks.
      await world.end('gw2', 'SIGTERM');
      const told = { pne: refusals()[0]?.status, gw2: ends()[0]?.status, join: th3 };
      assert.deepEqual([told.pne, told.gw2], ['home-gateway-unreachable', 'home-gateway-unreachable']);
      const state = { ...world.look(), told };
      assert.equal(judge(state).kind, 'nothing', judge(state).detail);
      assert.match(judge(state).detail, /home-gateway-unreachable, signed by the server/);
      const row = state.server.registrations.find((known) => known.th3 === th3);
      assert.ok(row?.state === 'refused' && row.outcome !== undefined);
      assert.deepEqual([state.pne.joins, state.gw2.joins, state.gw2.pns], [[], [], []]);

      await world.start('gw1');
      await world.until('nothing is left to say to it', ({ server }) => server.outbox.length === 0);
      assert.deepEqual(world.look().gw1.home, []);
      assert.equal(world.asked().length, 0);
    });
  });
});
