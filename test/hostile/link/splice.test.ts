/** Mallory holds links with two PNEs at once and puts what one of them heard or said into the other. */
import assert from 'node:assert/strict';
import { abortOf, declineOf } from './dialogue.ts';
import type { RogueGateway } from './rogue-gateway.ts';
import { Stage, type Victim } from './stage.ts';

describe('hostile on the air: two sessions spliced', function () {
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

  const linkEnds = (status: string) =>
    stage.network.events.filter((e) => e.kind === 'link' && e.state === 'down' && e.status === status).length;

  it('segments of one link do not open on another: closed without a word', async () => {
    await stage.during(async () => {
      const ends = linkEnds('record-failed');
      const one = await mallory.open(x.address);
      const { th1 } = await one.opened();
      one.send('PnSetupRequest', mallory.setupRequest(th1).m1);
      await one.expect('PnSetupResponse');
      // The same bytes, in their own segments, on a link of her own with the other PNE.
      const [, ...step1] = one.sent;
      const two = await mallory.open(y.address);
      await two.opened();
      for (const segment of step1) two.inject(segment);
      await assert.rejects(two.next(), { status: 'link-lost' });
      await stage.network.until('record-failed', () => linkEnds('record-failed') === ends + 1);
      await one.close();
    });
    stage.assertNothingLeft(x, y);
  });

  it('a step 1 that was signed for one link is declined on another: setup-request-invalid', async () => {
    await stage.during(async () => {
      const one = await mallory.open(x.address);
      const { th1 } = await one.opened();
      const two = await mallory.open(y.address);
      await two.opened();
      two.send('PnSetupRequest', mallory.setupRequest(th1).m1);
      assert.equal(await declineOf(two), 'setup-request-invalid');
      await Promise.all([one.close(), two.close()]);
    });
    stage.assertNothingLeft(x, y);
  });

  it("one PNE's step 2 with another's OPEN makes a challenge that neither signs: challenge-invalid", async () => {
    await stage.during(async () => {
      const one = await mallory.invite(x.address);
      const two = await mallory.invite(y.address);
      const { challenge } = await mallory.challenge({ opened: two.opened, m1: two.m1, m2: one.m2 });
      for (const { dialogue } of [one, two]) {
        dialogue.send('AuthenticationChallenge', challenge);
        assert.equal(await abortOf(dialogue), 'challenge-invalid');
        await dialogue.close();
      }
    });
    stage.assertNothingLeft(x, y);
  });

  it("one PNE's step 6 does not answer for another: the server says response-invalid", async () => {
    await stage.during(async () => {
      const one = await mallory.invite(x.address);
      const two = await mallory.invite(y.address);
      const { response } = await mallory.sign(one);
      const { txn } = await mallory.challenge(two);
      const { state, status } = await mallory.client.respond(txn, response);
      assert.deepEqual({ state, status }, { state: 'refused', status: 'response-invalid' });
      await Promise.all([one.dialogue.close(), two.dialogue.close()]);
    });
    stage.assertNothingLeft(y);
    assert.equal(x.pne.status().pending.length, 1, 'X signed its own join, and keeps that');
    assert.deepEqual(x.pne.status().memberships, []);
  });
});
