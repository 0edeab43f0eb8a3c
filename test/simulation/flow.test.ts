/**
 * The whole flow, steps 0 to 13, on a virtual clock: what is said and in which order, that all parties end with the same
 * bytes, and that no timer is left (docs/protocol.md §1). One user, two, six; whatever the latency and the segment size.
 */
import assert from 'node:assert/strict';
import { EMPTY, utf8 } from '../../src/base/bytes.ts';
import { assertConverged } from '../support/virtual-world-audit.ts';
import { Scene } from './scene.ts';

/** Steps 1 to 13 of one PNE, `a` its home gateway; step 10 is the server's, step 12 `PnInventoryStored`. */
const flow = (pne: string, home: string, version = 1): string[] => [
  'gw-bob PnSetupRequest',
  `${pne} PnSetupResponse`,
  'gw-bob Provisional',
  'gw-bob PnRegistrationRequest',
  'server challenged',
  'gw-bob AuthenticationChallenge',
  `${pne} AuthenticationResponse`,
  'gw-bob AuthenticationRelay',
  'server verified',
  `${home} PneConfirmResponse`,
  'server registered',
  'gw-bob PnInventoryStored',
  'gw-bob PnSetupNotify',
  `${home} settled: ok`,
  `${pne} Ack`,
  `${pne} joined v${version}`,
  `gw-bob live v${version}`,
];

/** An end in good order leaves nothing due and nothing provisional. */
function finish(scene: Scene): void {
  scene.end();
  assert.deepEqual(scene.world.armed, []);
  scene.assertNothingProvisional();
}

describe('simulation: the whole flow', () => {
  it('one PNE of another user: the full list of events', () => {
    const scene = new Scene({ owners: ['alice'] }).invite().untilMembers();
    scene.world.pass(200);
    assert.deepEqual(scene.said(), flow('pne1', 'gw-alice'));
    assert.equal(assertConverged(scene.server, scene.gw2, scene.pnes), 1);
    assert.equal(scene.home('alice').home.statuses.at(-1), 'ok');
    finish(scene);
  });

  it('the single-user case: one gateway is both, nothing differs', () => {
    const scene = new Scene({ owners: ['bob'] }).invite().untilMembers();
    scene.world.pass(200);
    assert.equal(scene.gateways.length, 1);
    const order = (events: string[]) => events.filter((event) => event !== 'gw-bob settled: ok');
    assert.deepEqual(order(scene.said()), order(flow('pne1', 'gw-bob')));
    assert.ok(scene.said().includes('gw-bob settled: ok'));
    assert.equal(assertConverged(scene.server, scene.gw2, scene.pnes), 1);
    finish(scene);
  });

  it('five PNEs of five users, one after the other: each in order, and the others hear of it', () => {
    const owners = ['alice', 'carol', 'dave', 'erin', 'frank'];
    const scene = new Scene({ owners });
    for (const pne of scene.pnes) pne.inAir = false;
    for (const pne of scene.pnes) pne.announce();
    scene.gw2.invite('living room');
    for (const [i, pne] of scene.pnes.entries()) {
      scene.world.log.length = 0;
      pne.inAir = true;
      pne.announce();
      scene.world.until(`${pne.name} to be live`, () => scene.gw2.liveJoins().length === i + 1);
      scene.world.pass(500);
      const others = scene.pnes.slice(0, i).map(({ name }) => name);
      const mine = scene.said().filter((event) => !others.some((name) => event.startsWith(name)));
      const updates = mine.filter((event) => event === 'gw-bob PnInventoryUpdate');
      assert.equal(updates.length, i, 'one update for each member already in');
      const repeated = `gw-bob live v${i + 1}`;
      const once = mine.filter(
        (event, at) =>
          !event.includes('PnInventoryUpdate') && (event !== repeated || mine.indexOf(event) === at),
      );
      const expected = flow(pne.name, `gw-${owners[i]}`, i + 1);
      assert.deepEqual(
        once.filter((event) => event !== repeated),
        expected.filter((event) => event !== repeated),
      );
      for (const name of others) assert.ok(scene.said().includes(`${name} updated v${i + 1}`));
    }
    assert.equal(assertConverged(scene.server, scene.gw2, scene.pnes), 5);
    finish(scene);
  });

  it('five PNEs of different users at once', () => {
    for (let seed = 1; seed <= 6; seed++) {
      const shape = { bleLatencyMs: [1, 60], httpsLatencyMs: [5, 400], segmentBytes: [20, 244] } as const;
      const scene = new Scene({ seed, shape, owners: ['alice', 'carol', 'dave', 'erin', 'bob'] });
      scene.invite().untilMembers(60_000);
      scene.world.pass(5_000);
      assert.equal(assertConverged(scene.server, scene.gw2, scene.pnes), 5, `seed ${seed}`);
      const ends = scene.said().filter((event) => /^(gw-bob|pne[0-9]) (Abort|link down)/.test(event));
      assert.deepEqual(ends, [], `seed ${seed}`);
      finish(scene);
    }
  });

  it('takes no more than two seconds of virtual time', () => {
    const scene = new Scene({ owners: ['alice'] });
    const beganMs = scene.world.nowMs;
    scene.invite().untilMembers();
    assert.ok(scene.world.nowMs - beganMs < 2_000);
    finish(scene);
  });

  it('a live link lasts: keep-alive for ten minutes, data both ways, then resumption after a loss', () => {
    const scene = new Scene({ owners: ['alice'] }).invite().untilMembers();
    scene.world.pass(600_000);
    assert.ok(scene.allLive());
    scene.world.log.length = 0;
    scene.pne.session?.send('Data', utf8('hello'));
    for (const session of scene.gw2.sessions) session.send('Data', EMPTY);
    scene.world.pass(100);
    assert.deepEqual(scene.said(), ['pne1 Data', 'gw-bob Data', 'gw-bob data', 'pne1 data']);
    scene.pne.restart();
    scene.world.until('the PNE to be lost', () => scene.gw2.liveJoins().length === 0);
    scene.untilMembers();
    scene.world.pass(500);
    const said = scene.said();
    const from = said.indexOf('gw-bob Resume');
    assert.deepEqual(said.slice(from), [
      'gw-bob Resume',
      'pne1 Resumed',
      'pne1 resumed v1',
      'gw-bob live v1',
      'gw-bob Freshness',
    ]);
    assert.equal(scene.said().includes('gw-bob PnSetupRequest'), false);
    finish(scene);
  });

  it('a refresh: the PNE forgot its network, joins again, and nobody asks its user again', () => {
    const scene = new Scene({ owners: ['alice'] }).invite().untilMembers();
    const [before] = scene.pne.store.joins();
    assert.ok(before);
    // The same key comes back without its memory of the network, as after a reset of its store.
    scene.pne.store.saveMember({ ...before, pnId: before.pnId, rms: new Uint8Array(32) }, EMPTY, 0);
    scene.audit.pause = true;
    scene.pne.restart();
    scene.world.until('the PNE to be lost', () => scene.gw2.liveJoins().length === 0);
    scene.world.log.length = 0;
    scene.world.until('the refresh', () => scene.said().includes('gw-bob live v2'));
    scene.audit.pause = false;
    scene.world.pass(500);
    assert.equal(
      scene.said().some((event) => event.endsWith('PneConfirmResponse')),
      false,
    );
    assert.equal(assertConverged(scene.server, scene.gw2, scene.pnes), 2);
    assert.equal(scene.gw2.store.networks.joins().length, 1, 'the older join is gone');
    finish(scene);
  });
});
