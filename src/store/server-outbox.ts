/**
 * What gateways have to be told, until they acknowledge. Entries are written with the change they tell of
 * (server-registrations.ts); here they are read and taken out. Delivered at least once: an acknowledgement that is lost
 * costs a repetition and nothing else, so that acknowledgements may be written together.
 */
import type { GatewayId } from '../base/ids.ts';
import { type Delivery, deliveryOf, type OutboxColumns } from './server-rows.ts';
import type { Statements } from './statements.ts';

export interface Acknowledgement {
  readonly gatewayId: GatewayId;
  readonly deliveryId: number;
}

export class OutboxStore {
  readonly #sql: Statements;

  constructor(statements: Statements) {
    this.#sql = statements;
  }

  /** The next entries for a gateway behind `after`, oldest first. */
  deliveries(gatewayId: GatewayId, after: number, atMost: number): readonly Delivery[] {
    const sql = 'SELECT * FROM outbox WHERE gateway_id = ? AND delivery_id > ? ORDER BY delivery_id LIMIT ?';
    return this.#sql.all<OutboxColumns>(sql, gatewayId, after, atMost).map(deliveryOf);
  }

  /**
   * Takes out what was acknowledged, in one transaction.
   * @returns what they were; nothing for one that was taken out before or is not that gateway's
   */
  acknowledge(acknowledgements: readonly Acknowledgement[]): readonly Delivery[] {
    return this.#sql.transact(() =>
      acknowledgements.flatMap(({ gatewayId, deliveryId }) => {
        const sql = 'DELETE FROM outbox WHERE delivery_id = ? AND gateway_id = ? RETURNING *';
        const row = this.#sql.one<OutboxColumns>(sql, deliveryId, gatewayId);
        if (row?.kind === 'pne-confirm-request')
          this.#sql.run('UPDATE registration SET delivered = 1 WHERE join_id = ?', row.join_id);
        return row ? [deliveryOf(row)] : [];
      }),
    );
  }
}
