/**
 * Gateways that fill the server's disk: transactions that are never answered, refusals, refreshes by a willing PNE,
 * networks, enrolments of keys made up, PNEs without number. Each has its limit, counted on disk; a restart forgives
 * nothing, the next day does. With small limits, so that the test is short.
 */
import assert from 'node:assert/strict';
import { ServerProblem } from '../../../src/https/server-client.ts';
import { generateKey, softwareSigner } from '../../../src/security/keystore.ts';
import { sayYes } from '../../support/join.ts';
import { buildEnrolment, joinOf, refused, type TestGateway, type TestPne } from '../../support/server-kit.ts';
import { Site } from './site.ts';

const LIMITS = {
  transactionsPerGatewayPerDay: 10,
  refusalsPerGatewayPerDay: 6,
  refreshesPerGatewayPerDay: 4,
  networksPerGateway: 3,
  enrolmentsPerGatewayPerDay: 10,
  pnesPerUser: 5,
};
const DAY = 86_400;

describe('gateways that fill the disk', function () {
  this.timeout(60_000);
  const gateways = new Map<string, TestGateway>();
  let site: Site;
  let carol: TestGateway;
  let pne: TestPne;

  before(async () => {
    // Shortly after midnight, so that a day is a day, and long enough ago for the next one.
    site = await Site.open({ limits: LIMITS }, 60 - DAY - (Math.floor(Date.now() / 1_000) % DAY));
    carol = await site.gateway('Carol', 'Hall');
    pne = await site.pne(carol);
    for (const user of ['Mallory', 'Trudy', 'Wendy', 'Zoe', 'Victor'])
      gateways.set(user, await site.gateway(user));
  });
  after(() => site.close());

  function gatewayOf(user: string): TestGateway {
    const gateway = gateways.get(user);
    assert.ok(gateway);
    return gateway;
  }

  const challenge = async (gateway: TestGateway, options: Parameters<typeof joinOf>[2] = {}) => {
    const join = joinOf(gateway, pne, options);
    return { join, ...(await gateway.client.registerPn(join.txn, join.body)) };
  };
  /** The refusal of step 3, which says how long to wait. */
  async function heldUp(gateway: TestGateway): Promise<number | undefined> {
    const join = joinOf(gateway, pne);
    const error = await refused(gateway.client.registerPn(join.txn, join.body), 'quota-exceeded');
    assert.ok(error instanceof ServerProblem);
    return error.retryAfterMs === undefined ? undefined : error.retryAfterMs / 1_000;
  }
  const register = async (gateway: TestGateway, pnId?: Parameters<typeof joinOf>[2]) => {
    const { join, challenge: step4 } = await challenge(gateway, pnId);
    const { response, joinId, th3 } = join.respond(step4);
    const state = await gateway.client.respond(join.txn, response);
    if (state.state === 'verified') await carol.client.confirm(joinId, sayYes(carol.signer, th3));
    return { join, status: (await gateway.client.transaction(join.txn)).status };
  };

  it('holds a gateway up whose joins are refused, however they are, until the day is over', async () => {
    const mallory = gatewayOf('Mallory');
    for (let i = 0; i < 3; i++) {
      const { join, challenge: step4 } = await challenge(mallory);
      const { response } = join.respond(step4, softwareSigner(generateKey()));
      assert.equal((await mallory.client.respond(join.txn, response)).status, 'response-invalid');
    }
    // The others by saying nothing: a challenge that nobody answers is a row too.
    const silent = [];
    for (let i = 3; i < LIMITS.refusalsPerGatewayPerDay; i++) silent.push(await challenge(mallory));
    site.clock.offsetSeconds += 62;
    await site.honest.network.server.sweep();
    await site.honest.during(async () => {
      const wait = await heldUp(mallory);
      assert.ok(wait !== undefined && wait > 80_000 && wait <= DAY, String(wait));
    });
    const rows = site.rows(mallory.gatewayId);
    await site.restart();
    await heldUp(mallory);
    // What there is already is told as before.
    const [first] = silent;
    assert.ok(first);
    assert.deepEqual(
      (await mallory.client.registerPn(first.join.txn, first.join.body)).challenge,
      first.challenge,
    );
    assert.deepEqual(site.rows(mallory.gatewayId), rows);
    assert.equal(rows.registration, LIMITS.refusalsPerGatewayPerDay);
    assert.ok((await site.metric('cpns_requests_refused_total{status="quota-exceeded"}')) > 0);
    // Others are not held up, and this one is no longer tomorrow.
    await challenge(gatewayOf('Victor'));
    site.clock.offsetSeconds += DAY;
    site.admin.acceptClock();
    await challenge(mallory);
  });

  it('holds a gateway up that begins without end, and one with a willing PNE that joins again and again', async () => {
    const mallory = gatewayOf('Trudy');
    const { join } = await register(mallory);
    const { pnId } = join;
    for (let i = 0; i < LIMITS.refreshesPerGatewayPerDay; i++)
      assert.equal((await register(mallory, { pnId, setupType: 'join' })).status, 'ok');
    const before = site.rows(mallory.gatewayId);
    assert.equal((await register(mallory, { pnId, setupType: 'join' })).status, 'quota-exceeded');
    assert.equal(site.rows(mallory.gatewayId).evidence, before.evidence);
    await site.restart();
    assert.equal((await register(mallory, { pnId, setupType: 'join' })).status, 'quota-exceeded');
    for (let i = 1; i < LIMITS.networksPerGateway; i++) assert.equal((await register(mallory)).status, 'ok');
    // No further network, but the ones there are live on.
    assert.equal(await heldUp(mallory), undefined);
    await challenge(mallory, { pnId, setupType: 'join' });
  });

  it('counts transactions of any end', async () => {
    const mallory = gatewayOf('Wendy');
    const { join } = await register(mallory);
    const again = { pnId: join.pnId, setupType: 'join' } as const;
    for (let i = 0; i < LIMITS.refreshesPerGatewayPerDay; i++) await register(mallory, again);
    while (site.rows(mallory.gatewayId).registration < LIMITS.transactionsPerGatewayPerDay)
      await challenge(mallory, again);
    const wait = await heldUp(mallory);
    assert.ok(wait !== undefined && wait > 3_600, String(wait));
  });

  it('bounds enrolments a day and PNEs of a user, who may still enrol again those there are', async () => {
    const mallory = gatewayOf('Zoe');
    const first = softwareSigner(generateKey());
    const enrol = async (signer = softwareSigner(generateKey()), epoch = 1) => {
      const { nonce, request } = await buildEnrolment(mallory, signer, { epoch });
      return mallory.client.enrolPne(nonce, request);
    };
    await enrol(first);
    for (let i = 1; i < LIMITS.pnesPerUser; i++) await enrol();
    await refused(enrol(), 'quota-exceeded');
    assert.equal(site.rows(mallory.gatewayId).pne, LIMITS.pnesPerUser);
    await enrol(first, 2);
    for (let i = LIMITS.pnesPerUser + 2; i < LIMITS.enrolmentsPerGatewayPerDay; i++) await enrol(first, i);
    await site.restart();
    const error = await refused(enrol(first, 99), 'quota-exceeded');
    assert.ok(error instanceof ServerProblem && (error.retryAfterMs ?? 0) > 3_600_000);
    assert.equal(site.rows(mallory.gatewayId).enrolment, LIMITS.enrolmentsPerGatewayPerDay);
  });
});
