/**
 * The whole content of a database as text that can be compared: version, schema and every row of every table, whatever the
 * store's own functions choose to show. Reads only.
 */
import { connectDatabase } from '../../src/store/sqlite-driver.ts';

export type Dump = Readonly<Record<string, readonly string[] | number>>;

/** @param path of a file that some store has opened before */
export function dumpDatabase(path: string): Dump {
  const database = connectDatabase(path);
  try {
    const tables = database
      .prepare<[], { name: string }>("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name")
      .all();
    const dump: Record<string, readonly string[] | number> = {
      version: Number(database.pragma('user_version')),
    };
    for (const { name } of tables) {
      const rows = database.prepare<[], Record<string, unknown>>(`SELECT * FROM "${name}"`).all();
      dump[name] = rows.map((row) => JSON.stringify(row, readable)).sort();
    }
    return dump;
  } finally {
    database.close();
  }
}

function readable(this: Record<string, unknown>, key: string): unknown {
  const value = this[key];
  return value instanceof Uint8Array ? Buffer.from(value).toString('hex') : value;
}
