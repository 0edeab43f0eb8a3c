/**
 * What the server signs about a PN: the inventory of its members, and the outcome of one join.
 * Owns the payloads and the size of an inventory. Must not verify anything. Source: docs/protocol.md §6.5.
 */
import {
  Contents,
  capability,
  gatewayId,
  inventoryVersion,
  joinId,
  LIMITS,
  pnId,
  serverSeconds,
} from './common.ts';
import { message, signedBytes } from './message.ts';
import { arrayOf, type TypeOf, text, uint } from './schema.ts';
import { define, field, map, optional } from './schema-map.ts';
import { status } from './schema-status.ts';

export const Member = define(
  'Member',
  'one PNE of a PN; §6.5',
  map({
    handle: field(1, uint({ min: 1, max: 0xffff }), 'its short name in this PN'),
    joinId: field(2, joinId()),
    capability: field(3, capability()),
    contents: optional(4, Contents),
    label: optional(5, text({ kind: 'label', maxBytes: LIMITS.pneId }), 'the PNE ID'),
  }),
);
export type Member = TypeOf<typeof Member>;

export const MAX_MEMBERS = 32;
const INVENTORY_COSE_BYTES = signedBytes(LIMITS.inventory, true) - LIMITS.inventory;

export const InventoryPayload = message(
  'InventoryPayload',
  {
    doc: `the server says who is in a PN; at most ${LIMITS.inventory} bytes with its signature`,
    section: '6.5',
    maxBytes: LIMITS.inventory - INVENTORY_COSE_BYTES,
    signing: { context: 'cpns1/inventory', signer: 'server', over: '', kid: true },
  },
  map(
    {
      pnId: field(1, pnId()),
      version: field(2, inventoryVersion(1)),
      issuedAt: field(3, serverSeconds()),
      gatewayId: field(4, gatewayId(), 'the gateway of the PN'),
      name: field(5, text({ kind: 'label', maxBytes: LIMITS.pnName }), 'a claim of that gateway'),
      members: field(6, arrayOf(Member, { min: 1, max: MAX_MEMBERS }), 'by handle, ascending'),
    },
    {
      rule: ({ members }) =>
        members.every(({ handle }, index) => index === 0 || handle > (members[index - 1]?.handle ?? 0))
          ? undefined
          : 'members are not in the order of their handles',
    },
  ),
);
export type InventoryPayload = TypeOf<typeof InventoryPayload>;

export const OutcomePayload = message(
  'OutcomePayload',
  {
    doc: 'the server says how one join ended; also sent to GW1',
    section: '6.5',
    signing: { context: 'cpns1/outcome', signer: 'server', over: 'th3', kid: true },
  },
  map({ status: field(1, status({ lenient: true })), serverTime: field(2, serverSeconds()) }),
);
export type OutcomePayload = TypeOf<typeof OutcomePayload>;
