/**
 * A database as SQL text: its tables, indexes, rows and version, in an order that depends on nothing but the content.
 * For fixtures that outlive the program that wrote them, and for fingerprints of schemas.
 */
import { connectDatabase } from '../../src/store/sqlite-driver.ts';

interface SchemaRow {
  readonly type: string;
  readonly name: string;
  readonly sql: string | null;
}

/** @param path of a database that nobody writes to */
export function databaseText(path: string): string {
  const database = connectDatabase(path);
  try {
    const schema = database
      .prepare<[], SchemaRow>(
        "SELECT type, name, sql FROM sqlite_schema WHERE name NOT LIKE 'sqlite_%' ORDER BY type DESC, rowid",
      )
      .all();
    const rowsOf = (table: string): readonly string[] =>
      database
        .prepare<[], Record<string, unknown>>(`SELECT * FROM "${table}"`)
        .all()
        .map((row) => {
          const names = Object.keys(row).map((name) => `"${name}"`);
          return `INSERT INTO "${table}" (${names.join(', ')}) VALUES (${Object.values(row).map(literal).join(', ')});`;
        });
    const tables = schema.filter(({ type }) => type === 'table');
    const counters = database
      .prepare<[], { name: string }>("SELECT name FROM sqlite_schema WHERE name = 'sqlite_sequence'")
      .all();
    return [
      'PRAGMA foreign_keys = OFF;',
      'BEGIN;',
      ...schema.map(({ sql }) => `${sql};`),
      ...tables.flatMap(({ name }) => rowsOf(name)),
      // AUTOINCREMENT's counters: inserting the rows has set them, perhaps too low.
      ...counters.flatMap(({ name }) => ['DELETE FROM sqlite_sequence;', ...rowsOf(name)]),
      `PRAGMA user_version = ${database.pragma('user_version')};`,
      'COMMIT;',
      '',
    ].join('\n');
  } finally {
    database.close();
  }
}

function literal(value: unknown): string {
  if (value === null) return 'NULL';
  if (typeof value === 'number' || typeof value === 'bigint') return `${value}`;
  if (value instanceof Uint8Array) return `X'${Buffer.from(value).toString('hex')}'`;
  return `'${String(value).replaceAll("'", "''")}'`;
}

/** Makes the database of a text. @param path of a file that is not there yet */
export function loadDatabase(path: string, text: string): void {
  const database = connectDatabase(path);
  try {
    database.exec(text);
    // As every store leaves it.
    database.exec('PRAGMA journal_mode = WAL');
  } finally {
    database.close();
  }
}
