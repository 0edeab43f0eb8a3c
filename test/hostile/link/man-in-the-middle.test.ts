/**
 * Somebody between a PNE and a gateway that do not hear each other: carries the link, or ends it at both sides with keys of
 * his own. The first is a longer cable and stays open (docs/threat-model.md); the second fails at step 1.
 */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { openVirtualRadio } from '../../../src/bluetooth/open.ts';
import type { GatewayNode } from '../../../src/nodes/gateway/gateway.ts';
import { Dialogue, declineOf } from './dialogue.ts';
import { Relay } from './relay.ts';
import { Stage, type Victim } from './stage.ts';

describe('hostile on the air: a man in the middle', function () {
  this.timeout(30_000);
  let stage: Stage;
  let carol: GatewayNode;
  let x: Victim;
  let relay: Relay;

  before(async () => {
    stage = await Stage.open();
    const far = await openVirtualRadio({ path: join(stage.network.dir, 'far.sock') });
    stage.closing(() => far.close());
    x = await stage.victim('X', {
      ask: async ({ userLabel }) => (userLabel === 'Carol' ? 'ok' : 'declined'),
    });
    carol = await stage.network.gateway('Carol', 'Loft', { pn: { invite: true }, adapter: far.moniker });
    stage.closing(() => carol.close());
    relay = await Relay.open(stage.network.radio, far, x.address);
    stage.closing(() => relay.close());
  });
  after(() => stage.close());

  it('with ephemerals of his own to both sides he reads step 1 and can not pass it on: setup-request-invalid', async () => {
    await stage.during(async () => {
      const { gateway, pne } = await relay.ends();
      const asPne = Dialogue.peripheral(gateway, { establish: true, sessions: [] });
      const asGateway = Dialogue.central(pne, { kind: 'establish' });
      const [ofGateway] = await Promise.all([asPne.expect('PnSetupRequest'), asGateway.opened()]);
      asGateway.send('PnSetupRequest', ofGateway);
      assert.equal(await declineOf(asGateway), 'setup-request-invalid');
      await Promise.all([asPne.close(), asGateway.close()]);
    });
    stage.assertNothingLeft(x);
    await stage.network.until('nothing at the gateway', () => carol.pns().length === 0);
  });

  it('a relay that changes nothing carries a whole establishment: that is open, and reads nothing', async () => {
    const carrying = relay.carry();
    await stage.network.until('membership', () => x.pne.status().memberships.length === 1, 15_000);
    await x.pne.close();
    const carried = await carrying;
    const clear = Buffer.concat(carried.map(({ segment }) => Buffer.from(segment))).toString('latin1');
    for (const secret of ['Carol', 'Loft', 'op.example', 'Honest', 'X'.repeat(2)])
      assert.ok(!clear.includes(secret), secret);
  });
});
