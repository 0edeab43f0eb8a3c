/**
 * Everything the server keeps, in one SQLite file: whom it knows (server-directory.ts), registrations with networks,
 * evidence and outbox (server-registrations.ts), and the last time it was sure of. No SQL elsewhere.
 * Must not hold: private keys (they are files), secrets of tokens (only their hash). Source: docs/protocol.md §12.
 */
import { CpnsError } from '../base/errors.ts';
import type { ServerSeconds } from '../base/time.ts';
import { DirectoryStore } from './server-directory.ts';
import { OutboxStore } from './server-outbox.ts';
import { RegistrationStore } from './server-registrations.ts';
import { SERVER_MIGRATIONS } from './server-schema.ts';
import { type DatabaseOptions, openDatabase } from './sqlite.ts';
import { Statements } from './statements.ts';

export type { NewPne } from './server-directory.ts';
export type * from './server-directory-rows.ts';
export type { Acknowledgement } from './server-outbox.ts';
export type { PnRecord } from './server-registrations.ts';
export { REFUSAL_KEPT_SECONDS } from './server-registrations.ts';
export type { Delivery, EvidenceRecord } from './server-rows.ts';
export { StaleError } from './statements.ts';

interface ServerRow {
  realm: string;
  hosts: string;
  high_water: number;
}

export class ServerStore {
  readonly directory: DirectoryStore;
  readonly registrations: RegistrationStore;
  readonly outbox: OutboxStore;
  readonly #sql: Statements;

  constructor(statements: Statements) {
    this.#sql = statements;
    this.directory = new DirectoryStore(statements);
    this.registrations = new RegistrationStore(statements);
    this.outbox = new OutboxStore(statements);
  }

  /** The operator's realm; undefined before {@link initialise}. */
  get realm(): string | undefined {
    return this.#row()?.realm;
  }

  /** Host names and addresses by which gateways dial, as its TLS certificate states them. */
  get hosts(): readonly string[] {
    return JSON.parse(this.#row()?.hosts ?? '[]') as readonly string[];
  }

  /** @throws CpnsError conflict when it was initialised before */
  initialise(realm: string, hosts: readonly string[], now: ServerSeconds): void {
    this.#sql.transact(() => {
      if (this.#row()) throw new CpnsError('conflict', 'the state directory is initialised already');
      const names = JSON.stringify(hosts);
      this.#sql.run(
        'INSERT INTO server (id, realm, hosts, high_water) VALUES (1, ?, ?, ?)',
        ...[realm, names, now],
      );
    });
  }

  /** The last time the server was sure of. */
  get highWater(): ServerSeconds {
    return this.#row()?.high_water ?? 0;
  }

  /** Raises the last sure time; never lowers it. */
  raiseHighWater(now: ServerSeconds): void {
    this.#sql.transact(() => this.#sql.run('UPDATE server SET high_water = max(high_water, ?)', now));
  }

  /** Takes this time for the right one, earlier or later: an operator has looked at it. */
  setHighWater(now: ServerSeconds): void {
    this.#sql.transact(() => this.#sql.run('UPDATE server SET high_water = ?', now));
  }

  /** Whether the database can be written, found out by a write. */
  isWritable(): boolean {
    try {
      // There and back: SQLite does not write a row again that stays as it is.
      this.#sql.transact(() => {
        this.#sql.run('UPDATE server SET high_water = high_water + 1');
        this.#sql.run('UPDATE server SET high_water = high_water - 1');
      });
      return true;
    } catch {
      return false;
    }
  }

  close(): void {
    this.#sql.database.close();
  }

  #row(): ServerRow | undefined {
    return this.#sql.one<ServerRow>('SELECT * FROM server');
  }
}

/**
 * Opens the server's file, creating it with mode 0600 or bringing it to the present version.
 * @throws CpnsError cannot-persist when it can't be opened or is of a newer version
 */
export function openServerStore(path: string, options?: DatabaseOptions): ServerStore {
  return new ServerStore(new Statements(openDatabase(path, SERVER_MIGRATIONS, options)));
}
