/**
 * The home gateway's side of a PNE's enrolment (docs/protocol.md §7.2): offer, claim, the server's receipt, acknowledgement.
 * Pure. Both sides prove the code by the records of the link opening at all; the server's commit is the commit point. Where
 * the gateway showed the code, its user compares digits with the PNE's before the server hears of it.
 */
import { type Bytes, equal } from '../base/bytes.ts';
import { CpnsError } from '../base/errors.ts';
import type { Status } from '../base/statuses.ts';
import type { MachineDefinition, Step, TransitionTable } from '../establishment/machine.ts';
import { type CloseOutput, checked, closeWith, ENDS, endStatus, known } from '../establishment/session.ts';
import type { CoseKey } from '../messages/common.ts';
import {
  EnrolAck,
  EnrolClaimPayload,
  EnrolComparison,
  EnrolmentRequest,
  EnrolOfferPayload,
} from '../messages/enrolment.ts';
import { assembleSign1, parseSign1 } from '../security/cose.ts';
import { publicKeyOf, thumbprintOf } from '../security/cose-key.ts';
import { deriveHomeRms } from '../security/key-schedule.ts';
import type { Primitives, PublicKey } from '../security/primitives.ts';
import { openSigned, toBeSigned } from '../security/signed-message.ts';
import { claimTranscript, comparedDigits } from './transcript.ts';

export type GatewayEnrolState =
  | 'opening'
  | 'signing-offer'
  | 'awaiting-claim' // E2
  | 'comparing'
  | 'awaiting-receipt' // the server's E3
  | 'awaiting-ack' // E4
  | 'done'
  | 'closed';

type Kind =
  | 'opened'
  | 'signed'
  | 'EnrolClaim'
  | 'compared'
  | 'receipt'
  | 'refused'
  | 'EnrolAck'
  | 'Abort'
  | 'failed'
  | 'timeout'
  | 'linkClosed'
  | 'stop';
type Action =
  | 'signOffer'
  | 'sendOffer'
  | 'takeClaim'
  | 'takeComparison'
  | 'relayReceipt'
  | 'finish'
  | 'closeUnanswered'
  | 'closeWithAbort'
  | 'closeQuietly';

export const GATEWAY_ENROL_TABLE: TransitionTable<GatewayEnrolState, Kind, Action> = {
  opening: { ...ENDS, opened: { do: 'signOffer', to: ['signing-offer'] } },
  'signing-offer': { ...ENDS, signed: { do: 'sendOffer', to: ['awaiting-claim'] } },
  'awaiting-claim': {
    ...ENDS,
    EnrolClaim: { do: 'takeClaim', to: ['comparing', 'awaiting-receipt', 'closed'] },
  },
  comparing: {
    ...ENDS,
    compared: { do: 'takeComparison', to: ['awaiting-receipt', 'closed'] },
    timeout: { do: 'closeUnanswered', to: ['closed'] },
  },
  'awaiting-receipt': {
    ...ENDS,
    receipt: { do: 'relayReceipt', to: ['awaiting-ack'] },
    refused: { do: 'closeWithAbort', to: ['closed'] },
  },
  'awaiting-ack': { ...ENDS, EnrolAck: { do: 'finish', to: ['done', 'closed'] } },
  done: {},
  closed: {},
};

/** What the offer says, apart from the key that signs it. */
export interface Offer {
  readonly gatewayKey: CoseKey;
  readonly rootKey: CoseKey;
  readonly serverKeys: readonly CoseKey[];
  readonly homeAddress: string;
  readonly userLabel: string;
  readonly credential: Bytes;
  /** From the server, for this enrolment only. */
  readonly nonce: Bytes;
}

/** A PNE that proved the code and whose claim the server has on record. */
export interface EnrolledPne {
  readonly key: PublicKey;
  readonly thumbprint: Bytes;
  readonly pneId: string | undefined;
  readonly capability: Bytes | undefined;
  readonly epoch: number;
  /** Home resumption secret, 32 bytes. */
  readonly rms: Bytes;
}

export interface GatewayEnrolSession {
  readonly primitives: Primitives;
  readonly offer: Offer;
  /**
   * T of a code that the PNE shows: first 16 bytes of the thumbprint that the claim must have. Of a code that this gateway
   * shows there is none, and its user is asked.
   */
  readonly expectedThumbprint: Bytes | undefined;
  /** 16 random bytes of this session, that nobody knows before there is a claim. */
  readonly salt: Bytes;
  opening?: { readonly th1: Bytes; readonly prk1: Bytes; readonly openG: Bytes; readonly openP: Bytes };
  e1?: Bytes;
  pne?: EnrolledPne;
  request?: Bytes;
}

export type GatewayEnrolInput =
  | {
      readonly kind: 'opened';
      readonly th1: Bytes;
      readonly prk1: Bytes;
      readonly openG: Bytes;
      readonly openP: Bytes;
    }
  | { readonly kind: 'signed'; readonly signature: Bytes }
  | { readonly kind: 'EnrolClaim' | 'EnrolAck' | 'Abort'; readonly body: Bytes }
  /** `ok` when the PNE shows the same digits. */
  | { readonly kind: 'compared'; readonly status: Status }
  | { readonly kind: 'receipt'; readonly receipt: Bytes }
  | { readonly kind: 'refused' | 'failed' | 'linkClosed'; readonly status: Status }
  | { readonly kind: 'timeout' | 'stop' };

export type GatewayEnrolOutput =
  | CloseOutput
  | { readonly kind: 'sign'; readonly message: Bytes }
  | {
      readonly kind: 'send';
      readonly message: 'EnrolOffer' | 'EnrolComparison' | 'EnrolReceipt';
      readonly body: Bytes;
    }
  /** Asks the user whether this PNE shows the same six digits, which it does from then on; answered by `compared`. */
  | { readonly kind: 'compare'; readonly digits: string; readonly pne: EnrolledPne }
  /** Posts both OPENs, E1 and E2 under the offer's nonce; answered by `receipt` or `refused`. */
  | { readonly kind: 'claim'; readonly nonce: Bytes; readonly request: Bytes }
  | { readonly kind: 'persistEnrolled'; readonly pne: EnrolledPne }
  | { readonly kind: 'persistAcknowledged'; readonly pne: EnrolledPne; readonly nonce: Bytes }
  | { readonly kind: 'enrolled'; readonly pne: EnrolledPne };

/** How long a user may take to compare two numbers. */
const COMPARE_WITHIN_MS = 60_000;

type EnrolStep = Step<GatewayEnrolState, GatewayEnrolOutput>;
type On<K> = Extract<GatewayEnrolInput, { readonly kind: K }>;
type BodyInput = { readonly body: Bytes };

const goTo = (to: GatewayEnrolState, ...outputs: GatewayEnrolOutput[]): EnrolStep => ({ to, outputs });

function signOffer(session: GatewayEnrolSession, input: On<'opened'>): EnrolStep {
  session.opening = input;
  const payload = EnrolOfferPayload.encode(session.offer);
  return goTo('signing-offer', { kind: 'sign', message: toBeSigned(EnrolOfferPayload, input.th1, payload) });
}

/** E1. */
function sendOffer(session: GatewayEnrolSession, input: On<'signed'>): EnrolStep {
  const e1 = assembleSign1(EnrolOfferPayload.encode(session.offer), input.signature);
  session.e1 = e1;
  return goTo('awaiting-claim', { kind: 'send', message: 'EnrolOffer', body: e1 });
}

/** E2: that it opened proves the code; its key must be the one the code was printed for, where the PNE showed it. */
function takeClaim(session: GatewayEnrolSession, { body }: BodyInput): EnrolStep {
  return checked(() => {
    const { primitives, salt } = session;
    const { th1, prk1, openG, openP } = known(session.opening);
    const e1 = known(session.e1);
    const claimed = EnrolClaimPayload.decode(parseSign1(body).payload);
    const key = publicKeyOf(primitives, claimed.key);
    const thumbprint = thumbprintOf(primitives, key);
    const { expectedThumbprint: expected } = session;
    if (expected && !equal(thumbprint.slice(0, expected.length), expected)) {
      throw new CpnsError('enrolment-code-wrong');
    }
    const transcript = claimTranscript(primitives, th1, e1);
    openSigned(primitives, EnrolClaimPayload, () => [key], transcript, body, 'response-invalid');
    session.pne = {
      key,
      thumbprint,
      pneId: claimed.pneId,
      capability: claimed.capability,
      epoch: claimed.epoch,
      rms: deriveHomeRms(primitives, prk1),
    };
    session.request = EnrolmentRequest.encode({ openG, openP, offer: e1, claim: body });
    if (expected) return postClaim(session);
    return goTo(
      'comparing',
      { kind: 'compare', digits: comparedDigits(primitives, th1, body, salt), pne: session.pne },
      { kind: 'send', message: 'EnrolComparison', body: EnrolComparison.encode({ salt }) },
    );
  });
}

function takeComparison(session: GatewayEnrolSession, { status }: On<'compared'>): EnrolStep {
  return status === 'ok' ? postClaim(session) : closeWith(status);
}

function postClaim({ offer, request }: GatewayEnrolSession): EnrolStep {
  return goTo('awaiting-receipt', { kind: 'claim', nonce: offer.nonce, request: known(request) });
}

/** E3: the server has committed; the PNE is on record here before it hears so. */
function relayReceipt(session: GatewayEnrolSession, input: On<'receipt'>): EnrolStep {
  return goTo(
    'awaiting-ack',
    { kind: 'persistEnrolled', pne: known(session.pne) },
    { kind: 'send', message: 'EnrolReceipt', body: input.receipt },
  );
}

/** E4. */
function finish(session: GatewayEnrolSession, { body }: BodyInput): EnrolStep {
  return checked(() => {
    const pne = known(session.pne);
    const { status } = EnrolAck.decode(body);
    if (status !== 'ok') return closeWith(status, false);
    return goTo(
      'done',
      { kind: 'persistAcknowledged', pne, nonce: session.offer.nonce },
      { kind: 'enrolled', pne },
      { kind: 'close', status: 'ok', abort: false },
    );
  });
}

export const GATEWAY_ENROL_MACHINE: MachineDefinition<
  GatewayEnrolSession,
  GatewayEnrolState,
  GatewayEnrolInput,
  GatewayEnrolOutput,
  Action
> = {
  name: 'enrolling gateway',
  initial: 'opening',
  final: ['done', 'closed'],
  deadlines: {
    opening: 2_000,
    'signing-offer': 5_000,
    'awaiting-claim': 10_000,
    comparing: COMPARE_WITHIN_MS,
    'awaiting-receipt': 15_000,
    'awaiting-ack': 10_000,
  },
  table: GATEWAY_ENROL_TABLE,
  actions: {
    signOffer: (session, input) => signOffer(session, input as On<'opened'>),
    sendOffer: (session, input) => sendOffer(session, input as On<'signed'>),
    takeClaim: (session, input) => takeClaim(session, input as BodyInput),
    takeComparison: (session, input) => takeComparison(session, input as On<'compared'>),
    relayReceipt: (session, input) => relayReceipt(session, input as On<'receipt'>),
    finish: (session, input) => finish(session, input as BodyInput),
    closeUnanswered: () => closeWith('confirmation-timeout'),
    closeWithAbort: (_session, input) => closeWith(endStatus(input)),
    closeQuietly: (_session, input) => closeWith(endStatus(input), false),
  },
  unexpected: () => closeWith('unexpected-message'),
};
