/**
 * The home gateway at work: takes confirm requests from the channel, runs one machine for each, stores, signs, sends, and
 * puts questions to the owner. Owns the order "request on disk, then acknowledged" and the resending of answers.
 * Must not judge evidence (src/establishment/home-gateway.ts) nor rules (src/network/approval-policy.ts).
 * Source: docs/protocol.md §9 (kinds 8 and 12), §12 row GW1.
 */
import { setMaxListeners } from 'node:events';
import { type Bytes, equal, toHex } from '../../base/bytes.ts';
import { CpnsError, statusOfError } from '../../base/errors.ts';
import type { GatewayId, JoinId } from '../../base/ids.ts';
import type { Status } from '../../base/statuses.ts';
import type { Clock } from '../../base/time.ts';
import {
  claimedThumbprint,
  type Decision,
  HOME_GATEWAY_MACHINE,
  type HomeGatewayInput,
  type HomeGatewayOutput,
  type HomeGatewaySession,
  joinIdOf,
  type OwnPne,
} from '../../establishment/home-gateway.ts';
import type { HomeGatewayAction, HomeGatewayState } from '../../establishment/home-gateway-table.ts';
import { Machine } from '../../establishment/machine.ts';
import type { ServerClient } from '../../https/server-client.ts';
import { type RetryPolicy, withRetry } from '../../https/server-client-retry.ts';
import { decodeCbor } from '../../messages/cbor.ts';
import type { JoinOutcome } from '../../messages/channel.ts';
import { CoseKey } from '../../messages/common.ts';
import { PneConfirmRequest } from '../../messages/confirmation.ts';
import { type ApprovalRule, type ConfirmRequestView, ruleForAlways } from '../../network/approval-policy.ts';
import { publicKeyOf } from '../../security/cose-key.ts';
import type { Primitives } from '../../security/primitives.ts';
import type { ServerKeys } from '../../security/server-keys.ts';
import type { Signer } from '../../security/signer.ts';
import type { ConfirmRecord, GatewayStore, HomePne } from '../../store/gateway-store.ts';
import { type DriverInput, type Effects, MachineDriver } from '../machine-driver.ts';

export type HomeGatewayEvent =
  /** The owner has to answer with {@link HomeGatewayNode.decide}. */
  | { readonly kind: 'asked'; readonly view: ConfirmRequestView }
  /** The owner reported a gateway for this question; the report is on disk. */
  | { readonly kind: 'reported'; readonly joinId: JoinId; readonly gatewayId: GatewayId }
  /** An answer is on disk and on its way; `decidedBy` is `user`, `evidence`, `report` or `rule n`. */
  | {
      readonly kind: 'answered';
      readonly joinId: JoinId;
      readonly decision: Decision;
      readonly decidedBy: string;
    }
  | { readonly kind: 'settled'; readonly joinId: JoinId; readonly status: Status }
  /** Somebody is to look: see HomeGatewayOutput, and `cannot-persist` or `internal` for failures here. */
  | { readonly kind: 'alarm'; readonly joinId: JoinId; readonly status: Status };

export interface HomeGatewayOptions {
  readonly store: Pick<GatewayStore, 'home' | 'reports'>;
  readonly client: Pick<ServerClient, 'confirm'>;
  readonly signer: Signer;
  readonly primitives: Primitives;
  readonly gatewayId: GatewayId;
  /** Read anew for each request, since renewals bring new ones. */
  readonly serverKeys: () => ServerKeys;
  /** Configured rules; remembered ones come behind them. */
  readonly rules: readonly ApprovalRule[];
  /** What a yes is charged to: a label of at most 64 bytes. */
  readonly subscription: string;
  readonly clock: Clock;
  readonly onEvent?: (event: HomeGatewayEvent) => void;
  readonly retry?: RetryPolicy;
  /** How long a question is kept that the server never ends, ms; default 25 hours. */
  readonly questionKeptMs?: number;
}

/** What the owner answers. */
export interface OwnerAnswer {
  readonly yours: boolean;
  readonly chargeable: boolean;
  /** Why not, when one is no; by default `not-owned` or `not-chargeable`. */
  readonly reason?: 'not-owned' | 'not-chargeable' | 'user-refused';
  /** Remember this answer as a rule for this PNE, gateway and, for a yes, terms no worse. */
  readonly always?: boolean;
}

const RETRY: RetryPolicy = { firstMs: 500, maxMs: 30_000 };
/** After a failure here (a full disk, say) a request is taken up again this much later. */
const SUSPENDED_MS = 30_000;
/**
 * Questions under way. A server asks a user ten at a time; one that asks so many more is broken or not the operator's, and
 * has to keep the rest itself.
 */
const MAX_RUNNING = 256;
/**
 * A question ends by the server's word, which comes at its deadline of at most a day. One on which the server stays silent
 * goes so long after it was taken up. The deadline itself is in the server's seconds, and this clock may be an hour off:
 * a gateway that went by it would drop a question that everybody else waits for, and tell nobody.
 */
const QUESTION_KEPT_MS = 25 * 3_600_000;

type Driver = MachineDriver<
  HomeGatewaySession,
  HomeGatewayState,
  HomeGatewayInput,
  HomeGatewayOutput,
  HomeGatewayAction
>;

interface Running {
  readonly driver: Driver;
  readonly session: HomeGatewaySession;
  timer: NodeJS.Timeout | undefined;
  sending: boolean;
}

export class HomeGatewayNode {
  readonly #options: HomeGatewayOptions;
  readonly #running = new Map<string, Running>();
  readonly #stopping = new AbortController();

  /** Call {@link start} once the channel's handler is in place. */
  constructor(options: HomeGatewayOptions) {
    this.#options = options;
    // Each of them may be waiting to send again.
    setMaxListeners(MAX_RUNNING + 1, this.#stopping.signal);
  }

  /** Lets go what ended long ago; takes up what was open when the program ended: asks again, sends again. */
  start(): void {
    this.#options.store.home.purgeSettled(this.#now());
    for (const record of this.#options.store.home.requests()) this.#take(record);
  }

  /**
   * Channel kind 8. Returns when the request is on disk.
   * @throws CpnsError cannot-persist, busy: to be delivered again later
   */
  onConfirmRequest(request: PneConfirmRequest): void {
    const joinId = joinIdOf(request);
    if (this.#running.size >= MAX_RUNNING && !this.#running.has(toHex(joinId))) throw new CpnsError('busy');
    const { th3, deadline } = request;
    let record: ConfirmRecord;
    try {
      const body = PneConfirmRequest.encode(request);
      record = this.#options.store.home.saveRequest({ joinId, th3, body, deadline }, this.#now());
    } catch (error) {
      // A second request of the same join with other content will never be right: it is reported and passed over.
      if (statusOfError(error) !== 'conflict') throw error;
      this.#options.onEvent?.({ kind: 'alarm', joinId, status: 'conflict' });
      return;
    }
    if (record.state === 'settled') return;
    const running = this.#running.get(toHex(joinId));
    if (running) running.driver.feed({ kind: 'resend' });
    else this.#take(record);
  }

  /** Channel kind 12. Resolves when the outcome is on disk. @throws CpnsError cannot-persist */
  async onJoinOutcome({ joinId, outcome }: JoinOutcome): Promise<void> {
    const record = this.#options.store.home.request(joinId);
    // An outcome nobody here was asked about is that of a refresh, which rests on an earlier yes.
    if (!record || record.outcome) return;
    const running = this.#running.get(toHex(joinId)) ?? this.#run(record);
    running.driver.feed({ kind: 'outcome', outcome });
    await running.driver.settled();
    if (running.driver.state === 'suspended') throw new CpnsError('cannot-persist');
    // It may have come just as the request was given up: then it is added to a record that is settled now.
    if (running.driver.state === 'settled' && !this.#options.store.home.request(joinId)?.outcome)
      await this.onJoinOutcome({ joinId, outcome });
  }

  /** The operator has new keys: requests that are open are settled by these. */
  useServerKeys(serverKeys: ServerKeys): void {
    for (const { session } of this.#running.values()) session.serverKeys = serverKeys;
  }

  /** What waits for the owner, oldest first. */
  pending(): readonly ConfirmRequestView[] {
    return [...this.#running.values()].flatMap(({ driver, session }) =>
      driver.state === 'asking' && session.view ? [session.view] : [],
    );
  }

  /**
   * The owner's answer. Resolves when it is on disk; sending goes on by itself.
   * @throws CpnsError unknown-transaction when nothing of this join waits (any more), cannot-persist
   */
  async decide(joinId: JoinId, answer: OwnerAnswer): Promise<void> {
    const { running, view } = this.#asking(joinId);
    const decision = decisionOf(answer);
    running.driver.feed({ kind: 'decided', decision, now: this.#now() });
    await running.driver.settled();
    // Not what the session holds: that was made before it was written.
    if (!this.#options.store.home.request(joinId)?.answer) throw new CpnsError('cannot-persist');
    if (answer.always) {
      const rule = ruleForAlways(view, decision.reason === 'ok' ? 'allow' : 'deny');
      this.#options.store.home.rememberRule(rule, this.#now());
    }
  }

  /**
   * The owner says that this should not have been asked: a no to this question and to all that its gateway asks, now and
   * until the report is withdrawn. The report is on disk before the first no, so that no crash leaves a no without it.
   * @throws CpnsError as {@link decide}
   */
  async report(joinId: JoinId): Promise<void> {
    const { gatewayId } = this.#asking(joinId).view.asking;
    this.#options.store.reports.save({ joinId, gatewayId, reportedAt: this.#now() });
    this.#options.onEvent?.({ kind: 'reported', joinId, gatewayId });
    const no = { yours: true, chargeable: false, reason: 'user-refused' } as const;
    const asked = this.pending().filter(({ asking }) => equal(asking.gatewayId, gatewayId));
    await Promise.all(asked.map((view) => this.decide(view.joinId, no)));
  }

  #asking(joinId: JoinId): { readonly running: Running; readonly view: ConfirmRequestView } {
    const running = this.#running.get(toHex(joinId));
    const view = running?.session.view;
    if (running?.driver.state !== 'asking' || !view) throw new CpnsError('unknown-transaction');
    return { running, view };
  }

  /** Leaves everything open as it is on disk. */
  async close(): Promise<void> {
    this.#stopping.abort();
    const running = [...this.#running.values()];
    this.#running.clear();
    for (const { driver, timer } of running) {
      clearTimeout(timer);
      driver.feed({ kind: 'stop' });
    }
    await Promise.all(running.map(({ driver }) => driver.settled()));
  }

  #take(record: ConfirmRecord): void {
    const { driver } = this.#run(record);
    driver.feed({ kind: 'review', now: this.#now() });
  }

  #run(record: ConfirmRecord): Running {
    const session = this.#sessionOf(record);
    const state: HomeGatewayState = record.answer ? 'answering' : 'asked';
    const machine = new Machine(HOME_GATEWAY_MACHINE, session, state, this.#options.clock.monotonicMs());
    const effects = this.#effects(record.joinId, session);
    const driver = new MachineDriver<
      HomeGatewaySession,
      HomeGatewayState,
      HomeGatewayInput,
      HomeGatewayOutput,
      HomeGatewayAction
    >(machine, effects, this.#options.clock);
    const running: Running = { driver, session, timer: undefined, sending: false };
    driver.onStep = (_before, input, after) => this.#stepped(record.joinId, running, input, after);
    this.#running.set(toHex(record.joinId), running);
    const { questionKeptMs = QUESTION_KEPT_MS } = this.#options;
    running.timer = setTimeout(() => driver.feed({ kind: 'deadline' }), questionKeptMs);
    running.timer.unref();
    return running;
  }

  #sessionOf(record: ConfirmRecord): HomeGatewaySession {
    const { store, primitives, serverKeys, gatewayId, rules, subscription } = this.#options;
    const request = PneConfirmRequest.decode(record.body);
    const thumbprint = claimedThumbprint(request);
    const pne = thumbprint && store.home.pne(thumbprint);
    return {
      primitives,
      serverKeys: serverKeys(),
      gatewayId,
      request,
      pne: pne && ownPne(primitives, pne),
      rules: [...rules, ...store.home.rules()],
      reported: store.reports.all().map((report) => report.gatewayId),
      subscription,
      ...(record.answer ? { answer: record.answer } : {}),
      ...(record.decision ? { decision: record.decision } : {}),
    };
  }

  #effects(joinId: JoinId, session: HomeGatewaySession): Effects<HomeGatewayInput, HomeGatewayOutput> {
    const { store, signer, onEvent } = this.#options;
    return {
      ask: ({ view }) => onEvent?.({ kind: 'asked', view }),
      sign: async ({ message }) => ({ kind: 'signed', signature: await signer.sign(message) }),
      saveAnswer: ({ decision, decidedBy, answer }) => {
        const record = store.home.saveAnswer(joinId, decision, decidedBy, answer);
        // What is on disk is what counts, should another process have been first.
        if (record.answer) session.answer = record.answer;
        onEvent?.({ kind: 'answered', joinId, decision: record.decision ?? decision, decidedBy });
      },
      send: ({ answer }) => {
        void this.#send(joinId, session.answer ?? answer);
      },
      settle: ({ status, outcome }) => {
        store.home.settleRequest(joinId, status, outcome, this.#now());
        onEvent?.({ kind: 'settled', joinId, status });
        return { kind: 'stored' };
      },
      alarm: ({ status }) => onEvent?.({ kind: 'alarm', joinId, status }),
    };
  }

  /** Sends until the server took it or said that it never will; one sender a join. */
  async #send(joinId: JoinId, answer: Bytes): Promise<void> {
    const running = this.#running.get(toHex(joinId));
    if (!running || running.sending) return;
    running.sending = true;
    const { client, retry = RETRY } = this.#options;
    const { signal } = this.#stopping;
    try {
      await withRetry(() => client.confirm(joinId, answer, { signal }), retry, signal);
      running.driver.feed({ kind: 'delivered' });
    } catch (error) {
      const status = statusOfError(error);
      if (status !== 'shutting-down') running.driver.feed({ kind: 'rejected', status });
    } finally {
      running.sending = false;
    }
  }

  #stepped(
    joinId: JoinId,
    running: Running,
    input: HomeGatewayInput | DriverInput,
    state: HomeGatewayState,
  ): void {
    if (state !== 'settled' && state !== 'suspended') return;
    clearTimeout(running.timer);
    if (this.#running.get(toHex(joinId)) === running) this.#running.delete(toHex(joinId));
    if (state === 'settled' || this.#stopping.signal.aborted) return;
    const status = input.kind === 'failed' ? input.status : 'internal';
    this.#options.onEvent?.({ kind: 'alarm', joinId, status });
    running.timer = setTimeout(() => this.#takeAgain(joinId), SUSPENDED_MS);
    running.timer.unref();
  }

  #takeAgain(joinId: JoinId): void {
    if (this.#stopping.signal.aborted || this.#running.has(toHex(joinId))) return;
    const record = this.#options.store.home.request(joinId);
    if (record && record.state !== 'settled') this.#take(record);
  }

  #now(): number {
    return this.#options.clock.wallSeconds();
  }
}

function decisionOf({ yours, chargeable, reason }: OwnerAnswer): Decision {
  if (yours && chargeable) return { yours, chargeable, reason: 'ok' };
  return { yours, chargeable, reason: reason ?? (yours ? 'not-chargeable' : 'not-owned') };
}

function ownPne(primitives: Primitives, pne: HomePne): OwnPne {
  const { thumbprint, label, pneId, revoked } = pne;
  const key = publicKeyOf(primitives, CoseKey.fromCbor(decodeCbor(pne.key), 'CoseKey'));
  const name = label ?? pneId;
  return { thumbprint, key, revoked, ...(name === undefined ? {} : { label: name }) };
}
