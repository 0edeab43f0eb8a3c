/**
 * Registration over HTTPS: steps 3, 4 and 7, and what a gateway may ask about a transaction.
 * Owns their fields. Must not decide anything. Source: docs/protocol.md §9.
 */
import { capability, LIMITS, pnId } from './common.ts';
import { InventoryPayload, OutcomePayload } from './inventory.ts';
import { Open } from './link.ts';
import { embedded, message, signed } from './message.ts';
import { named, type TypeOf, text } from './schema.ts';
import { define, field, map, optional } from './schema-map.ts';
import { status } from './schema-status.ts';
import {
  AuthenticationChallengePayload,
  AuthenticationResponsePayload,
  PnSetupRequestPayload,
  PnSetupResponse,
} from './setup.ts';

/** The bytes both sides exchanged, as the evidence and the registration carry them. */
export const exchanged = {
  openG: () => embedded(Open, { max: LIMITS.open }),
  openP: () => embedded(Open, { max: LIMITS.open }),
  m1: () => signed(PnSetupRequestPayload, { max: LIMITS.setupRequest }),
  m2: () => embedded(PnSetupResponse, { max: LIMITS.setupResponse }),
  challenge: () => signed(AuthenticationChallengePayload, { max: LIMITS.challenge }),
  response: () => signed(AuthenticationResponsePayload, { max: LIMITS.response }),
};

export const GatewayInfo = define(
  'GatewayInfo',
  'PN GW Info of the source; §9',
  map({
    capability: field(1, capability()),
    subscription: field(2, text({ kind: 'label', maxBytes: LIMITS.subscription })),
  }),
);
export type GatewayInfo = TypeOf<typeof GatewayInfo>;

export const PnRegistrationRequest = message(
  'PnRegistrationRequest',
  { doc: 'PUT registrations/{txn}: the exact bytes of the link so far', section: '9', step: '3' },
  map({
    openG: field(1, exchanged.openG(), "the gateway's OPEN"),
    openP: field(2, exchanged.openP(), "the PNE's OPEN"),
    m1: field(3, exchanged.m1(), 'step 1'),
    m2: field(4, exchanged.m2(), 'step 2 without padding'),
    gatewayInfo: field(5, GatewayInfo),
  }),
);
export type PnRegistrationRequest = TypeOf<typeof PnRegistrationRequest>;

export const PnRegistrationChallenge = message(
  'PnRegistrationChallenge',
  { doc: 'the answer to step 3', section: '9', step: '4' },
  map({ challenge: field(1, exchanged.challenge(), 'to be relayed as step 5'), pnId: field(2, pnId()) }),
);
export type PnRegistrationChallenge = TypeOf<typeof PnRegistrationChallenge>;

export const AuthenticationRelay = message(
  'AuthenticationRelay',
  { doc: 'PUT registrations/{txn}/response', section: '9', step: '7' },
  map({ response: field(1, exchanged.response(), 'step 6 as received') }),
);
export type AuthenticationRelay = TypeOf<typeof AuthenticationRelay>;

export const TransactionState = message(
  'TransactionState',
  { doc: 'the answer to step 7 and to GET registrations/{txn}', section: '9' },
  map({
    state: field(1, named({ challenged: 1, verified: 2, registered: 3, refused: 4 })),
    status: field(2, status({ lenient: true })),
    inventory: optional(3, signed(InventoryPayload, { max: LIMITS.inventory })),
    outcome: optional(4, signed(OutcomePayload, { max: LIMITS.outcome })),
  }),
);
export type TransactionState = TypeOf<typeof TransactionState>;
