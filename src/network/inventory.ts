/**
 * A PN's inventory, as the server signed it: the checks of whoever receives one, and how two versions differ.
 * Owns the order of those checks; the server's current word is never inferred, only compared with what is held.
 * Pure. Source: docs/protocol.md §6.5, §13; protocol-core §4 ("at 13", "GW2 at 11").
 */
import { type Bytes, EMPTY, equal } from '../base/bytes.ts';
import { CpnsError } from '../base/errors.ts';
import type { GatewayId, JoinId, PnId } from '../base/ids.ts';
import { InventoryPayload, type Member } from '../messages/inventory.ts';
import type { Primitives } from '../security/primitives.ts';
import { keysFor, type ServerKeys } from '../security/server-keys.ts';
import { openSigned } from '../security/signed-message.ts';

/** What the receiver of an inventory knows already; what is absent is not checked. */
export interface InventoryExpectation {
  readonly pnId: PnId;
  /** The gateway of the PN: for a gateway, itself. */
  readonly gatewayId: GatewayId;
  /** Version held, 0 for none: a lower one is refused, the same is a repetition. */
  readonly atLeastVersion: number;
  /** A join that has to be among the members. */
  readonly joinId?: JoinId | undefined;
  /** What the PNE of that join said in step 2. */
  readonly capability?: Bytes | undefined;
}

/**
 * Verifies a signed inventory and what it has to say.
 * @param sign1 the server's COSE_Sign1, at most 7,168 bytes
 * @throws CpnsError inventory-invalid, or malformed
 */
export function verifyInventory(
  primitives: Primitives,
  keys: ServerKeys,
  sign1: Bytes,
  expected: InventoryExpectation,
): InventoryPayload {
  const { value } = openSigned(
    primitives,
    InventoryPayload,
    keysFor(keys),
    EMPTY,
    sign1,
    'inventory-invalid',
  );
  if (!equal(value.pnId, expected.pnId)) refuse('another PN');
  if (!equal(value.gatewayId, expected.gatewayId)) refuse('another gateway');
  if (value.version < expected.atLeastVersion) refuse('version goes back');
  if (!expected.joinId) return value;
  const member = memberOf(value, expected.joinId);
  if (!member) return refuse('own join is missing');
  if (expected.capability && !equal(member.capability, expected.capability))
    refuse('own capability is changed');
  return value;
}

/** The member that came in by this join. */
export function memberOf(inventory: InventoryPayload, joinId: JoinId): Member | undefined {
  return inventory.members.find((member) => equal(member.joinId, joinId));
}

/** The join ids of all members, by handle. */
export function joinIdsOf(inventory: InventoryPayload): readonly JoinId[] {
  return inventory.members.map((member) => member.joinId);
}

/** How one version of an inventory differs from an earlier one; members are told apart by handle. */
export interface InventoryDifference {
  readonly joined: readonly Member[];
  readonly left: readonly Member[];
  /** Same handle, new join: the PNE joined again. */
  readonly refreshed: readonly Member[];
}

/** @param before undefined for a PN that had no inventory */
export function compareInventories(
  before: InventoryPayload | undefined,
  after: InventoryPayload,
): InventoryDifference {
  const earlier = new Map(before?.members.map((member) => [member.handle, member]));
  const joined: Member[] = [];
  const refreshed: Member[] = [];
  for (const member of after.members) {
    const known = earlier.get(member.handle);
    earlier.delete(member.handle);
    if (!known) joined.push(member);
    else if (!equal(known.joinId, member.joinId)) refreshed.push(member);
  }
  return { joined, left: [...earlier.values()], refreshed };
}

function refuse(what: string): never {
  throw new CpnsError('inventory-invalid', what);
}
