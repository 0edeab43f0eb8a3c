/** The auditor: what a real server registered passes, and any changed byte of the evidence is found. */
import assert from 'node:assert/strict';
import { join as joinPath } from 'node:path';
import { after, before, describe, it } from 'mocha';
import type { PnId } from '../../src/base/ids.ts';
import { auditPn } from '../../src/establishment/audit.ts';
import type { JoinEvidence } from '../../src/establishment/server-types.ts';
import type { PublicKey } from '../../src/security/primitives.ts';
import { openServerStore } from '../../src/store/server-store.ts';
import { type JoinOptions, primitives, sayYes } from '../support/join.ts';
import { joinOf, ServerKit, type TestGateway, type TestPne } from '../support/server-kit.ts';
import { flipped } from './machine-kit.ts';

describe('audit', () => {
  const kit = new ServerKit();
  let gw1: TestGateway;
  let gw2: TestGateway;
  /** One PN with one join, and one with two PNEs and a refresh. */
  let simple: { pnId: PnId; joins: readonly JoinEvidence[] };
  let busy: { pnId: PnId; joins: readonly JoinEvidence[] };

  async function register(pne: TestPne, options: Partial<JoinOptions> = {}): Promise<PnId> {
    const join = joinOf(gw2, pne, options);
    const { challenge } = await gw2.client.registerPn(join.txn, join.body);
    const { response, th3, joinId } = join.respond(challenge);
    const { state } = await gw2.client.respond(join.txn, response);
    if (state === 'verified') await gw1.client.confirm(joinId, sayYes(gw1.signer, th3));
    return join.pnId;
  }

  before(async () => {
    await kit.start();
    kit.addUser('alice');
    kit.addUser('bob');
    gw1 = await kit.addGateway('alice', 'home');
    gw2 = await kit.addGateway('bob', 'kitchen');
    const [one, two] = [await kit.addPne(gw1), await kit.addPne(gw1)];
    const first = await register(one, { pneId: 'lamp', contents: [{ name: 'a', mediaType: 'b' }] });
    const pnId = await register(one);
    await register(two, { pnId });
    await register(one, { pnId, name: 'Renamed' });
    const store = openServerStore(joinPath(kit.stateDir, 'server.db'));
    simple = { pnId: first, joins: store.registrations.evidence(first) };
    busy = { pnId, joins: store.registrations.evidence(pnId) };
    store.close();
  });
  after(() => kit.close());

  const audit = (pn: { pnId: PnId; joins: readonly JoinEvidence[] }) =>
    auditPn({ ...pn, serverKeys: gw2.serverKeys }, primitives);

  it('passes what was registered, every check in words', () => {
    for (const pn of [simple, busy]) {
      const { passed, checks } = audit(pn);
      assert.ok(passed, JSON.stringify(checks.filter((check) => !check.passed)));
      assert.ok(checks.every(({ what }) => what.length > 10));
      assert.ok(checks.length >= 2 + 12 * pn.joins.length);
    }
    assert.deepEqual(
      busy.joins.map(({ confirmation }) => 'answer' in confirmation),
      [true, true, false],
    );
  });

  it('fails when any byte of the evidence is changed', function () {
    this.timeout(60_000);
    const [join] = simple.joins;
    assert.ok(join);
    const fields = ['openG', 'openP', 'm1', 'm2', 'challenge', 'response', 'inventory', 'joinId'] as const;
    for (const name of fields) {
      const bytes: Uint8Array = join[name];
      for (let at = 0; at < bytes.length; at++) {
        const joins: readonly JoinEvidence[] = [{ ...join, [name]: flipped(bytes, at) }];
        assert.equal(audit({ ...simple, joins }).passed, false, `${name}[${at}]`);
      }
    }
    const { confirmation } = join;
    assert.ok('answer' in confirmation);
    for (let at = 0; at < confirmation.answer.length; at++) {
      const joins: readonly JoinEvidence[] = [
        { ...join, confirmation: { answer: flipped(confirmation.answer, at) } },
      ];
      assert.equal(audit({ ...simple, joins }).passed, false, `answer[${at}]`);
    }
    for (const name of ['gatewayKey', 'pneKey', 'homeGatewayKey'] as const)
      for (const coordinate of ['x', 'y'] as const)
        for (let at = 0; at < 32; at += 5) {
          const key: PublicKey = { ...join[name], [coordinate]: flipped(join[name][coordinate], at) };
          assert.equal(audit({ ...simple, joins: [{ ...join, [name]: key }] }).passed, false, name);
        }
  });

  it('fails when joins are missing, doubled, swapped or of another PN', () => {
    const [one, two, three] = busy.joins;
    assert.ok(one && two && three);
    const [other] = simple.joins;
    assert.ok(other);
    const spoilt: readonly (readonly JoinEvidence[])[] = [
      [],
      [one, three],
      [two, three],
      [one, one, two, three],
      [{ ...one, version: 2 }, { ...two, version: 1 }, three],
      [one, two, three, { ...other, version: 4 }],
      // The refresh without the yes that it rests on.
      [one, two, { ...three, confirmation: { earlierJoin: two.joinId } }],
      [one, two, { ...three, confirmation: { earlierJoin: three.joinId } }],
      [one, two, { ...three, inventory: two.inventory }],
    ];
    for (const joins of spoilt) assert.equal(audit({ ...busy, joins }).passed, false);
    assert.ok(audit({ ...busy, joins: [one, two] }).passed, 'an earlier state of the PN is sound in itself');
    assert.equal(audit({ ...busy, pnId: simple.pnId }).passed, false);
  });

  it("believes no other operator's keys", () => {
    const foreign = { ...gw2.serverKeys, keys: [] };
    assert.equal(auditPn({ ...busy, serverKeys: foreign }, primitives).passed, false);
  });
});
