/**
 * What the gateway's stores share: the transaction around a write, and plain values out of rows.
 * Owns how a failed write is reported. Must not know any table.
 */
import type { Bytes } from '../base/bytes.ts';
import { CpnsError } from '../base/errors.ts';
import { type Database, faultOf } from './sqlite.ts';

export type GatewayDatabase = Database;

/**
 * Runs a write as one durable transaction, or as part of the one that is open.
 * @throws CpnsError cannot-persist when the database fails, and whatever CpnsError the write itself throws
 */
export function writing<T>(db: GatewayDatabase, write: () => T): T {
  if (db.inTransaction) return write();
  try {
    return db.immediate(write);
  } catch (cause) {
    if (cause instanceof CpnsError) throw cause;
    throw new CpnsError('cannot-persist', faultOf(cause), { cause });
  }
}

/** A column of bytes as plain bytes of its own: rows come with Buffers that share memory. */
export function blob(column: Bytes): Bytes {
  return new Uint8Array(column);
}

/** SQLite's form of a truth value. */
export function flag(value: boolean): 0 | 1 {
  return value ? 1 : 0;
}
