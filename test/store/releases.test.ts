/**
 * What released versions have left on disk (test/store/fixtures, written once by scripts/generate-store-fixtures.ts) is
 * opened by today's program: everything is there, and the join that was under way goes on. And a schema changes only by a
 * new migration.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { equal } from '../../src/base/bytes.ts';
import { openGatewayStore } from '../../src/store/gateway-store.ts';
import { openPneStore } from '../../src/store/pne-store.ts';
import { openServerStore } from '../../src/store/server-store.ts';
import { type Dump, dumpDatabase } from '../power/dump.ts';
import { loadDatabase } from '../support/database-text.ts';
import { FIXTURE_FILES, FIXTURES, type FixtureFile, fingerprints, openFixture } from './fixtures.ts';

const releases = readdirSync(FIXTURES, { withFileTypes: true })
  .filter((entry) => entry.isDirectory())
  .map(({ name }) => name);

/** Each row of then is a row of now, in the columns that both have. */
function assertKept(before: Dump, after: Dump): void {
  for (const [table, rows] of Object.entries(before)) {
    if (typeof rows === 'number') continue;
    const now = after[table];
    assert.ok(Array.isArray(now), `table ${table}`);
    const columns = Object.keys(JSON.parse(rows[0] ?? '{}') as object);
    const narrowed = new Set(now.map((row) => JSON.stringify(JSON.parse(row), columns)));
    for (const row of rows) assert.ok(narrowed.has(row), `${table}: ${row} is gone`);
  }
}

/** The next step of the join that was under way. */
const GO_ON: Readonly<Record<FixtureFile, (path: string) => void>> = {
  server: (path) => {
    const store = openServerStore(path);
    const row = store.registrations.all().find(({ state }) => state === 'verified');
    const other = store.registrations.all().find(({ state }) => state === 'registered');
    const [evidence] = other ? store.registrations.evidence(other.pnId) : [];
    assert.ok(row?.response && evidence);
    const { pnId, joinId, pne, challenge, response } = row;
    store.registrations.commit(
      {
        ...{ to: 'registered', from: 'verified', key: row, notAfter: row.deadline ?? 0, response },
        ...{ answer: Uint8Array.of(1), inventory: Uint8Array.of(2), outcome: undefined, baseVersion: 1 },
        ...{ pnName: 'car', outbox: [], settledAt: row.challengedAt },
        member: { pne, handle: 2, joinId, capability: Uint8Array.of(3) },
        evidence: {
          ...{ ...evidence, pnId, joinId, challenge, response, version: 2, inventory: Uint8Array.of(2) },
          confirmation: { answer: Uint8Array.of(1) },
        },
      },
      () => row.challengedAt,
    );
    assert.equal(store.registrations.pn(pnId)?.members.length, 2);
    assert.ok(store.outbox.deliveries(row.gatewayId, 0, 10).every(({ body }) => body.length > 0));
    store.close();
  },
  gw1: (path) => {
    const store = openGatewayStore(path);
    const [question] = store.home.requests();
    assert.ok(question);
    const yes = { yours: true, chargeable: true, reason: 'ok' } as const;
    assert.equal(store.home.saveAnswer(question.joinId, yes, 'user', Uint8Array.of(1)).state, 'answered');
    store.close();
  },
  gw2: (path) => {
    const store = openGatewayStore(path);
    const joins = store.networks.joins();
    const pending = joins.find(({ state }) => state === 'pending');
    assert.ok(pending);
    const joinIds = joins.map(({ joinId }) => joinId);
    const inventory = { pnId: pending.pnId, version: 2, bytes: Uint8Array.of(2), joinIds };
    const { live } = store.networks.saveInventory(inventory, pending.createdAt);
    assert.ok(live.some((joinId) => equal(joinId, pending.joinId)));
    store.close();
  },
  pne: (path) => {
    const store = openPneStore(path);
    const [pending] = store.joins();
    assert.equal(pending?.state, 'pending');
    store.saveMember({ ...pending, state: 'member', version: 2 }, Uint8Array.of(2), 100);
    assert.equal(store.memberships()[0]?.join.version, 2);
    store.close();
  },
};

describe('databases of released versions', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'cpns-release-'));
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  it('there is one of the present version', () => {
    const { version } = JSON.parse(
      readFileSync(new URL('../../package.json', import.meta.url), 'utf8'),
    ) as Record<'version', string>;
    assert.ok(releases.includes(version), `none of ${version}: scripts/generate-store-fixtures.ts`);
  });

  for (const release of releases)
    for (const name of FIXTURE_FILES)
      it(`${release}, ${name}: all of it is there, and the join goes on`, () => {
        const path = join(folder, name);
        loadDatabase(path, readFileSync(join(FIXTURES, release, `${name}.sql`), 'utf8'));
        const before = dumpDatabase(path);
        const expected: unknown = JSON.parse(readFileSync(join(FIXTURES, release, `${name}.json`), 'utf8'));
        assert.deepEqual(JSON.parse(JSON.stringify(openFixture[name](path))), expected);
        assertKept(before, dumpDatabase(path));
        GO_ON[name](path);
        openFixture[name](path);
      });

  it('a schema changes by a new migration only, and each migration has its fingerprint', () => {
    const known: unknown = JSON.parse(readFileSync(join(FIXTURES, 'schemas.json'), 'utf8'));
    assert.deepEqual(
      fingerprints(),
      known,
      'a released migration stays as it is; for a new one behind it: npx tsx scripts/generate-store-fixtures.ts --fingerprints',
    );
  });
});
