/** Registrations against a real server over TLS: the flow, its repetitions, its refusals, and who ends whom. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'mocha';
import { type Bytes, equal } from '../../src/base/bytes.ts';
import { verifyFreshness, verifyOutcome } from '../../src/establishment/server-words.ts';
import { InventoryPayload } from '../../src/messages/inventory.ts';
import type { TransactionState } from '../../src/messages/registration.ts';
import { verifyInventory } from '../../src/network/inventory.ts';
import type { TraceEvent } from '../../src/nodes/trace.ts';
import { parseSign1 } from '../../src/security/cose.ts';
import { generateKey, softwareSigner } from '../../src/security/keystore.ts';
import {
  type Join,
  type JoinOptions,
  type JoinResponse,
  primitives,
  sayNo,
  sayYes,
} from '../support/join.ts';
import { hex, joinOf, refused, ServerKit, type TestGateway, type TestPne } from '../support/server-kit.ts';

describe('server: registrations', () => {
  const kit = new ServerKit();
  const traced: TraceEvent[] = [];
  let gw1: TestGateway;
  let gw2: TestGateway;
  let pne: TestPne;

  before(async () => {
    await kit.start({ onTrace: (event) => traced.push(event) });
    kit.addUser('alice');
    kit.addUser('bob');
    gw1 = await kit.addGateway('alice', 'home');
    gw2 = await kit.addGateway('bob', 'kitchen');
    pne = await kit.addPne(gw1);
    await gw1.online(kit.server.url);
    await gw2.online(kit.server.url);
  });
  after(() => kit.close());

  interface Begun extends JoinResponse {
    readonly join: Join;
    readonly state: TransactionState;
  }

  /** Steps 3 to 7. */
  async function begin(who: TestPne, options: Partial<JoinOptions> = {}, at = gw2): Promise<Begun> {
    const join = joinOf(at, who, options);
    const { challenge } = await at.client.registerPn(join.txn, join.body);
    const responded = join.respond(challenge);
    return { ...responded, join, state: await at.client.respond(join.txn, responded.response) };
  }

  /** Steps 8 to 11. */
  async function finish({ join, joinId, th3 }: Begun): Promise<Bytes> {
    await gw1.frame('pne-confirm-request', ({ body }) => equal(body.th3, th3));
    assert.equal(await gw1.client.confirm(joinId, sayYes(gw1.signer, th3)), 'ok');
    const { body } = await gw2.frame('pn-registration-response', ({ body: { txn } }) => equal(txn, join.txn));
    assert.ok(body.status === 'ok');
    await gw1.frame('join-outcome', ({ body: told }) => equal(told.joinId, joinId));
    return body.inventory;
  }

  /** Step 11 of a refusal, verified. */
  async function refusalOf({ join, th3 }: Begun): Promise<string> {
    const { body } = await gw2.frame('pn-registration-response', ({ body: { txn } }) => equal(txn, join.txn));
    assert.ok(body.status !== 'ok');
    const outcome = verifyOutcome(primitives, gw2.serverKeys, th3, body.outcome);
    assert.equal(outcome.status, body.status);
    return body.status;
  }

  const inventoryOf = (bytes: Bytes) => InventoryPayload.decode(parseSign1(bytes).payload);

  it('goes through steps 3, 4, 7, 8, 9, 10 and 11', async () => {
    const begun = await begin(pne, { pneId: 'lamp', contents: [{ name: 'a', mediaType: 'text/plain' }] });
    assert.deepEqual(begun.state, { state: 'verified', status: 'awaiting-user' });
    const { joinId, join } = begun;
    const inventory = verifyInventory(primitives, gw2.serverKeys, await finish(begun), {
      ...{ pnId: join.pnId, gatewayId: gw2.gatewayId, atLeastVersion: 1, joinId },
    });
    assert.equal(inventory.version, 1);
    assert.equal(inventory.members[0]?.label, 'lamp');
    assert.equal((await gw2.client.transaction(join.txn)).state, 'registered');
    const report = kit.admin.audit(hex(join.pnId));
    assert.ok(report.passed, JSON.stringify(report.checks.filter(({ passed }) => !passed)));
    const steps = traced.filter(({ joinKey }) => joinKey === hex(join.txn)).map(({ step }) => step);
    assert.deepEqual(
      steps.filter((step) => step !== undefined),
      [3, 4, 7, 8, 9, 10, 11],
    );
  });

  it('answers every repeated request with the stored bytes, and another body with conflict', async () => {
    const someone = await kit.addPne(gw1);
    const join = joinOf(gw2, someone);
    const first = await gw2.client.registerPn(join.txn, join.body);
    assert.deepEqual(await gw2.client.registerPn(join.txn, join.body), first);
    const { response, th3, joinId } = join.respond(first.challenge);
    const state = await gw2.client.respond(join.txn, response);
    // Whose answer is awaited may change meanwhile.
    assert.equal((await gw2.client.respond(join.txn, response)).state, state.state);
    // ECDSA is randomised: the same word signed again is another body.
    await refused(gw2.client.respond(join.txn, join.respond(first.challenge).response), 'conflict');
    const yes = sayYes(gw1.signer, th3);
    assert.equal(await gw1.client.confirm(joinId, yes), 'ok');
    assert.equal(await gw1.client.confirm(joinId, yes), 'ok');
    await refused(gw1.client.confirm(joinId, sayYes(gw1.signer, th3)), 'conflict');
    const { inventory } = await gw2.client.respond(join.txn, response);
    assert.ok(inventory);
    assert.deepEqual((await gw2.client.transaction(join.txn)).inventory, inventory);
    assert.deepEqual(await gw2.client.registerPn(join.txn, join.body), first);
  });

  it('registers two PNEs in one PN as versions 1 and 2, and a refresh as 3 with the same handle', async () => {
    const [one, two] = [await kit.addPne(gw1), await kit.addPne(gw1)];
    const first = await begin(one);
    const { pnId } = first.join;
    assert.equal(inventoryOf(await finish(first)).version, 1);
    const second = inventoryOf(await finish(await begin(two, { pnId, setupType: 'join' })));
    assert.equal(second.version, 2);
    assert.deepEqual(
      second.members.map(({ handle }) => handle),
      [1, 2],
    );
    const again = await begin(one, { pnId, setupType: 'join', capability: Uint8Array.of(1, 2) });
    assert.equal(again.state.state, 'registered');
    assert.ok(again.state.inventory);
    const third = inventoryOf(again.state.inventory);
    assert.equal(third.version, 3);
    assert.deepEqual(third.members[0]?.joinId, again.joinId);
    assert.deepEqual(third.members[0]?.capability, Uint8Array.of(1, 2));
    assert.equal(third.members[0]?.handle, 1);
    const report = kit.admin.audit(hex(pnId));
    assert.ok(report.passed, JSON.stringify(report.checks.filter(({ passed }) => !passed)));
    const th1 = primitives.randomBytes(32);
    const fresh = async ({ joinId }: Begun) =>
      verifyFreshness(primitives, gw2.serverKeys, th1, await gw2.client.freshness(th1, joinId));
    assert.equal((await fresh(again)).status, 'ok');
    assert.equal((await fresh(first)).status, 'superseded');
    await refused(gw1.client.freshness(th1, again.joinId), 'unknown-transaction');
  });

  it('registers two joins of one PN that are confirmed at the same time', async () => {
    const [one, two] = [await kit.addPne(gw1), await kit.addPne(gw1)];
    const first = await begin(one);
    const second = await begin(two, { pnId: first.join.pnId });
    const both = await Promise.all([finish(first), finish(second)]);
    const versions = both.map((bytes) => inventoryOf(bytes).version);
    assert.deepEqual(versions.sort(), [1, 2]);
    assert.ok(kit.admin.audit(hex(first.join.pnId)).passed);
  });

  it('ends an earlier question about the same PNE when a later response is verified', async () => {
    const someone = await kit.addPne(gw1);
    const earlier = await begin(someone);
    const later = await begin(someone);
    assert.equal(await refusalOf(earlier), 'superseded');
    const { body } = await gw1.frame('join-outcome', ({ body: told }) => equal(told.joinId, earlier.joinId));
    assert.equal(verifyOutcome(primitives, gw1.serverKeys, earlier.th3, body.outcome).status, 'superseded');
    await refused(gw1.client.confirm(earlier.joinId, sayYes(gw1.signer, earlier.th3)), 'deadline-passed');
    await finish(later);
  });

  it('lets user A refuse, and makes that gateway wait before it asks again', async () => {
    const someone = await kit.addPne(gw1);
    const begun = await begin(someone);
    const no = { yours: true, chargeable: false, reason: 'user-refused' } as const;
    await gw1.client.confirm(begun.joinId, sayNo(gw1.signer, begun.th3, no));
    assert.equal(await refusalOf(begun), 'user-refused');
    const again = joinOf(gw2, someone);
    await refused(gw2.client.registerPn(again.txn, again.body), 'backing-off');
    kit.clock.offsetSeconds += 61;
    const third = await begin(someone);
    await gw1.client.confirm(third.joinId, sayNo(gw1.signer, third.th3, no));
    assert.equal(await refusalOf(third), 'user-refused');
    kit.clock.offsetSeconds += 61;
    const fourth = joinOf(gw2, someone);
    await refused(gw2.client.registerPn(fourth.txn, fourth.body), 'backing-off');
    kit.clock.offsetSeconds += 60;
    await finish(await begin(someone));
  });

  it('binds a PN ID to the gateway that first committed it', async () => {
    const [someone, other] = [await kit.addPne(gw1), await kit.addPne(gw1)];
    // Opened before the other gateway commits: found out at step 7, or at the commit.
    const open = joinOf(gw1, other);
    const { challenge } = await gw1.client.registerPn(open.txn, open.body);
    await finish(await begin(someone, { pnId: open.pnId }));
    const { response } = open.respond(challenge);
    const state = await gw1.client.respond(open.txn, response);
    assert.equal(state.status, 'pn-id-collision');
    const late = joinOf(gw1, other, { pnId: open.pnId });
    await refused(gw1.client.registerPn(late.txn, late.body), 'pn-id-collision');
  });

  it('never deletes a PN with a member when a later join fails', async () => {
    const [member, stranger] = [await kit.addPne(gw1), softwareSigner(generateKey())];
    const first = await begin(member);
    await finish(first);
    const { pnId } = first.join;
    const unknown = { ...pne, signer: stranger };
    const failed = await begin(unknown, { pnId });
    assert.equal(failed.state.status, 'unknown-pne');
    assert.equal(await refusalOf(failed), 'unknown-pne');
    assert.equal(kit.admin.pns().find((pn) => equal(pn.pnId, pnId))?.version, 1);
  });

  it('refuses impostors with a signed outcome', async () => {
    const someone = await kit.addPne(gw1);
    const join = joinOf(gw2, someone);
    const { challenge } = await gw2.client.registerPn(join.txn, join.body);
    const forged = join.respond(challenge, softwareSigner(generateKey()));
    const state = await gw2.client.respond(join.txn, forged.response);
    assert.equal(state.status, 'response-invalid');
    assert.equal(await refusalOf({ ...forged, join, state }), 'response-invalid');
    const elsewhere = await begin(someone, { homeAddress: gw2.homeAddress });
    assert.equal(await refusalOf(elsewhere), 'home-address-mismatch');
    const nowhere = await begin(someone, { homeAddress: 'nowhere' });
    assert.equal(await refusalOf(nowhere), 'home-address-malformed');
    const otherRealm = await begin(someone, { homeAddress: `${hex(gw1.gatewayId)}@other.example` });
    assert.equal(await refusalOf(otherRealm), 'home-address-mismatch');
  });

  it('tells nobody about transactions of another gateway', async () => {
    const someone = await kit.addPne(gw1);
    const begun = await begin(someone);
    await refused(gw1.client.transaction(begun.join.txn), 'unknown-transaction');
    await refused(gw1.client.respond(begun.join.txn, begun.response), 'unknown-transaction');
    await refused(gw2.client.confirm(begun.joinId, sayYes(gw2.signer, begun.th3)), 'unknown-transaction');
    await refused(gw1.client.confirm(begun.joinId, sayYes(gw2.signer, begun.th3)), 'answer-invalid');
    // Its own bytes under another gateway's identity.
    await refused(gw1.client.registerPn(begun.join.txn, begun.join.body), 'credential-invalid');
    await finish(begun);
  });

  it('lets one gateway be both: the single-user case', async () => {
    const own = await kit.addPne(gw1);
    const begun = await begin(own, {}, gw1);
    await gw1.frame('pne-confirm-request', ({ body }) => equal(body.th3, begun.th3));
    await gw1.client.confirm(begun.joinId, sayYes(gw1.signer, begun.th3));
    const mine = begun.join.txn;
    const { body } = await gw1.frame('pn-registration-response', ({ body: { txn } }) => equal(txn, mine));
    assert.equal(body.status, 'ok');
  });

  it('gives a late response its signed outcome, before and after the sweep', async () => {
    const someone = await kit.addPne(gw1);
    for (const sweep of [false, true]) {
      const join = joinOf(gw2, someone);
      const { challenge } = await gw2.client.registerPn(join.txn, join.body);
      kit.clock.offsetSeconds += 62;
      if (sweep) await kit.server.sweep();
      if (sweep) assert.equal((await gw2.client.transaction(join.txn)).status, 'challenge-stale');
      const { response, th3 } = join.respond(challenge);
      const state = await gw2.client.respond(join.txn, response);
      assert.equal(state.status, 'challenge-stale');
      assert.ok(state.outcome);
      assert.equal(verifyOutcome(primitives, gw2.serverKeys, th3, state.outcome).status, 'challenge-stale');
    }
  });

  it('does not let an attempt that was given up take the place of a later one, however late it comes', async () => {
    const someone = await kit.addPne(gw1);
    const givenUp = joinOf(gw2, someone);
    const { challenge } = await gw2.client.registerPn(givenUp.txn, givenUp.body);
    const { response, th3 } = givenUp.respond(challenge);
    const later = await begin(someone, { pnId: givenUp.pnId });
    await finish(later);
    const state = await gw2.client.respond(givenUp.txn, response);
    assert.equal(state.status, 'superseded');
    assert.ok(state.outcome);
    assert.equal(verifyOutcome(primitives, gw2.serverKeys, th3, state.outcome).status, 'superseded');
    assert.equal((await gw2.client.transaction(later.join.txn)).state, 'registered');
    // A join that is challenged after it is a refresh as ever.
    const again = await begin(someone, { pnId: givenUp.pnId });
    assert.equal(again.state.state, 'registered');
  });

  it('allows 16 open transactions a gateway', async () => {
    const someone = await kit.addPne(gw1);
    const joins = Array.from({ length: 17 }, () => joinOf(gw2, someone));
    const results = await Promise.allSettled(joins.map((join) => gw2.client.registerPn(join.txn, join.body)));
    assert.equal(results.filter(({ status }) => status === 'rejected').length, 1);
    const over = joinOf(gw2, someone);
    await refused(gw2.client.registerPn(over.txn, over.body), 'quota-exceeded');
    kit.clock.offsetSeconds += 62;
    await gw2.client.registerPn(over.txn, over.body);
    kit.clock.offsetSeconds += 62;
  });

  describe('with the home gateway away', () => {
    before(() => gw1.offline());
    after(() => gw1.online(kit.server.url));

    it('waits for it, says so, and delivers when it is back', async () => {
      const someone = await kit.addPne(gw1);
      gw2.frames.length = 0;
      const begun = await begin(someone);
      assert.equal(begun.state.status, 'awaiting-home-gateway');
      const waiting = await gw2.frame('transaction-waiting');
      assert.equal(waiting.body.status, 'awaiting-home-gateway');
      await gw1.online(kit.server.url);
      const { body } = await gw1.frame('pne-confirm-request', ({ body: { th3 } }) => equal(th3, begun.th3));
      assert.ok(body.deadline > kit.clock.wallSeconds() + 86_000);
      const now = await gw2.frame('transaction-waiting');
      assert.equal(now.body.status, 'awaiting-user');
      gw1.frames.push({ kind: 'pne-confirm-request', deliveryId: 1, body });
      await finish(begun);
      await gw1.offline();
    });

    it('ends honestly when it never comes back', async () => {
      const someone = await kit.addPne(gw1);
      const begun = await begin(someone);
      kit.clock.offsetSeconds += 86_000;
      await kit.server.sweep();
      assert.equal((await gw2.client.transaction(begun.join.txn)).state, 'verified');
      kit.clock.offsetSeconds += 402;
      await kit.server.sweep();
      assert.equal(await refusalOf(begun), 'home-gateway-unreachable');
    });
  });

  it('times a question out that was delivered but not answered', async () => {
    const someone = await kit.addPne(gw1);
    const begun = await begin(someone);
    await gw1.frame('pne-confirm-request', ({ body }) => equal(body.th3, begun.th3));
    await gw2.frame('transaction-waiting', ({ body }) => equal(body.txn, begun.join.txn));
    // The second notice follows the acknowledgement of step 8.
    await gw2.frame('transaction-waiting', ({ body }) => equal(body.txn, begun.join.txn));
    kit.clock.offsetSeconds += 602;
    await refused(gw1.client.confirm(begun.joinId, sayYes(gw1.signer, begun.th3)), 'deadline-passed');
    assert.equal(await refusalOf(begun), 'confirmation-timeout');
  });
});
