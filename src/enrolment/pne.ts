/**
 * The PNE's side of its enrolment (docs/protocol.md §7.2): it shows a code or is given that of a gateway, and becomes its
 * user's through the gateway that proves it. Pure. The code is spent on one gateway key before anything is claimed under it.
 */
import { type Bytes, equal } from '../base/bytes.ts';
import { CpnsError } from '../base/errors.ts';
import type { GatewayId } from '../base/ids.ts';
import type { Status } from '../base/statuses.ts';
import type { ServerSeconds } from '../base/time.ts';
import type { MachineDefinition, Step, TransitionTable } from '../establishment/machine.ts';
import { type CloseOutput, checked, closeWith, ENDS, endStatus, known } from '../establishment/session.ts';
import type { CoseKey } from '../messages/common.ts';
import {
  EnrolAck,
  EnrolClaimPayload,
  EnrolComparison,
  EnrolOfferPayload,
  EnrolReceiptPayload,
} from '../messages/enrolment.ts';
import { parseHomeAddress } from '../messages/home-address.ts';
import { assembleSign1, parseSign1 } from '../security/cose.ts';
import { gatewayIdOf, publicKeyOf, thumbprintOf } from '../security/cose-key.ts';
import { verifyCredential } from '../security/credential.ts';
import { deriveHomeRms } from '../security/key-schedule.ts';
import type { Primitives, PublicKey } from '../security/primitives.ts';
import { keysFor, pinServerKeys, type ServerKeys } from '../security/server-keys.ts';
import { type Opened, openSigned, toBeSigned } from '../security/signed-message.ts';
import { claimTranscript, comparedDigits, receiptTranscript } from './transcript.ts';

export type PneEnrolState =
  | 'opening'
  | 'awaiting-offer' // E1
  | 'signing-claim'
  | 'comparing' // until the gateway says that it asks its user, and by what salt
  | 'showing-digits' // E3, while that user compares
  | 'awaiting-receipt' // E3
  | 'done'
  | 'closed';

type Kind =
  | 'opened'
  | 'EnrolOffer'
  | 'signed'
  | 'EnrolComparison'
  | 'EnrolReceipt'
  | 'Abort'
  | 'failed'
  | 'timeout'
  | 'linkClosed'
  | 'stop';
type Action =
  | 'open'
  | 'takeOffer'
  | 'sendClaim'
  | 'showDigits'
  | 'takeReceipt'
  | 'closeWithAbort'
  | 'closeQuietly';

export const PNE_ENROL_TABLE: TransitionTable<PneEnrolState, Kind, Action> = {
  opening: { ...ENDS, opened: { do: 'open', to: ['awaiting-offer'] } },
  'awaiting-offer': { ...ENDS, EnrolOffer: { do: 'takeOffer', to: ['signing-claim', 'closed'] } },
  'signing-claim': { ...ENDS, signed: { do: 'sendClaim', to: ['comparing', 'awaiting-receipt'] } },
  comparing: {
    ...ENDS,
    EnrolComparison: { do: 'showDigits', to: ['showing-digits', 'closed'] },
    EnrolReceipt: { do: 'takeReceipt', to: ['done', 'closed'] },
  },
  // No second EnrolComparison: each would put the deadline off.
  'showing-digits': { ...ENDS, EnrolReceipt: { do: 'takeReceipt', to: ['done', 'closed'] } },
  'awaiting-receipt': { ...ENDS, EnrolReceipt: { do: 'takeReceipt', to: ['done', 'closed'] } },
  done: {},
  closed: {},
};

/** What a PNE keeps of its enrolment: owner, keys, home. */
export interface Ownership {
  /** The offer's payload as verified: what is kept on disk. */
  readonly offer: Bytes;
  readonly rootKey: PublicKey;
  readonly serverKeys: ServerKeys;
  readonly homeAddress: string;
  readonly homeGatewayId: GatewayId;
  readonly userLabel: string;
  readonly epoch: number;
  /** The time the receipt states: the first floor. */
  readonly serverTime: ServerSeconds;
  /** Home resumption secret, 32 bytes. */
  readonly rms: Bytes;
}

export interface PneEnrolSession {
  readonly primitives: Primitives;
  readonly publicKey: PublicKey;
  readonly coseKey: CoseKey;
  readonly pneId: string | undefined;
  readonly capability: Bytes | undefined;
  /** One more than the epoch of the last claim this key signed. */
  readonly epoch: number;
  /** Thumbprint of the gateway key that the code was spent on, when it was. */
  readonly spentOn: Bytes | undefined;
  /** T of a code that the gateway shows: first 16 bytes of its thumbprint. Its user then compares digits with ours. */
  readonly expectedGateway?: Bytes | undefined;
  opening?: { readonly th1: Bytes; readonly prk1: Bytes };
  e1?: Bytes;
  e2?: Bytes;
  offer?: Opened<EnrolOfferPayload>;
}

export type PneEnrolInput =
  | { readonly kind: 'opened'; readonly th1: Bytes; readonly prk1: Bytes }
  | { readonly kind: 'EnrolOffer' | 'EnrolComparison' | 'EnrolReceipt' | 'Abort'; readonly body: Bytes }
  | { readonly kind: 'signed'; readonly signature: Bytes }
  | { readonly kind: 'failed' | 'linkClosed'; readonly status: Status }
  | { readonly kind: 'timeout' | 'stop' };

export type PneEnrolOutput =
  | CloseOutput
  | { readonly kind: 'persistSpent'; readonly gatewayThumbprint: Bytes; readonly epoch: number }
  | { readonly kind: 'sign'; readonly message: Bytes }
  | { readonly kind: 'send'; readonly message: 'EnrolClaim' | 'EnrolAck'; readonly body: Bytes }
  /** To be shown: the gateway's user is asked whether they are the same. */
  | { readonly kind: 'compare'; readonly digits: string }
  | { readonly kind: 'persistOwnership'; readonly ownership: Ownership }
  | { readonly kind: 'enrolled'; readonly ownership: Ownership };

type EnrolStep = Step<PneEnrolState, PneEnrolOutput>;
type On<K> = Extract<PneEnrolInput, { readonly kind: K }>;
type BodyInput = { readonly body: Bytes };

const goTo = (to: PneEnrolState, ...outputs: PneEnrolOutput[]): EnrolStep => ({ to, outputs });

function open(session: PneEnrolSession, input: On<'opened'>): EnrolStep {
  session.opening = input;
  return goTo('awaiting-offer');
}

/** E1: that it opened proves the code; what it pins must at least hang together. */
function takeOffer(session: PneEnrolSession, { body }: BodyInput): EnrolStep {
  return checked(() => {
    const { primitives } = session;
    const { th1 } = known(session.opening);
    const offered = EnrolOfferPayload.decode(parseSign1(body).payload);
    const gatewayKey = publicKeyOf(primitives, offered.gatewayKey);
    const gatewayThumbprint = thumbprintOf(primitives, gatewayKey);
    if (session.spentOn && !equal(session.spentOn, gatewayThumbprint)) {
      throw new CpnsError('enrolment-code-spent');
    }
    const { expectedGateway: expected } = session;
    if (expected && !equal(expected, gatewayThumbprint.slice(0, expected.length))) {
      throw new CpnsError('enrolment-code-wrong', 'another gateway shows this code');
    }
    session.offer = openSigned(
      primitives,
      EnrolOfferPayload,
      () => [gatewayKey],
      th1,
      body,
      'enrolment-code-wrong',
    );
    // The receipt's time will be the first floor, so an expiry can't be judged yet.
    const credential = verifyCredential(primitives, pinned(session, offered), offered.credential, { now: 0 });
    const home = parseHomeAddress(offered.homeAddress);
    const hangsTogether =
      equal(credential.thumbprint, gatewayThumbprint) &&
      equal(home.gatewayId, credential.gatewayId) &&
      offered.userLabel === credential.userLabel;
    if (!hangsTogether) throw new CpnsError('credential-invalid', 'the offer is not of its credential');
    session.e1 = body;
    return goTo(
      'signing-claim',
      { kind: 'persistSpent', gatewayThumbprint, epoch: session.epoch },
      {
        kind: 'sign',
        message: toBeSigned(EnrolClaimPayload, claimTranscript(primitives, th1, body), claim(session)),
      },
    );
  });
}

function pinned(session: PneEnrolSession, offer: EnrolOfferPayload): ServerKeys {
  return pinServerKeys(session.primitives, offer.rootKey, offer.serverKeys);
}

function claim(session: PneEnrolSession): Bytes {
  const { coseKey, pneId, capability, epoch } = session;
  return EnrolClaimPayload.encode({
    key: coseKey,
    ...(pneId !== undefined && { pneId }),
    ...(capability !== undefined && { capability }),
    epoch,
  });
}

/** E2. */
function sendClaim(session: PneEnrolSession, input: On<'signed'>): EnrolStep {
  const e2 = assembleSign1(claim(session), input.signature);
  session.e2 = e2;
  const send = { kind: 'send', message: 'EnrolClaim', body: e2 } as const;
  if (!session.expectedGateway) return goTo('awaiting-receipt', send);
  return goTo('comparing', send);
}

/** The gateway has E2 and asks its user: now it says what was missing to the digits. */
function showDigits({ primitives, opening, e2 }: PneEnrolSession, { body }: BodyInput): EnrolStep {
  return checked(() => {
    const { salt } = EnrolComparison.decode(body);
    return goTo('showing-digits', {
      kind: 'compare',
      digits: comparedDigits(primitives, known(opening).th1, known(e2), salt),
    });
  });
}

/** E3: the server's word that this key, at this epoch, is this user's; E4 answers it. */
function takeReceipt(session: PneEnrolSession, { body }: BodyInput): EnrolStep {
  return checked(() => {
    const { primitives, publicKey, epoch } = session;
    const { th1, prk1 } = known(session.opening);
    const { value: offer, payload } = known(session.offer);
    const serverKeys = pinned(session, offer);
    const transcript = receiptTranscript(primitives, th1, known(session.e1), known(session.e2));
    const { value: receipt } = openSigned(
      primitives,
      EnrolReceiptPayload,
      keysFor(serverKeys),
      transcript,
      body,
      'receipt-invalid',
    );
    const homeGatewayId = gatewayIdOf(primitives, publicKeyOf(primitives, offer.gatewayKey));
    const aboutThis =
      equal(receipt.thumbprint, thumbprintOf(primitives, publicKey)) &&
      equal(receipt.gatewayId, homeGatewayId) &&
      receipt.userLabel === offer.userLabel &&
      receipt.epoch === epoch;
    if (!aboutThis) throw new CpnsError('receipt-invalid');
    const ownership: Ownership = {
      offer: payload,
      rootKey: publicKeyOf(primitives, offer.rootKey),
      serverKeys,
      homeAddress: offer.homeAddress,
      homeGatewayId,
      userLabel: receipt.userLabel,
      epoch,
      serverTime: receipt.serverTime,
      rms: deriveHomeRms(primitives, prk1),
    };
    return goTo(
      'done',
      { kind: 'persistOwnership', ownership },
      { kind: 'send', message: 'EnrolAck', body: EnrolAck.encode({ status: 'ok' }) },
      { kind: 'enrolled', ownership },
      { kind: 'close', status: 'ok', abort: false },
    );
  });
}

export const PNE_ENROL_MACHINE: MachineDefinition<
  PneEnrolSession,
  PneEnrolState,
  PneEnrolInput,
  PneEnrolOutput,
  Action
> = {
  name: 'enrolling PNE',
  initial: 'opening',
  final: ['done', 'closed'],
  deadlines: {
    opening: 2_000,
    'awaiting-offer': 3_000,
    'signing-claim': 5_000,
    comparing: 90_000,
    'showing-digits': 90_000,
    'awaiting-receipt': 25_000,
  },
  table: PNE_ENROL_TABLE,
  actions: {
    open: (session, input) => open(session, input as On<'opened'>),
    takeOffer: (session, input) => takeOffer(session, input as BodyInput),
    sendClaim: (session, input) => sendClaim(session, input as On<'signed'>),
    showDigits: (session, input) => showDigits(session, input as BodyInput),
    takeReceipt: (session, input) => takeReceipt(session, input as BodyInput),
    closeWithAbort: (_session, input) => closeWith(endStatus(input)),
    closeQuietly: (_session, input) => closeWith(endStatus(input), false),
  },
  unexpected: () => closeWith('unexpected-message'),
};
