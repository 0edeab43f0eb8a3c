/**
 * What the initiating gateway keeps: its personal networks, their inventories and the joins it started.
 * Owns the commit rules of docs/protocol.md §12, row GW2: a join is on disk before step 7, an inventory before the server
 * is acknowledged and before step 13; inventories only grow; what is settled is never unsettled; a refusal stays until
 * the PNE acknowledged it or 7 days passed. Must not verify: what comes here was verified (src/network/inventory.ts).
 */
import { type Bytes, equal } from '../base/bytes.ts';
import { CpnsError } from '../base/errors.ts';
import { JoinId, type PnId, type TransactionId } from '../base/ids.ts';
import { type Status, statusCode } from '../base/statuses.ts';
import type { ServerSeconds } from '../base/time.ts';
import { blob, flag, type GatewayDatabase, writing } from './gateway-database.ts';
import {
  type InitiatedJoin,
  initiatedJoin,
  type JoinRow,
  type JoinState,
  type NewJoin,
  type OwnPn,
  ownPn,
  type PnRow,
} from './gateway-network-rows.ts';
import type { Statement } from './sqlite.ts';

/** A verified inventory and the facts of it that the store works with. */
export interface StoredInventory {
  readonly pnId: PnId;
  readonly version: number;
  readonly bytes: Bytes;
  readonly joinIds: readonly JoinId[];
}

export interface InventoryChange {
  /** False when the version was not higher than the stored one: nothing was written. */
  readonly stored: boolean;
  /** Joins that became live with it. */
  readonly live: readonly JoinId[];
  /** Joins of this gateway that are no members (any more): refreshed, superseded or taken out. Their records are gone. */
  readonly removed: readonly JoinId[];
}

/** Refusals that no PNE came back for are kept this long, in seconds. */
export const REFUSAL_KEPT_SECONDS = 7 * 24 * 3600;
/** Any PNE in reach can have itself refused, and each sighting is compared with every one of them: the newest stay. */
const MAX_REFUSALS = 512;

const SELECT_PN = `SELECT pn.*, inventory.version FROM pn LEFT JOIN inventory USING (pn_id)`;

/** Every write is one durable transaction. @throws CpnsError cannot-persist from each method that writes */
export class NetworkStore {
  readonly #db: GatewayDatabase;
  #changes: Statement<[], { own: number; others: number }> | undefined;

  constructor(db: GatewayDatabase) {
    this.#db = db;
  }

  // Personal networks

  /** @throws CpnsError conflict when the PN ID is taken */
  createPn(pn: { pnId: PnId; name: string; inviting: boolean }, now: ServerSeconds): void {
    writing(this.#db, () => {
      if (this.pn(pn.pnId)) throw new CpnsError('conflict', 'PN ID in use');
      this.#db
        .prepare('INSERT INTO pn (pn_id, name, inviting, created_at) VALUES (?, ?, ?, ?)')
        .run(pn.pnId, pn.name, flag(pn.inviting), now);
    });
  }

  pn(pnId: PnId): OwnPn | undefined {
    const row = this.#db.prepare<[Bytes], PnRow>(`${SELECT_PN} WHERE pn.pn_id = ?`).get(pnId);
    return row && ownPn(row);
  }

  pns(): readonly OwnPn[] {
    return this.#db.prepare<[], PnRow>(`${SELECT_PN} ORDER BY pn.created_at, pn.pn_id`).all().map(ownPn);
  }

  setInviting(pnId: PnId, inviting: boolean): void {
    writing(this.#db, () => {
      this.#db.prepare('UPDATE pn SET inviting = ? WHERE pn_id = ?').run(flag(inviting), pnId);
    });
  }

  /**
   * After `pn-id-collision`: gives a network that was never registered another PN ID. Refused joins keep the old one,
   * which is what their PNEs know.
   * @throws CpnsError conflict when it is registered or has a join that is not settled as refused
   */
  renamePn(from: PnId, to: PnId): void {
    writing(this.#db, () => {
      const pn = this.pn(from);
      if (!pn) return;
      if (!this.#removable(from)) throw new CpnsError('conflict', 'the network is in use');
      this.#db
        .prepare('INSERT INTO pn (pn_id, name, inviting, created_at) VALUES (?, ?, ?, ?)')
        .run(to, pn.name, flag(pn.inviting), pn.createdAt);
      this.#db.prepare('DELETE FROM pn WHERE pn_id = ?').run(from);
    });
  }

  /**
   * Forgets a network and its joins, save refusals that their PNEs have not heard of. `provisional`: only when it was
   * never registered and no join of it is pending, which is how a failed first join leaves nothing behind.
   * @returns whether it was removed
   */
  removePn(pnId: PnId, which: 'provisional' | 'any'): boolean {
    return writing(this.#db, () => {
      if (which === 'provisional' && !this.#removable(pnId)) return false;
      this.#db.prepare("DELETE FROM initiated_join WHERE pn_id = ? AND state <> 'refused'").run(pnId);
      return this.#db.prepare('DELETE FROM pn WHERE pn_id = ?').run(pnId).changes > 0;
    });
  }

  /**
   * Writes and takes back, so that a full disk shows before a PNE is made to sign what could not be kept here.
   * @throws CpnsError cannot-persist
   */
  proveWritable(pnId: PnId): void {
    writing(this.#db, () => {
      // SQLite does not write a row again that stays as it is.
      this.#db.prepare('UPDATE pn SET created_at = created_at + 1 WHERE pn_id = ?').run(pnId);
      this.#db.prepare('UPDATE pn SET created_at = created_at - 1 WHERE pn_id = ?').run(pnId);
    });
  }

  // Joins

  /** Before step 7. Saving the same join again is harmless. @throws CpnsError conflict for other content */
  saveJoin(join: NewJoin, now: ServerSeconds): void {
    writing(this.#db, () => {
      const known = this.join(join.joinId);
      if (known) {
        if (equal(known.response, join.response) && equal(known.rms, join.rms)) return;
        throw new CpnsError('conflict', 'join saved before with other content');
      }
      this.#db
        .prepare(
          `INSERT INTO initiated_join (join_id, txn, th3, pn_id, pne, registration, response, rms, state, created_at)
           VALUES (?, ?, ?, ?, ?, ?, ?, ?, 'pending', ?)`,
        )
        .run(
          join.joinId,
          join.txn,
          join.th3,
          join.pnId,
          join.thumbprint,
          join.registration,
          join.response,
          join.rms,
          now,
        );
    });
  }

  join(joinId: JoinId): InitiatedJoin | undefined {
    const row = this.#db
      .prepare<[Bytes], JoinRow>('SELECT * FROM initiated_join WHERE join_id = ?')
      .get(joinId);
    return row && initiatedJoin(row);
  }

  joinOfTransaction(txn: TransactionId): InitiatedJoin | undefined {
    const row = this.#db.prepare<[Bytes], JoinRow>('SELECT * FROM initiated_join WHERE txn = ?').get(txn);
    return row && initiatedJoin(row);
  }

  /** Oldest first. Without a state: every join whose PNE may come back by resumption. */
  joins(state?: JoinState): readonly InitiatedJoin[] {
    const rows = this.#db
      .prepare<[string | null], JoinRow>(
        'SELECT * FROM initiated_join WHERE state = coalesce(?, state) ORDER BY created_at, join_id',
      )
      .all(state ?? null);
    return rows.map(initiatedJoin);
  }

  /** The secret of each join whose PNE may come back, oldest first. */
  resumable(): readonly { readonly joinId: JoinId; readonly rms: Bytes }[] {
    return this.#db
      .prepare<[], Pick<JoinRow, 'join_id' | 'rms'>>(
        'SELECT join_id, rms FROM initiated_join ORDER BY created_at, join_id',
      )
      .all()
      .map(({ join_id, rms }) => ({ joinId: JoinId(blob(join_id)), rms: blob(rms) }));
  }

  /** Differs from before when anything was written meanwhile, here or by another process; costs next to nothing. */
  revision(): string {
    this.#changes ??= this.#db.prepare<[], { own: number; others: number }>(
      'SELECT total_changes() AS own, data_version AS others FROM pragma_data_version',
    );
    const { own, others } = this.#changes.get() as { own: number; others: number };
    return `${own} ${others}`;
  }

  /**
   * The server refused (step 11 without an inventory). A join that is live or was refused before stays as it is.
   * @returns the join as it now stands; undefined when it is not known here
   */
  refuseJoin(joinId: JoinId, status: Status, outcome: Bytes, now: ServerSeconds): InitiatedJoin | undefined {
    return writing(this.#db, () => {
      this.#db
        .prepare(
          `UPDATE initiated_join SET state = 'refused', status = ?, outcome = ?, settled_at = ?
           WHERE join_id = ? AND state = 'pending'`,
        )
        .run(statusCode(status), outcome, now, joinId);
      this.#dropRefusals(now);
      return this.join(joinId);
    });
  }

  /**
   * The PNE acknowledged step 13, or came back with its result; again is harmless. A refusal is over with that. With a membership the PNE forgot its earlier attempts at
   * the same network, so refusals of those go as well.
   */
  acknowledgeJoin(joinId: JoinId): void {
    writing(this.#db, () => {
      const join = this.join(joinId);
      if (join?.state === 'refused') this.#deleteJoin(joinId);
      if (join?.state !== 'live') return;
      this.#db
        .prepare('UPDATE initiated_join SET acknowledged = 1 WHERE join_id = ? AND acknowledged = 0')
        .run(joinId);
      this.#db
        .prepare(
          "DELETE FROM initiated_join WHERE state = 'refused' AND pn_id = ? AND pne = ? AND created_at <= ?",
        )
        .run(join.pnId, join.thumbprint, join.createdAt);
    });
  }

  /** Forgets a join that never reached the server's commit, such as one whose transaction the server does not know. */
  forgetPendingJoin(joinId: JoinId): void {
    writing(this.#db, () => {
      this.#db.prepare("DELETE FROM initiated_join WHERE join_id = ? AND state = 'pending'").run(joinId);
    });
  }

  /** Drops refusals older than 7 days. @returns how many */
  purgeRefusals(now: ServerSeconds): number {
    return writing(this.#db, () => this.#dropRefusals(now));
  }

  #dropRefusals(now: ServerSeconds): number {
    return this.#db
      .prepare(
        `DELETE FROM initiated_join WHERE state = 'refused' AND (settled_at < ? OR join_id NOT IN
           (SELECT join_id FROM initiated_join WHERE state = 'refused' ORDER BY settled_at DESC, rowid DESC LIMIT ?))`,
      )
      .run(now - REFUSAL_KEPT_SECONDS, MAX_REFUSALS).changes;
  }

  // Inventories

  /** The stored inventory of a network, the server's bytes untouched. */
  inventory(pnId: PnId): { readonly version: number; readonly bytes: Bytes } | undefined {
    const row = this.#db
      .prepare<[Bytes], { version: number; bytes: Bytes }>(
        'SELECT version, bytes FROM inventory WHERE pn_id = ?',
      )
      .get(pnId);
    return row && { version: row.version, bytes: blob(row.bytes) };
  }

  /**
   * Stores an inventory if its version is higher, and settles the joins it names, in one transaction. A version that is
   * not higher is a redelivery and no error; a join that only it names was superseded meanwhile and goes.
   * @throws CpnsError inventory-invalid for the stored version with other bytes, unknown-transaction for a network that
   * is not this gateway's
   */
  saveInventory(inventory: StoredInventory, now: ServerSeconds): InventoryChange {
    return writing(this.#db, () => {
      const { pnId, version, bytes } = inventory;
      if (!this.pn(pnId)) throw new CpnsError('unknown-transaction', 'inventory of an unknown network');
      const known = this.inventory(pnId);
      if (known && version <= known.version) {
        if (version === known.version && !equal(bytes, known.bytes))
          throw new CpnsError('inventory-invalid', 'two inventories of one version');
        const superseded = inventory.joinIds.filter((joinId) => this.join(joinId)?.state === 'pending');
        for (const joinId of superseded) this.#deleteJoin(joinId);
        return { stored: false, live: [], removed: superseded };
      }
      this.#db
        .prepare(
          `INSERT INTO inventory (pn_id, version, bytes) VALUES (?, ?, ?)
           ON CONFLICT (pn_id) DO UPDATE SET version = excluded.version, bytes = excluded.bytes`,
        )
        .run(pnId, version, bytes);
      return { stored: true, ...this.#settle(inventory, now) };
    });
  }

  #settle(inventory: StoredInventory, now: ServerSeconds): Pick<InventoryChange, 'live' | 'removed'> {
    const live: JoinId[] = [];
    const removed: JoinId[] = [];
    const joins = this.joins().filter((join) => equal(join.pnId, inventory.pnId));
    for (const join of joins) {
      const member = inventory.joinIds.some((joinId) => equal(joinId, join.joinId));
      if (member && join.state === 'pending') {
        this.#db
          .prepare("UPDATE initiated_join SET state = 'live', settled_at = ? WHERE join_id = ?")
          .run(now, join.joinId);
        live.push(join.joinId);
      } else if (!member && join.state === 'live') {
        this.#deleteJoin(join.joinId);
        removed.push(join.joinId);
      }
    }
    return { live, removed };
  }

  #deleteJoin(joinId: JoinId): void {
    this.#db.prepare('DELETE FROM initiated_join WHERE join_id = ?').run(joinId);
  }

  #removable(pnId: PnId): boolean {
    const busy = this.#db
      .prepare<[Bytes, Bytes], { n: number }>(
        `SELECT (SELECT count(*) FROM inventory WHERE pn_id = ?)
              + (SELECT count(*) FROM initiated_join WHERE pn_id = ? AND state <> 'refused') AS n`,
      )
      .get(pnId, pnId);
    return busy?.n === 0;
  }
}
