/**
 * Opening an SQLite file the one way this project does.
 * Owns durability (WAL, synchronous=FULL: a committed transaction survives kill -9 and loss of power), the file's mode
 * 0600, the integrity check and versioned migrations. Must not know any table: each store brings its own migrations.
 * Source: docs/protocol.md §12, design §6.
 */
import { chmodSync, closeSync, openSync } from 'node:fs';
import { dirname } from 'node:path';
import { CpnsError } from '../base/errors.ts';
import { connectDatabase, type Database, faultOf, isDamage } from './sqlite-driver.ts';

export { type Database, faultOf, isBusy, isUniqueViolation, type Statement } from './sqlite-driver.ts';

export interface DatabaseOptions {
  /** Milliseconds to wait for another process's write before giving up; default 5,000. */
  readonly busyTimeoutMs?: number;
  /** Skips the check of the whole file, for a command that only looks; default false. */
  readonly skipIntegrityCheck?: boolean;
  /**
   * Looks at a file as it is, its program running or not: creates, changes, checks and migrates nothing, takes no lock
   * that a writer would wait for; default false.
   */
  readonly readOnly?: boolean;
}

const PRIVATE = 0o600;

/**
 * Opens or creates a database of mode 0600 and brings it to the newest version of `migrations`.
 * `migrations[n]` is SQL that leads from version n to n + 1; each runs once, in a transaction of its own with the change
 * of `user_version`, so a crash leaves a version or the next and nothing between.
 * @param path a file, or `:memory:` in tests
 * @throws CpnsError cannot-persist when it can't be opened, is damaged, or was written by a newer version; with
 * `readOnly` also when there is none or it is of an older version
 */
export function openDatabase(
  path: string,
  migrations: readonly string[],
  { busyTimeoutMs = 5_000, skipIntegrityCheck = false, readOnly = false }: DatabaseOptions = {},
): Database {
  let database: Database | undefined;
  try {
    if (path !== ':memory:' && !readOnly) createPrivately(path);
    database = connectDatabase(path, readOnly);
    database.exec(`PRAGMA busy_timeout = ${busyTimeoutMs}`);
    if (readOnly) {
      requireVersion(path, database, migrations.length);
      return database;
    }
    database.exec('PRAGMA journal_mode = WAL');
    database.exec('PRAGMA synchronous = FULL');
    database.exec('PRAGMA foreign_keys = ON');
    database.exec('PRAGMA trusted_schema = OFF');
    if (!skipIntegrityCheck) check(path, database);
    migrate(path, database, migrations);
    return database;
  } catch (cause) {
    database?.close();
    if (cause instanceof CpnsError) throw cause;
    if (isDamage(cause)) throw damaged(path, cause instanceof Error ? cause.message : '', cause);
    throw new CpnsError('cannot-persist', `${path}: ${faultOf(cause)}`, { cause });
  }
}

/** SQLite gives its -wal and -shm files the mode of the database, so the file must be private before they exist. */
function createPrivately(path: string): void {
  closeSync(openSync(path, 'a', PRIVATE));
  chmodSync(path, PRIVATE);
}

function check(path: string, database: Database): void {
  const found = database.pragma('quick_check(1)');
  if (found !== 'ok') throw damaged(path, String(found));
}

/** @param what as SQLite says it */
function damaged(path: string, what: string, cause?: unknown): CpnsError {
  const mend = `Keep a copy of ${dirname(path)} as it is, then put back a backup of it. There is none? "A damaged database" in docs/durability.md says how to save what can be read, and how each role begins anew.`;
  return new CpnsError('cannot-persist', `${path} is damaged: ${what.split('\n', 1)[0]}`, { cause, mend });
}

/** @param known the newest version this program knows */
function tooNew(path: string, version: number, known: number): CpnsError {
  const mend = `Run the newer cpns that wrote it, or put back the backup of ${dirname(path)} from before the update.`;
  const detail = `${path} is of version ${version}, this program knows up to ${known}`;
  return new CpnsError('cannot-persist', detail, { mend });
}

function migrate(path: string, database: Database, migrations: readonly string[]): void {
  const bring = () => {
    const version = versionOf(database);
    if (version > migrations.length) throw tooNew(path, version, migrations.length);
    const next = migrations[version];
    if (next === undefined) return false;
    database.exec(next);
    database.exec(`PRAGMA user_version = ${version + 1}`);
    return true;
  };
  // Under the write lock: two processes that start together do not both run one migration.
  while (database.immediate(bring));
}

function requireVersion(path: string, database: Database, newest: number): void {
  const version = versionOf(database);
  if (version > newest) throw tooNew(path, version, newest);
  if (version === newest) return;
  const detail = `${path} is of version ${version}, older than this program`;
  throw new CpnsError('cannot-persist', detail, {
    mend: 'Start the program once: it brings its file up to date.',
  });
}

function versionOf(database: Database): number {
  const version = database.pragma('user_version');
  if (typeof version !== 'number') throw new CpnsError('cannot-persist', 'the database states no version');
  return version;
}
