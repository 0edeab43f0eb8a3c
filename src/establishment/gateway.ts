/**
 * The initiating gateway: what it says and relays on one link, from OPEN to a live member (docs/protocol.md §6, §8, §12).
 * Pure. It believes neither side: the challenge must be the server's for this very transcript, and what it relays it
 * relays untouched. The registration's end (step 11) is checked and stored by the node; it comes in as `settled`.
 */
import type { Bytes } from '../base/bytes.ts';
import { CpnsError } from '../base/errors.ts';
import { JOIN_ID_BYTES, JoinId, TRANSACTION_ID_BYTES, TransactionId } from '../base/ids.ts';
import type { Status } from '../base/statuses.ts';
import { ServerKeysPayload } from '../messages/credential.ts';
import { PnRegistrationRequest } from '../messages/registration.ts';
import { Resume, Resumed } from '../messages/resumption.ts';
import {
  Ack,
  AuthenticationResponsePayload,
  PnInventoryUpdate,
  PnSetupNotify,
  PnSetupRequestPayload,
  PnSetupResponse,
  unpadPnSetupResponse,
  Waiting,
} from '../messages/setup.ts';
import { assembleSign1, parseSign1, statedKid } from '../security/cose.ts';
import { derivePrk2, deriveRms, transcript2, transcript3 } from '../security/key-schedule.ts';
import { keysFor } from '../security/server-keys.ts';
import { toBeSigned } from '../security/signed-message.ts';
import { GATEWAY_DEADLINES, GATEWAY_TABLE, type GatewayAction, type GatewayState } from './gateway-table.ts';
import type {
  GatewayInput,
  GatewayMessage,
  GatewayMessageInput,
  GatewayOutput,
  GatewaySession,
  Invitation,
  Settlement,
} from './gateway-types.ts';
import { AUTHENTICATED_LIMIT, LIVE_LIMIT } from './limits.ts';
import type { MachineDefinition, Step } from './machine.ts';
import { verifyChallenge } from './server-words.ts';
import { checked, closeWith, endStatus, known } from './session.ts';

type GatewayStep = Step<GatewayState, GatewayOutput>;
type On<K extends GatewayInput['kind']> = Extract<GatewayInput, { readonly kind: K }>;

const goTo = (to: GatewayState, ...outputs: GatewayOutput[]): GatewayStep => ({ to, outputs });
const send = (message: GatewayMessage, body: Bytes): GatewayOutput => ({ kind: 'send', message, body });

function open(session: GatewaySession, input: On<'opened'>): GatewayStep {
  session.opening = input;
  const { invitation, join } = session;
  if (!invitation) {
    const { pnId } = known(join);
    return goTo('awaiting-resumed', send('Resume', Resume.encode({ pnId, version: heldVersion(session) })), {
      kind: 'limit',
      bytes: AUTHENTICATED_LIMIT,
    });
  }
  const payload = setupRequestPayload(session, invitation);
  return goTo('signing', { kind: 'sign', message: toBeSigned(PnSetupRequestPayload, input.th1, payload) });
}

/** Version of the newest inventory held for the PNE, 0 for none. */
function heldVersion({ settlement }: GatewaySession): number {
  return settlement?.status === 'ok' ? settlement.version : 0;
}

function setupRequestPayload(session: GatewaySession, invitation: Invitation): Bytes {
  return PnSetupRequestPayload.encode({ ...invitation, credential: session.credential });
}

/** Step 1. */
function sendSetupRequest(session: GatewaySession, input: On<'signed'>): GatewayStep {
  const payload = setupRequestPayload(session, known(session.invitation));
  const m1: Bytes = assembleSign1(payload, input.signature);
  session.m1 = m1;
  return goTo('awaiting-setup-response', send('PnSetupRequest', m1));
}

/** Step 2 is in: what both said goes to the server as the exact bytes (step 3). */
function register(session: GatewaySession, input: GatewayMessageInput): GatewayStep {
  return checked(() => {
    const m2 = unpadPnSetupResponse(input.body);
    const response = PnSetupResponse.decode(m2);
    if (response.status !== 'ok') return declined(session, response.status);
    const { primitives } = session;
    const opening = known(session.opening);
    const m1 = known(session.m1);
    session.thumbprint = response.thumbprint;
    const transcript: Bytes = transcript2(primitives, opening.th1, m1, m2);
    session.th2 = transcript;
    const txn = transactionIdOf(transcript);
    const { openG, openP } = opening;
    const request = PnRegistrationRequest.encode({ openG, openP, m1, m2, gatewayInfo: session.gatewayInfo });
    session.registration = request;
    return goTo(
      'awaiting-challenge',
      { kind: 'limit', bytes: AUTHENTICATED_LIMIT },
      {
        kind: 'provisional',
        pnId: known(session.invitation).pnId,
        thumbprint: response.thumbprint,
        txn,
      },
      { kind: 'register', txn, request },
    );
  });
}

function transactionIdOf(transcript: Bytes): TransactionId {
  return TransactionId(transcript.slice(0, TRANSACTION_ID_BYTES));
}

function declined(session: GatewaySession, status: Status): GatewayStep {
  if (status === 'credential-unknown-key' && session.serverKeysStatement) {
    return goTo('sending-keys', send('ServerKeys', session.serverKeysStatement));
  }
  return closeWith(status, false);
}

/** Step 4 becomes step 5, when it is the server's word for this transcript. */
function relayChallenge(session: GatewaySession, input: On<'challenged'>): GatewayStep {
  return checked(() => {
    const { primitives, serverKeys } = session;
    const transcript = known(session.th2);
    const challenge = verifyChallenge(primitives, serverKeys, transcript, input.challenge);
    const join3 = transcript3(primitives, transcript, challenge.payload);
    session.join = {
      txn: transactionIdOf(transcript),
      joinId: JoinId(join3.slice(0, JOIN_ID_BYTES)),
      pnId: known(session.invitation).pnId,
      thumbprint: known(session.thumbprint),
      th3: join3,
      rms: deriveRms(primitives, trafficSecret(session, join3)),
    };
    return goTo('awaiting-response', send('AuthenticationChallenge', input.challenge));
  });
}

function trafficSecret(session: GatewaySession, transcript3: Bytes): Bytes {
  return derivePrk2(session.primitives, transcript3, known(session.opening).prk1);
}

/** Step 6 becomes step 7: on disk first, so that a restart can repeat it. What is no step 6 could only fail there for ever. */
function relayResponse(session: GatewaySession, input: GatewayMessageInput): GatewayStep {
  return checked(() => {
    AuthenticationResponsePayload.decode(parseSign1(input.body).payload);
    const join = known(session.join);
    session.waitingFor = 'awaiting-user';
    return goTo(
      'awaiting-outcome',
      { kind: 'persistJoin', join, registration: known(session.registration), response: input.body },
      { kind: 'advance', prk2: trafficSecret(session, join.th3) },
      { kind: 'respond', join, response: input.body },
    );
  });
}

function sayWaiting(session: GatewaySession): GatewayStep {
  const status = session.waitingFor ?? 'awaiting-user';
  return goTo('awaiting-outcome', send('Waiting', Waiting.encode({ status })));
}

/** Kept for the next Waiting: telling the PNE at once would cost air time just when the outcome may be on its way. */
function noteWaiting(session: GatewaySession, input: On<'waiting'>): GatewayStep {
  session.waitingFor = input.status;
  return goTo('awaiting-outcome');
}

/** Step 13. */
function notify(session: GatewaySession, input: On<'settled'>): GatewayStep {
  keepNewest(session, input.settlement);
  return tellSettlement(session, known(session.settlement));
}

function tellSettlement(session: GatewaySession, settlement: Settlement): GatewayStep {
  if (settlement.status === 'ok') {
    session.toldVersion = settlement.version;
    const { inventory } = settlement;
    const notify = send('PnSetupNotify', PnSetupNotify.encode({ status: 'ok', inventory }));
    return goTo('notifying', ...newerKeys(session, inventory), notify);
  }
  const { status, outcome } = settlement;
  const notify = send('PnSetupNotify', PnSetupNotify.encode({ status, outcome }));
  return goTo('refusing', ...newerKeys(session, outcome), notify);
}

/**
 * The root's word about the server keys, ahead of what they signed, for a PNE that said it has an older one. What a key
 * signed that is not among them any more goes before it: after it the PNE could not believe that.
 */
function newerKeys(session: GatewaySession, signed: Bytes): readonly GatewayOutput[] {
  const { serverKeys, serverKeysStatement: statement, peerKeysIssuedAt } = session;
  if (!statement || peerKeysIssuedAt === undefined) return [];
  const { issuedAt } = ServerKeysPayload.decode(parseSign1(statement).payload);
  if (issuedAt <= peerKeysIssuedAt || keysFor(serverKeys)(statedKid(signed)).length === 0) return [];
  session.peerKeysIssuedAt = issuedAt;
  return [send('ServerKeys', statement)];
}

/** A newer inventory of the PN holds this join too; an older one is never told after it. */
function keepNewest(session: GatewaySession, settlement: Settlement): void {
  if (settlement.status === 'ok' && settlement.version < heldVersion(session)) return;
  session.settlement = settlement;
}

/** An inventory of other members says nothing of a join that is open or was refused. */
function remember(session: GatewaySession, input: On<'updated'>, state: GatewayState): GatewayStep {
  if (session.settlement?.status !== 'ok') return goTo(state);
  keepNewest(session, { status: 'ok', inventory: input.inventory, version: input.version });
  return goTo(state);
}

/** The join was settled while its PNE was on its way back. */
function rememberSettled(session: GatewaySession, input: On<'settled'>, state: GatewayState): GatewayStep {
  keepNewest(session, input.settlement);
  return goTo(state);
}

function acknowledged(input: GatewayMessageInput, then: () => GatewayStep): GatewayStep {
  return checked(() => {
    const { status } = Ack.decode(input.body);
    return status === 'ok' ? then() : closeWith(status, false);
  });
}

function becomeMember(session: GatewaySession, input: GatewayMessageInput): GatewayStep {
  const join = known(session.join);
  return acknowledged(input, () => beMember(session, { kind: 'persistAcknowledged', join }));
}

/** Live, unless a newer inventory came while the PNE was acknowledging an older one. */
function beMember(session: GatewaySession, ...before: GatewayOutput[]): GatewayStep {
  const join = known(session.join);
  const { settlement, toldVersion } = session;
  if (settlement?.status === 'ok' && toldVersion !== undefined && settlement.version > toldVersion) {
    return sendUpdate(session, settlement.inventory, ...before);
  }
  return goTo(
    'member',
    ...before,
    { kind: 'limit', bytes: LIVE_LIMIT },
    {
      kind: 'live',
      join,
      version: heldVersion(session),
    },
  );
}

function endRefused(session: GatewaySession, input: GatewayMessageInput): GatewayStep {
  const { status } = known(session.settlement);
  return acknowledged(input, () =>
    goTo(
      'closed',
      { kind: 'persistAcknowledged', join: known(session.join) },
      { kind: 'close', status, abort: false },
    ),
  );
}

/** The PNE is back: it is told what it may have missed. */
function resume(session: GatewaySession, input: GatewayMessageInput): GatewayStep {
  return checked(() => {
    const { status, version, serverKeysIssuedAt } = Resumed.decode(input.body);
    if (status !== 'ok') throw new CpnsError(status);
    if (serverKeysIssuedAt !== undefined) session.peerKeysIssuedAt = serverKeysIssuedAt;
    const { settlement } = session;
    if (!settlement) return sayWaiting(session);
    if (settlement.status !== 'ok' || version === 0) return tellSettlement(session, settlement);
    const { th1 } = known(session.opening);
    const join = known(session.join);
    // It is a member by this very join: its Ack of step 13 may have been lost, or the record of it in a crash.
    const before: readonly GatewayOutput[] = [
      { kind: 'persistAcknowledged', join },
      { kind: 'fetchFreshness', th1, joinId: join.joinId },
    ];
    if (version >= settlement.version) return beMember(session, ...before);
    return sendUpdate(session, settlement.inventory, ...before);
  });
}

function sendUpdate(session: GatewaySession, inventory: Bytes, ...before: GatewayOutput[]): GatewayStep {
  session.toldVersion = heldVersion(session);
  const body = PnInventoryUpdate.encode({ status: 'ok', inventory });
  return goTo('updating', ...before, ...newerKeys(session, inventory), send('PnInventoryUpdate', body));
}

function update(session: GatewaySession, input: On<'updated'>, state: GatewayState): GatewayStep {
  if (input.version <= heldVersion(session)) return goTo(state);
  keepNewest(session, { status: 'ok', inventory: input.inventory, version: input.version });
  return sendUpdate(session, input.inventory);
}

function acknowledgeUpdate(session: GatewaySession, input: GatewayMessageInput): GatewayStep {
  return acknowledged(input, () => beMember(session));
}

function passOnFreshness(session: GatewaySession, input: On<'freshness'>, state: GatewayState): GatewayStep {
  const { statement } = input;
  return goTo(state, ...newerKeys(session, statement), send('Freshness', statement));
}

export const GATEWAY_MACHINE: MachineDefinition<
  GatewaySession,
  GatewayState,
  GatewayInput,
  GatewayOutput,
  GatewayAction
> = {
  name: 'initiating gateway',
  initial: 'opening',
  final: ['closed'],
  deadlines: GATEWAY_DEADLINES,
  table: GATEWAY_TABLE,
  actions: {
    open: (session, input) => open(session, input as On<'opened'>),
    sendSetupRequest: (session, input) => sendSetupRequest(session, input as On<'signed'>),
    register: (session, input) => register(session, input as GatewayMessageInput),
    relayChallenge: (session, input) => relayChallenge(session, input as On<'challenged'>),
    abandon: (_session, input) => closeWith(endStatus(input)),
    relayResponse: (session, input) => relayResponse(session, input as GatewayMessageInput),
    noteWaiting: (session, input) => noteWaiting(session, input as On<'waiting'>),
    repeatWaiting: sayWaiting,
    notify: (session, input) => notify(session, input as On<'settled'>),
    becomeMember: (session, input) => becomeMember(session, input as GatewayMessageInput),
    endRefused: (session, input) => endRefused(session, input as GatewayMessageInput),
    resume: (session, input) => resume(session, input as GatewayMessageInput),
    update: (session, input, state) => update(session, input as On<'updated'>, state),
    remember: (session, input, state) => remember(session, input as On<'updated'>, state),
    rememberSettled: (session, input, state) => rememberSettled(session, input as On<'settled'>, state),
    acknowledgeUpdate: (session, input) => acknowledgeUpdate(session, input as GatewayMessageInput),
    passOnFreshness: (session, input, state) => passOnFreshness(session, input as On<'freshness'>, state),
    takeData: (_session, input, state) =>
      goTo(state, { kind: 'data', body: (input as GatewayMessageInput).body }),
    closeWithAbort: (_session, input) => closeWith(endStatus(input)),
    closeQuietly: (_session, input) => closeWith(endStatus(input), false),
    ignore: (_session, _input, state) => goTo(state),
  },
  unexpected: () => closeWith('unexpected-message'),
};
