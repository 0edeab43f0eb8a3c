/**
 * The questions that the owner of a home gateway reported. A report lasts until it is withdrawn: as long as it does, its
 * gateway is answered no, and the question stays on disk as the evidence (gateway-home.ts).
 */
import type { Bytes } from '../base/bytes.ts';
import { GatewayId, JoinId } from '../base/ids.ts';
import type { ServerSeconds } from '../base/time.ts';
import { blob, type GatewayDatabase, writing } from './gateway-database.ts';

export interface Report {
  readonly joinId: JoinId;
  /** Who asked. */
  readonly gatewayId: GatewayId;
  readonly reportedAt: ServerSeconds;
}

/** Every write is one durable transaction. @throws CpnsError cannot-persist from each method that writes */
export class ReportStore {
  readonly #db: GatewayDatabase;

  constructor(db: GatewayDatabase) {
    this.#db = db;
  }

  /** Oldest first. */
  all(): readonly Report[] {
    return this.#db
      .prepare<[], { join_id: Bytes; gateway_id: Bytes; reported_at: number }>(
        'SELECT * FROM report ORDER BY reported_at, join_id',
      )
      .all()
      .map((row) => ({
        joinId: JoinId(blob(row.join_id)),
        gatewayId: GatewayId(blob(row.gateway_id)),
        reportedAt: row.reported_at,
      }));
  }

  /** Reporting the same question twice is harmless. */
  save({ joinId, gatewayId, reportedAt }: Report): void {
    writing(this.#db, () => {
      this.#db
        .prepare(
          'INSERT INTO report (join_id, gateway_id, reported_at) VALUES (?, ?, ?) ON CONFLICT (join_id) DO NOTHING',
        )
        .run(joinId, gatewayId, reportedAt);
    });
  }

  withdraw(joinId: JoinId): void {
    writing(this.#db, () => {
      this.#db.prepare('DELETE FROM report WHERE join_id = ?').run(joinId);
    });
  }
}
