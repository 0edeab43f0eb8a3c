/**
 * The home gateway: what it checks before it lets its user pay for somebody else's gateway, and how it answers, once.
 * Pure. It believes neither the server nor the asking gateway: the evidence has to hold against its own record of the
 * PNE's key. The answer is on disk before it is sent, and every resend is the same bytes (docs/protocol.md §12, row GW1).
 *
 * CHOICE: evidence that does not hold is answered with a signed no that says why, so that the join ends at once and not
 * at the server's deadline. A no over a th3 that nobody else knows binds nobody to anything.
 */
import { type Bytes, equal } from '../base/bytes.ts';
import { CpnsError, statusOfError } from '../base/errors.ts';
import { type GatewayId, JOIN_ID_BYTES, JoinId, type Thumbprint } from '../base/ids.ts';
import type { Status } from '../base/statuses.ts';
import type { ServerSeconds } from '../base/time.ts';
import { checkCarriedOpens } from '../link/carried-opens.ts';
import { type PneConfirmRequest, PneConfirmResponsePayload } from '../messages/confirmation.ts';
import { parseHomeAddress } from '../messages/home-address.ts';
import { LINK_KINDS } from '../messages/link.ts';
import { AuthenticationResponsePayload, PnSetupRequestPayload, PnSetupResponse } from '../messages/setup.ts';
import { type ApprovalRule, type ConfirmRequestView, decideByRules } from '../network/approval-policy.ts';
import { assembleSign1, parseSign1 } from '../security/cose.ts';
import { verifyCredential } from '../security/credential.ts';
import { transcript1, transcript2, transcript3 } from '../security/key-schedule.ts';
import type { Primitives, PublicKey } from '../security/primitives.ts';
import type { ServerKeys } from '../security/server-keys.ts';
import { openSigned, toBeSigned } from '../security/signed-message.ts';
import {
  HOME_GATEWAY_TABLE,
  type HomeGatewayAction,
  type HomeGatewayInputKind,
  type HomeGatewayState,
} from './home-gateway-table.ts';
import type { MachineDefinition, Step } from './machine.ts';
import { verifyChallenge, verifyOutcome } from './server-words.ts';
import { known } from './session.ts';

/** A PNE as this gateway enrolled it. */
export interface OwnPne {
  readonly thumbprint: Thumbprint;
  readonly key: PublicKey;
  readonly label?: string;
  readonly revoked: boolean;
}

/** Two answers, and why not when one of them is no. */
export interface Decision {
  readonly yours: boolean;
  readonly chargeable: boolean;
  /** `ok` exactly when both are true. */
  readonly reason: Status;
}

/** One request's memory. */
export interface HomeGatewaySession {
  readonly primitives: Primitives;
  /** As of now: the node replaces them when the operator has new keys. */
  serverKeys: ServerKeys;
  readonly gatewayId: GatewayId;
  readonly request: PneConfirmRequest;
  /** The record of the PNE that {@link claimedThumbprint} names. */
  readonly pne: OwnPne | undefined;
  /** Configured ones first, then remembered ones. */
  readonly rules: readonly ApprovalRule[];
  /** Gateways that the owner reported: they are answered no, whatever the rules say. */
  readonly reported?: readonly GatewayId[];
  /** Subscription that a yes is charged to, a label of at most 64 bytes. */
  readonly subscription: string;
  /** What the owner is shown; present once the evidence held. */
  view?: ConfirmRequestView;
  decision?: Decision;
  decidedBy?: string;
  payload?: Bytes;
  /** Read back from disk, or made here: what is sent. */
  answer?: Bytes;
}

export type HomeGatewayInput =
  | { readonly kind: 'review'; readonly now: ServerSeconds }
  | {
      readonly kind: 'decided';
      readonly decision: Decision;
      readonly now: ServerSeconds;
    }
  | { readonly kind: 'signed'; readonly signature: Bytes }
  | { readonly kind: 'outcome'; readonly outcome: Bytes }
  | { readonly kind: 'rejected'; readonly status: Status }
  | { readonly kind: 'failed'; readonly status: Status }
  | { readonly kind: 'delivered' | 'resend' | 'stored' | 'deadline' | 'timeout' | 'stop' };

export type HomeGatewayOutput =
  | { readonly kind: 'ask'; readonly view: ConfirmRequestView }
  | { readonly kind: 'sign'; readonly message: Bytes }
  | {
      readonly kind: 'saveAnswer';
      readonly decision: Decision;
      readonly decidedBy: string;
      readonly answer: Bytes;
    }
  | { readonly kind: 'send'; readonly answer: Bytes }
  | { readonly kind: 'settle'; readonly status: Status; readonly outcome?: Bytes }
  /**
   * Somebody is to look at this: `outcome-invalid`, an outcome that is not the server's word, which was passed over;
   * `answer-invalid`, the server says that a join is registered to which this gateway never said yes.
   */
  | { readonly kind: 'alarm'; readonly status: 'outcome-invalid' | 'answer-invalid' };

type HomeStep = Step<HomeGatewayState, HomeGatewayOutput>;
type On<K extends HomeGatewayInput['kind']> = Extract<HomeGatewayInput, { readonly kind: K }>;

const goTo = (to: HomeGatewayState, ...outputs: HomeGatewayOutput[]): HomeStep => ({ to, outputs });

/** The join a request is about: first 16 bytes of the th3 it states. */
export function joinIdOf(request: PneConfirmRequest): JoinId {
  return JoinId(request.th3.slice(0, JOIN_ID_BYTES));
}

/** The PNE that step 2 in the evidence names; undefined when the evidence has no readable step 2. */
export function claimedThumbprint(request: PneConfirmRequest): Thumbprint | undefined {
  try {
    const response = PnSetupResponse.decode(request.evidence.m2);
    return response.status === 'ok' ? response.thumbprint : undefined;
  } catch {
    return undefined;
  }
}

/**
 * Checks a request against this gateway's own record of the PNE; cheap checks first.
 * @returns what rules and people are shown
 * @throws CpnsError with the reason of the no: not-owned, revoked-pne, malformed, home-address-mismatch, challenge-invalid,
 * transcript-mismatch, version-mismatch, suite-mismatch, credential-…, setup-request-invalid, response-invalid
 */
export function verifyRequest(session: HomeGatewaySession): ConfirmRequestView {
  const { primitives, serverKeys, request, pne } = session;
  const { evidence } = request;
  if (!pne) throw new CpnsError('not-owned');
  if (pne.revoked) throw new CpnsError('revoked-pne');
  checkCarriedOpens(evidence.openG, evidence.openP, 'establish');
  checkStep2(session, pne, evidence.m2);
  const claimed = PnSetupRequestPayload.decode(parseSign1(evidence.m1).payload);

  const th1 = transcript1(primitives, LINK_KINDS.establish, evidence.openG, evidence.openP);
  const th2 = transcript2(primitives, th1, evidence.m1, evidence.m2);
  const challenge = verifyChallenge(primitives, serverKeys, th2, evidence.challenge);
  if (!equal(transcript3(primitives, th2, challenge.payload), request.th3))
    throw new CpnsError('transcript-mismatch');

  // The request may have waited for a day: what counts is that the credential held when the PNE saw it.
  const credential = verifyCredential(primitives, serverKeys, claimed.credential, {
    now: challenge.value.serverTime,
  });
  const setup = openSigned(
    primitives,
    PnSetupRequestPayload,
    () => [credential.key],
    th1,
    evidence.m1,
    'setup-request-invalid',
  );
  openSigned(
    primitives,
    AuthenticationResponsePayload,
    () => [pne.key],
    request.th3,
    evidence.response,
    'response-invalid',
  );

  const { pnId, name, setupType } = setup.value;
  return {
    joinId: joinIdOf(request),
    pnId,
    pne: { thumbprint: pne.thumbprint, ...(pne.label === undefined ? {} : { label: pne.label }) },
    asking: {
      user: credential.userLabel,
      gateway: credential.gatewayLabel,
      gatewayId: credential.gatewayId,
    },
    claimedPnName: name,
    setupType,
    terms: request.terms,
    deadline: request.deadline,
  };
}

function checkStep2(session: HomeGatewaySession, pne: OwnPne, m2: Bytes): void {
  const response = PnSetupResponse.decode(m2);
  if (response.status !== 'ok' || !equal(response.thumbprint, pne.thumbprint))
    throw new CpnsError('transcript-mismatch', 'step 2 is not of this PNE');
  if (!equal(parseHomeAddress(response.homeAddress).gatewayId, session.gatewayId))
    throw new CpnsError('home-address-mismatch');
}

/** The owner's no: it is theirs, but nobody pays for it. */
const REFUSED: Decision = { yours: true, chargeable: false, reason: 'user-refused' };

function review(session: HomeGatewaySession, input: On<'review'>): HomeStep {
  try {
    session.view = verifyRequest(session);
  } catch (error) {
    const reason = statusOfError(error);
    // An error of our own is no evidence against anybody: nothing is signed, and the next start looks again.
    if (reason === 'internal') return goTo('suspended');
    const yours = session.pne !== undefined && !session.pne.revoked;
    return sign(session, { yours, chargeable: false, reason }, 'evidence', input.now);
  }
  const { gatewayId } = session.view.asking;
  if (session.reported?.some((reported) => equal(reported, gatewayId)))
    return sign(session, REFUSED, 'report', input.now);
  const { decision, matched } = decideByRules(session.rules, session.view);
  const decidedBy = `rule ${matched ?? 0}`;
  if (decision === 'ask') return goTo('asking', { kind: 'ask', view: session.view });
  if (decision === 'deny') return sign(session, REFUSED, decidedBy, input.now);
  return sign(session, { yours: true, chargeable: true, reason: 'ok' }, decidedBy, input.now);
}

function sign(
  session: HomeGatewaySession,
  decision: Decision,
  decidedBy: string,
  decidedAt: ServerSeconds,
): HomeStep {
  const { th3: transcript, terms } = session.request;
  const { yours, chargeable, reason } = decision;
  const payload = PneConfirmResponsePayload.encode(
    reason === 'ok'
      ? {
          yours: true,
          chargeable: true,
          reason,
          subscription: session.subscription,
          limit: terms.limit,
          decidedAt,
        }
      : { yours, chargeable, reason, decidedAt },
  );
  session.decision = decision;
  session.decidedBy = decidedBy;
  session.payload = payload;
  return goTo('signing', {
    kind: 'sign',
    message: toBeSigned(PneConfirmResponsePayload, transcript, payload),
  });
}

function answer(session: HomeGatewaySession, input: On<'signed'>): HomeStep {
  const signed: Bytes = assembleSign1(known(session.payload), input.signature);
  session.answer = signed;
  return goTo(
    'answering',
    {
      kind: 'saveAnswer',
      decision: known(session.decision),
      decidedBy: known(session.decidedBy),
      answer: signed,
    },
    { kind: 'send', answer: signed },
  );
}

/** The server's last word; one that does not verify says nothing. */
function settle(session: HomeGatewaySession, input: On<'outcome'>, state: HomeGatewayState): HomeStep {
  const { primitives, serverKeys, request, decision, answer: sent } = session;
  let status: Status;
  try {
    status = verifyOutcome(primitives, serverKeys, request.th3, input.outcome).status;
  } catch {
    return goTo(state, { kind: 'alarm', status: 'outcome-invalid' });
  }
  const settled: HomeGatewayOutput = { kind: 'settle', status, outcome: input.outcome };
  if (status !== 'ok' || (decision?.reason === 'ok' && sent)) return goTo('settling', settled);
  return goTo('settling', settled, { kind: 'alarm', status: 'answer-invalid' });
}

export const HOME_GATEWAY_MACHINE: MachineDefinition<
  HomeGatewaySession,
  HomeGatewayState,
  HomeGatewayInput,
  HomeGatewayOutput,
  HomeGatewayAction
> = {
  name: 'home gateway',
  initial: 'asked',
  final: ['settled', 'suspended'],
  deadlines: {},
  table: HOME_GATEWAY_TABLE,
  actions: {
    review: (session, input) => review(session, input as On<'review'>),
    sign: (session, input) => {
      const { decision, now } = input as On<'decided'>;
      return sign(session, decision, 'user', now);
    },
    answer: (session, input) => answer(session, input as On<'signed'>),
    send: (session) => goTo('answering', { kind: 'send', answer: known(session.answer) }),
    wait: () => goTo('answered'),
    settle: (session, input, state) => settle(session, input as On<'outcome'>, state),
    giveUp: () => goTo('settling', { kind: 'settle', status: 'confirmation-timeout' }),
    giveIn: (_session, input) =>
      goTo('settling', { kind: 'settle', status: (input as On<'rejected'>).status }),
    end: () => goTo('settled'),
    suspend: () => goTo('suspended'),
    ignore: (_session, _input, state) => goTo(state),
  },
  /** Inputs come from this very program: one that does not belong is late, and changes nothing. */
  unexpected: (_session, _input, state) => goTo(state),
};

export type { HomeGatewayInputKind, HomeGatewayState };
