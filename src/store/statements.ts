/**
 * Prepared statements and durable transactions over one database, as the server's store uses them.
 * Owns the cache of statements and how a failed write is reported. Must not know any table.
 */
import type { Bytes } from '../base/bytes.ts';
import { CpnsError } from '../base/errors.ts';
import { type Database, faultOf, type Statement } from './sqlite.ts';

export type SqlValue = number | string | Bytes | null;

/** Thrown inside a transaction when what it rests on is no longer so: everything is rolled back, and may be tried anew. */
export class StaleError extends Error {
  override readonly name = 'StaleError';
}

export class Statements {
  readonly database: Database;
  readonly #prepared = new Map<string, Statement<SqlValue[], unknown>>();

  constructor(database: Database) {
    this.database = database;
  }

  /** The first row, if there is one. */
  one<Row>(sql: string, ...parameters: SqlValue[]): Row | undefined {
    return this.#statement(sql).get(...parameters) as Row | undefined;
  }

  all<Row>(sql: string, ...parameters: SqlValue[]): readonly Row[] {
    return this.#statement(sql).all(...parameters) as Row[];
  }

  /** @returns how many rows it changed */
  run(sql: string, ...parameters: SqlValue[]): number {
    return this.#statement(sql).run(...parameters).changes;
  }

  /** Changes exactly one row. @throws StaleError when it changed none */
  change(sql: string, ...parameters: SqlValue[]): void {
    if (this.run(sql, ...parameters) === 0) throw new StaleError('the row is not as it was');
  }

  /**
   * Runs a write as one durable transaction under the write lock, or as part of the one that is open.
   * @throws CpnsError cannot-persist when the database fails; what the write itself throws, CpnsError or StaleError
   */
  transact<T>(write: () => T): T {
    if (this.database.inTransaction) return write();
    try {
      return this.database.immediate(write);
    } catch (cause) {
      if (cause instanceof CpnsError || cause instanceof StaleError) throw cause;
      throw new CpnsError('cannot-persist', faultOf(cause), { cause });
    }
  }

  #statement(sql: string): Statement<SqlValue[], unknown> {
    const known = this.#prepared.get(sql);
    if (known) return known;
    const prepared = this.database.prepare<SqlValue[], unknown>(sql);
    this.#prepared.set(sql, prepared);
    return prepared;
  }
}

/** A column of bytes as plain bytes of its own: rows come with Buffers that share memory. */
export function bytesOf(column: Bytes): Bytes {
  return new Uint8Array(column);
}

/** The same, where the column may be empty. */
export function maybeBytes(column: Bytes | null): Bytes | undefined {
  return column === null ? undefined : bytesOf(column);
}
