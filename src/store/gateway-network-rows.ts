/**
 * Rows of an initiating gateway's networks as the records the program works with, and nothing else.
 * Owns the names of columns on the way out. Must not hold a statement.
 */
import type { Bytes } from '../base/bytes.ts';
import { JoinId, PnId, Thumbprint, TransactionId } from '../base/ids.ts';
import { type Status, statusOf } from '../base/statuses.ts';
import type { ServerSeconds } from '../base/time.ts';
import { blob } from './gateway-database.ts';

export interface OwnPn {
  readonly pnId: PnId;
  readonly name: string;
  /** PNEs that set JOIN may be asked to join. */
  readonly inviting: boolean;
  readonly createdAt: ServerSeconds;
  /** Provisional until the first inventory is stored. */
  readonly setup: 'provisional' | 'live';
  /** 0 while provisional. */
  readonly version: number;
}

export type JoinState = 'pending' | 'live' | 'refused';

/** What must be on disk before step 7 is sent. */
export interface NewJoin {
  readonly joinId: JoinId;
  readonly txn: TransactionId;
  /** 32 bytes. */
  readonly th3: Bytes;
  readonly pnId: PnId;
  readonly thumbprint: Thumbprint;
  /** Body of step 3, to repeat it after a restart. */
  readonly registration: Bytes;
  /** Step 6 as received, to send and repeat as step 7. */
  readonly response: Bytes;
  /** Secret, 32 bytes: finds and opens the resumption of this join. */
  readonly rms: Bytes;
}

export interface InitiatedJoin extends NewJoin {
  readonly state: JoinState;
  /** `ok` while live, why when refused, absent while pending. */
  readonly status?: Status;
  /** The server's signed outcome of a refusal. */
  readonly outcome?: Bytes;
  /** The PNE has acknowledged the inventory or the outcome. */
  readonly acknowledged: boolean;
  readonly createdAt: ServerSeconds;
  readonly settledAt?: ServerSeconds;
}

export interface JoinRow {
  join_id: Bytes;
  txn: Bytes;
  th3: Bytes;
  pn_id: Bytes;
  pne: Bytes;
  registration: Bytes;
  response: Bytes;
  rms: Bytes;
  state: JoinState;
  status: number | null;
  outcome: Bytes | null;
  acknowledged: number;
  created_at: number;
  settled_at: number | null;
}

export interface PnRow {
  pn_id: Bytes;
  name: string;
  inviting: number;
  created_at: number;
  version: number | null;
}

export function ownPn(row: PnRow): OwnPn {
  return {
    pnId: PnId(blob(row.pn_id)),
    name: row.name,
    inviting: row.inviting === 1,
    createdAt: row.created_at,
    setup: row.version === null ? 'provisional' : 'live',
    version: row.version ?? 0,
  };
}

export function initiatedJoin(row: JoinRow): InitiatedJoin {
  const status = row.state === 'live' ? 'ok' : row.status === null ? undefined : statusOf(row.status);
  return {
    joinId: JoinId(blob(row.join_id)),
    txn: TransactionId(blob(row.txn)),
    th3: blob(row.th3),
    pnId: PnId(blob(row.pn_id)),
    thumbprint: Thumbprint(blob(row.pne)),
    registration: blob(row.registration),
    response: blob(row.response),
    rms: blob(row.rms),
    state: row.state,
    acknowledged: row.acknowledged === 1,
    createdAt: row.created_at,
    ...(status === undefined ? {} : { status }),
    ...(row.outcome === null ? {} : { outcome: blob(row.outcome) }),
    ...(row.settled_at === null ? {} : { settledAt: row.settled_at }),
  };
}
