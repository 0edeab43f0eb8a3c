/**
 * What a PNE keeps, whatever it keeps it in: SQLite on a host, IndexedDB in a browser (docs/protocol.md §12, row PNE).
 * Types and the one limit only; no store.
 */
import type { Bytes } from '../base/bytes.ts';
import type { ServerSeconds } from '../base/time.ts';
import type { KnownJoin } from '../establishment/pne-types.ts';

/** A join is forgotten unsettled after the PNE was powered this long. */
export const PENDING_POWERED_SECONDS = 24 * 3600;

export interface StoredOwnership {
  /** EnrolOfferPayload as verified: keys, home address, credential. */
  readonly offer: Bytes;
  readonly userLabel: string;
  readonly epoch: number;
  /** 32 bytes. */
  readonly homeRms: Bytes;
  readonly serverKeysStatement: Bytes | undefined;
}

export interface Membership {
  readonly join: KnownJoin;
  /** The signed inventory, exact bytes. */
  readonly inventory: Bytes;
}

export interface KeptOwnership extends StoredOwnership {
  /** The server's time in the receipt. */
  readonly enrolledAt: ServerSeconds;
}
