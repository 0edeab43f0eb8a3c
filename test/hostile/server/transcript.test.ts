/**
 * A gateway in the middle that changes what it carries: messages of two sessions spliced, capability, home address or
 * network changed on the way, OPENs that offer another suite or version. The PNE signs what it said and heard, so that
 * each of these is found out at step 7 at the latest, and nothing is registered.
 */
import assert from 'node:assert/strict';
import { TransactionId } from '../../../src/base/ids.ts';
import type { Status } from '../../../src/base/statuses.ts';
import { LINK_KINDS, Open } from '../../../src/messages/link.ts';
import { PnRegistrationRequest } from '../../../src/messages/registration.ts';
import { PnSetupResponse } from '../../../src/messages/setup.ts';
import { transcript1, transcript2 } from '../../../src/security/key-schedule.ts';
import { generateKey, softwareSigner } from '../../../src/security/keystore.ts';
import { type Join, primitives } from '../../support/join.ts';
import { buildEnrolment, joinOf, refused, type TestGateway, type TestPne } from '../../support/server-kit.ts';
import { Site } from './site.ts';

describe('a gateway that changes what it carries', function () {
  this.timeout(30_000);
  let site: Site;
  let home: TestGateway;
  let mallory: TestGateway;
  let pne: TestPne;
  let other: TestPne;

  before(async () => {
    site = await Site.open();
    home = await site.gateway('Carol', 'Hall');
    mallory = await site.gateway('Mallory');
    pne = await site.pne(home);
    other = await site.pne(home);
  });
  after(() => site.close());

  /** Step 3 with other bytes than the PNE's, under the transaction that these bytes have. */
  function altered(change: Partial<PnRegistrationRequest>, of: Join) {
    const request = { ...of.request, ...change };
    const th1 = transcript1(primitives, LINK_KINDS.establish, request.openG, request.openP);
    const th2 = transcript2(primitives, th1, request.m1, request.m2);
    return { txn: TransactionId(th2.slice(0, 16)), body: PnRegistrationRequest.encode(request) };
  }

  const step2 = (change: Partial<Extract<PnSetupResponse, { status: 'ok' }>>, of: Join) => {
    const honest = PnSetupResponse.decode(of.request.m2);
    assert.ok(honest.status === 'ok');
    return PnSetupResponse.encode({ ...honest, ...change });
  };

  const changes: readonly [string, Status, (mine: Join, theirs: Join) => Partial<PnRegistrationRequest>][] = [
    [
      'the capability in step 2',
      'response-invalid',
      (mine) => ({ m2: step2({ capability: Uint8Array.of(1) }, mine) }),
    ],
    [
      'the home address in step 2',
      'response-invalid',
      (mine) => ({ m2: step2({ homeAddress: mallory.homeAddress }, mine) }),
    ],
    [
      'the key in step 2',
      'response-invalid',
      (mine) => ({ m2: step2({ thumbprint: other.thumbprint }, mine) }),
    ],
    ["another session's step 2", 'response-invalid', (_mine, theirs) => ({ m2: theirs.request.m2 })],
    ["another session's step 1", 'response-invalid', (_mine, theirs) => ({ m1: theirs.request.m1 })],
    [
      "another session's OPEN of the gateway",
      'response-invalid',
      (_mine, theirs) => ({ openG: theirs.request.openG }),
    ],
    [
      "another session's OPENs",
      'response-invalid',
      (_mine, { request: { openG, openP } }) => ({ openG, openP }),
    ],
    [
      'more credits in the OPEN of the PNE',
      'response-invalid',
      (mine) => ({ openP: Open.encode({ ...Open.decode(mine.request.openP), credits: 255 }) }),
    ],
  ];

  for (const [what, status, change] of changes)
    it(`is refused with ${status} after it changed ${what}`, async () => {
      const [mine, theirs] = [joinOf(mallory, pne), joinOf(mallory, other)];
      const before = site.rows(mallory.gatewayId);
      const { txn, body } = altered(change(mine, theirs), mine);
      const { challenge } = await mallory.client.registerPn(txn, body);
      // The PNE signs over its own transcript, which is not this one.
      const { response } = mine.respond(challenge);
      assert.equal((await mallory.client.respond(txn, response)).status, status);
      const after = site.rows(mallory.gatewayId);
      assert.deepEqual(after, {
        ...before,
        registration: before.registration + 1,
        outbox: before.outbox + 1,
      });
    });

  it('is found out when the PNE itself goes along with another home', async () => {
    const join = joinOf(mallory, pne, { homeAddress: mallory.homeAddress });
    const { challenge } = await mallory.client.registerPn(join.txn, join.body);
    const { response } = join.respond(challenge);
    assert.equal((await mallory.client.respond(join.txn, response)).status, 'home-address-mismatch');
  });

  const downgrades: readonly [string, Status, Partial<Open>][] = [
    ['an unknown suite only', 'suite-mismatch', { suites: [9] }],
    ['an unknown suite before ours: the ephemeral is for that', 'suite-mismatch', { suites: [9, 1] }],
    ['an unknown version only', 'version-mismatch', { versions: [2] }],
  ];
  for (const [what, status, change] of downgrades)
    it(`is refused with ${status} at step 3 when an OPEN lists ${what}, even with a PNE that signs it`, async () => {
      const before = site.rows(mallory.gatewayId);
      await site.honest.during(async () => {
        for (const side of ['openG', 'openP'] as const) {
          const join = joinOf(mallory, pne, { [side]: change });
          await refused(mallory.client.registerPn(join.txn, join.body), status);
        }
      });
      assert.deepEqual(site.rows(mallory.gatewayId), before);
    });

  it('is refused with suite-mismatch when it enrols over such OPENs', async () => {
    const before = site.rows(mallory.gatewayId);
    const { nonce, request } = await buildEnrolment(mallory, softwareSigner(generateKey()), {
      opens: { openP: { suites: [9] } },
    });
    await refused(mallory.client.enrolPne(nonce, request), 'suite-mismatch');
    assert.deepEqual(site.rows(mallory.gatewayId), { ...before, enrolment: before.enrolment + 1 });
  });
});
