/**
 * What a PNE keeps, as one value and the changes to it: the rules of src/store/pne-store.ts for a store that has no SQL
 * (docs/protocol.md §12, row PNE). Pure; a test holds every change to what the SQL does. Owns no disk and no clock.
 */
import { type Bytes, equal } from '../../base/bytes.ts';
import { CpnsError } from '../../base/errors.ts';
import type { ServerSeconds } from '../../base/time.ts';
import type { KnownJoin } from '../../establishment/pne-types.ts';
import {
  type KeptOwnership,
  type Membership,
  PENDING_POWERED_SECONDS,
  type StoredOwnership,
} from '../../store/pne-kept.ts';

export interface JoinRecord extends KnownJoin {
  /** The signed inventory, exact bytes; none while pending. */
  readonly inventory: Bytes | undefined;
  /** Powered seconds when the server's last word of it came. */
  readonly powered: number;
}

export interface PneRecords {
  readonly ownership: KeptOwnership | undefined;
  /** Epoch of the last claim this key signed, 0 for none; and the gateway key the present code was spent on. */
  readonly code: { readonly epoch: number; readonly spentOn: Bytes | undefined };
  readonly floor: ServerSeconds;
  readonly poweredSeconds: number;
  /** In the order they were written. */
  readonly joins: readonly JoinRecord[];
}

export const NO_RECORDS: PneRecords = {
  ownership: undefined,
  code: { epoch: 0, spentOn: undefined },
  floor: 0,
  poweredSeconds: 0,
  joins: [],
};

/** A change says what is to be kept instead. @throws CpnsError cannot-persist when the two can't both be true */
export type Change = (records: PneRecords) => PneRecords;

const isJoin = (th3: Bytes) => (join: JoinRecord) => equal(join.th3, th3);

/** A new code came into play: nothing was claimed under it. */
export const forgetCode: Change = (records) => ({
  ...records,
  code: { ...records.code, spentOn: undefined },
});

export const spendCode =
  (gatewayThumbprint: Bytes, epoch: number): Change =>
  (records) => ({ ...records, code: { epoch, spentOn: gatewayThumbprint } });

export const saveOwnership =
  (ownership: StoredOwnership, serverTime: ServerSeconds, poweredSeconds: number): Change =>
  (records) => ({
    ...raised(records, serverTime, poweredSeconds),
    ownership: { ...ownership, serverKeysStatement: undefined, enrolledAt: serverTime },
    code: { ...records.code, spentOn: undefined },
  });

export const saveServerKeys =
  (statement: Bytes): Change =>
  (records) => ({
    ...records,
    ownership: records.ownership && { ...records.ownership, serverKeysStatement: statement },
  });

/** Counts powered time on; pending joins that got too old go. */
export const savePowered =
  (poweredSeconds: number): Change =>
  (records) => ({
    ...raised(records, 0, poweredSeconds),
    joins: records.joins.filter(
      ({ state, powered }) => state === 'member' || powered >= poweredSeconds - PENDING_POWERED_SECONDS,
    ),
  });

/** @param saidAt powered seconds when the server said it; a word kept back is older than now */
export const saveFloor =
  (serverTime: ServerSeconds, saidAt: number, th3: Bytes): Change =>
  (records) => ({
    ...raised(records, serverTime, saidAt),
    joins: records.joins.map((join) =>
      isJoin(th3)(join) ? { ...join, powered: Math.max(join.powered, saidAt) } : join,
    ),
  });

/** Before step 6: with it the PNE can learn the outcome whatever happens next. */
export const savePending =
  (join: KnownJoin, serverTime: ServerSeconds, poweredSeconds: number): Change =>
  (records) =>
    added(raised(records, serverTime, poweredSeconds), {
      ...join,
      inventory: undefined,
      powered: poweredSeconds,
    });

export const forgetPending =
  (th3: Bytes): Change =>
  (records) => ({
    ...records,
    joins: records.joins.filter((join) => join.state !== 'pending' || !isJoin(th3)(join)),
  });

/**
 * Before the acknowledgement. A newer inventory of the same join replaces the older; a new join of the same PN replaces
 * the membership and ends the pending joins written before it. An inventory never counts as the server's fresh word.
 */
export const saveMember =
  (join: KnownJoin, inventory: Bytes, poweredSeconds: number): Change =>
  (records) => {
    const at = records.joins.findIndex(isJoin(join.th3));
    const joins = records.joins.filter((other, index) => {
      const sameNetwork = equal(other.pnId, join.pnId) && equal(other.gatewayId, join.gatewayId);
      return !(sameNetwork && (other.state === 'member' || index <= at));
    });
    const powered = records.joins[at]?.powered ?? poweredSeconds;
    return added({ ...records, joins }, { ...join, inventory, powered });
  };

/** The PNE leaves a PN by itself: keys and inventory go. */
export const forgetMember =
  (pnId: Bytes): Change =>
  (records) => ({
    ...records,
    joins: records.joins.filter((join) => join.state !== 'member' || !equal(join.pnId, pnId)),
  });

/** Pending joins first, newest first, then memberships. */
export function joinsOf({ joins }: PneRecords): readonly JoinRecord[] {
  const newestFirst = joins.toReversed();
  return [
    ...newestFirst.filter(({ state }) => state === 'pending'),
    ...newestFirst.filter(({ state }) => state === 'member'),
  ];
}

export function membershipsOf({ joins }: PneRecords): readonly Membership[] {
  return joins.flatMap((join) =>
    join.state === 'member' && join.inventory ? [{ join, inventory: join.inventory }] : [],
  );
}

/** Powered seconds when the server last spoke of this membership; undefined when it is none. */
export function freshAt({ joins }: PneRecords, th3: Bytes): number | undefined {
  return joins.find((join) => join.state === 'member' && isJoin(th3)(join))?.powered;
}

function raised(records: PneRecords, serverTime: ServerSeconds, poweredSeconds: number): PneRecords {
  return {
    ...records,
    floor: Math.max(records.floor, serverTime),
    poweredSeconds: Math.max(records.poweredSeconds, poweredSeconds),
  };
}

function added(records: PneRecords, join: JoinRecord): PneRecords {
  if (records.joins.some(isJoin(join.th3))) throw new CpnsError('cannot-persist', 'a join is written once');
  const isSecond = (other: JoinRecord) => other.state === 'member' && equal(other.pnId, join.pnId);
  if (join.state === 'member' && records.joins.some(isSecond))
    throw new CpnsError('cannot-persist', 'one membership a network');
  return { ...records, joins: [...records.joins, join] };
}
