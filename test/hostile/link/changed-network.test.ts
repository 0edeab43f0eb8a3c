/** Mallory tells the PNE one network and the server another: name, PN ID, or what the PNE said of itself. */
import assert from 'node:assert/strict';
import { PnId } from '../../../src/base/ids.ts';
import { PnSetupResponse } from '../../../src/messages/setup.ts';
import { primitives } from '../../support/join.ts';
import { abortOf } from './dialogue.ts';
import type { Invited, RogueGateway } from './rogue-gateway.ts';
import { Stage, type Victim } from './stage.ts';

describe('hostile on the air: a network changed between step 1 and step 3', function () {
  this.timeout(30_000);
  let stage: Stage;
  let mallory: RogueGateway;
  let x: Victim;

  before(async () => {
    stage = await Stage.open();
    mallory = await stage.mallory();
    x = await stage.victim('X');
  });
  after(() => stage.close());

  const request = ({ opened: { th1 } }: Invited, changes: { name?: string; pnId?: PnId }) =>
    mallory.setupRequest(th1, changes).m1;
  const join = ({ m2 }: Invited) => {
    const response = PnSetupResponse.decode(m2);
    assert.ok(response.status === 'ok');
    return response;
  };
  const changes: Readonly<Record<string, (invited: Invited) => { m1?: Uint8Array; m2?: Uint8Array }>> = {
    'another name': (invited) => ({ m1: request(invited, { pnId: invited.pnId, name: 'Hospital' }) }),
    'another PN ID': (invited) => ({ m1: request(invited, { pnId: PnId(primitives.randomBytes(8)) }) }),
    'a capability that the PNE did not state': (invited) => ({
      m2: PnSetupResponse.encode({ ...join(invited), capability: new Uint8Array(60).fill(9) }),
    }),
    'another home': (invited) => ({
      m2: PnSetupResponse.encode({ ...join(invited), homeAddress: mallory.identity.homeAddress }),
    }),
  };

  for (const [name, change] of Object.entries(changes)) {
    it(`${name}: the PNE does not sign, challenge-invalid`, async () => {
      const attack = async () => {
        const invited = await mallory.invite(x.address);
        const { challenge } = await mallory.challenge({ ...invited, ...change(invited) });
        invited.dialogue.send('AuthenticationChallenge', challenge);
        assert.equal(await abortOf(invited.dialogue), 'challenge-invalid');
        await invited.dialogue.close();
      };
      await stage.during(attack);
      stage.assertNothingLeft(x);
      const { verified, registered } = stage.serverCounts();
      assert.equal(verified, 0);
      assert.equal(registered, stage.bob.pns()[0]?.joins.length, 'only what honest PNEs joined');
    });
  }
});
