/**
 * What a PNE keeps, whatever it keeps it in: SQLite on a host, IndexedDB in a browser (docs/protocol.md §12, row PNE).
 * Types and the one limit only; no store. What is read is what was written: a write counts from when it settles.
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

/** A write that a host does at once and a browser later. @throws or rejects with CpnsError cannot-persist */
type Written = void | Promise<void>;

/** The store as links need it; src/store/pne-store.ts says what each does. */
export interface PneKeeper {
  ownership(): KeptOwnership | undefined;
  enrolmentCode(): { readonly epoch: number; readonly spentOn: Bytes | undefined };
  clock(): { readonly floor: ServerSeconds; readonly poweredSeconds: number };
  joins(): readonly KnownJoin[];
  freshAt(th3: Bytes): number | undefined;
  spendCode(gatewayThumbprint: Bytes, epoch: number): Written;
  saveOwnership(ownership: StoredOwnership, serverTime: ServerSeconds, poweredSeconds: number): Written;
  saveServerKeys(statement: Bytes): Written;
  saveFloor(serverTime: ServerSeconds, saidAt: number, th3: Bytes): Written;
  savePending(join: KnownJoin, serverTime: ServerSeconds, poweredSeconds: number): Written;
  forgetPending(th3: Bytes): Written;
  saveMember(join: KnownJoin, inventory: Bytes, poweredSeconds: number): Written;
}
