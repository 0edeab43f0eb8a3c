/**
 * What a PNE keeps on disk: owner and keys, joins from before step 6 on, inventories, the time floor and how long it has
 * been powered (docs/protocol.md §12, row PNE). Typed functions, no SQL elsewhere; each write is one durable transaction.
 */
import type { Bytes } from '../base/bytes.ts';
import { CpnsError } from '../base/errors.ts';
import { GatewayId, PnId } from '../base/ids.ts';
import type { ServerSeconds } from '../base/time.ts';
import type { KnownJoin } from '../establishment/pne-types.ts';
import {
  type KeptOwnership,
  type Membership,
  PENDING_POWERED_SECONDS,
  type StoredOwnership,
} from './pne-kept.ts';
import { PNE_MIGRATIONS } from './pne-schema.ts';
import { type Database, type DatabaseOptions, faultOf, openDatabase } from './sqlite.ts';

interface OwnershipRow {
  offer: Buffer;
  user_label: string;
  epoch: number;
  home_rms: Buffer;
  server_keys: Buffer | null;
  enrolled_at: number;
}

interface JoinRow {
  th3: Buffer;
  state: 'pending' | 'member';
  pn_id: Buffer;
  gateway_id: Buffer;
  rms: Buffer;
  capability: Buffer;
  version: number;
  inventory: Buffer | null;
}

const own = (buffer: Buffer): Bytes => new Uint8Array(buffer);

export class PneStore {
  readonly #db: Database;

  constructor(db: Database) {
    this.#db = db;
  }

  ownership(): KeptOwnership | undefined {
    const row = this.#db.prepare('SELECT * FROM ownership').get() as OwnershipRow | undefined;
    if (!row) return undefined;
    return {
      offer: own(row.offer),
      userLabel: row.user_label,
      epoch: row.epoch,
      homeRms: own(row.home_rms),
      serverKeysStatement: row.server_keys ? own(row.server_keys) : undefined,
      enrolledAt: row.enrolled_at,
    };
  }

  /** Epoch of the last claim this key signed, 0 for none; and the gateway key the present code was spent on. */
  enrolmentCode(): { readonly epoch: number; readonly spentOn: Bytes | undefined } {
    const row = this.#db.prepare('SELECT epoch, spent_on FROM enrolment_code').get() as
      | { epoch: number; spent_on: Buffer | null }
      | undefined;
    return { epoch: row?.epoch ?? 0, spentOn: row?.spent_on ? own(row.spent_on) : undefined };
  }

  /** A new code is shown: nothing was claimed under it. */
  forgetCode(): void {
    this.#write(() => this.#db.prepare('UPDATE enrolment_code SET spent_on = NULL').run());
  }

  spendCode(gatewayThumbprint: Bytes, epoch: number): void {
    this.#write(() =>
      this.#db
        .prepare('INSERT OR REPLACE INTO enrolment_code VALUES (1, ?, ?)')
        .run(epoch, gatewayThumbprint),
    );
  }

  /** The PNE has a new owner record: what it knew of others' networks stays only when the owner is the same. */
  saveOwnership(ownership: StoredOwnership, serverTime: ServerSeconds, poweredSeconds: number): void {
    this.#write(() => {
      const { offer, userLabel, epoch, homeRms } = ownership;
      this.#db
        .prepare('INSERT OR REPLACE INTO ownership VALUES (1, ?, ?, ?, ?, NULL, ?)')
        .run(offer, userLabel, epoch, homeRms, serverTime);
      this.#db.prepare('UPDATE enrolment_code SET spent_on = NULL').run();
      this.#raiseFloor(serverTime, poweredSeconds);
    });
  }

  saveServerKeys(statement: Bytes): void {
    this.#write(() => this.#db.prepare('UPDATE ownership SET server_keys = ?').run(statement));
  }

  clock(): { readonly floor: ServerSeconds; readonly poweredSeconds: number } {
    const row = this.#db.prepare('SELECT * FROM clock').get() as {
      floor: number;
      powered_seconds: number;
    };
    return { floor: row.floor, poweredSeconds: row.powered_seconds };
  }

  /** Counts powered time on; pending joins that got too old go. */
  savePowered(poweredSeconds: number): void {
    this.#write(() => {
      this.#db.prepare('UPDATE clock SET powered_seconds = max(powered_seconds, ?)').run(poweredSeconds);
      this.#db
        .prepare("DELETE FROM known_join WHERE state = 'pending' AND powered < ?")
        .run(poweredSeconds - PENDING_POWERED_SECONDS);
    });
  }

  /**
   * The floor never goes back, nor does what is known of a membership.
   * @param saidAt powered seconds when the server said it; a word kept back is older than now
   */
  saveFloor(serverTime: ServerSeconds, saidAt: number, th3: Bytes): void {
    this.#write(() => {
      this.#raiseFloor(serverTime, saidAt);
      this.#db.prepare('UPDATE known_join SET powered = max(powered, ?) WHERE th3 = ?').run(saidAt, th3);
    });
  }

  /** Powered seconds when the server last spoke of this membership; undefined when it is none. */
  freshAt(th3: Bytes): number | undefined {
    const row = this.#db
      .prepare<[Bytes], { powered: number }>(
        "SELECT powered FROM known_join WHERE state = 'member' AND th3 = ?",
      )
      .get(th3);
    return row?.powered;
  }

  /** Before step 6: with it the PNE can learn the outcome whatever happens next. */
  savePending(join: KnownJoin, serverTime: ServerSeconds, poweredSeconds: number): void {
    this.#write(() => {
      this.#raiseFloor(serverTime, poweredSeconds);
      this.#insert(join, null, poweredSeconds);
    });
  }

  forgetPending(th3: Bytes): void {
    this.#write(() =>
      this.#db.prepare("DELETE FROM known_join WHERE state = 'pending' AND th3 = ?").run(th3),
    );
  }

  /**
   * Before the acknowledgement. A newer inventory of the same join replaces the older; a new join of the same PN
   * replaces the membership and ends the pending joins written before it. An inventory may be an old one told again, so
   * it never counts as the server's fresh word: the challenge of the join did, and a freshness statement does.
   */
  saveMember(join: KnownJoin, inventory: Bytes, poweredSeconds: number): void {
    this.#write(() => {
      const known = this.#db
        .prepare<[Bytes], { powered: number }>('SELECT powered FROM known_join WHERE th3 = ?')
        .get(join.th3);
      this.#db
        .prepare(
          `DELETE FROM known_join WHERE pn_id = ? AND gateway_id = ? AND (state = 'member' OR rowid <=
             coalesce((SELECT rowid FROM known_join WHERE th3 = ?), 0))`,
        )
        .run(join.pnId, join.gatewayId, join.th3);
      this.#insert(join, inventory, known?.powered ?? poweredSeconds);
    });
  }

  /** The PNE leaves a PN by itself: keys and inventory go. @returns whether it was a member */
  forgetMember(pnId: Bytes): boolean {
    let changes = 0;
    this.#write(() => {
      const leave = "DELETE FROM known_join WHERE state = 'member' AND pn_id = ?";
      changes = this.#db.prepare(leave).run(pnId).changes;
    });
    return changes > 0;
  }

  /** Pending joins first, newest first, then memberships. */
  joins(): readonly KnownJoin[] {
    const rows = this.#db
      .prepare('SELECT * FROM known_join ORDER BY state DESC, rowid DESC')
      .all() as JoinRow[];
    return rows.map(toJoin);
  }

  memberships(): readonly Membership[] {
    const rows = this.#db
      .prepare("SELECT * FROM known_join WHERE state = 'member' ORDER BY rowid")
      .all() as JoinRow[];
    return rows.map((row) => ({ join: toJoin(row), inventory: own(row.inventory ?? Buffer.alloc(0)) }));
  }

  close(): void {
    this.#db.close();
  }

  #insert(join: KnownJoin, inventory: Bytes | null, poweredSeconds: number): void {
    const { th3, state, pnId, gatewayId, rms, capability, version } = join;
    this.#db
      .prepare('INSERT INTO known_join VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)')
      .run(th3, state, pnId, gatewayId, rms, capability, version, inventory, poweredSeconds);
  }

  #raiseFloor(serverTime: ServerSeconds, poweredSeconds: number): void {
    this.#db
      .prepare('UPDATE clock SET floor = max(floor, ?), powered_seconds = max(powered_seconds, ?)')
      .run(serverTime, poweredSeconds);
  }

  /** @throws CpnsError cannot-persist */
  #write(change: () => unknown): void {
    try {
      this.#db.immediate(change);
    } catch (cause) {
      throw new CpnsError('cannot-persist', faultOf(cause), { cause });
    }
  }
}

/**
 * Opens the PNE's file, creating it with mode 0600 or bringing it to the present version.
 * @throws CpnsError cannot-persist when it can't be opened or is of a newer version
 */
export function openPneStore(path: string, options?: DatabaseOptions): PneStore {
  return new PneStore(openDatabase(path, PNE_MIGRATIONS, options));
}

function toJoin(row: JoinRow): KnownJoin {
  return {
    state: row.state,
    pnId: PnId(own(row.pn_id)),
    gatewayId: GatewayId(own(row.gateway_id)),
    th3: own(row.th3),
    rms: own(row.rms),
    capability: own(row.capability),
    version: row.version,
  };
}
