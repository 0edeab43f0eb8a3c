/** A database that is damaged, is none, or is of a newer program: refused untouched, with the file, the fault and the mend. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { CpnsError } from '../../src/base/errors.ts';
import { openGatewayStore } from '../../src/store/gateway-store.ts';
import { openPneStore } from '../../src/store/pne-store.ts';
import { openServerStore } from '../../src/store/server-store.ts';
import { connectDatabase } from '../../src/store/sqlite-driver.ts';
import { loadDatabase } from '../support/database-text.ts';
import { FIXTURES } from './fixtures.ts';

const MAIN = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url));
const OPENERS = {
  server: openServerStore,
  gw2: openGatewayStore,
  pne: openPneStore,
} as const;

const DAMAGES: Readonly<Record<string, (path: string) => void>> = {
  'is no database': (path) => writeFileSync(path, 'x'.repeat(10_000)),
  'has lost its end': (path) => truncateSync(path, 4_096 * 3),
  'has a page of garbage': (path) => {
    const bytes = readFileSync(path);
    bytes.fill(0xa5, 2 * 4_096, 3 * 4_096);
    writeFileSync(path, bytes);
  },
};

describe('a database that cannot be used', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'cpns-damage-'));
  });
  afterEach(() => rmSync(folder, { recursive: true }));
  const make = (name: string, path: string) =>
    loadDatabase(path, readFileSync(join(FIXTURES, '0.1.0', `${name}.sql`), 'utf8'));

  const refusal = (open: () => unknown): CpnsError => {
    try {
      open();
    } catch (error) {
      assert.ok(error instanceof CpnsError && error.status === 'cannot-persist', String(error));
      return error;
    }
    return assert.fail('it was opened');
  };

  for (const [name, open] of Object.entries(OPENERS)) {
    for (const [what, damage] of Object.entries(DAMAGES))
      it(`${name}: ${what}`, () => {
        const path = join(folder, 'state.sqlite');
        make(name, path);
        damage(path);
        const before = readFileSync(path);
        const { message, mend = '' } = refusal(() => open(path));
        assert.match(message, /state\.sqlite is damaged: ./);
        assert.match(mend, /backup.*durability\.md/s);
        assert.deepEqual(readFileSync(path), before, 'untouched');
      });

    it(`${name}: of a newer program`, () => {
      const path = join(folder, 'state.sqlite');
      make(name, path);
      const database = connectDatabase(path);
      database.exec('PRAGMA user_version = 77');
      database.close();
      const { message, mend = '' } = refusal(() => open(path));
      assert.match(message, /state\.sqlite is of version 77, this program knows up to \d/);
      assert.match(mend, /newer cpns.*backup/s);
    });
  }

  it('a person who starts the daemon reads the same', () => {
    mkdirSync(join(folder, 'state'), { mode: 0o700 });
    const path = join(folder, 'state/server.db');
    make('server', path);
    DAMAGES['has a page of garbage']?.(path);
    const config = join(folder, 'server.toml');
    writeFileSync(config, 'realm = "op.example"\n');
    const args = ['server', 'run', '--state', join(folder, 'state'), '--config', config];
    const { status, stderr } = spawnSync(process.execPath, ['--import=tsx', MAIN, ...args], {
      encoding: 'utf8',
      timeout: 60_000,
    });
    assert.equal(status, 1);
    assert.match(stderr, /server\.db is damaged: .*\n {2}Keep a copy/);
  }).timeout(60_000);
});
