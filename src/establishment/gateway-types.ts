/**
 * What the initiating gateway's machine knows, takes and gives: its memory of one link, its inputs and its outputs.
 * Types only; the states are in gateway-table.ts, what is done in gateway.ts.
 */
import type { Bytes } from '../base/bytes.ts';
import type { GatewayId, JoinId, PnId, Thumbprint, TransactionId } from '../base/ids.ts';
import type { Status } from '../base/statuses.ts';
import type { ServerSeconds } from '../base/time.ts';
import type { GatewayInfo } from '../messages/registration.ts';
import type { Waiting } from '../messages/setup.ts';
import type { Primitives } from '../security/primitives.ts';
import type { ServerKeys } from '../security/server-keys.ts';
import type { CloseOutput } from './session.ts';

/** The PN a PNE is invited to. */
export interface Invitation {
  readonly pnId: PnId;
  readonly setupType: 'new' | 'join';
  readonly name: string;
}

/** How a registration ended, as the server signed it and as it is on disk. */
export type Settlement =
  | { readonly status: 'ok'; readonly inventory: Bytes; readonly version: number }
  | { readonly status: Exclude<Status, 'ok'>; readonly outcome: Bytes };

/** A join this gateway remembers: from step 7 on. */
export interface GatewayJoin {
  readonly txn: TransactionId;
  readonly joinId: JoinId;
  readonly pnId: PnId;
  readonly thumbprint: Thumbprint;
  readonly th3: Bytes;
  readonly rms: Bytes;
}

/** One link's memory. */
export interface GatewaySession {
  readonly primitives: Primitives;
  /** As of now: the node replaces both when the operator has new keys. */
  serverKeys: ServerKeys;
  readonly gatewayId: GatewayId;
  readonly credential: Bytes;
  /** The root's statement of the server keys, for a PNE that does not know the credential's signer. */
  serverKeysStatement: Bytes | undefined;
  readonly gatewayInfo: GatewayInfo;
  /** Establishment: whereto; absent when resuming. */
  readonly invitation: Invitation | undefined;
  /** Resumption: what is remembered of the PNE's join, and its end if there was one. */
  join?: GatewayJoin;
  settlement?: Settlement;
  opening?: { readonly th1: Bytes; readonly prk1: Bytes; readonly openG: Bytes; readonly openP: Bytes };
  m1?: Bytes;
  thumbprint?: Thumbprint;
  th2?: Bytes;
  /** Step 3 as it was sent. */
  registration?: Bytes;
  waitingFor?: Waiting['status'];
  /** Version of the inventory that the PNE was sent last. */
  toldVersion?: number;
  /** issuedAt of the server key set that the PNE has, as far as it said so. */
  peerKeysIssuedAt?: ServerSeconds;
}

export interface GatewayMessageInput {
  readonly kind: 'PnSetupResponse' | 'AuthenticationResponse' | 'Ack' | 'Resumed' | 'Abort' | 'Data';
  readonly body: Bytes;
}

export type GatewayInput =
  | GatewayMessageInput
  | {
      readonly kind: 'opened';
      readonly th1: Bytes;
      readonly prk1: Bytes;
      readonly openG: Bytes;
      readonly openP: Bytes;
    }
  | { readonly kind: 'signed'; readonly signature: Bytes }
  | { readonly kind: 'challenged'; readonly challenge: Bytes }
  | { readonly kind: 'settled'; readonly settlement: Settlement }
  | { readonly kind: 'updated'; readonly inventory: Bytes; readonly version: number }
  | { readonly kind: 'waiting'; readonly status: Waiting['status'] }
  | { readonly kind: 'freshness'; readonly statement: Bytes }
  | { readonly kind: 'refused' | 'failed' | 'linkClosed'; readonly status: Status }
  | { readonly kind: 'timeout' | 'stop' };

export type GatewayMessage =
  | 'PnSetupRequest'
  | 'AuthenticationChallenge'
  | 'PnSetupNotify'
  | 'PnInventoryUpdate'
  | 'Resume'
  | 'Freshness'
  | 'ServerKeys'
  | 'Waiting';

export type GatewayOutput =
  | CloseOutput
  | { readonly kind: 'send'; readonly message: GatewayMessage; readonly body: Bytes }
  | { readonly kind: 'limit'; readonly bytes: number }
  | { readonly kind: 'sign'; readonly message: Bytes }
  /** The provisional inventory and routing entry of step 3. */
  | {
      readonly kind: 'provisional';
      readonly pnId: PnId;
      readonly thumbprint: Thumbprint;
      readonly txn: TransactionId;
    }
  | { readonly kind: 'register'; readonly txn: TransactionId; readonly request: Bytes }
  | {
      readonly kind: 'persistJoin';
      readonly join: GatewayJoin;
      readonly registration: Bytes;
      readonly response: Bytes;
    }
  | { readonly kind: 'respond'; readonly join: GatewayJoin; readonly response: Bytes }
  | { readonly kind: 'advance'; readonly prk2: Bytes }
  | { readonly kind: 'persistAcknowledged'; readonly join: GatewayJoin }
  | { readonly kind: 'live'; readonly join: GatewayJoin; readonly version: number }
  | { readonly kind: 'fetchFreshness'; readonly th1: Bytes; readonly joinId: JoinId }
  | { readonly kind: 'data'; readonly body: Bytes };
