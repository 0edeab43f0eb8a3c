/** The browser's records after any changes are what SQLite would hold after the same; and changes wait for the disk. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { CpnsError, statusOfError } from '../../src/base/errors.ts';
import { GatewayId, PnId } from '../../src/base/ids.ts';
import type { KnownJoin } from '../../src/establishment/pne-types.ts';
import { openPneStore, type PneStore } from '../../src/store/pne-store.ts';
import { RecordStore } from '../../src/web/pne/record-store.ts';
import * as changes from '../../src/web/pne/records.ts';
import { freshAt, joinsOf, membershipsOf, NO_RECORDS, type PneRecords } from '../../src/web/pne/records.ts';

const seed = Number(process.env['FC_SEED'] ?? Date.now() & 0x7fffffff);
console.log(`test/web/records: FC_SEED=${seed}`);

const bytes = (length: number, value: number) => new Uint8Array(length).fill(value);
const th3Of = (n: number) => bytes(32, n);

function joinOf(n: number, state: KnownJoin['state'], version: number): KnownJoin {
  return {
    state,
    pnId: PnId(bytes(8, n % 3)),
    gatewayId: GatewayId(bytes(8, n % 2)),
    th3: th3Of(n),
    rms: bytes(32, n + 1),
    capability: bytes(3, n),
    version,
  };
}

interface Step {
  readonly name: string;
  readonly sql: (store: PneStore) => void;
  readonly change: changes.Change;
}

const small = fc.integer({ min: 0, max: 6 });
const time = fc.integer({ min: 0, max: 200_000 });
const step = (name: string, sql: Step['sql'], change: changes.Change): Step => ({ name, sql, change });
const ownership = (n: number) => ({
  offer: bytes(20, n),
  userLabel: `user ${n}`,
  epoch: n + 1,
  homeRms: bytes(32, n),
  serverKeysStatement: undefined,
});

const steps: fc.Arbitrary<Step> = fc.oneof(
  small.map(() => step('forgetCode', (store) => store.forgetCode(), changes.forgetCode)),
  small.map((n) =>
    step('spendCode', (store) => store.spendCode(bytes(32, n), n), changes.spendCode(bytes(32, n), n)),
  ),
  fc
    .tuple(small, time, time)
    .map(([n, at, powered]) =>
      step(
        'saveOwnership',
        (store) => store.saveOwnership(ownership(n), at, powered),
        changes.saveOwnership(ownership(n), at, powered),
      ),
    ),
  small.map((n) =>
    step('saveServerKeys', (store) => store.saveServerKeys(bytes(9, n)), changes.saveServerKeys(bytes(9, n))),
  ),
  time.map((at) => step('savePowered', (store) => store.savePowered(at), changes.savePowered(at))),
  fc
    .tuple(small, time, time)
    .map(([n, at, powered]) =>
      step(
        'saveFloor',
        (store) => store.saveFloor(at, powered, th3Of(n)),
        changes.saveFloor(at, powered, th3Of(n)),
      ),
    ),
  fc.tuple(small, time, time).map(([n, at, powered]) => {
    const join = joinOf(n, 'pending', 0);
    return step(
      `savePending ${n}`,
      (store) => store.savePending(join, at, powered),
      changes.savePending(join, at, powered),
    );
  }),
  small.map((n) =>
    step(`forgetPending ${n}`, (store) => store.forgetPending(th3Of(n)), changes.forgetPending(th3Of(n))),
  ),
  fc.tuple(small, small, time).map(([n, version, powered]) => {
    const join = joinOf(n, 'member', version);
    return step(
      `saveMember ${n}`,
      (store) => store.saveMember(join, bytes(5, version), powered),
      changes.saveMember(join, bytes(5, version), powered),
    );
  }),
  small.map((n) =>
    step(
      `forgetMember ${n % 3}`,
      (store) => store.forgetMember(PnId(bytes(8, n % 3))),
      changes.forgetMember(bytes(8, n % 3)),
    ),
  ),
);

function statusOf(work: () => void): string {
  try {
    work();
    return 'ok';
  } catch (error) {
    return statusOfError(error);
  }
}

/** Only what both can show, in the same shape. */
function seen(store: PneStore) {
  const { floor, poweredSeconds } = store.clock();
  return {
    ownership: store.ownership(),
    code: store.enrolmentCode(),
    floor,
    poweredSeconds,
    joins: store.joins(),
    memberships: store.memberships(),
    fresh: [0, 1, 2, 3, 4, 5, 6].map((n) => store.freshAt(th3Of(n))),
  };
}

function seenIn(records: PneRecords) {
  const plain = ({ state, pnId, gatewayId, th3, rms, capability, version }: KnownJoin) => ({
    ...{ state, pnId, gatewayId, th3, rms, capability, version },
  });
  return {
    ownership: records.ownership,
    code: records.code,
    floor: records.floor,
    poweredSeconds: records.poweredSeconds,
    joins: joinsOf(records).map(plain),
    memberships: membershipsOf(records).map(({ join, inventory }) => ({ join: plain(join), inventory })),
    fresh: [0, 1, 2, 3, 4, 5, 6].map((n) => freshAt(records, th3Of(n))),
  };
}

describe("a browser's records", () => {
  it('are what the SQL keeps, whatever comes in whatever order', () => {
    const property = fc.property(fc.array(steps, { minLength: 1, maxLength: 25 }), (script) => {
      const store = openPneStore(':memory:');
      let records = NO_RECORDS;
      for (const { name, sql, change } of script) {
        const bySql = statusOf(() => sql(store));
        const byChange = statusOf(() => {
          records = change(records);
        });
        assert.equal(byChange, bySql, name);
        assert.deepEqual(seenIn(records), seen(store), name);
      }
      store.close();
    });
    fc.assert(property, { seed, numRuns: 400, interruptAfterTimeLimit: 8000, markInterruptAsFailure: false });
  });
});

describe('a record store', () => {
  it('believes nothing that is not written, and writes one after the other', async () => {
    const written: PneRecords[] = [];
    const release: (() => void)[] = [];
    const store = new RecordStore(NO_RECORDS, (records) => {
      written.push(records);
      return new Promise((resolve) => release.push(resolve));
    });
    const first = store.change(changes.savePowered(5));
    const second = store.change(changes.spendCode(bytes(32, 1), 1));
    await Promise.resolve();
    assert.equal(written.length, 1);
    assert.equal(store.records, NO_RECORDS);
    release.shift()?.();
    await first;
    assert.equal(store.records.poweredSeconds, 5);
    while (release.length === 0) await Promise.resolve();
    release.shift()?.();
    await second;
    assert.deepEqual([store.records.poweredSeconds, store.records.code.epoch], [5, 1]);
  });

  it('keeps what it had when the disk refuses, and goes on', async () => {
    let full = true;
    const store = new RecordStore(NO_RECORDS, async () => {
      if (full) throw new Error('disk full');
    });
    await assert.rejects(
      store.change(changes.savePowered(5)),
      (error) => error instanceof CpnsError && error.status === 'cannot-persist',
    );
    assert.equal(store.records, NO_RECORDS);
    full = false;
    await store.change(changes.savePowered(7));
    assert.equal(store.records.poweredSeconds, 7);
  });
});
