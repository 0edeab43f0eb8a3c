/**
 * The CPNS server's side of one registration: challenge, verification, the question to the home gateway, the commit
 * (steps 3, 4, 7–11 of docs/protocol.md). Pure: no SQL, no clock, no key. What it decides is a change to commit and a
 * reply; what it knows of the world comes in with each input.
 *
 * The commit point is the change to `registered`. Whoever was made to sign is told the end: every refusal behind step 7
 * has an outcome over th3, for GW2 and, when it was asked, for GW1. A repeated request gets the stored bytes.
 */
import { equal } from '../base/bytes.ts';
import { CpnsError } from '../base/errors.ts';
import { JOIN_ID_BYTES, JoinId } from '../base/ids.ts';
import { PneConfirmRequest } from '../messages/confirmation.ts';
import { PnRegistrationRequest } from '../messages/registration.ts';
import type { Failure } from '../messages/schema-status.ts';
import { AuthenticationChallengePayload } from '../messages/setup.ts';
import { assembleSign1 } from '../security/cose.ts';
import { transcript3 } from '../security/key-schedule.ts';
import { toBeSigned } from '../security/signed-message.ts';
import type { MachineDefinition } from './machine.ts';
import {
  checkAnswer,
  checkRegistration,
  checkResponse,
  checkStillAllowed,
  QuotaError,
  readExchange,
  refusalReason,
} from './server-checks.ts';
import { goTo, refuse, register, reject, reply, type ServerStep, transactionState } from './server-ends.ts';
import { composeInventory, type Registering } from './server-inventory.ts';

export { transactionState } from './server-ends.ts';

import { SERVER_TABLE, type ServerAction, type ServerState } from './server-table.ts';
import type {
  AuthenticationResponseInput,
  ConfirmAnswerInput,
  RegistrationRequestInput,
  RegistrationRow,
  ServerInput,
  ServerOutput,
  ServerSession,
} from './server-types.ts';
import { known } from './session.ts';

type On<K extends ServerInput['kind']> = Extract<ServerInput, { readonly kind: K }>;

/** The status of a check that failed; what is no CpnsError is a defect of ours and not the peer's fault. */
function failureOf(error: unknown): Failure {
  if (error instanceof CpnsError && error.status !== 'ok') return error.status;
  throw error;
}

/** When the same may be tried again, where that is known. */
function waitSecondsOf(error: unknown, { backoffUntil, now }: RegistrationRequestInput): number | undefined {
  if (error instanceof QuotaError) return error.retryAfterSeconds;
  return error instanceof CpnsError && error.status === 'backing-off' ? backoffUntil - now : undefined;
}

/** Step 3. A no leaves no trace. */
function challenge(session: ServerSession, input: RegistrationRequestInput): ServerStep {
  const { gateway, now, nonce, txn, body } = input;
  try {
    const { setup, joining, th2 } = checkRegistration(session, input);
    const payload = AuthenticationChallengePayload.encode({ nonce, serverTime: now });
    const th3 = transcript3(session.primitives, th2, payload);
    session.plan = ([signature], kid) => {
      const row: RegistrationRow = {
        gatewayId: gateway.gatewayId,
        txn,
        state: 'challenged',
        request: body,
        challenge: assembleSign1(payload, known(signature), kid),
        challengedAt: now,
        pnId: setup.pnId,
        th3,
        joinId: JoinId(th3.slice(0, JOIN_ID_BYTES)),
        pne: joining.thumbprint,
        delivered: false,
      };
      return [
        { kind: 'commit', change: { to: 'challenged', row, maxOpen: session.limits.openPerGateway } },
        reply({ kind: 'challenge', challenge: row.challenge, pnId: row.pnId, created: true }),
      ];
    };
    const message = toBeSigned(AuthenticationChallengePayload, th2, payload);
    return goTo('signing-challenge', { kind: 'sign', messages: [message] });
  } catch (error) {
    const status = failureOf(error);
    return goTo('new', reject(status, waitSecondsOf(error, input)));
  }
}

/** A repeated step 3 gets the same challenge, whatever became of the transaction. */
function repeatChallenge(session: ServerSession, input: RegistrationRequestInput): ServerStep {
  const row = known(session.row);
  if (!equal(row.request, input.body)) return goTo(row.state, reject('conflict'));
  const { challenge: stored, pnId } = row;
  return goTo(row.state, reply({ kind: 'challenge', challenge: stored, pnId, created: false }));
}

/** Step 7. From here on the PNE has signed, and is owed a signed end. */
function verifyResponse(session: ServerSession, input: AuthenticationResponseInput): ServerStep {
  const row = known(session.row);
  const { now, response, gateway } = input;
  const refuseWith = (status: Failure) => refuse(session, { status, now, response, answerWith: 'state' });
  if (now > row.challengedAt + session.limits.challengeSeconds) return refuseWith('challenge-stale');
  const request = PnRegistrationRequest.decode(row.request);
  try {
    const exchange = readExchange(session.primitives, request);
    const pne = checkResponse(session, row, exchange, request.m1, input);
    // An attempt that the PNE had given up must not take the place of the membership that it knows.
    if (input.isOvertaken) throw new CpnsError('superseded');
    const registering: Registering = {
      row,
      request,
      exchange,
      response,
      gateway,
      pne,
      pn: input.pn,
      now,
      answer: undefined,
      earlierJoin: input.earlierYes?.joinId,
    };
    const inventory = composeInventory(registering);
    const supersede: ServerOutput[] = input.earlier.length
      ? [{ kind: 'supersede', earlier: input.earlier }]
      : [];
    // The same key in the same PN behind the same gateway again: its user has said yes to that already.
    if (input.earlierYes && equal(input.earlierYes.homeGatewayId, pne.home.gatewayId)) {
      if (input.refreshesToday >= session.limits.refreshesPerGatewayPerDay)
        throw new CpnsError('quota-exceeded');
      return register(session, registering, inventory, supersede, 'state');
    }
    checkMayAsk(session, input);
    return ask(session, registering, input.homeOnline, supersede);
  } catch (error) {
    return refuseWith(failureOf(error));
  }
}

/** Whether the user may be bothered once more. @throws CpnsError quota-exceeded */
function checkMayAsk({ limits }: ServerSession, input: AuthenticationResponseInput): void {
  const { pendingOfUser, vainQuestions } = input;
  if (
    pendingOfUser >= limits.pendingPerUser ||
    vainQuestions.ofUser >= limits.vainQuestionsPerUser ||
    vainQuestions.ofGateway >= limits.vainQuestionsPerUserAndGateway
  )
    throw new CpnsError('quota-exceeded');
}

/** Step 8: the home gateway is asked, with the evidence. */
function ask(
  session: ServerSession,
  { row, request, response, pne, now }: Registering,
  homeOnline: boolean,
  supersede: readonly ServerOutput[],
): ServerStep {
  const { limits, terms } = session;
  const homeGatewayId = pne.home.gatewayId;
  const deadline = now + (homeOnline ? limits.confirmOnlineSeconds : limits.confirmOfflineSeconds);
  const { openG, openP, m1, m2 } = request;
  const body = PneConfirmRequest.encode({
    th3: row.th3,
    evidence: { openG, openP, m1, m2, challenge: row.challenge, response },
    deadline,
    terms,
  });
  const waitingFor = homeOnline ? 'awaiting-user' : 'awaiting-home-gateway';
  return goTo(
    'verified',
    ...supersede,
    {
      kind: 'commit',
      change: {
        to: 'verified',
        key: row,
        notAfter: row.challengedAt + limits.challengeSeconds,
        response,
        homeGatewayId,
        deadline,
        outbox: [{ to: homeGatewayId, kind: 'pne-confirm-request', body }],
      },
    },
    reply({ kind: 'state', state: { state: 'verified', status: waitingFor } }),
    { kind: 'waiting', status: waitingFor },
  );
}

function repeatState(session: ServerSession, input: AuthenticationResponseInput): ServerStep {
  const row = known(session.row);
  if (!row.response || !equal(row.response, input.response)) return goTo(row.state, reject('conflict'));
  return goTo(row.state, reply({ kind: 'state', state: transactionState(row) }));
}

function signLateRefusal(session: ServerSession, input: AuthenticationResponseInput): ServerStep {
  const { status, outcome } = known(session.row);
  if (outcome) return repeatState(session, input);
  const { response, now } = input;
  return refuse(session, { status: status ?? 'challenge-stale', now, response, answerWith: 'state' });
}

/** Step 9. */
function decide(session: ServerSession, input: ConfirmAnswerInput): ServerStep {
  const row = known(session.row);
  const { answer, now, caller, gateway, pn } = input;
  const asked = known(row.homeGatewayId);
  if (!equal(caller.gatewayId, asked)) return goTo('verified', reject('unknown-transaction'));
  if (now > known(row.deadline))
    return refuse(session, { status: 'confirmation-timeout', now, answerWith: 'deadline-passed' });
  try {
    const payload = checkAnswer(session, row, input);
    if (payload.reason !== 'ok')
      return refuse(session, { status: refusalReason(payload), now, answer, answerWith: 'accepted' });
  } catch (error) {
    // Not the home gateway's word: it can be said again, properly.
    return goTo('verified', reject(failureOf(error)));
  }
  try {
    const pne = checkStillAllowed(row, input);
    const request = PnRegistrationRequest.decode(row.request);
    const exchange = readExchange(session.primitives, request);
    const response = known(row.response);
    const registering: Registering = {
      ...{ row, request, exchange, response, gateway, pne, pn, now, answer },
      earlierJoin: undefined,
    };
    return register(session, registering, composeInventory(registering), [], 'accepted');
  } catch (error) {
    return refuse(session, { status: failureOf(error), now, answer, answerWith: 'accepted' });
  }
}

/** The home gateway's answer again, or another one after the end. */
function repeatAnswer(session: ServerSession, input: ConfirmAnswerInput): ServerStep {
  const row = known(session.row);
  if (!row.homeGatewayId || !equal(row.homeGatewayId, input.caller.gatewayId))
    return goTo(row.state, reject('unknown-transaction'));
  if (!row.answer) return goTo(row.state, reject('deadline-passed'));
  return goTo(row.state, equal(row.answer, input.answer) ? reply({ kind: 'accepted' }) : reject('conflict'));
}

function lateStatus(row: RegistrationRow): Failure {
  return row.delivered ? 'confirmation-timeout' : 'home-gateway-unreachable';
}

/** Nobody signed as far as the server knows, so nothing is signed; the row stays for a step 7 that comes late. */
function goStale(session: ServerSession, { now }: On<'deadline'>): ServerStep {
  const row = known(session.row);
  if (now <= row.challengedAt + session.limits.challengeSeconds) return goTo('challenged');
  const nothing = { outcome: undefined, response: undefined, answer: undefined, outbox: [] };
  return goTo('refused', {
    kind: 'commit',
    change: {
      ...{ to: 'refused', from: 'challenged', key: row, status: 'challenge-stale', backOff: false },
      ...nothing,
      settledAt: now,
    },
  });
}

function expire(session: ServerSession, { now }: On<'deadline'>): ServerStep {
  const row = known(session.row);
  if (now <= known(row.deadline)) return goTo('verified');
  return refuse(session, { status: lateStatus(row), now });
}

/** The signatures are there: the plan that asked for them goes on. */
const carryOn =
  (to: ServerState) =>
  (session: ServerSession, input: ServerInput): ServerStep => {
    const { signatures, kid } = input as On<'signed'>;
    return goTo(to, ...known(session.plan)(signatures, kid));
  };

export const SERVER_MACHINE: MachineDefinition<
  ServerSession,
  ServerState,
  ServerInput,
  ServerOutput,
  ServerAction
> = {
  name: 'server',
  initial: 'new',
  final: [],
  // Deadlines are dates on disk, not timers: they outlive a restart, and the shell says when one has passed.
  deadlines: {},
  table: SERVER_TABLE,
  actions: {
    challenge: (session, input) => challenge(session, input as RegistrationRequestInput),
    commitChallenge: carryOn('challenged'),
    repeatChallenge: (session, input) => repeatChallenge(session, input as RegistrationRequestInput),
    verifyResponse: (session, input) => verifyResponse(session, input as AuthenticationResponseInput),
    repeatState: (session, input) => repeatState(session, input as AuthenticationResponseInput),
    signLateRefusal: (session, input) => signLateRefusal(session, input as AuthenticationResponseInput),
    decide: (session, input) => decide(session, input as ConfirmAnswerInput),
    repeatAnswer: (session, input) => repeatAnswer(session, input as ConfirmAnswerInput),
    tellAwaitingUser: () => goTo('verified', { kind: 'waiting', status: 'awaiting-user' }),
    supersede: (session, input) =>
      refuse(session, { status: 'superseded', now: (input as On<'superseded'>).now }),
    goStale: (session, input) => goStale(session, input as On<'deadline'>),
    expire: (session, input) => expire(session, input as On<'deadline'>),
    commitRegistration: carryOn('registered'),
    commitRefusal: carryOn('refused'),
    rejectUnknown: (_session, _input, state) => goTo(state, reject('unknown-transaction')),
    ignore: (_session, _input, state) => goTo(state),
  },
  /** Inputs come from our own shell: one that does not belong is a defect, which the caller turns into `internal`. */
  unexpected: (_session, input, state) => {
    throw new Error(`server: ${input.kind} in ${state}`);
  },
};
