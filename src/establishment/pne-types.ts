/**
 * What the PNE's machine knows, takes and gives: its memory of one link, its inputs and its outputs. Types only; the
 * states are in pne-table.ts, what is done in pne.ts.
 */
import type { Bytes } from '../base/bytes.ts';
import type { GatewayId, PnId, Thumbprint } from '../base/ids.ts';
import type { Status } from '../base/statuses.ts';
import type { MonotonicMs, ServerSeconds } from '../base/time.ts';
import type { Contents, PnSetupResponse } from '../messages/setup.ts';
import type { Primitives } from '../security/primitives.ts';
import type { ServerKeys } from '../security/server-keys.ts';
import type { CloseOutput } from './session.ts';

/** What the PNE is, and says of itself in step 2. */
export interface PneIdentity {
  readonly thumbprint: Thumbprint;
  /** Undefined until the PNE is enrolled. */
  readonly homeAddress: string | undefined;
  /** At most 512 bytes. */
  readonly capability: Bytes;
  readonly contents: Contents | undefined;
  readonly pneId: string | undefined;
}

/** The server's time as far as this PNE can know: what it verified last, and when it did (docs/protocol.md §4.3). */
export interface Floor {
  readonly serverTime: ServerSeconds;
  readonly atMs: MonotonicMs;
}

/** A join between step 6 and its outcome, or a membership: what resumption needs. */
export interface KnownJoin {
  readonly state: 'pending' | 'member';
  readonly pnId: PnId;
  readonly gatewayId: GatewayId;
  readonly th3: Bytes;
  readonly rms: Bytes;
  /** What step 2 said; the inventory must say the same. */
  readonly capability: Bytes;
  /** Version of the inventory held, 0 while pending. */
  readonly version: number;
}

/** Who asks, for a policy or a person; labels are verified, the PN's name is only the gateway's claim. */
export interface JoinQuestion {
  readonly pnId: PnId;
  readonly gatewayId: GatewayId;
  readonly userLabel: string;
  readonly gatewayLabel: string;
  readonly claimedName: string;
  /** The PNE is in this PN already: joining again only makes its keys fresh. */
  readonly refresh: boolean;
}

/** One link's memory. */
export interface PneSession {
  readonly primitives: Primitives;
  readonly identity: PneIdentity;
  serverKeys: ServerKeys;
  floor: Floor;
  readonly joins: readonly KnownJoin[];
  th1?: Bytes;
  /** When the OPENs were there: nothing over th1 is older. */
  openedAtMs?: MonotonicMs;
  prk1?: Bytes;
  m1?: Bytes;
  question?: JoinQuestion;
  credentialExpiresAt?: ServerSeconds;
  th2?: Bytes;
  join?: KnownJoin;
  prk2?: Bytes;
  /** What step 2 said no with. */
  declinedWith?: DeclineStatus;
}

/** A message of the gateway, named as in src/messages/types.ts. */
export interface PneMessageInput {
  readonly kind:
    | 'PnSetupRequest'
    | 'AuthenticationChallenge'
    | 'PnSetupNotify'
    | 'PnInventoryUpdate'
    | 'Resume'
    | 'Freshness'
    | 'ServerKeys'
    | 'Waiting'
    | 'Abort'
    | 'Data';
  readonly body: Bytes;
}

/** What a PNE may say no with in step 2. */
export type DeclineStatus = Exclude<PnSetupResponse['status'], 'ok'>;

export type PneInput =
  | {
      readonly kind: 'opened';
      readonly th1: Bytes;
      readonly prk1: Bytes;
      /** Present when the link resumes an earlier join. */
      readonly join?: KnownJoin | undefined;
    }
  | PneMessageInput
  | { readonly kind: 'decided'; readonly status: 'ok' | DeclineStatus }
  | { readonly kind: 'signed'; readonly signature: Bytes }
  | { readonly kind: 'failed' | 'linkClosed'; readonly status: Status }
  | { readonly kind: 'timeout' | 'stop' };

export type PneOutput =
  | { readonly kind: 'send'; readonly message: PneMessage; readonly body: Bytes }
  | { readonly kind: 'limit'; readonly bytes: number }
  | { readonly kind: 'ask'; readonly question: JoinQuestion }
  | { readonly kind: 'persistPending'; readonly join: KnownJoin; readonly floor: Floor }
  | { readonly kind: 'forgetPending'; readonly th3: Bytes }
  | { readonly kind: 'persistMember'; readonly join: KnownJoin; readonly inventory: Bytes }
  /** The floor, and that the server spoke of this join, so many seconds ago at most. */
  | {
      readonly kind: 'persistFloor';
      readonly floor: Floor;
      readonly th3: Bytes;
      readonly ageSeconds: number;
    }
  | { readonly kind: 'persistServerKeys'; readonly serverKeys: ServerKeys; readonly statement: Bytes }
  | { readonly kind: 'sign'; readonly message: Bytes }
  | { readonly kind: 'advance'; readonly prk2: Bytes }
  | { readonly kind: 'joined' | 'resumed' | 'updated'; readonly join: KnownJoin }
  | { readonly kind: 'refused'; readonly join: KnownJoin; readonly status: Status }
  | { readonly kind: 'data'; readonly body: Bytes }
  | CloseOutput;

export type PneMessage = 'PnSetupResponse' | 'AuthenticationResponse' | 'Ack' | 'Resumed';
