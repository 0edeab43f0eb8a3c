/**
 * SQLite as the stores use it, whichever library is under it: Node's own where it has one, else better-sqlite3, whose
 * addon is the only native build of this folder. One interface, two back-ends, chosen once per process.
 * Must not know a table or a pragma's meaning. Source: docs/decisions/0003-sqlite.md.
 */
import { createRequire } from 'node:module';

/** What may be bound and what comes back; byte strings come back as views that the caller copies. */
export interface Statement<Parameters extends unknown[], Row> {
  get(...parameters: Parameters): Row | undefined;
  all(...parameters: Parameters): Row[];
  run(...parameters: Parameters): { readonly changes: number };
}

export interface Database {
  readonly inTransaction: boolean;
  prepare<Parameters extends unknown[] = unknown[], Row = unknown>(sql: string): Statement<Parameters, Row>;
  exec(sql: string): void;
  /** First column of the first row that a PRAGMA gives. */
  pragma(text: string): unknown;
  /** Runs under the write lock from its beginning; what is thrown rolls everything back. */
  immediate<T>(run: () => T): T;
  /** Runs reads that all see the file as it is at the first of them, whoever writes meanwhile. */
  snapshot<T>(read: () => T): T;
  close(): void;
}

const SQLITE_BUSY = 5;
const SQLITE_CORRUPT = 11;
const SQLITE_NOTADB = 26;

/** Both libraries' errors carry one of these; extended result codes of SQLite. */
const UNIQUE_CODES: ReadonlySet<unknown> = new Set([
  'SQLITE_CONSTRAINT_UNIQUE',
  'SQLITE_CONSTRAINT_PRIMARYKEY',
  2067,
  1555,
]);

/** Whether an error means that a unique value or a primary key is taken already. */
export function isUniqueViolation(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  const { code, errcode } = error as Error & { code?: unknown; errcode?: unknown };
  return UNIQUE_CODES.has(code) || UNIQUE_CODES.has(errcode);
}

/** Whether an error, or what caused it, means that another process holds the write lock. */
export function isBusy(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  const { code, errcode, cause } = error as Error & { code?: unknown; errcode?: unknown };
  const primary = typeof errcode === 'number' ? errcode & 0xff : undefined;
  return String(code).startsWith('SQLITE_BUSY') || primary === SQLITE_BUSY || isBusy(cause);
}

const DAMAGE_CODES: ReadonlySet<unknown> = new Set([SQLITE_CORRUPT, SQLITE_NOTADB]);

/** Whether an error means that the file is damaged, or is no database at all. */
export function isDamage(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  const { code, errcode } = error as Error & { code?: unknown; errcode?: unknown };
  if (typeof errcode === 'number') return DAMAGE_CODES.has(errcode & 0xff);
  return /^SQLITE_(CORRUPT|NOTADB)/.test(String(code));
}

/** SQLITE_FULL, and SQLITE_IOERR_SHMSIZE: no room for the file beside the database through which its users agree. */
const FULL_CODES: ReadonlySet<unknown> = new Set(['SQLITE_FULL', 'SQLITE_IOERR_SHMSIZE', 13, 4874]);

/** Why a database failed, in a few words without any value of a row: `the disk is full (SQLITE_FULL)`, `SQLITE_IOERR_WRITE`. */
export function faultOf(error: unknown): string {
  if (!(error instanceof Error)) return 'database';
  const { code, errcode } = error as Error & { code?: unknown; errcode?: unknown };
  // Node's own SQLite has one word for all of them, and a number.
  const shown = errcode === undefined ? String(code ?? 'database') : `SQLite error ${errcode}`;
  return FULL_CODES.has(code) || FULL_CODES.has(errcode) ? `the disk is full (${shown})` : shown;
}

/** What the two libraries have in common, so that one adapter serves both. */
interface Connection {
  prepare(sql: string): {
    get(...parameters: unknown[]): unknown;
    all(...parameters: unknown[]): unknown[];
    run(...parameters: unknown[]): { changes: number | bigint };
  };
  exec(sql: string): unknown;
  close(): void;
}

class Adapter implements Database {
  readonly #connection: Connection;
  #inTransaction = false;
  #open = true;

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  get inTransaction(): boolean {
    return this.#inTransaction;
  }

  prepare<Parameters extends unknown[], Row>(sql: string): Statement<Parameters, Row> {
    const statement = this.#connection.prepare(sql);
    return {
      get: (...parameters) => statement.get(...parameters) as Row | undefined,
      all: (...parameters) => statement.all(...parameters) as Row[],
      run: (...parameters) => ({ changes: Number(statement.run(...parameters).changes) }),
    };
  }

  exec(sql: string): void {
    this.#connection.exec(sql);
  }

  pragma(text: string): unknown {
    const row = this.#connection.prepare(`PRAGMA ${text}`).get();
    return row && Object.values(row)[0];
  }

  immediate<T>(run: () => T): T {
    return this.#transaction('BEGIN IMMEDIATE', run);
  }

  snapshot<T>(read: () => T): T {
    return this.#transaction('BEGIN', read);
  }

  #transaction<T>(begin: string, run: () => T): T {
    if (this.#inTransaction) throw new TypeError('transactions do not nest');
    this.exec(begin);
    this.#inTransaction = true;
    try {
      const result = run();
      this.exec('COMMIT');
      return result;
    } catch (error) {
      this.#rollBack();
      throw error;
    } finally {
      this.#inTransaction = false;
    }
  }

  /** Without effect when closed. */
  close(): void {
    if (!this.#open) return;
    this.#open = false;
    this.#connection.close();
  }

  /** SQLite has rolled back by itself after some errors (a full disk); then there is nothing left to do. */
  #rollBack(): void {
    try {
      this.exec('ROLLBACK');
    } catch {
      // The error that led here is the one to report.
    }
  }
}

type Connect = (path: string, readOnly: boolean) => Connection;

/** Node's own SQLite, from 22.13 on; its absence is no error. */
function builtIn(): Connect | undefined {
  const module = process.getBuiltinModule?.('node:sqlite') as
    | { DatabaseSync: new (path: string, options: { readOnly: boolean }) => Connection }
    | undefined;
  return module && ((path, readOnly) => new module.DatabaseSync(path, { readOnly }));
}

function addon(): Connect {
  const BetterSqlite = createRequire(import.meta.url)('better-sqlite3') as new (
    path: string,
    options: { readonly: boolean },
  ) => Connection;
  return (path, readOnly) => new BetterSqlite(path, { readonly: readOnly });
}

let connect: Connect | undefined;

/**
 * Opens a file or `:memory:` without setting anything.
 * @param readOnly the file must exist, and nothing can be written through this connection
 * @throws Error of the library, with `code`, when it can't be opened
 */
export function connectDatabase(path: string, readOnly = false): Database {
  connect ??= builtIn() ?? addon();
  return new Adapter(connect(path, readOnly));
}
