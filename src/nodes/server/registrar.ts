/**
 * The shell around the server machine: looks the facts up, lets the machine decide, signs, commits, tells.
 * Owns the repetition when a change met a row that is no longer what it was. Must not decide: what may happen is in
 * src/establishment/server.ts, what is durable in src/store. Source: docs/protocol.md §12.
 */
import { type Bytes, toHex } from '../../base/bytes.ts';
import { CpnsError } from '../../base/errors.ts';
import type { JoinId, PnId, Thumbprint, TransactionId } from '../../base/ids.ts';
import type { Status } from '../../base/statuses.ts';
import type { RandomBytes, ServerSeconds } from '../../base/time.ts';
import { Machine } from '../../establishment/machine.ts';
import { SERVER_MACHINE, transactionState } from '../../establishment/server.ts';
import {
  type GatewayFacts,
  QUESTIONS_SECONDS,
  type RegistrationKey,
  type RegistrationRow,
  type ServerInput,
  type ServerLimits,
  type ServerOutput,
  type ServerReply,
  type ServerSession,
} from '../../establishment/server-types.ts';
import type { Terms } from '../../messages/confirmation.ts';
import type { PnRegistrationRequest, TransactionState } from '../../messages/registration.ts';
import { FreshnessPayload } from '../../messages/resumption.ts';
import { PnSetupRequestPayload, PnSetupResponse } from '../../messages/setup.ts';
import { parseSign1 } from '../../security/cose.ts';
import type { Primitives } from '../../security/primitives.ts';
import { type ServerStore, StaleError } from '../../store/server-store.ts';
import type { TrustedClock } from './clock.ts';
import type { Operator } from './identity.ts';

/** Attempts at one request against rows that others change at the same time. */
const MAX_ATTEMPTS = 8;
const NONCE_BYTES = 16;
/** Deadlines seen to in one sweep; the rest waits for the next. */
const MAX_DUE = 256;

export interface RegistrarPorts {
  readonly store: ServerStore;
  readonly operator: Operator;
  readonly primitives: Primitives;
  readonly clock: TrustedClock;
  readonly random: RandomBytes;
  readonly realm: string;
  readonly terms: Terms;
  readonly limits: ServerLimits;
  readonly isOnline: (gatewayId: GatewayFacts['gatewayId']) => boolean;
  /** Something durable waits for this gateway. */
  readonly wake: (gatewayId: GatewayFacts['gatewayId']) => void;
  readonly tellWaiting: (key: RegistrationKey, status: 'awaiting-home-gateway' | 'awaiting-user') => void;
  /** Called after a commit. */
  readonly onCommitted: (change: Extract<ServerOutput, { kind: 'commit' }>['change']) => void;
  readonly onSignature: (durationMs: number) => void;
}

export class Registrar {
  readonly #ports: RegistrarPorts;

  constructor(ports: RegistrarPorts) {
    this.#ports = ports;
  }

  /** Step 3. */
  register(
    gateway: GatewayFacts,
    txn: TransactionId,
    request: PnRegistrationRequest,
    body: Bytes,
  ): Promise<ServerReply> {
    const { store, clock, random, limits } = this.#ports;
    const { registrations } = store;
    const named = peek(request);
    return this.#answer({ gatewayId: gateway.gatewayId, txn }, () => {
      const now = clock.now();
      return {
        kind: 'registrationRequest',
        ...{ txn, body, request, gateway, now },
        pn: named && registrations.pn(named.pnId),
        kept: registrations.growth(gateway.gatewayId, now),
        openCount: registrations.openCount(gateway.gatewayId, now - limits.challengeSeconds),
        backoffUntil: named ? registrations.backoffUntil(gateway.gatewayId, named.pne) : 0,
        nonce: random(NONCE_BYTES),
      };
    });
  }

  /** Step 7. */
  respond(gateway: GatewayFacts, txn: TransactionId, response: Bytes): Promise<ServerReply> {
    const { store, clock, isOnline } = this.#ports;
    const { registrations, directory } = store;
    const key = { gatewayId: gateway.gatewayId, txn };
    return this.#answer(key, (row) => {
      const pne = row && directory.pneFacts(row.pne);
      const now = clock.now();
      return {
        kind: 'authenticationResponse',
        ...{ response, gateway, pne, now },
        vainQuestions: registrations.vainQuestions(
          ...[pne?.userId ?? 0, gateway.gatewayId, now - QUESTIONS_SECONDS],
        ),
        refreshesToday: registrations.refreshesToday(gateway.gatewayId, now),
        isOvertaken: row !== undefined && registrations.isOvertaken(row),
        homeOnline: pne !== undefined && isOnline(pne.home.gatewayId),
        pn: row && registrations.pn(row.pnId),
        earlierYes: row && registrations.earlierYes(row.pnId, row.pne),
        pendingOfUser: pne ? registrations.pendingOfUser(pne.userId, pne.thumbprint) : 0,
        earlier: row ? registrations.verifiedOf(row.pne).filter((other) => !sameKey(other, key)) : [],
        backoffUntil: row ? registrations.backoffUntil(row.gatewayId, row.pne) : 0,
      };
    });
  }

  /** Step 9. */
  async confirm(caller: GatewayFacts, joinId: JoinId, answer: Bytes): Promise<ServerReply> {
    const { store, clock } = this.#ports;
    const { registrations, directory } = store;
    const asked = registrations.registrationOfJoin(joinId);
    const gateway = asked && directory.gateway(asked.gatewayId);
    if (!asked || !gateway) throw new CpnsError('unknown-transaction');
    return this.#answer(asked, (row) => ({
      kind: 'confirmAnswer',
      ...{ answer, caller, now: clock.now() },
      gateway: directory.gateway(asked.gatewayId) ?? gateway,
      pne: row && directory.pneFacts(row.pne),
      pn: row && registrations.pn(row.pnId),
    }));
  }

  /** The home gateway has the question on disk. */
  async delivered(joinId: JoinId): Promise<void> {
    const row = this.#ports.store.registrations.registrationOfJoin(joinId);
    if (row?.homeGatewayId) await this.#run(row, () => ({ kind: 'confirmDelivered' }));
  }

  /** @throws CpnsError unknown-transaction */
  state(gateway: GatewayFacts, txn: TransactionId): { state: TransactionState; row: RegistrationRow } {
    const row = this.#ports.store.registrations.registration({ gatewayId: gateway.gatewayId, txn });
    if (!row) throw new CpnsError('unknown-transaction');
    return { state: transactionState(row), row };
  }

  /**
   * The transaction of a join in hex, as the trace names it.
   * @param asker when given, nothing is said to a gateway that is no party to it
   */
  txnOfJoin(joinId: JoinId, asker?: GatewayFacts): string | undefined {
    const row = this.#ports.store.registrations.registrationOfJoin(joinId);
    if (!row) return undefined;
    const parties = [row.gatewayId, row.homeGatewayId].map((id) => id && toHex(id));
    return !asker || parties.includes(toHex(asker.gatewayId)) ? toHex(row.txn) : undefined;
  }

  /** Ends what has outlived its deadline. @returns how many */
  async sweep(): Promise<number> {
    const { store, clock, limits } = this.#ports;
    const now = clock.now();
    const due = store.registrations.due(now - limits.challengeSeconds, now, MAX_DUE);
    let failure: unknown;
    for (const key of due) {
      try {
        await this.#run(key, () => ({ kind: 'deadline', now: clock.now() }));
      } catch (error) {
        // One that fails must not keep the others from ending.
        failure = error;
      }
    }
    if (failure !== undefined) throw failure;
    return due.length;
  }

  /**
   * A signed word on whether a membership stands, for the link whose transcript is th1.
   * @throws CpnsError unknown-transaction when the join is not one of this gateway's registered ones
   */
  freshness(gateway: GatewayFacts, th1: Bytes, joinId: JoinId): Bytes {
    const { store, clock, operator } = this.#ports;
    const row = store.registrations.registrationOfJoin(joinId);
    if (row?.state !== 'registered' || toHex(row.gatewayId) !== toHex(gateway.gatewayId))
      throw new CpnsError('unknown-transaction');
    const pn = store.registrations.pn(row.pnId);
    const current = pn?.members.some((member) => toHex(member.joinId) === toHex(joinId)) ?? false;
    const standing: Status = store.directory.pneFacts(row.pne)?.standing ?? 'unknown-pne';
    const status = standing === 'ok' && !current ? 'superseded' : standing;
    const serverTime = clock.now();
    return operator.signed(FreshnessPayload, th1, { status, version: pn?.version ?? 0, serverTime, joinId });
  }

  async #answer(
    key: RegistrationKey,
    inputOf: (row: RegistrationRow | undefined) => ServerInput,
  ): Promise<ServerReply> {
    const reply = await this.#run(key, inputOf);
    if (!reply) throw new CpnsError('internal', 'no reply');
    return reply;
  }

  async #run(
    key: RegistrationKey,
    inputOf: (row: RegistrationRow | undefined) => ServerInput,
  ): Promise<ServerReply | undefined> {
    for (let attempt = 1; attempt <= MAX_ATTEMPTS; attempt++) {
      try {
        const row = this.#ports.store.registrations.registration(key);
        return await this.#attempt(row, inputOf(row));
      } catch (error) {
        if (!(error instanceof StaleError)) throw error;
      }
    }
    throw new CpnsError('busy', 'the transaction keeps changing');
  }

  async #attempt(row: RegistrationRow | undefined, input: ServerInput): Promise<ServerReply | undefined> {
    const { primitives, operator, realm, terms, limits } = this.#ports;
    const session: ServerSession = { primitives, serverKeys: operator.serverKeys, realm, terms, limits, row };
    const machine = new Machine(SERVER_MACHINE, session, row?.state ?? 'new');
    let reply: ServerReply | undefined;
    let next: ServerInput | undefined = input;
    while (next) {
      const outputs: readonly ServerOutput[] = machine.handle(next, 0);
      next = undefined;
      for (const output of outputs) {
        if (output.kind === 'reply') reply = output.reply;
        else next = (await this.#carryOut(output, row, input)) ?? next;
      }
    }
    return reply;
  }

  async #carryOut(
    output: Exclude<ServerOutput, { kind: 'reply' }>,
    row: RegistrationRow | undefined,
    input: ServerInput,
  ): Promise<ServerInput | undefined> {
    const { store, operator, clock, wake, tellWaiting, onCommitted } = this.#ports;
    switch (output.kind) {
      case 'sign':
        return { kind: 'signed', signatures: output.messages.map((m) => this.#sign(m)), kid: operator.kid };
      case 'supersede':
        for (const earlier of output.earlier)
          await this.#run(earlier, () => ({ kind: 'superseded', now: nowOf(input, clock) }));
        return undefined;
      case 'commit': {
        const { change } = output;
        store.registrations.commit(change, () => clock.now());
        onCommitted(change);
        if (change.to !== 'challenged') for (const entry of change.outbox) wake(entry.to);
        return undefined;
      }
      case 'waiting':
        if (row) tellWaiting(row, output.status);
        return undefined;
    }
  }

  #sign(message: Bytes): Bytes {
    const startedMs = performance.now();
    const signature = this.#ports.operator.sign(message);
    this.#ports.onSignature(performance.now() - startedMs);
    return signature;
  }
}

function nowOf(input: ServerInput, clock: TrustedClock): ServerSeconds {
  return 'now' in input ? input.now : clock.now();
}

function sameKey(a: RegistrationKey, b: RegistrationKey): boolean {
  return toHex(a.gatewayId) === toHex(b.gatewayId) && toHex(a.txn) === toHex(b.txn);
}

/** Which PN and PNE a request names, as far as it can be read; what is wrong with it the machine says. */
function peek(request: PnRegistrationRequest): { pnId: PnId; pne: Thumbprint } | undefined {
  try {
    const { pnId } = PnSetupRequestPayload.decode(parseSign1(request.m1).payload);
    const response = PnSetupResponse.decode(request.m2);
    return response.status === 'ok' ? { pnId, pne: response.thumbprint } : undefined;
  } catch {
    return undefined;
  }
}
