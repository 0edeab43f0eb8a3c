/**
 * The server's side of one registration as a table: steps 3–4, 7–11 and every way it may fail. Data only; what the
 * actions do is in server.ts. The signing states are volatile: they live as long as one request and are on no disk, so a
 * server that dies in one is back at the durable state before it (docs/protocol.md §12, protocol-core §8).
 */
import type { TransitionTable } from './machine.ts';

/** States that a row of the store can have. */
export type DurableServerState = 'challenged' | 'verified' | 'registered' | 'refused';

export type ServerState =
  | 'new' // no row
  | 'signing-challenge'
  | DurableServerState
  | 'signing-inventory'
  | 'signing-refusal';

export type ServerInputKind =
  | 'registrationRequest' // step 3
  | 'authenticationResponse' // step 7
  | 'confirmAnswer' // step 9
  | 'confirmDelivered' // the home gateway has step 8 on disk
  | 'superseded' // a later join of the same PNE was verified
  | 'deadline' // the clock has passed the row's deadline
  | 'signed';

export type ServerAction =
  | 'challenge'
  | 'commitChallenge'
  | 'repeatChallenge'
  | 'verifyResponse'
  | 'repeatState'
  | 'signLateRefusal'
  | 'decide'
  | 'repeatAnswer'
  | 'tellAwaitingUser'
  | 'supersede'
  | 'goStale'
  | 'expire'
  | 'commitRegistration'
  | 'commitRefusal'
  | 'rejectUnknown'
  | 'ignore';

const rejected = { do: 'rejectUnknown', to: ['new', 'challenged'] } as const;

export const SERVER_TABLE: TransitionTable<ServerState, ServerInputKind, ServerAction> = {
  new: {
    registrationRequest: { do: 'challenge', to: ['signing-challenge', 'new'] },
    authenticationResponse: rejected,
    confirmAnswer: rejected,
  },
  'signing-challenge': {
    signed: { do: 'commitChallenge', to: ['challenged'] },
  },
  challenged: {
    registrationRequest: { do: 'repeatChallenge', to: ['challenged'] },
    authenticationResponse: {
      do: 'verifyResponse',
      to: ['verified', 'signing-inventory', 'signing-refusal'],
    },
    confirmAnswer: rejected,
    superseded: { do: 'ignore', to: ['challenged'] },
    deadline: { do: 'goStale', to: ['challenged', 'refused'] },
  },
  verified: {
    registrationRequest: { do: 'repeatChallenge', to: ['verified'] },
    authenticationResponse: { do: 'repeatState', to: ['verified'] },
    confirmAnswer: { do: 'decide', to: ['verified', 'signing-inventory', 'signing-refusal'] },
    confirmDelivered: { do: 'tellAwaitingUser', to: ['verified'] },
    superseded: { do: 'supersede', to: ['signing-refusal'] },
    deadline: { do: 'expire', to: ['verified', 'signing-refusal'] },
  },
  'signing-inventory': {
    signed: { do: 'commitRegistration', to: ['registered'] },
  },
  'signing-refusal': {
    signed: { do: 'commitRefusal', to: ['refused'] },
  },
  registered: {
    registrationRequest: { do: 'repeatChallenge', to: ['registered'] },
    authenticationResponse: { do: 'repeatState', to: ['registered'] },
    confirmAnswer: { do: 'repeatAnswer', to: ['registered'] },
    confirmDelivered: { do: 'ignore', to: ['registered'] },
    superseded: { do: 'ignore', to: ['registered'] },
    deadline: { do: 'ignore', to: ['registered'] },
  },
  refused: {
    registrationRequest: { do: 'repeatChallenge', to: ['refused'] },
    // A PNE that answered after its challenge went stale has signed: it is owed a signed outcome.
    authenticationResponse: { do: 'signLateRefusal', to: ['refused', 'signing-refusal'] },
    confirmAnswer: { do: 'repeatAnswer', to: ['refused'] },
    confirmDelivered: { do: 'ignore', to: ['refused'] },
    superseded: { do: 'ignore', to: ['refused'] },
    deadline: { do: 'ignore', to: ['refused'] },
  },
};
