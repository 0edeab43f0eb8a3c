/**
 * The two ends of a registration whose PNE has signed, and what is said of each: the commit with inventory, evidence and
 * outbox, and the refusal with its signed outcome (docs/protocol.md §6.5, §9, §12). Pure. Both are plans that go on when
 * the signatures are there; nothing of them is true before their change is committed.
 */
import { type Bytes, EMPTY, equal } from '../base/bytes.ts';
import type { ServerSeconds } from '../base/time.ts';
import { JoinOutcome, PnRegistrationResponse } from '../messages/channel.ts';
import { InventoryPayload, OutcomePayload } from '../messages/inventory.ts';
import type { TransactionState } from '../messages/registration.ts';
import type { Failure } from '../messages/schema-status.ts';
import { assembleSign1 } from '../security/cose.ts';
import { toBeSigned } from '../security/signed-message.ts';
import type { Step } from './machine.ts';
import type { Registering } from './server-inventory.ts';
import type { ServerState } from './server-table.ts';
import type {
  OutboxEntry,
  RegistrationRow,
  ServerOutput,
  ServerReply,
  ServerSession,
} from './server-types.ts';
import { known } from './session.ts';

export type ServerStep = Step<ServerState, ServerOutput>;

export const goTo = (to: ServerState, ...outputs: ServerOutput[]): ServerStep => ({ to, outputs });
export const reply = (given: ServerReply): ServerOutput => ({ kind: 'reply', reply: given });
export const reject = (status: Failure, retryAfterSeconds?: number): ServerOutput =>
  reply({ kind: 'rejected', status, ...(retryAfterSeconds !== undefined && { retryAfterSeconds }) });

/** What a row says to whoever asks for it. */
export function transactionState(row: RegistrationRow): TransactionState {
  const { state, status = 'internal', inventory, outcome } = row;
  switch (state) {
    case 'challenged':
      return { state, status: 'ok' };
    case 'verified':
      return { state, status: row.delivered ? 'awaiting-user' : 'awaiting-home-gateway' };
    case 'registered':
      return { state, status: 'ok', inventory: known(inventory) };
    case 'refused':
      return { state, status, ...(outcome && { outcome }) };
  }
}

/** Step 10: inventory, evidence, outcome and outbox, all in one change. */
export function register(
  session: ServerSession,
  registering: Registering,
  inventory: InventoryPayload,
  before: readonly ServerOutput[],
  answerWith: 'state' | 'accepted',
): ServerStep {
  const { row, response, answer, gateway, pne, pn, now, exchange, request } = registering;
  const inventoryBytes = InventoryPayload.encode(inventory);
  const outcomeBytes = OutcomePayload.encode({ status: 'ok', serverTime: now });
  const messages = [toBeSigned(InventoryPayload, EMPTY, inventoryBytes)];
  if (answer) messages.push(toBeSigned(OutcomePayload, row.th3, outcomeBytes));
  const member = known(inventory.members.find(({ joinId }) => equal(joinId, row.joinId)));
  session.plan = ([inventorySignature, outcomeSignature], kid) => {
    const signed = assembleSign1(inventoryBytes, known(inventorySignature), kid);
    const outcome = outcomeSignature && assembleSign1(outcomeBytes, outcomeSignature, kid);
    const told = PnRegistrationResponse.encode({ txn: row.txn, status: 'ok', inventory: signed });
    const outbox: OutboxEntry[] = [{ to: row.gatewayId, kind: 'pn-registration-response', body: told }];
    if (outcome) {
      const body = JoinOutcome.encode({ joinId: row.joinId, outcome });
      outbox.push({ to: pne.home.gatewayId, kind: 'join-outcome', body });
    }
    const { openG, openP, m1, m2 } = request;
    return [
      {
        kind: 'commit',
        change: {
          to: 'registered',
          from: row.state === 'verified' ? 'verified' : 'challenged',
          key: row,
          notAfter: row.deadline ?? row.challengedAt + session.limits.challengeSeconds,
          response,
          answer,
          inventory: signed,
          outcome,
          baseVersion: pn?.version ?? 0,
          pnName: exchange.setup.name,
          member: { pne: pne.thumbprint, ...member },
          evidence: {
            ...{ openG, openP, m1, m2, challenge: row.challenge, response },
            joinId: row.joinId,
            pnId: row.pnId,
            version: inventory.version,
            gatewayKey: gateway.key,
            pneKey: pne.key,
            homeGatewayKey: pne.home.key,
            confirmation: answer ? { answer } : { earlierJoin: known(registering.earlierJoin) },
            inventory: signed,
          },
          outbox,
          settledAt: now,
        },
      },
      reply(
        answerWith === 'accepted'
          ? { kind: 'accepted' }
          : { kind: 'state', state: { state: 'registered', status: 'ok', inventory: signed } },
      ),
    ];
  };
  return goTo('signing-inventory', ...before, { kind: 'sign', messages });
}

export interface Refusal {
  readonly status: Failure;
  readonly now: ServerSeconds;
  readonly response?: Bytes;
  readonly answer?: Bytes;
  readonly answerWith?: 'state' | 'accepted' | 'deadline-passed';
}

/** User A or the gateway that speaks for them said no; the same gateway must not ask again at once. */
const BACKED_OFF: ReadonlySet<Failure> = new Set<Failure>(['not-owned', 'not-chargeable', 'user-refused']);

/** Ends a join whose PNE has signed. */
export function refuse(
  session: ServerSession,
  { status, now, answerWith, response, answer }: Refusal,
): ServerStep {
  const row = known(session.row);
  const payload = OutcomePayload.encode({ status, serverTime: now });
  session.plan = ([signature], kid) => {
    const outcome = assembleSign1(payload, known(signature), kid);
    const told = PnRegistrationResponse.encode({ txn: row.txn, status, outcome });
    const outbox: OutboxEntry[] = [{ to: row.gatewayId, kind: 'pn-registration-response', body: told }];
    if (row.homeGatewayId) {
      const body = JoinOutcome.encode({ joinId: row.joinId, outcome });
      outbox.push({ to: row.homeGatewayId, kind: 'join-outcome', body });
    }
    const commit: ServerOutput = {
      kind: 'commit',
      change: {
        to: 'refused',
        from: row.state,
        key: row,
        status,
        outcome,
        response: response ?? row.response,
        answer,
        backOff: answer !== undefined && BACKED_OFF.has(status),
        outbox,
        settledAt: now,
      },
    };
    const replies: { readonly [R in NonNullable<Refusal['answerWith']>]: ServerOutput } = {
      accepted: reply({ kind: 'accepted' }),
      'deadline-passed': reject('deadline-passed'),
      state: reply({ kind: 'state', state: { state: 'refused', status, outcome } }),
    };
    return answerWith ? [commit, replies[answerWith]] : [commit];
  };
  return goTo('signing-refusal', {
    kind: 'sign',
    messages: [toBeSigned(OutcomePayload, row.th3, payload)],
  });
}
