/**
 * Everything a gateway keeps on disk, in one SQLite file: its enrolment here, what it is as an initiating gateway in
 * gateway-networks.ts, what it is as a home gateway in gateway-home.ts and gateway-reports.ts. No SQL elsewhere.
 * Must not hold: identity keys (they are files of the keystore), enrolment codes and back-offs (memory only).
 * Source: docs/protocol.md §12, rows GW1 and GW2.
 */
import type { Bytes } from '../base/bytes.ts';
import type { ServerSeconds } from '../base/time.ts';
import { GatewayEnrolment } from '../messages/enrolment.ts';
import { blob, type GatewayDatabase, writing } from './gateway-database.ts';
import { HomeStore } from './gateway-home.ts';
import { NetworkStore } from './gateway-networks.ts';
import { type Report, ReportStore } from './gateway-reports.ts';
import { GATEWAY_MIGRATIONS } from './gateway-schema.ts';
import { type DatabaseOptions, openDatabase } from './sqlite.ts';

export type {
  ConfirmDecision,
  ConfirmRecord,
  ConfirmState,
  HomePne,
} from './gateway-home.ts';
export { HomeStore } from './gateway-home.ts';
export type { InitiatedJoin, JoinState, NewJoin, OwnPn } from './gateway-network-rows.ts';
export type { InventoryChange, StoredInventory } from './gateway-networks.ts';
export { NetworkStore } from './gateway-networks.ts';
export type { Report };

/** What enrolment at the server gave: its address, and its answer with certificates, credential, keys and labels. */
export interface StoredEnrolment {
  /** `https://host[:port]`. */
  readonly serverUrl: string;
  readonly answer: GatewayEnrolment;
  readonly receivedAt: ServerSeconds;
}

export class GatewayStore {
  readonly networks: NetworkStore;
  readonly home: HomeStore;
  readonly reports: ReportStore;
  readonly #db: GatewayDatabase;

  constructor(db: GatewayDatabase) {
    this.#db = db;
    this.networks = new NetworkStore(db);
    this.home = new HomeStore(db);
    this.reports = new ReportStore(db);
  }

  /** Undefined until the gateway is enrolled at a server. */
  enrolment(): StoredEnrolment | undefined {
    const row = this.#db
      .prepare<[], { server_url: string; body: Bytes; received_at: number }>(
        'SELECT server_url, body, received_at FROM enrolment',
      )
      .get();
    if (!row) return undefined;
    const answer = GatewayEnrolment.decode(blob(row.body));
    return { serverUrl: row.server_url, answer, receivedAt: row.received_at };
  }

  /** Takes the place of an earlier one. @throws CpnsError cannot-persist */
  saveEnrolment(enrolment: StoredEnrolment): void {
    const body = GatewayEnrolment.encode(enrolment.answer);
    writing(this.#db, () => {
      this.#db
        .prepare('INSERT OR REPLACE INTO enrolment (id, server_url, body, received_at) VALUES (1, ?, ?, ?)')
        .run(enrolment.serverUrl, body, enrolment.receivedAt);
    });
  }

  close(): void {
    this.#db.close();
  }
}

/**
 * Opens the gateway's file, creating it with mode 0600 or bringing it to the present version.
 * @throws CpnsError cannot-persist when it can't be opened or is of a newer version
 */
export function openGatewayStore(path: string, options?: DatabaseOptions): GatewayStore {
  return new GatewayStore(openDatabase(path, GATEWAY_MIGRATIONS, options));
}
