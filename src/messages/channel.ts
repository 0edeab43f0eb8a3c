/**
 * Frames of the channel that a gateway dials: what the server has to say, and the acknowledgement.
 * Owns the fields. Must not know delivery. Source: docs/protocol.md §9, "Channel".
 */
import { joinId, LIMITS, pnId, transactionId } from './common.ts';
import { PneConfirmRequest } from './confirmation.ts';
import { InventoryPayload, OutcomePayload } from './inventory.ts';
import { message, signed } from './message.ts';
import { named, type Schema, type TypeOf, uint } from './schema.ts';
import { choice, define, field, map } from './schema-map.ts';
import { failure, statusAmong, success } from './schema-status.ts';

const inventory = () => signed(InventoryPayload, { max: LIMITS.inventory });
const outcome = () => signed(OutcomePayload, { max: LIMITS.outcome });

const RegistrationDone = define(
  'RegistrationDone',
  'step 11, the PN is registered; §9',
  map({
    txn: field(1, transactionId()),
    status: field(2, success()),
    inventory: field(3, inventory()),
  }),
);

const RegistrationRefused = define(
  'RegistrationRefused',
  'step 11, it is not; §9',
  map({
    txn: field(1, transactionId()),
    status: field(2, failure({ lenient: true })),
    outcome: field(4, outcome()),
  }),
);

export const PnRegistrationResponse = message(
  'PnRegistrationResponse',
  { doc: 'channel kind 11: how the registration ended', section: '9', step: '11' },
  choice('status', RegistrationDone, RegistrationRefused),
);
export type PnRegistrationResponse = TypeOf<typeof PnRegistrationResponse>;

export const JoinOutcome = message(
  'JoinOutcome',
  { doc: 'channel kind 12, to GW1: how a join it answered for ended', section: '9' },
  map({ joinId: field(1, joinId()), outcome: field(2, outcome()) }),
);
export type JoinOutcome = TypeOf<typeof JoinOutcome>;

export const InventoryUpdate = message(
  'InventoryUpdate',
  { doc: 'channel kind 15: a later inventory of a PN of this gateway', section: '9' },
  map({ pnId: field(1, pnId()), inventory: field(2, inventory()) }),
);
export type InventoryUpdate = TypeOf<typeof InventoryUpdate>;

export const TransactionWaiting = message(
  'TransactionWaiting',
  { doc: 'channel kind 41: for whom a transaction waits; not acknowledged', section: '9' },
  map({
    txn: field(1, transactionId()),
    status: field(2, statusAmong('awaiting-home-gateway', 'awaiting-user')),
  }),
);
export type TransactionWaiting = TypeOf<typeof TransactionWaiting>;

const deliveryId = () => uint({ min: 1, max: Number.MAX_SAFE_INTEGER });

/** A frame that is delivered until acknowledged. */
const delivered = <const N extends Readonly<Record<string, number>>, B>(kind: N, body: Schema<B>) =>
  map({ deliveryId: field(1, deliveryId()), kind: field(2, named(kind)), body: field(3, body) });

export const ChannelFrame = message(
  'ChannelFrame',
  { doc: 'server to gateway, one a WebSocket message', section: '9' },
  choice(
    'kind',
    delivered({ 'pne-confirm-request': 8 }, PneConfirmRequest),
    delivered({ 'pn-registration-response': 11 }, PnRegistrationResponse),
    delivered({ 'join-outcome': 12 }, JoinOutcome),
    delivered({ 'inventory-update': 15 }, InventoryUpdate),
    map({ kind: field(2, named({ 'transaction-waiting': 41 })), body: field(3, TransactionWaiting) }),
  ),
);
export type ChannelFrame = TypeOf<typeof ChannelFrame>;

export const ChannelAck = message(
  'ChannelAck',
  { doc: 'gateway to server, after the durable write', section: '9' },
  map({ deliveryId: field(1, deliveryId()) }),
);
export type ChannelAck = TypeOf<typeof ChannelAck>;
