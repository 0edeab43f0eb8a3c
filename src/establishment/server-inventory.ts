/**
 * The next version of a PN's inventory, with the member that joins or is refreshed. Pure.
 * Handles are per PN: a member keeps its own over refreshes, and a handle is never given to another (docs/protocol.md §6.5).
 */
import { type Bytes, equal } from '../base/bytes.ts';
import { CpnsError } from '../base/errors.ts';
import type { JoinId } from '../base/ids.ts';
import type { ServerSeconds } from '../base/time.ts';
import { InventoryPayload, MAX_MEMBERS, type Member } from '../messages/inventory.ts';
import type { PnRegistrationRequest } from '../messages/registration.ts';
import type { Exchange } from './server-checks.ts';
import type { GatewayFacts, MemberFacts, PneFacts, PnFacts, RegistrationRow } from './server-types.ts';

/** A verified join on its way into the inventory. */
export interface Registering {
  readonly row: RegistrationRow;
  readonly request: PnRegistrationRequest;
  readonly exchange: Exchange;
  readonly response: Bytes;
  readonly gateway: GatewayFacts;
  readonly pne: PneFacts;
  readonly pn: PnFacts | undefined;
  readonly now: ServerSeconds;
  /** Step 9; absent for a refresh. */
  readonly answer: Bytes | undefined;
  /** The join whose yes a refresh rests on. */
  readonly earlierJoin: JoinId | undefined;
}

const MAX_HANDLE = 0xffff;

/** @throws CpnsError quota-exceeded when the PN is full */
export function composeInventory({ row, exchange, pne, pn, now }: Registering): InventoryPayload {
  const { joining, setup } = exchange;
  const before = pn?.members ?? [];
  const known = before.find((member) => equal(member.pne, pne.thumbprint));
  const handle = known?.handle ?? pn?.nextHandle ?? 1;
  const joined: Member = {
    handle,
    joinId: row.joinId,
    capability: joining.capability,
    ...(joining.contents && { contents: joining.contents }),
    ...(joining.pneId !== undefined && { label: joining.pneId }),
  };
  const others = before.filter((member) => member !== known).map(memberOf);
  const members = [...others, joined].sort((a, b) => a.handle - b.handle);
  if (members.length > MAX_MEMBERS || handle > MAX_HANDLE) throw new CpnsError('quota-exceeded', 'members');
  const inventory: InventoryPayload = {
    pnId: row.pnId,
    version: (pn?.version ?? 0) + 1,
    issuedAt: now,
    gatewayId: row.gatewayId,
    name: setup.name,
    members,
  };
  if (InventoryPayload.measure(inventory) > InventoryPayload.maxBytes)
    throw new CpnsError('quota-exceeded', 'inventory too long');
  return inventory;
}

function memberOf({ handle, joinId, capability, contents, label }: MemberFacts): Member {
  return {
    handle,
    joinId,
    capability,
    ...(contents && { contents }),
    ...(label !== undefined && { label }),
  };
}
