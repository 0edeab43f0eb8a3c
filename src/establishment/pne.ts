/**
 * The PNE: what it checks, remembers and says on one link, from OPEN to member (docs/protocol.md §6, §8, §12, §13).
 * Pure. The order of checks is the order of the statements; the order of outputs is the commit rule: a record is
 * persisted before the message that relies on it.
 */
import { type Bytes, equal } from '../base/bytes.ts';
import { CpnsError, statusOfError } from '../base/errors.ts';
import { type GatewayId, JOIN_ID_BYTES, JoinId } from '../base/ids.ts';
import type { Status } from '../base/statuses.ts';
import type { MonotonicMs, ServerSeconds } from '../base/time.ts';
import { Resume, Resumed } from '../messages/resumption.ts';
import {
  Ack,
  AuthenticationResponsePayload,
  PnInventoryUpdate,
  PnSetupNotify,
  PnSetupRequestPayload,
  PnSetupResponse,
  padPnSetupResponse,
} from '../messages/setup.ts';
import { verifyInventory } from '../network/inventory.ts';
import { assembleSign1, parseSign1 } from '../security/cose.ts';
import { verifyCredential } from '../security/credential.ts';
import { derivePrk2, deriveRms, transcript2, transcript3 } from '../security/key-schedule.ts';
import { verifyServerKeys } from '../security/server-keys.ts';
import { openSigned, toBeSigned } from '../security/signed-message.ts';
import { AUTHENTICATED_LIMIT, LIVE_LIMIT } from './limits.ts';
import type { MachineDefinition, Step } from './machine.ts';
import { PNE_DEADLINES, PNE_TABLE, type PneAction, type PneState } from './pne-table.ts';
import type {
  DeclineStatus,
  Floor,
  KnownJoin,
  PneInput,
  PneMessageInput,
  PneOutput,
  PneSession,
} from './pne-types.ts';
import { verifyChallenge, verifyFreshness, verifyOutcome } from './server-words.ts';
import { checked, closeWith, endStatus, known } from './session.ts';

const MAX_MEMBERSHIPS = 8;
const MAX_PENDING = 4;
/** Of one gateway: whoever has a PNE sign and never brings the outcome leaves room for another; bad luck needs some, too. */
const MAX_PENDING_OF_GATEWAY = 3;

type PneStep = Step<PneState, PneOutput>;
type On<K extends PneInput['kind']> = Extract<PneInput, { readonly kind: K }>;

const goTo = (to: PneState, ...outputs: PneOutput[]): PneStep => ({ to, outputs });

/** The server's time now, never ahead of the truth by more than the clock's drift. */
export function serverTimeAt(floor: Floor, nowMs: MonotonicMs): ServerSeconds {
  return floor.serverTime + Math.floor((nowMs - floor.atMs) / 1000);
}

function raiseFloor(session: PneSession, serverTime: ServerSeconds, nowMs: MonotonicMs): Floor {
  if (serverTime > serverTimeAt(session.floor, nowMs)) session.floor = { serverTime, atMs: nowMs };
  return session.floor;
}

function decline(session: PneSession, status: DeclineStatus): PneStep {
  session.declinedWith = status;
  const body = padPnSetupResponse(PnSetupResponse.encode({ status }));
  return goTo('declined', { kind: 'send', message: 'PnSetupResponse', body });
}

function open(session: PneSession, input: On<'opened'>, nowMs: MonotonicMs): PneStep {
  session.th1 = input.th1;
  session.openedAtMs = nowMs;
  session.prk1 = input.prk1;
  if (!input.join) return goTo('awaiting-setup-request');
  session.join = input.join;
  return goTo('awaiting-resume', { kind: 'limit', bytes: AUTHENTICATED_LIMIT });
}

/** Step 1. Cheap checks first, two signatures last; only then is anybody asked. */
function verifySetupRequest(session: PneSession, input: PneMessageInput, nowMs: MonotonicMs): PneStep {
  try {
    const claimed = PnSetupRequestPayload.decode(parseSign1(input.body).payload);
    const credential = verifyCredential(session.primitives, session.serverKeys, claimed.credential, {
      now: serverTimeAt(session.floor, nowMs),
    });
    const { value: request } = openSigned(
      session.primitives,
      PnSetupRequestPayload,
      () => [credential.key],
      known(session.th1),
      input.body,
      'setup-request-invalid',
    );
    session.m1 = input.body;
    session.credentialExpiresAt = credential.expiresAt;
    const refresh = session.joins.some(
      (join) => equal(join.pnId, request.pnId) && equal(join.gatewayId, credential.gatewayId),
    );
    session.question = {
      pnId: request.pnId,
      gatewayId: credential.gatewayId,
      userLabel: credential.userLabel,
      gatewayLabel: credential.gatewayLabel,
      claimedName: request.name,
      refresh,
    };
    const refusal = ownRefusal(session, credential.gatewayId, refresh);
    if (refusal) return decline(session, refusal);
    return goTo('deciding', { kind: 'ask', question: session.question });
  } catch (error) {
    const status = statusOfError(error);
    return isSaidInStep2(status) ? decline(session, status) : closeWith(status);
  }
}

/** A request that does not verify is declined inside the padded, protected step 2, so that only its sender learns why. */
function isSaidInStep2(status: Status): status is DeclineStatus {
  return status.startsWith('credential-') || status === 'setup-request-invalid';
}

/**
 * Reasons of this PNE that need nobody's opinion. A pending join is never given up for a newer one: what was signed may
 * still be registered (docs/protocol.md §12).
 */
function ownRefusal(session: PneSession, gatewayId: GatewayId, refresh: boolean): DeclineStatus | undefined {
  if (session.identity.homeAddress === undefined) return 'not-enrolled';
  const pending = session.joins.filter(({ state }) => state === 'pending');
  const ofGateway = pending.filter((join) => equal(join.gatewayId, gatewayId));
  if (pending.length >= MAX_PENDING || ofGateway.length >= MAX_PENDING_OF_GATEWAY) return 'busy';
  if (!refresh && session.joins.length - pending.length >= MAX_MEMBERSHIPS) return 'too-many-memberships';
  return undefined;
}

/** Step 2. */
function answerSetup(session: PneSession, input: On<'decided'>): PneStep {
  if (input.status !== 'ok') return decline(session, input.status);
  const { identity } = session;
  const body = PnSetupResponse.encode({
    status: 'ok',
    capability: identity.capability,
    ...(identity.contents && { contents: identity.contents }),
    ...(identity.pneId !== undefined && { pneId: identity.pneId }),
    homeAddress: known(identity.homeAddress),
    thumbprint: identity.thumbprint,
  });
  session.th2 = transcript2(session.primitives, known(session.th1), known(session.m1), body);
  return goTo(
    'awaiting-challenge',
    { kind: 'send', message: 'PnSetupResponse', body: padPnSetupResponse(body) },
    { kind: 'limit', bytes: AUTHENTICATED_LIMIT },
  );
}

/** The root's newer word about the server keys; believed from here on. @throws CpnsError credential-invalid, malformed */
function newServerKeys(session: PneSession, statement: Bytes): PneOutput {
  session.serverKeys = verifyServerKeys(session.primitives, session.serverKeys, statement);
  return { kind: 'persistServerKeys', serverKeys: session.serverKeys, statement };
}

/** After a decline: the gateway comes back and is understood then. */
function replaceServerKeys(session: PneSession, input: PneMessageInput): PneStep {
  return checked(() =>
    goTo('closed', newServerKeys(session, input.body), { kind: 'close', status: 'ok', abort: false }),
  );
}

/** On a resumed link: ahead of what the newer key has signed. */
function takeServerKeys(session: PneSession, input: PneMessageInput, state: PneState): PneStep {
  return checked(() => goTo(state, newServerKeys(session, input.body)));
}

/** Step 5: is it the server's, and for exactly what was said here? Then the join is written down and signed. */
function takeChallenge(session: PneSession, input: PneMessageInput, nowMs: MonotonicMs): PneStep {
  return checked(() => {
    const { primitives, identity } = session;
    const challenge = verifyChallenge(primitives, session.serverKeys, known(session.th2), input.body);
    const floor = raiseFloor(session, challenge.value.serverTime, nowMs);
    if (known(session.credentialExpiresAt) < serverTimeAt(floor, nowMs)) {
      throw new CpnsError('credential-expired');
    }
    const transcript = transcript3(primitives, known(session.th2), challenge.payload);
    session.prk2 = derivePrk2(primitives, transcript, known(session.prk1));
    const question = known(session.question);
    session.join = {
      state: 'pending',
      pnId: question.pnId,
      gatewayId: question.gatewayId,
      th3: transcript,
      rms: deriveRms(primitives, session.prk2),
      capability: identity.capability,
      version: 0,
    };
    return goTo(
      'signing',
      { kind: 'persistPending', join: session.join, floor },
      { kind: 'sign', message: toBeSigned(AuthenticationResponsePayload, transcript, CONSENT) },
    );
  });
}

/** The payload of step 6: yes, to everything the transcript holds. */
const CONSENT = AuthenticationResponsePayload.encode({ status: 'ok' });

/** Step 6; everything after it is under the traffic keys. */
function respond(session: PneSession, input: On<'signed'>): PneStep {
  return goTo(
    'awaiting-notify',
    { kind: 'send', message: 'AuthenticationResponse', body: assembleSign1(CONSENT, input.signature) },
    { kind: 'advance', prk2: known(session.prk2) },
  );
}

function forgetPending(session: PneSession, input: PneInput): PneStep {
  const status = endStatus(input);
  return goTo(
    'closed',
    { kind: 'forgetPending', th3: known(session.join).th3 },
    { kind: 'close', status, abort: input.kind === 'failed' || input.kind === 'timeout' },
  );
}

/** Step 13: the registration with its inventory, or the server's signed refusal. */
function takeNotify(session: PneSession, input: PneMessageInput): PneStep {
  return checked(() => {
    const join = known(session.join);
    const notify = PnSetupNotify.decode(input.body);
    if (notify.status === 'ok') return admit(session, join, notify.inventory, 'joined');
    const outcome = verifyOutcome(session.primitives, session.serverKeys, join.th3, notify.outcome);
    if (outcome.status === 'ok' || outcome.status !== notify.status) throw new CpnsError('outcome-invalid');
    return goTo(
      'closed',
      { kind: 'forgetPending', th3: join.th3 },
      { kind: 'send', message: 'Ack', body: Ack.encode({ status: 'ok' }) },
      { kind: 'refused', join, status: outcome.status },
      { kind: 'close', status: outcome.status, abort: false },
    );
  });
}

/** Writes an inventory down that proves this PNE's own place in it, then says so. */
function admit(session: PneSession, join: KnownJoin, inventory: Bytes, event: 'joined' | 'updated'): PneStep {
  const { version } = verifyInventory(session.primitives, session.serverKeys, inventory, {
    pnId: join.pnId,
    gatewayId: join.gatewayId,
    atLeastVersion: join.version,
    joinId: JoinId(join.th3.slice(0, JOIN_ID_BYTES)),
    capability: join.capability,
  });
  const member: KnownJoin = { ...join, state: 'member', version };
  session.join = member;
  return goTo(
    'member',
    { kind: 'persistMember', join: member, inventory },
    { kind: 'send', message: 'Ack', body: Ack.encode({ status: 'ok' }) },
    { kind: 'limit', bytes: LIVE_LIMIT },
    { kind: event, join: member },
  );
}

function resume(session: PneSession, input: PneMessageInput): PneStep {
  return checked(() => {
    const join = known(session.join);
    const request = Resume.decode(input.body);
    if (!equal(request.pnId, join.pnId)) throw new CpnsError('unknown-session');
    const answer: PneOutput = {
      kind: 'send',
      message: 'Resumed',
      body: Resumed.encode({
        status: 'ok',
        version: join.version,
        serverKeysIssuedAt: session.serverKeys.issuedAt,
      }),
    };
    if (join.state === 'pending') return goTo('resuming', answer);
    return goTo('member', answer, { kind: 'limit', bytes: LIVE_LIMIT }, { kind: 'resumed', join });
  });
}

function takeUpdate(session: PneSession, input: PneMessageInput): PneStep {
  return checked(() => {
    const update = PnInventoryUpdate.decode(input.body);
    return admit(session, known(session.join), update.inventory, 'updated');
  });
}

function takeFreshness(
  session: PneSession,
  input: PneMessageInput,
  state: PneState,
  nowMs: MonotonicMs,
): PneStep {
  return checked(() => {
    const statement = verifyFreshness(session.primitives, session.serverKeys, known(session.th1), input.body);
    const { th3 } = known(session.join);
    // Anybody with a membership could have a word signed over this link; it has to be about this membership.
    if (!equal(statement.joinId, th3.subarray(0, JOIN_ID_BYTES))) throw new CpnsError('outcome-invalid');
    if (statement.status !== 'ok') return closeWith(statement.status);
    const floor = raiseFloor(session, statement.serverTime, nowMs);
    const ageSeconds = ageOf(session, statement.serverTime, nowMs);
    return goTo(state, { kind: 'persistFloor', floor, th3, ageSeconds });
  });
}

/**
 * How long ago the server said what a gateway hands over now. A gateway that was revoked can tell an old word of this link
 * again, or keep some back: such a word must put nothing off. It is over th1, so it is no older than the link, whatever a
 * server's wrong clock once made of the floor.
 */
function ageOf(session: PneSession, serverTime: ServerSeconds, nowMs: MonotonicMs): number {
  const linkSeconds = Math.floor((nowMs - known(session.openedAtMs)) / 1000);
  return Math.min(linkSeconds, serverTimeAt(session.floor, nowMs) - serverTime);
}

export const PNE_MACHINE: MachineDefinition<PneSession, PneState, PneInput, PneOutput, PneAction> = {
  name: 'pne',
  initial: 'opening',
  final: ['closed'],
  deadlines: PNE_DEADLINES,
  table: PNE_TABLE,
  actions: {
    open: (session, input, _state, nowMs) => open(session, input as On<'opened'>, nowMs),
    verifySetupRequest: (session, input, _state, nowMs) =>
      verifySetupRequest(session, input as PneMessageInput, nowMs),
    answerSetup: (session, input) => answerSetup(session, input as On<'decided'>),
    replaceServerKeys: (session, input) => replaceServerKeys(session, input as PneMessageInput),
    endDeclined: (session) => closeWith(known(session.declinedWith), false),
    verifyChallenge: (session, input, _state, nowMs) =>
      takeChallenge(session, input as PneMessageInput, nowMs),
    respond: (session, input) => respond(session, input as On<'signed'>),
    forgetPending,
    takeNotify: (session, input) => takeNotify(session, input as PneMessageInput),
    resume: (session, input) => resume(session, input as PneMessageInput),
    takeUpdate: (session, input) => takeUpdate(session, input as PneMessageInput),
    takeServerKeys: (session, input, state) => takeServerKeys(session, input as PneMessageInput, state),
    takeFreshness: (session, input, state, nowMs) =>
      takeFreshness(session, input as PneMessageInput, state, nowMs),
    keepWaiting: (_session, _input, state) => goTo(state),
    takeData: (_session, input, state) =>
      goTo(state, { kind: 'data', body: (input as PneMessageInput).body }),
    closeWithAbort: (_session, input) => closeWith(endStatus(input)),
    closeQuietly: (_session, input) => closeWith(endStatus(input), false),
    ignore: (_session, _input, state) => goTo(state),
  },
  unexpected: (session, _input, state) => {
    const { to, outputs } = closeWith('unexpected-message');
    if (state !== 'signing') return { to, outputs };
    // Nothing was signed, so nothing may stay pending: a gateway could fill the places of pending joins otherwise.
    return goTo(to, { kind: 'forgetPending', th3: known(session.join).th3 }, ...outputs);
  },
};
