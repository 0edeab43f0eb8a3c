/**
 * A home gateway that answers what it must not: for another user's PNE, what it was never asked, twice and differently,
 * after the deadline, or with another join's answer. One word counts, from whoever was asked, in time.
 */
import assert from 'node:assert/strict';
import { JoinId } from '../../../src/base/ids.ts';
import { type Join, type JoinResponse, primitives, sayNo, sayYes } from '../../support/join.ts';
import {
  buildEnrolment,
  hex,
  joinOf,
  refused,
  type TestGateway,
  type TestPne,
} from '../../support/server-kit.ts';
import { Site } from './site.ts';

const NO = { yours: true, chargeable: false, reason: 'user-refused' } as const;

describe('a home gateway that answers what it must not', function () {
  this.timeout(30_000);
  let site: Site;
  let carol: TestGateway;
  let mallory: TestGateway;
  let shop: TestGateway;
  let pne: TestPne;

  before(async () => {
    site = await Site.open();
    carol = await site.gateway('Carol', 'Hall');
    mallory = await site.gateway('Mallory', 'Hall');
    shop = await site.gateway('Victor', 'Shop');
  });
  beforeEach(async () => {
    pne = await site.pne(carol);
  });
  after(() => site.close());

  /** A join at the shop up to the question to the home gateway. */
  async function asked(who = pne, pnId?: Join['pnId']): Promise<JoinResponse & { readonly join: Join }> {
    const join = joinOf(shop, who, pnId && { pnId });
    const { challenge } = await shop.client.registerPn(join.txn, join.body);
    const responded = join.respond(challenge);
    await shop.client.respond(join.txn, responded.response);
    return { ...responded, join };
  }
  const stateOf = async ({ join }: { join: Join }) => (await shop.client.transaction(join.txn)).state;

  it("has no say about another user's PNE, and the owner's answer still counts", async () => {
    const question = await asked();
    const { joinId, th3 } = question;
    await site.honest.during(async () => {
      for (const answer of [
        sayYes(mallory.signer, th3),
        sayNo(mallory.signer, th3, NO),
        sayYes(carol.signer, th3),
      ])
        await refused(mallory.client.confirm(joinId, answer), 'unknown-transaction');
      // Nor does the owner's gateway take over what another has signed.
      await refused(carol.client.confirm(joinId, sayYes(mallory.signer, th3)), 'answer-invalid');
      assert.equal(await stateOf(question), 'verified');
      assert.equal(await carol.client.confirm(joinId, sayYes(carol.signer, th3)), 'ok');
    });
    assert.equal(await stateOf(question), 'registered');
    assert.ok(site.admin.audit(hex(question.join.pnId)).passed);
  });

  it('has its first word kept: a second one is a conflict, whichever was the yes', async () => {
    const [yesFirst, noFirst] = [await asked(), await asked(await site.pne(carol))];
    const yes = (of: JoinResponse) => sayYes(carol.signer, of.th3);
    const no = (of: JoinResponse) => sayNo(carol.signer, of.th3, NO);
    await carol.client.confirm(yesFirst.joinId, yes(yesFirst));
    await refused(carol.client.confirm(yesFirst.joinId, no(yesFirst)), 'conflict');
    await carol.client.confirm(noFirst.joinId, no(noFirst));
    await refused(carol.client.confirm(noFirst.joinId, yes(noFirst)), 'conflict');
    assert.equal(await stateOf(yesFirst), 'registered');
    assert.equal(await stateOf(noFirst), 'refused');
    // Both at once: one of them wins, and there is one result.
    const race = await asked(await site.pne(carol));
    const both = await Promise.allSettled([
      carol.client.confirm(race.joinId, no(race)),
      carol.client.confirm(race.joinId, yes(race)),
    ]);
    assert.deepEqual(both.map(({ status }) => status).sort(), ['fulfilled', 'rejected']);
    assert.equal(await stateOf(race), both[0]?.status === 'fulfilled' ? 'refused' : 'registered');
  });

  it('is too late after the deadline, and nothing is registered', async () => {
    await carol.online(site.url);
    const question = await asked();
    await carol.offline();
    site.clock.offsetSeconds += 601;
    try {
      for (let attempt = 0; attempt < 2; attempt++) {
        const late = carol.client.confirm(question.joinId, sayYes(carol.signer, question.th3));
        await refused(late, 'deadline-passed');
        assert.equal(await stateOf(question), 'refused');
      }
    } finally {
      site.clock.offsetSeconds -= 601;
      site.admin.acceptClock();
    }
    assert.equal(
      site.admin.pns().some(({ pnId }) => hex(pnId) === hex(question.join.pnId)),
      false,
    );
  });

  it('is asked nothing about what it answers on its own: joins that are not verified, settled, or never were', async () => {
    const unverified = joinOf(shop, pne);
    const { challenge } = await shop.client.registerPn(unverified.txn, unverified.body);
    const { joinId, th3 } = unverified.respond(challenge);
    await refused(carol.client.confirm(joinId, sayYes(carol.signer, th3)), 'unknown-transaction');
    const invented = primitives.randomBytes(32);
    await refused(
      carol.client.confirm(JoinId(invented.slice(0, 16)), sayYes(carol.signer, invented)),
      'unknown-transaction',
    );
    assert.equal((await shop.client.transaction(unverified.txn)).state, 'challenged');
  });

  it("answers one join with another's yes", async () => {
    const [first, second] = [await asked(), await asked(await site.pne(carol))];
    await refused(carol.client.confirm(second.joinId, sayYes(carol.signer, first.th3)), 'answer-invalid');
    assert.equal(await stateOf(second), 'verified');
    for (const { joinId, th3 } of [first, second])
      await carol.client.confirm(joinId, sayNo(carol.signer, th3, NO));
  });

  it('has no say any more once the PNE has another home', async () => {
    const question = await asked();
    site.admin.releasePne(hex(pne.thumbprint));
    const { nonce, request } = await buildEnrolment(mallory, pne.signer, { epoch: 2 });
    await mallory.client.enrolPne(nonce, request);
    await carol.client.confirm(question.joinId, sayYes(carol.signer, question.th3));
    const { state, status } = await shop.client.transaction(question.join.txn);
    assert.deepEqual({ state, status }, { state: 'refused', status: 'not-owned' });
  });
});
