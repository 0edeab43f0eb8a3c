/**
 * The initiating gateway's registrations at the server: steps 3 and 7 on behalf of a session, steps 11 and 12 whether or
 * not a session is still there, and the same again after a restart (docs/protocol.md §12, row GW2).
 * What is checked here is believed afterwards: own th3, own join, higher version, the server's signature.
 */
import { type Bytes, toHex } from '../../base/bytes.ts';
import { CpnsError, statusOfError } from '../../base/errors.ts';
import type { GatewayId, JoinId, PnId, TransactionId } from '../../base/ids.ts';
import type { Status } from '../../base/statuses.ts';
import type { Clock } from '../../base/time.ts';
import type { GatewayInput, GatewayJoin, Settlement } from '../../establishment/gateway-types.ts';
import { verifyOutcome } from '../../establishment/server-words.ts';
import { type ServerClient, ServerProblem, withRetry } from '../../https/server-client.ts';
import { type RetryPolicy, sleep } from '../../https/server-client-retry.ts';
import type { InventoryUpdate, PnRegistrationResponse, TransactionWaiting } from '../../messages/channel.ts';
import type { TransactionState } from '../../messages/registration.ts';
import { joinIdsOf, verifyInventory } from '../../network/inventory.ts';
import type { Primitives } from '../../security/primitives.ts';
import type { ServerKeys } from '../../security/server-keys.ts';
import type { InitiatedJoin } from '../../store/gateway-network-rows.ts';
import type { NetworkStore } from '../../store/gateway-networks.ts';
import type { LearnKeys } from './server-keys.ts';

/** Whom a join waits for before it can end. */
export type WaitingFor = TransactionWaiting['status'];

const RETRY: RetryPolicy = { firstMs: 500, maxMs: 30_000 };

export interface RegistrationsOptions {
  readonly networks: NetworkStore;
  readonly client: ServerClient;
  readonly primitives: Primitives;
  readonly serverKeys: () => ServerKeys;
  readonly gatewayId: GatewayId;
  readonly learnKeys: LearnKeys;
  readonly clock: Clock;
  /** Tells the session of a join, if there is one. */
  readonly tell: (joinId: JoinId, input: GatewayInput) => void;
  /** Tells every session of a PN. */
  readonly tellAll: (pnId: PnId, input: GatewayInput) => void;
  /** Step 12 is done for this join: inventory on disk. */
  readonly onStored: (txn: TransactionId, inventory: Bytes) => void;
  /** A join waits, or waits for somebody else than before. */
  readonly onWaiting: (join: InitiatedJoin, status: WaitingFor) => void;
  readonly onProblem: (what: string, status: Status, txn: TransactionId | undefined) => void;
  /** How step 7 is repeated; default 500 ms doubling to 30 s, for ever. */
  readonly retry?: RetryPolicy;
}

export class Registrations {
  readonly #options: RegistrationsOptions;
  readonly #stopping = new AbortController();
  /** What pending joins wait for, by join, as the server said last. Memory only: it says so again when step 7 is repeated. */
  readonly #waiting = new Map<string, WaitingFor>();

  constructor(options: RegistrationsOptions) {
    this.#options = options;
  }

  /** Takes up what was under way when the program ended: step 7 is repeated until the server has answered. */
  start(): void {
    const { networks, clock } = this.#options;
    networks.purgeRefusals(clock.wallSeconds());
    for (const join of networks.joins('pending')) void this.respond(join.txn, join.joinId, join.response);
  }

  stop(): void {
    this.#stopping.abort();
  }

  /**
   * Steps 3 and 4. Only silence is tried again: what the server says, with however long it wants to be left alone, ends
   * this attempt, because the PNE on the link would be gone by then and never be told why.
   * @throws CpnsError with the server's status, or server-unreachable after a few tries
   */
  async register(txn: TransactionId, request: Bytes): Promise<Bytes> {
    const { client } = this.#options;
    const policy = { firstMs: 300, maxMs: 2_000, attempts: 4 };
    const { signal } = this.#stopping;
    const ask = async () => {
      try {
        return await client.registerPn(txn, request, { signal });
      } catch (error) {
        if (error instanceof ServerProblem) return error;
        throw error;
      }
    };
    const answer = await withRetry(ask, policy, signal);
    if (answer instanceof ServerProblem) throw answer;
    await this.#options.learnKeys([answer.challenge]);
    return answer.challenge;
  }

  /** Step 7, until the server has taken it. Never rejects. */
  async respond(txn: TransactionId, joinId: JoinId, response: Bytes): Promise<void> {
    const { client, retry = RETRY } = this.#options;
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      try {
        const state = await withRetry(() => client.respond(txn, response, { signal }), retry, signal);
        await this.#options.learnKeys([state.inventory ?? state.outcome]);
        this.#takeState(txn, state);
        return;
      } catch (error) {
        if (signal.aborted || this.#isOver(txn, joinId, error)) return;
      }
      // The PNE has signed and is owed an end: a certificate may be renewed, a clock set right, a disk have space again.
      await sleep(retry.maxMs, signal);
    }
  }

  /** Step 7 did not get through. @returns whether there is nothing left to repeat it for */
  #isOver(txn: TransactionId, joinId: JoinId, error: unknown): boolean {
    const { networks, onProblem, tell } = this.#options;
    const status = statusOfError(error);
    onProblem('authentication response', status, txn);
    tell(joinId, { kind: 'failed', status });
    try {
      // Without a signed outcome there is nothing to keep for the PNE: the server does not know the transaction.
      if (status === 'unknown-transaction') {
        networks.forgetPendingJoin(joinId);
        this.#waitsNoMore(joinId);
      }
      return networks.join(joinId)?.state !== 'pending';
    } catch (failure) {
      onProblem('authentication response', statusOfError(failure), txn);
      return false;
    }
  }

  #takeState(txn: TransactionId, state: TransactionState): void {
    const { status, inventory, outcome } = state;
    // What the channel said meanwhile is newer than this answer.
    const join = this.#options.networks.joinOfTransaction(txn);
    if (state.state === 'verified' && isWaiting(status) && join && !this.waitingFor(join.joinId))
      this.onWaiting({ txn, status });
    if (state.state === 'registered' && inventory) this.#registered(txn, inventory);
    if (state.state === 'refused' && outcome && status !== 'ok') this.#refused(txn, outcome);
  }

  /** Step 11. Returns once it is on disk (step 12); what can never be believed is reported and passed over. */
  onRegistrationResponse(frame: PnRegistrationResponse): void {
    if ('inventory' in frame) this.#registered(frame.txn, frame.inventory);
    else this.#refused(frame.txn, frame.outcome);
  }

  onWaiting({ txn, status }: TransactionWaiting): void {
    const join = this.#options.networks.joinOfTransaction(txn);
    if (join?.state !== 'pending' || this.waitingFor(join.joinId) === status) return;
    this.#waiting.set(toHex(join.joinId), status);
    this.#options.tell(join.joinId, { kind: 'waiting', status });
    this.#options.onWaiting(join, status);
  }

  /** Whom this join waits for; undefined when it has ended or the server has not said. */
  waitingFor(joinId: JoinId): WaitingFor | undefined {
    return this.#waiting.get(toHex(joinId));
  }

  /** The join has ended, or is none of this gateway's any more. */
  #waitsNoMore(joinId: JoinId): void {
    this.#waiting.delete(toHex(joinId));
  }

  /** A change of a PN that no join of this gateway caused. */
  onInventoryUpdate({ pnId, inventory }: InventoryUpdate): void {
    this.#believing(undefined, () => this.#store(pnId, undefined, inventory));
  }

  #registered(txn: TransactionId, inventory: Bytes): void {
    const join = this.#options.networks.joinOfTransaction(txn);
    if (!join) return;
    this.#believing(txn, () => this.#store(join.pnId, join, inventory));
  }

  #store(pnId: PnId, join: InitiatedJoin | undefined, bytes: Bytes): void {
    const { networks, primitives, serverKeys, gatewayId, clock, tell, tellAll, onStored } = this.#options;
    const expected = { pnId, gatewayId, atLeastVersion: 0, joinId: join?.joinId };
    const verified = verifyInventory(primitives, serverKeys(), bytes, expected);
    const inventory = { pnId, version: verified.version, bytes, joinIds: joinIdsOf(verified) };
    const { stored, live, removed } = networks.saveInventory(inventory, clock.wallSeconds());
    // The PNE joined again on another link: this one's join is no longer anybody's.
    for (const joinId of [...removed, ...live]) this.#waitsNoMore(joinId);
    for (const joinId of removed) tell(joinId, { kind: 'failed', status: 'superseded' });
    const newest = networks.inventory(pnId);
    if (!newest) return;
    const settlement: Settlement = { status: 'ok', inventory: newest.bytes, version: newest.version };
    if (join) {
      // The answer to step 7 and the channel may both bring it.
      if (stored) onStored(join.txn, bytes);
      tell(join.joinId, { kind: 'settled', settlement });
    }
    tellAll(pnId, { kind: 'updated', inventory: newest.bytes, version: newest.version });
  }

  #refused(txn: TransactionId, outcome: Bytes): void {
    const { networks, primitives, serverKeys, clock, tell } = this.#options;
    const join = networks.joinOfTransaction(txn);
    if (!join) return;
    this.#believing(txn, () => {
      const { status } = verifyOutcome(primitives, serverKeys(), join.th3, outcome);
      if (status === 'ok') throw new CpnsError('outcome-invalid');
      this.#waitsNoMore(join.joinId);
      networks.refuseJoin(join.joinId, status, outcome, clock.wallSeconds());
      tell(join.joinId, { kind: 'settled', settlement: { status, outcome } });
    });
  }

  /** Lets failures to write through, so that the frame is not acknowledged; reports what does not verify. */
  #believing(txn: TransactionId | undefined, store: () => void): void {
    try {
      store();
    } catch (error) {
      const status = statusOfError(error);
      if (status === 'cannot-persist') throw error;
      this.#options.onProblem('registration response', status, txn);
    }
  }
}

function isWaiting(status: Status): status is WaitingFor {
  return status === 'awaiting-home-gateway' || status === 'awaiting-user';
}

/** What a session needs of a join that is on disk. */
export function rememberedJoin(join: InitiatedJoin): GatewayJoin {
  const { txn, joinId, pnId, thumbprint, th3, rms } = join;
  return { txn, joinId, pnId, thumbprint, th3, rms };
}

/** How a join on disk ended, if it did. */
export function settlementOf(networks: NetworkStore, join: InitiatedJoin): Settlement | undefined {
  if (join.state === 'refused' && join.outcome && join.status && join.status !== 'ok') {
    return { status: join.status, outcome: join.outcome };
  }
  const inventory = join.state === 'live' ? networks.inventory(join.pnId) : undefined;
  return inventory && { status: 'ok', inventory: inventory.bytes, version: inventory.version };
}
