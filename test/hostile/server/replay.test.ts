/**
 * A gateway that replays: steps 3, 7 and 9 of one join brought for another PN, by another gateway, after a restart of the
 * server, and twice. Nothing new comes of any of it.
 */
import assert from 'node:assert/strict';
import { sayNo, sayYes } from '../../support/join.ts';
import { joinOf, refused, type TestGateway, type TestPne } from '../../support/server-kit.ts';
import { Site } from './site.ts';

describe('a gateway that replays what it saw', function () {
  this.timeout(30_000);
  let site: Site;
  let home: TestGateway;
  let mallory: TestGateway;
  let accomplice: TestGateway;
  let pne: TestPne;

  before(async () => {
    site = await Site.open();
    home = await site.gateway('Carol', 'Hall');
    mallory = await site.gateway('Mallory');
    accomplice = await site.gateway('Mallory', 'Attic');
    pne = await site.pne(home);
  });
  after(() => site.close());

  /** An honest join of Carol's PNE at Mallory's, from step 3 to the commit. */
  async function registered() {
    const join = joinOf(mallory, pne);
    const { challenge } = await mallory.client.registerPn(join.txn, join.body);
    const responded = join.respond(challenge);
    await mallory.client.respond(join.txn, responded.response);
    const yes = sayYes(home.signer, responded.th3);
    await home.client.confirm(responded.joinId, yes);
    return { join, ...responded, yes };
  }

  it('gets nothing for another PN, for another gateway, or for another join', async () => {
    const done = await registered();
    const before = site.rows(mallory.gatewayId);
    const beforeAccomplice = site.rows(accomplice.gatewayId);
    await site.honest.during(async () => {
      const { join, response, joinId, th3 } = done;
      // Step 3 under another transaction, by another gateway, and with another PN's step 1 in front of this step 2.
      const other = joinOf(mallory, pne);
      await refused(mallory.client.registerPn(other.txn, join.body), 'transcript-mismatch');
      await refused(accomplice.client.registerPn(join.txn, join.body), 'credential-invalid');
      // Step 7 of it for a join that was never challenged, and by another gateway.
      await refused(mallory.client.respond(other.txn, response), 'unknown-transaction');
      await refused(accomplice.client.respond(join.txn, response), 'unknown-transaction');
      // Step 9 by whoever was not asked, and again with the opposite answer.
      await refused(accomplice.client.confirm(joinId, done.yes), 'unknown-transaction');
      await refused(mallory.client.confirm(joinId, done.yes), 'unknown-transaction');
      const no = sayNo(home.signer, th3, { yours: true, chargeable: false, reason: 'user-refused' });
      await refused(home.client.confirm(joinId, no), 'conflict');
    });
    assert.deepEqual(site.rows(mallory.gatewayId), before);
    assert.deepEqual(site.rows(accomplice.gatewayId), beforeAccomplice);
    assert.equal((await mallory.client.transaction(done.join.txn)).state, 'registered');
  });

  it("gets a signed refusal when it answers one PN's challenge with the response to another's", async () => {
    const done = await registered();
    const second = joinOf(mallory, pne);
    await mallory.client.registerPn(second.txn, second.body);
    const state = await mallory.client.respond(second.txn, done.response);
    assert.equal(state.status, 'response-invalid');
    assert.equal(site.rows(mallory.gatewayId).pn, 2, 'the two of before, and no third');
  });

  it('gets nothing after a restart of the server either', async () => {
    const done = await registered();
    const open = joinOf(mallory, pne);
    const { challenge } = await mallory.client.registerPn(open.txn, open.body);
    const before = site.rows(mallory.gatewayId);
    await site.restart();
    await site.honest.during(async () => {
      assert.deepEqual((await mallory.client.registerPn(open.txn, open.body)).challenge, challenge);
      assert.equal((await mallory.client.respond(done.join.txn, done.response)).state, 'registered');
      assert.equal(await home.client.confirm(done.joinId, done.yes), 'ok');
      await refused(
        mallory.client.respond(open.txn, done.response).then(({ status }) => {
          assert.equal(status, 'response-invalid');
          return mallory.client.respond(open.txn, open.respond(challenge).response);
        }),
        'conflict',
      );
      await refused(accomplice.client.respond(open.txn, done.response), 'unknown-transaction');
    });
    const { outbox: _before, ...kept } = before;
    const { outbox: _after, ...now } = site.rows(mallory.gatewayId);
    assert.deepEqual(now, kept, 'one row has become a refusal, none has been added');
  });

  it('gets the same for the same, two hundred times, in one row', async () => {
    const done = await registered();
    const before = site.rows(mallory.gatewayId);
    const signed = await site.metric('cpns_signature_seconds_count');
    await Promise.all(
      Array.from({ length: 200 }, () => mallory.client.respond(done.join.txn, done.response)),
    );
    assert.deepEqual(site.rows(mallory.gatewayId), before);
    assert.equal(await site.metric('cpns_signature_seconds_count'), signed, 'nothing is signed again');
  });
});
