/** Mallory relays the server's challenge for one PNE to another, hoping for the signature of whoever is nearer. */
import assert from 'node:assert/strict';
import { abortOf } from './dialogue.ts';
import type { RogueGateway } from './rogue-gateway.ts';
import { Stage, type Victim } from './stage.ts';

describe('hostile on the air: a challenge relayed to another PNE', function () {
  this.timeout(30_000);
  let stage: Stage;
  let mallory: RogueGateway;
  let x: Victim;
  let y: Victim;

  before(async () => {
    stage = await Stage.open();
    mallory = await stage.mallory();
    x = await stage.victim('X');
    y = await stage.victim('Y');
  });
  after(() => stage.close());

  it('step 5 of X is refused by Y with challenge-invalid, also when the two links say the same', async () => {
    await stage.during(async () => {
      const one = await mallory.invite(x.address);
      // The same PN ID and name: what tells the two apart is only what each PNE said itself.
      const two = await mallory.invite(y.address, { pnId: one.pnId });
      const { challenge } = await mallory.challenge(one);
      two.dialogue.send('AuthenticationChallenge', challenge);
      assert.equal(await abortOf(two.dialogue), 'challenge-invalid');
      await Promise.all([one.dialogue.close(), two.dialogue.close()]);
    });
    stage.assertNothingLeft(x, y);
  });

  it('nor does X sign the challenge of its own earlier link', async () => {
    await stage.during(async () => {
      const first = await mallory.invite(x.address);
      const { challenge } = await mallory.challenge(first);
      await first.dialogue.close();
      const second = await mallory.invite(x.address, { pnId: first.pnId });
      second.dialogue.send('AuthenticationChallenge', challenge);
      assert.equal(await abortOf(second.dialogue), 'challenge-invalid');
      await second.dialogue.close();
    });
    stage.assertNothingLeft(x);
    assert.equal(stage.serverCounts().verified, 0);
  });
});
