/**
 * What the server machine is told and what it says: the row of a registration, the facts that its shell looks up, inputs
 * and outputs. Types only. Facts come in because the machine has no store; each change it asks for is a compare-and-set,
 * so a fact that has changed meanwhile costs another attempt and never a wrong commit (protocol-core §8).
 */
import type { Bytes } from '../base/bytes.ts';
import type { GatewayId, JoinId, PnId, Thumbprint, TransactionId } from '../base/ids.ts';
import type { Status } from '../base/statuses.ts';
import type { ServerSeconds } from '../base/time.ts';
import type { Content } from '../messages/common.ts';
import type { Evidence, Terms } from '../messages/confirmation.ts';
import type { PnRegistrationRequest, TransactionState } from '../messages/registration.ts';
import type { Primitives, PublicKey } from '../security/primitives.ts';
import type { ServerKeys } from '../security/server-keys.ts';
import type { DurableServerState } from './server-table.ts';

/** A transaction is named within its gateway: two gateways never share one. */
export interface RegistrationKey {
  readonly gatewayId: GatewayId;
  readonly txn: TransactionId;
}

/** One registration as it is on disk. */
export interface RegistrationRow extends RegistrationKey {
  readonly state: DurableServerState;
  /** Body of step 3, exactly as received. */
  readonly request: Bytes;
  /** Step 4, COSE bytes. */
  readonly challenge: Bytes;
  readonly challengedAt: ServerSeconds;
  readonly pnId: PnId;
  /** 32 bytes. */
  readonly th3: Bytes;
  readonly joinId: JoinId;
  readonly pne: Thumbprint;
  /** Step 6 as it came in step 7. */
  readonly response?: Bytes;
  /** The gateway that was asked; absent for a refresh and before step 7. */
  readonly homeGatewayId?: GatewayId;
  /** Until when an answer counts; with `homeGatewayId`. */
  readonly deadline?: ServerSeconds;
  /** The home gateway acknowledged step 8. */
  readonly delivered: boolean;
  /** Step 9 as received. */
  readonly answer?: Bytes;
  /** Of a refusal. */
  readonly status?: Exclude<Status, 'ok'>;
  readonly inventory?: Bytes;
  readonly outcome?: Bytes;
  readonly settledAt?: ServerSeconds;
}

export interface GatewayFacts {
  readonly gatewayId: GatewayId;
  readonly thumbprint: Thumbprint;
  readonly key: PublicKey;
  readonly userId: number;
  readonly userLabel: string;
  readonly label: string;
  /** `ok`, `revoked-gateway` or `revoked-user`. */
  readonly standing: Status;
}

export interface PneFacts {
  readonly thumbprint: Thumbprint;
  readonly key: PublicKey;
  readonly userId: number;
  /** `ok`, `revoked-pne` or `revoked-user`. */
  readonly standing: Status;
  readonly home: GatewayFacts;
}

export interface MemberFacts {
  readonly pne: Thumbprint;
  /** Its short name in the PN, 1–65535, kept over refreshes and never given to another. */
  readonly handle: number;
  readonly joinId: JoinId;
  readonly capability: Bytes;
  readonly contents?: readonly Content[];
  readonly label?: string;
}

/** A PN with at least one commit. */
export interface PnFacts {
  readonly pnId: PnId;
  readonly gatewayId: GatewayId;
  readonly version: number;
  readonly nextHandle: number;
  readonly members: readonly MemberFacts[];
}

/** The home gateway's yes that an earlier join of the same PNE in the same PN rests on. */
export interface EarlierYes {
  readonly joinId: JoinId;
  readonly homeGatewayId: GatewayId;
}

/** What one gateway has made the server keep; a day ends at 00:00 UTC by the server's clock. */
export interface GatewayGrowth {
  /** PNs registered, ever. */
  readonly networks: number;
  /** Transactions that began today. */
  readonly transactionsToday: number;
  /** Transactions that ended in a refusal today. */
  readonly refusalsToday: number;
}

export interface RegistrationRequestInput {
  readonly kind: 'registrationRequest';
  /** Under which it was put: must be the transcript's own. */
  readonly txn: TransactionId;
  readonly body: Bytes;
  readonly request: PnRegistrationRequest;
  readonly gateway: GatewayFacts;
  readonly pn: PnFacts | undefined;
  /** Challenged and verified transactions of this gateway. */
  readonly openCount: number;
  /** What this gateway has made the server keep. */
  readonly kept: GatewayGrowth;
  /** No attempt of this PNE at this gateway before then, because its user refused; 0 for none. */
  readonly backoffUntil: ServerSeconds;
  /** 16 random bytes. */
  readonly nonce: Bytes;
  readonly now: ServerSeconds;
}

export interface AuthenticationResponseInput {
  readonly kind: 'authenticationResponse';
  readonly response: Bytes;
  readonly gateway: GatewayFacts;
  /** The record of the key that step 2 names. */
  readonly pne: PneFacts | undefined;
  readonly homeOnline: boolean;
  readonly pn: PnFacts | undefined;
  readonly earlierYes: EarlierYes | undefined;
  /** Questions the PNE's user has open, those of this PNE not counted: they will be superseded. */
  readonly pendingOfUser: number;
  /** Questions of the last hour to the PNE's user that did not end in a yes: in all, and about this gateway's joins. */
  readonly vainQuestions: { readonly ofUser: number; readonly ofGateway: number };
  /** Refreshes of this gateway's members today. */
  readonly refreshesToday: number;
  /** The PNE is in this PN by an attempt that it began after this one, which it has forgotten since. */
  readonly isOvertaken: boolean;
  /** Verified transactions of the same PNE, which this one ends. */
  readonly earlier: readonly RegistrationKey[];
  readonly backoffUntil: ServerSeconds;
  readonly now: ServerSeconds;
}

export interface ConfirmAnswerInput {
  readonly kind: 'confirmAnswer';
  readonly answer: Bytes;
  /** TLS identity of whoever brings it. */
  readonly caller: GatewayFacts;
  /** The initiating gateway. */
  readonly gateway: GatewayFacts;
  readonly pne: PneFacts | undefined;
  readonly pn: PnFacts | undefined;
  readonly now: ServerSeconds;
}

export type ServerInput =
  | RegistrationRequestInput
  | AuthenticationResponseInput
  | ConfirmAnswerInput
  | { readonly kind: 'confirmDelivered' }
  | { readonly kind: 'superseded'; readonly now: ServerSeconds }
  | { readonly kind: 'deadline'; readonly now: ServerSeconds }
  /** Signatures over the messages of the `sign` output, in order, each 64 bytes. */
  | { readonly kind: 'signed'; readonly signatures: readonly Bytes[]; readonly kid: Bytes };

export type OutboxKind = 'pne-confirm-request' | 'pn-registration-response' | 'join-outcome';

/** Delivered until acknowledged; written in the transaction of the change it tells of. */
export interface OutboxEntry {
  readonly to: GatewayId;
  readonly kind: OutboxKind;
  readonly body: Bytes;
}

/** Everything an auditor needs of one registered join. */
export interface JoinEvidence extends Evidence {
  readonly joinId: JoinId;
  readonly pnId: PnId;
  readonly version: number;
  readonly gatewayKey: PublicKey;
  readonly pneKey: PublicKey;
  readonly homeGatewayKey: PublicKey;
  /** GW1's yes over this th3, or the join whose yes it refreshes. */
  readonly confirmation: { readonly answer: Bytes } | { readonly earlierJoin: JoinId };
  readonly inventory: Bytes;
}

export interface ChallengedChange {
  readonly to: 'challenged';
  readonly row: RegistrationRow;
  /** The quota is tested again inside the transaction. */
  readonly maxOpen: number;
}

export interface VerifiedChange {
  readonly to: 'verified';
  readonly key: RegistrationKey;
  /** Tested inside the transaction. */
  readonly notAfter: ServerSeconds;
  readonly response: Bytes;
  readonly homeGatewayId: GatewayId;
  readonly deadline: ServerSeconds;
  readonly outbox: readonly OutboxEntry[];
}

export interface RegisteredChange {
  readonly to: 'registered';
  readonly from: 'challenged' | 'verified';
  readonly key: RegistrationKey;
  readonly notAfter: ServerSeconds;
  readonly response: Bytes;
  readonly answer: Bytes | undefined;
  readonly inventory: Bytes;
  readonly outcome: Bytes | undefined;
  /** The version that the PN must still have: 0 for a PN that nobody has committed. */
  readonly baseVersion: number;
  readonly pnName: string;
  readonly member: MemberFacts;
  readonly evidence: JoinEvidence;
  readonly outbox: readonly OutboxEntry[];
  readonly settledAt: ServerSeconds;
}

export interface RefusedChange {
  readonly to: 'refused';
  readonly from: DurableServerState;
  readonly key: RegistrationKey;
  readonly status: Exclude<Status, 'ok'>;
  readonly outcome: Bytes | undefined;
  readonly response: Bytes | undefined;
  readonly answer: Bytes | undefined;
  /** Set when the refusal is one of user A's side: the next attempt has to wait. */
  readonly backOff: boolean;
  readonly outbox: readonly OutboxEntry[];
  readonly settledAt: ServerSeconds;
}

/** One durable transaction: the row if it still is where it was, with everything that has to be true together with it. */
export type ServerChange = ChallengedChange | VerifiedChange | RegisteredChange | RefusedChange;

export type ServerReply =
  | {
      readonly kind: 'challenge';
      readonly challenge: Bytes;
      readonly pnId: PnId;
      readonly created: boolean;
    }
  | { readonly kind: 'state'; readonly state: TransactionState }
  | { readonly kind: 'accepted' }
  | { readonly kind: 'rejected'; readonly status: Status; readonly retryAfterSeconds?: number };

export type ServerOutput =
  | { readonly kind: 'sign'; readonly messages: readonly Bytes[] }
  /** Ends the verified transactions of the same PNE first. */
  | { readonly kind: 'supersede'; readonly earlier: readonly RegistrationKey[] }
  | { readonly kind: 'commit'; readonly change: ServerChange }
  | { readonly kind: 'reply'; readonly reply: ServerReply }
  /** Transient, to the initiating gateway. */
  | { readonly kind: 'waiting'; readonly status: 'awaiting-home-gateway' | 'awaiting-user' };

/** Limits of docs/protocol.md §10, seconds and counts. */
export interface ServerLimits {
  readonly challengeSeconds: number;
  readonly confirmOnlineSeconds: number;
  readonly confirmOfflineSeconds: number;
  readonly openPerGateway: number;
  readonly pendingPerUser: number;
  /** Questions in an hour that did not end in a yes, to one user and, of those, about joins at one gateway. */
  readonly vainQuestionsPerUser: number;
  readonly vainQuestionsPerUserAndGateway: number;
  readonly networksPerGateway: number;
  readonly transactionsPerGatewayPerDay: number;
  readonly refusalsPerGatewayPerDay: number;
  readonly refreshesPerGatewayPerDay: number;
  readonly enrolmentsPerGatewayPerDay: number;
  readonly pnesPerUser: number;
}

export const DAY_SECONDS = 86_400;
/** The window of the questions to one user. */
export const QUESTIONS_SECONDS = 3_600;

/** Until the quotas of a day begin anew. */
export function secondsLeftOfDay(now: ServerSeconds): number {
  return DAY_SECONDS - (now % DAY_SECONDS);
}

/**
 * CHOICE: a person answers some questions an hour; one gateway alone must not use up what others may ask, so it gets a
 * third. Questions answered yes are no flood and don't count. A refused join takes about 2 kB for 30 days, so a gateway
 * can hold 540 MB with refusals. Fewer a day would be fewer than an honest gateway's own pace allows (one failed attempt
 * in 10 s), and anybody in its radio range could shut it out until midnight by beginning joins and leaving. A registered
 * join takes about 5 kB (25 kB when its PN is full of long capabilities), for ever, so a gateway can add 50 MB a day. A
 * home has some dozen devices: 5,000 refreshes a day are 150 for each of 32 members.
 */
export const DEFAULT_SERVER_LIMITS: ServerLimits = {
  challengeSeconds: 60,
  confirmOnlineSeconds: 600,
  confirmOfflineSeconds: 86_400,
  openPerGateway: 16,
  pendingPerUser: 10,
  vainQuestionsPerUser: 60,
  vainQuestionsPerUserAndGateway: 20,
  networksPerGateway: 1_024,
  transactionsPerGatewayPerDay: 10_000,
  refusalsPerGatewayPerDay: 9_000,
  refreshesPerGatewayPerDay: 5_000,
  enrolmentsPerGatewayPerDay: 500,
  pnesPerUser: 1_024,
};

/** One transaction's memory. */
export interface ServerSession {
  readonly primitives: Primitives;
  readonly serverKeys: ServerKeys;
  readonly realm: string;
  readonly terms: Terms;
  readonly limits: ServerLimits;
  row: RegistrationRow | undefined;
  /** What to do with the signatures that were asked for. */
  plan?: (signatures: readonly Bytes[], kid: Bytes) => readonly ServerOutput[];
}
