/**
 * The initiating gateway's side of one link, as a table: steps 0–7 and 11–13 of the establishment, and the resumption
 * of an earlier one (docs/protocol.md §6, §8, §10). Data only; what the actions do is in gateway.ts.
 */
import type { TransitionTable } from './machine.ts';
import { ENDS } from './session.ts';

export type GatewayState =
  | 'opening' // waiting for both OPENs
  | 'signing' // the identity key signs step 1
  | 'awaiting-setup-response' // step 2
  | 'awaiting-challenge' // step 4
  | 'awaiting-response' // step 6
  | 'awaiting-outcome' // steps 7 to 11
  | 'notifying' // step 13 is sent, its Ack awaited
  | 'refusing' // step 13 with a refusal is sent, its Ack awaited
  | 'sending-keys' // a newer server key set was sent; the PNE closes and the gateway tries again
  | 'awaiting-resumed'
  | 'member'
  | 'updating' // PN Inventory Update is sent, its Ack awaited
  | 'closed';

export type GatewayInputKind =
  | 'opened'
  | 'signed'
  | 'PnSetupResponse'
  | 'AuthenticationResponse'
  | 'Ack'
  | 'Resumed'
  | 'Abort'
  | 'Data'
  | 'challenged' // the server's step 4
  | 'refused' // the server refused step 3: nothing is registered and nothing was signed by the PNE
  | 'settled' // step 11 is on disk
  | 'waiting' // the server is waiting for user A's side
  | 'updated' // a newer inventory is on disk
  | 'freshness'
  | 'failed'
  | 'timeout'
  | 'linkClosed'
  | 'stop';

export type GatewayAction =
  | 'open'
  | 'sendSetupRequest'
  | 'register'
  | 'relayChallenge'
  | 'abandon'
  | 'relayResponse'
  | 'noteWaiting'
  | 'notify'
  | 'becomeMember'
  | 'endRefused'
  | 'resume'
  | 'update'
  | 'remember'
  | 'rememberSettled'
  | 'acknowledgeUpdate'
  | 'passOnFreshness'
  | 'takeData'
  | 'repeatWaiting'
  | 'closeWithAbort'
  | 'closeQuietly'
  | 'ignore';

/**
 * From step 4 on a session is told whatever the server says of its PN and its join, also again and also of other members:
 * where it changes nothing yet, it must not end the link.
 */
const passedOver = <S extends GatewayState>(state: S) =>
  ({ waiting: { do: 'ignore', to: [state] }, updated: { do: 'ignore', to: [state] } }) as const;

export const GATEWAY_TABLE: TransitionTable<GatewayState, GatewayInputKind, GatewayAction> = {
  opening: { ...ENDS, opened: { do: 'open', to: ['signing', 'awaiting-resumed'] } },
  signing: { ...ENDS, signed: { do: 'sendSetupRequest', to: ['awaiting-setup-response'] } },
  'awaiting-setup-response': {
    ...ENDS,
    PnSetupResponse: { do: 'register', to: ['awaiting-challenge', 'sending-keys', 'closed'] },
  },
  'awaiting-challenge': {
    ...ENDS,
    challenged: { do: 'relayChallenge', to: ['awaiting-response', 'closed'] },
    refused: { do: 'abandon', to: ['closed'] },
  },
  'awaiting-response': {
    ...ENDS,
    AuthenticationResponse: { do: 'relayResponse', to: ['awaiting-outcome', 'closed'] },
    ...passedOver('awaiting-response'),
  },
  'awaiting-outcome': {
    ...ENDS,
    waiting: { do: 'noteWaiting', to: ['awaiting-outcome'] },
    timeout: { do: 'repeatWaiting', to: ['awaiting-outcome'] },
    updated: { do: 'remember', to: ['awaiting-outcome'] },
    freshness: { do: 'passOnFreshness', to: ['awaiting-outcome'] },
    settled: { do: 'notify', to: ['notifying', 'refusing'] },
  },
  notifying: {
    ...ENDS,
    ...passedOver('notifying'),
    settled: { do: 'ignore', to: ['notifying'] },
    updated: { do: 'remember', to: ['notifying'] },
    freshness: { do: 'passOnFreshness', to: ['notifying'] },
    Ack: { do: 'becomeMember', to: ['member', 'updating', 'closed'] },
  },
  refusing: {
    ...ENDS,
    ...passedOver('refusing'),
    settled: { do: 'ignore', to: ['refusing'] },
    Ack: { do: 'endRefused', to: ['closed'] },
  },
  'sending-keys': { ...ENDS, timeout: { do: 'closeQuietly', to: ['closed'] } },
  'awaiting-resumed': {
    ...ENDS,
    ...passedOver('awaiting-resumed'),
    settled: { do: 'rememberSettled', to: ['awaiting-resumed'] },
    updated: { do: 'remember', to: ['awaiting-resumed'] },
    Resumed: {
      do: 'resume',
      to: ['member', 'updating', 'notifying', 'refusing', 'awaiting-outcome', 'closed'],
    },
  },
  member: {
    ...ENDS,
    updated: { do: 'update', to: ['updating', 'member'] },
    freshness: { do: 'passOnFreshness', to: ['member'] },
    waiting: { do: 'ignore', to: ['member'] },
    settled: { do: 'ignore', to: ['member'] },
    Data: { do: 'takeData', to: ['member'] },
  },
  updating: {
    ...ENDS,
    updated: { do: 'remember', to: ['updating'] },
    freshness: { do: 'passOnFreshness', to: ['updating'] },
    waiting: { do: 'ignore', to: ['updating'] },
    settled: { do: 'ignore', to: ['updating'] },
    Data: { do: 'takeData', to: ['updating'] },
    Ack: { do: 'acknowledgeUpdate', to: ['member', 'updating', 'closed'] },
  },
  closed: {},
};

/** docs/protocol.md §10, in milliseconds. */
export const GATEWAY_DEADLINES: { readonly [S in GatewayState]?: number } = {
  opening: 2_000,
  signing: 5_000,
  'awaiting-setup-response': 60_000,
  'awaiting-challenge': 10_000,
  'awaiting-response': 10_000,
  'awaiting-outcome': 10_000,
  notifying: 10_000,
  refusing: 10_000,
  'sending-keys': 2_000,
  'awaiting-resumed': 5_000,
  updating: 10_000,
};
