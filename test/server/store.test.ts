/** The ground the server's store stands on: opening, migrations, statements that look at open rows only, token buckets. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'mocha';
import { addressName, Buckets } from '../../src/https/server-limits.ts';
import { SERVER_MIGRATIONS } from '../../src/store/server-schema.ts';
import { openDatabase } from '../../src/store/sqlite.ts';
import { StaleError, Statements } from '../../src/store/statements.ts';

describe('opening a database', () => {
  const directory = mkdtempSync(join(tmpdir(), 'cpns-store-'));
  after(() => rmSync(directory, { recursive: true, force: true }));
  const path = (name: string) => join(directory, name);

  it('is durable and private, and runs each migration once', () => {
    const one = 'CREATE TABLE a (x INTEGER) STRICT; INSERT INTO a VALUES (1)';
    const two = 'INSERT INTO a VALUES (2)';
    openDatabase(path('a.db'), [one]).close();
    openDatabase(path('a.db'), [one, two]).close();
    const database = openDatabase(path('a.db'), [one, two]);
    const rows = database.prepare<[], { x: number }>('SELECT x FROM a ORDER BY x').all();
    assert.deepEqual(
      rows.map(({ x }) => x),
      [1, 2],
    );
    assert.equal(database.pragma('synchronous'), 2);
    assert.equal(database.pragma('journal_mode'), 'wal');
    assert.equal(database.pragma('foreign_keys'), 1);
    for (const suffix of ['', '-wal', '-shm'])
      assert.equal(statSync(path(`a.db${suffix}`)).mode & 0o777, 0o600, suffix);
    database.close();
  });

  it('leaves the version before a migration that fails', () => {
    const good = 'CREATE TABLE a (x INTEGER) STRICT';
    assert.throws(() => openDatabase(path('b.db'), [good, 'INSERT INTO a VALUES (1); nonsense']), {
      status: 'cannot-persist',
    });
    const database = openDatabase(path('b.db'), [good]);
    assert.equal(database.pragma('user_version'), 1);
    assert.deepEqual(database.prepare('SELECT * FROM a').all(), []);
    database.close();
  });

  it('refuses a newer version, and what is no database', () => {
    openDatabase(path('c.db'), ['SELECT 1', 'SELECT 2']).close();
    assert.throws(() => openDatabase(path('c.db'), ['SELECT 1']), { status: 'cannot-persist' });
    writeFileSync(path('d.db'), 'x'.repeat(10_000));
    assert.throws(() => openDatabase(path('d.db'), []), { status: 'cannot-persist' });
    assert.throws(() => openDatabase(path('none/e.db'), []), { status: 'cannot-persist' });
  });

  it('rolls a stale change back whole', () => {
    const sql = new Statements(openDatabase(':memory:', ['CREATE TABLE a (x INTEGER) STRICT']));
    assert.throws(
      () =>
        sql.transact(() => {
          sql.run('INSERT INTO a VALUES (1)');
          sql.change('UPDATE a SET x = 2 WHERE x = 3');
        }),
      StaleError,
    );
    assert.equal(sql.one<{ n: number }>('SELECT count(*) AS n FROM a')?.n, 0);
  });

  it('never reads through all registrations for what is asked at each request or second', () => {
    const sql = new Statements(openDatabase(':memory:', SERVER_MIGRATIONS));
    const asked = [
      `SELECT count(*) FROM registration WHERE gateway_id = x'00' AND state = 'verified'`,
      `SELECT count(*) FROM registration WHERE gateway_id = x'00' AND state = 'challenged' AND challenged_at >= 1`,
      `SELECT * FROM registration WHERE pne = x'00' AND state = 'verified'`,
      `SELECT * FROM registration WHERE state = 'challenged' AND challenged_at < 1 LIMIT 1`,
      `SELECT * FROM registration WHERE state = 'verified' AND deadline < 1 LIMIT 1`,
      `SELECT * FROM registration WHERE join_id = x'00'`,
      `SELECT * FROM outbox WHERE gateway_id = x'00' AND delivery_id > 1 ORDER BY delivery_id LIMIT 1`,
      `DELETE FROM outbox WHERE join_id = x'00'`,
    ];
    for (const query of asked)
      for (const { detail } of sql.all<{ detail: string }>(`EXPLAIN QUERY PLAN ${query}`))
        assert.match(detail, /^SEARCH /, query);
  });
});

describe('token buckets', () => {
  it('let a burst through and then the rate', () => {
    const buckets = new Buckets({ burst: 3, perSecond: 0.5 });
    assert.deepEqual(
      [0, 1, 2, 3].map(() => buckets.take('a', 1_000)),
      [0, 0, 0, 2],
    );
    assert.equal(buckets.take('b', 1_000), 0);
    assert.equal(buckets.take('a', 3_000), 0);
    assert.equal(buckets.take('a', 3_000), 2);
    assert.equal(buckets.take('a', 1_000_000), 0);
  });

  it('name hosts: IPv4 whole, IPv6 by /64', () => {
    assert.equal(addressName('192.0.2.1'), '192.0.2.1');
    assert.equal(addressName('::ffff:192.0.2.1'), '192.0.2.1');
    assert.equal(addressName('2001:db8:1:2:3:4:5:6'), '2001:db8:1:2');
    assert.equal(addressName('2001:db8:1:2::9'), '2001:db8:1:2');
    assert.equal(addressName('2001:db8::9'), '2001:db8:0:0');
    assert.equal(addressName('::1'), addressName('::2'));
    assert.equal(addressName(undefined), '');
  });
});
