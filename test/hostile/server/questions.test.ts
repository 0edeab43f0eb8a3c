/**
 * Gateways that flood user A with questions: one that cycles PN IDs with a PNE that goes along, several together, one
 * after a restart of the server. Beyond the limits the PNE gets a signed refusal and A is not asked; a gateway alone cannot
 * keep others from asking; what A says yes to is no flood.
 */
import assert from 'node:assert/strict';
import { equal } from '../../../src/base/bytes.ts';
import { verifyOutcome } from '../../../src/establishment/server-words.ts';
import { type JoinResponse, primitives, sayYes } from '../../support/join.ts';
import { joinOf, type TestGateway, type TestPne } from '../../support/server-kit.ts';
import { Site } from './site.ts';

/** Fewer than by default, so that the test is short. */
const ALONE = 8;
const TOGETHER = 24;

describe('gateways that flood a user with questions', function () {
  this.timeout(60_000);
  let site: Site;
  let carol: TestGateway;
  let pne: TestPne;

  before(async () => {
    site = await Site.open({
      limits: { vainQuestionsPerUser: TOGETHER, vainQuestionsPerUserAndGateway: ALONE },
    });
    carol = await site.gateway('Carol', 'Hall');
    pne = await site.pne(carol);
    await carol.online(site.url);
  });
  after(() => site.close());

  /** A whole join up to the question, of a PNE that signs whatever it is shown, each time in another PN. */
  async function ask(gateway: TestGateway, who = pne): Promise<JoinResponse & { readonly status: string }> {
    const join = joinOf(gateway, who);
    const { challenge } = await gateway.client.registerPn(join.txn, join.body);
    const responded = join.respond(challenge);
    const { state, status, outcome } = await gateway.client.respond(join.txn, responded.response);
    if (state === 'refused') {
      assert.ok(outcome, 'a PNE that signed is owed a signed end');
      assert.equal(verifyOutcome(primitives, gateway.serverKeys, responded.th3, outcome).status, status);
    }
    return { ...responded, status };
  }
  const questions = () => carol.frames.filter(({ kind }) => kind === 'pne-confirm-request').length;

  it(`one gateway puts ${ALONE} in an hour, whatever its PN IDs, also over a restart; another may still ask`, async () => {
    const mallory = await site.gateway('Mallory');
    await site.honest.during(async () => {
      for (let i = 0; i < ALONE; i++) assert.equal((await ask(mallory)).status, 'awaiting-user');
      for (let i = 0; i < 3; i++) assert.equal((await ask(mallory)).status, 'quota-exceeded');
    });
    const before = questions();
    assert.ok(before <= ALONE);
    await site.restart();
    await carol.offline();
    await carol.online(site.url);
    assert.equal((await ask(mallory)).status, 'quota-exceeded');
    // Another PNE of hers makes no difference, another gateway does.
    assert.equal((await ask(mallory, await site.pne(carol))).status, 'quota-exceeded');
    const victor = await site.gateway('Victor', 'Shop');
    const honest = await ask(victor);
    assert.ok(['awaiting-user', 'awaiting-home-gateway'].includes(honest.status), honest.status);
    await carol.frame('pne-confirm-request', ({ body }) => equal(body.th3, honest.th3));
    assert.equal(await carol.client.confirm(honest.joinId, sayYes(carol.signer, honest.th3)), 'ok');
  });

  it('counts no question that was answered yes', async () => {
    const friend = await site.gateway('Fritz', 'Office');
    for (let i = 0; i < ALONE + 5; i++) {
      const { joinId, th3, status } = await ask(friend);
      assert.equal(status, 'awaiting-user');
      await carol.client.confirm(joinId, sayYes(carol.signer, th3));
    }
  });

  it(`several put ${TOGETHER} together, and she is asked again an hour later`, async () => {
    const gang = await Promise.all(['Ike', 'Joe', 'Kit', 'Lou'].map((user) => site.gateway(user)));
    const heard = new Map<string, number>();
    await site.honest.during(async () => {
      for (const gateway of gang)
        for (let i = 0; i < ALONE; i++) {
          const { status } = await ask(gateway);
          heard.set(status, (heard.get(status) ?? 0) + 1);
        }
    });
    assert.equal(
      heard.get('quota-exceeded'),
      (gang.length + 1) * ALONE - TOGETHER,
      JSON.stringify([...heard]),
    );
    site.clock.offsetSeconds += 3_700;
    const [first] = gang;
    assert.ok(first);
    assert.equal((await ask(first)).status, 'awaiting-user');
  });
});
