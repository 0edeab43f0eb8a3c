/** The gateway's store: commit rules of GW1 and GW2 as far as one process can show them. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join as joinPath } from 'node:path';
import { JoinId, PnId, TransactionId } from '../../../src/base/ids.ts';
import { REFUSAL_KEPT_SECONDS } from '../../../src/store/gateway-networks.ts';
import { type GatewayStore, openGatewayStore } from '../../../src/store/gateway-store.ts';
import { answerOf, inventoryOf, joinIdOf, joinOf, PN, pneOf, requestOf, sample } from './store-samples.ts';

const YES = { yours: true, chargeable: true, reason: 'ok' } as const;
const NO = { yours: true, chargeable: false, reason: 'user-refused' } as const;
const failsWith = (status: string) => (error: unknown) =>
  error instanceof Error && 'status' in error && error.status === status;

describe('gateway store', () => {
  let folder: string;
  let store: GatewayStore;
  const path = () => joinPath(folder, 'gateway.db');

  beforeEach(() => {
    folder = mkdtempSync(joinPath(tmpdir(), 'cpns-store-'));
    store = openGatewayStore(path());
    store.networks.createPn({ pnId: PN, name: 'van', inviting: true }, 1);
  });
  afterEach(() => {
    store.close();
    rmSync(folder, { recursive: true });
  });
  const reopen = () => {
    store.close();
    store = openGatewayStore(path());
  };

  it('is readable by its owner only', () => {
    assert.equal(statSync(path()).mode & 0o777, 0o600);
  });

  describe('networks', () => {
    it('are provisional until their first inventory', () => {
      assert.equal(store.networks.pn(PN)?.setup, 'provisional');
      store.networks.saveJoin(joinOf(1), 1);
      store.networks.saveInventory(inventoryOf(1), 2);
      assert.deepEqual([store.networks.pn(PN)?.setup, store.networks.pn(PN)?.version], ['live', 1]);
    });

    it('have an ID that nobody else has', () => {
      assert.throws(
        () => store.networks.createPn({ pnId: PN, name: 'again', inviting: false }, 1),
        failsWith('conflict'),
      );
      assert.equal(store.networks.pn(PN)?.name, 'van');
    });

    it('stop and start inviting', () => {
      store.networks.setInviting(PN, false);
      reopen();
      assert.equal(store.networks.pns()[0]?.inviting, false);
    });

    it('take another ID only while nothing stands on the old one', () => {
      const other = PnId(sample(8, 0xb0, 1));
      store.networks.renamePn(PN, other);
      assert.equal(store.networks.pn(PN), undefined);
      assert.equal(store.networks.pn(other)?.name, 'van');
      store.networks.saveJoin(joinOf(1, other), 1);
      assert.throws(() => store.networks.renamePn(other, PN), failsWith('conflict'));
    });

    it('vanish when provisional, but not under a pending or committed join', () => {
      store.networks.saveJoin(joinOf(1), 1);
      assert.equal(store.networks.removePn(PN, 'provisional'), false);
      store.networks.refuseJoin(joinIdOf(1), 'user-refused', sample(90, 1, 1), 2);
      assert.equal(store.networks.removePn(PN, 'provisional'), true);
      // The PNE has signed and still has to hear the refusal.
      assert.equal(store.networks.join(joinIdOf(1))?.status, 'user-refused');
    });

    it('stay when they were registered, whatever later joins come to', () => {
      store.networks.saveJoin(joinOf(1), 1);
      store.networks.saveInventory(inventoryOf(1), 2);
      assert.equal(store.networks.removePn(PN, 'provisional'), false);
      assert.equal(store.networks.removePn(PN, 'any'), true);
      assert.equal(store.networks.inventory(PN), undefined);
      assert.deepEqual(store.networks.joins(), []);
    });
  });

  describe('joins', () => {
    it('come back whole after a restart', () => {
      store.networks.saveJoin(joinOf(1), 5);
      reopen();
      const expected = { ...joinOf(1), state: 'pending', acknowledged: false, createdAt: 5 };
      assert.deepEqual(store.networks.join(joinIdOf(1)), expected);
      assert.deepEqual(store.networks.joinOfTransaction(joinOf(1).txn), expected);
      assert.equal(store.networks.joinOfTransaction(TransactionId(sample(16, 2, 9))), undefined);
    });

    it('may be saved twice, but not with other content', () => {
      store.networks.saveJoin(joinOf(1), 1);
      store.networks.saveJoin(joinOf(1), 2);
      assert.equal(store.networks.join(joinIdOf(1))?.createdAt, 1);
      const other = { ...joinOf(1), response: sample(80, 6, 99) };
      assert.throws(() => store.networks.saveJoin(other, 3), failsWith('conflict'));
    });

    it('are settled once: a refusal does not undo a registration', () => {
      store.networks.saveJoin(joinOf(1), 1);
      store.networks.saveInventory(inventoryOf(1), 2);
      const after = store.networks.refuseJoin(joinIdOf(1), 'timeout', sample(90, 1, 1), 3);
      assert.deepEqual([after?.state, after?.status, after?.outcome], ['live', 'ok', undefined]);
    });

    it('are settled once: the first refusal stays', () => {
      store.networks.saveJoin(joinOf(1), 1);
      store.networks.refuseJoin(joinIdOf(1), 'not-owned', sample(90, 1, 1), 2);
      const after = store.networks.refuseJoin(joinIdOf(1), 'user-refused', sample(90, 1, 2), 3);
      assert.deepEqual([after?.status, after?.settledAt], ['not-owned', 2]);
    });

    it('that were refused go with the acknowledgement or after 7 days', () => {
      for (const n of [1, 2]) {
        store.networks.saveJoin(joinOf(n), 1);
        store.networks.refuseJoin(joinIdOf(n), 'not-owned', sample(90, 1, n), 10);
      }
      store.networks.acknowledgeJoin(joinIdOf(1));
      assert.equal(store.networks.join(joinIdOf(1)), undefined);
      assert.equal(store.networks.purgeRefusals(10 + REFUSAL_KEPT_SECONDS), 0);
      assert.equal(store.networks.purgeRefusals(11 + REFUSAL_KEPT_SECONDS), 1);
      assert.deepEqual(store.networks.joins(), []);
    });

    it('that are live stay when acknowledged, and clear earlier refusals of the same PNE', () => {
      store.networks.saveJoin(joinOf(1, PN, 7), 1);
      store.networks.refuseJoin(joinIdOf(1), 'not-owned', sample(90, 1, 1), 2);
      store.networks.saveJoin(joinOf(2, PN, 7), 3);
      store.networks.saveInventory(inventoryOf(1, [2]), 4);
      store.networks.acknowledgeJoin(joinIdOf(2));
      assert.equal(store.networks.join(joinIdOf(2))?.acknowledged, true);
      assert.equal(store.networks.join(joinIdOf(1)), undefined);
    });

    it('that the server never heard of are forgotten, settled ones are not', () => {
      for (const n of [1, 2]) store.networks.saveJoin(joinOf(n), 1);
      store.networks.refuseJoin(joinIdOf(2), 'not-owned', sample(90, 1, 2), 10);
      for (const n of [1, 2]) store.networks.forgetPendingJoin(joinIdOf(n));
      assert.deepEqual(
        store.networks.joins().map(({ state }) => state),
        ['refused'],
      );
    });
  });

  describe('inventories', () => {
    it('settle the joins they name, byte for byte, in one write', () => {
      for (const n of [1, 2]) store.networks.saveJoin(joinOf(n), 1);
      const change = store.networks.saveInventory(inventoryOf(1, [1]), 2);
      assert.deepEqual(change, { stored: true, live: [joinIdOf(1)], removed: [] });
      reopen();
      assert.deepEqual(store.networks.inventory(PN), { version: 1, bytes: inventoryOf(1).bytes });
      assert.deepEqual(
        store.networks.joins().map(({ state }) => state),
        ['live', 'pending'],
      );
    });

    it('never go back', () => {
      store.networks.saveJoin(joinOf(1), 1);
      store.networks.saveInventory(inventoryOf(3, [1]), 2);
      assert.equal(store.networks.saveInventory(inventoryOf(2, []), 3).stored, false);
      assert.equal(store.networks.inventory(PN)?.version, 3);
      assert.equal(store.networks.join(joinIdOf(1))?.state, 'live');
    });

    it('may come again, but not with other bytes', () => {
      store.networks.saveInventory(inventoryOf(3), 2);
      assert.equal(store.networks.saveInventory(inventoryOf(3), 3).stored, false);
      const other = { ...inventoryOf(3), bytes: sample(9, 9, 9) };
      assert.throws(() => store.networks.saveInventory(other, 3), failsWith('inventory-invalid'));
    });

    it('take out who is no longer in them', () => {
      for (const n of [1, 2]) store.networks.saveJoin(joinOf(n, PN, 7), n);
      store.networks.saveInventory(inventoryOf(1, [1]), 3);
      const change = store.networks.saveInventory(inventoryOf(2, [2]), 4);
      assert.deepEqual(change, { stored: true, live: [joinIdOf(2)], removed: [joinIdOf(1)] });
    });

    it('that are overtaken end the joins that only they name', () => {
      store.networks.saveInventory(inventoryOf(5, []), 1);
      store.networks.saveJoin(joinOf(1), 2);
      const change = store.networks.saveInventory(inventoryOf(4, [1]), 3);
      assert.deepEqual(change, { stored: false, live: [], removed: [joinIdOf(1)] });
      assert.deepEqual(store.networks.joins(), []);
    });

    it('of unknown networks are refused', () => {
      const foreign = { ...inventoryOf(1), pnId: PnId(sample(8, 0xc0, 1)) };
      assert.throws(() => store.networks.saveInventory(foreign, 1), failsWith('unknown-transaction'));
    });
  });

  describe('enrolled PNEs', () => {
    it('come back whole, unacknowledged', () => {
      store.home.savePne(pneOf(1));
      reopen();
      const expected = { ...pneOf(1), acknowledged: false, revoked: false };
      assert.deepEqual(store.home.pne(pneOf(1).thumbprint), expected);
      assert.deepEqual(store.home.pnes(), [expected]);
    });

    it('enrol again with a higher epoch and keep their label', () => {
      const { thumbprint } = pneOf(1);
      store.home.savePne(pneOf(1));
      store.home.labelPne(thumbprint, 'heart');
      store.home.acknowledgePne(thumbprint);
      store.home.revokePne(thumbprint);
      store.home.savePne(pneOf(1, 2));
      const pne = store.home.pne(thumbprint);
      assert.deepEqual([pne?.epoch, pne?.label, pne?.acknowledged, pne?.revoked], [2, 'heart', false, false]);
      assert.deepEqual(pne?.rms, pneOf(1, 2).rms);
    });

    it('do not go back to an earlier epoch', () => {
      store.home.savePne(pneOf(1, 3));
      store.home.savePne(pneOf(1, 2));
      assert.equal(store.home.pne(pneOf(1).thumbprint)?.epoch, 3);
    });
  });

  describe('confirm requests', () => {
    const { joinId } = requestOf(1);

    it('keep their first answer, over a restart and a second thought', () => {
      store.home.saveRequest(requestOf(1), 1);
      store.home.saveAnswer(joinId, YES, 'user', answerOf(1));
      reopen();
      const record = store.home.saveAnswer(joinId, NO, 'rule 0', answerOf(2));
      assert.deepEqual(record.answer, answerOf(1));
      assert.deepEqual([record.decision, record.decidedBy, record.state], [YES, 'user', 'answered']);
    });

    it('that come again change nothing', () => {
      store.home.saveRequest(requestOf(1), 1);
      store.home.saveAnswer(joinId, NO, 'user', answerOf(1));
      assert.equal(store.home.saveRequest(requestOf(1), 9).state, 'answered');
      const other = { ...requestOf(1), body: sample(900, 9, 7) };
      assert.throws(() => store.home.saveRequest(other, 9), failsWith('conflict'));
    });

    it('that are over take no answer', () => {
      store.home.saveRequest(requestOf(1), 1);
      store.home.settleRequest(joinId, 'confirmation-timeout', undefined, 2);
      assert.throws(
        () => store.home.saveAnswer(joinId, YES, 'user', answerOf(1)),
        failsWith('deadline-passed'),
      );
      assert.deepEqual(store.home.requests(), []);
      assert.equal(store.home.requests('all').length, 1);
    });

    it('take an outcome after they were given up, and no second one', () => {
      store.home.saveRequest(requestOf(1), 1);
      store.home.settleRequest(joinId, 'confirmation-timeout', undefined, 2);
      store.home.settleRequest(joinId, 'user-refused', sample(90, 1, 1), 3);
      store.home.settleRequest(joinId, 'ok', sample(90, 1, 2), 4);
      store.home.settleRequest(joinId, 'timeout', undefined, 5);
      const record = store.home.request(joinId);
      assert.deepEqual([record?.status, record?.outcome], ['user-refused', sample(90, 1, 1)]);
    });

    it('that nobody asked have no answer', () => {
      const unknown = JoinId(sample(16, 1, 99));
      assert.equal(store.home.request(unknown), undefined);
      assert.throws(
        () => store.home.saveAnswer(unknown, YES, 'user', answerOf(1)),
        failsWith('unknown-transaction'),
      );
    });
  });

  it('remembers rules in order, each once', () => {
    store.home.rememberRule({ decision: 'allow', user: 'bob' }, 1);
    store.home.rememberRule({ decision: 'deny', user: 'eve' }, 2);
    store.home.rememberRule({ decision: 'allow', user: 'bob' }, 3);
    reopen();
    assert.deepEqual(
      store.home.rules().map(({ decision, user }) => [decision, user]),
      [
        ['allow', 'bob'],
        ['deny', 'eve'],
      ],
    );
    store.home.forgetRule(0);
    assert.deepEqual(
      store.home.rules().map(({ user }) => user),
      ['eve'],
    );
  });

  it('reports a failed write as cannot-persist', () => {
    store.close();
    assert.throws(() => store.networks.saveJoin(joinOf(1), 1), failsWith('cannot-persist'));
    store = openGatewayStore(path());
  });
});
