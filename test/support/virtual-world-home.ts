/**
 * The home gateway's part in the virtual world: one machine a confirm request over the real store, put together as
 * src/nodes/gateway/home-gateway.ts does: on disk before acknowledged, signed bytes on disk before sent.
 */
import { type Bytes, toHex } from '../../src/base/bytes.ts';
import { CpnsError } from '../../src/base/errors.ts';
import type { GatewayId, JoinId } from '../../src/base/ids.ts';
import type { Status } from '../../src/base/statuses.ts';
import {
  claimedThumbprint,
  type Decision,
  HOME_GATEWAY_MACHINE,
  type HomeGatewayInput,
  type HomeGatewayOutput,
  type HomeGatewaySession,
  type HomeGatewayState,
  joinIdOf,
} from '../../src/establishment/home-gateway.ts';
import type { HomeGatewayAction } from '../../src/establishment/home-gateway-table.ts';
import { Machine } from '../../src/establishment/machine.ts';
import { decodeCbor } from '../../src/messages/cbor.ts';
import { CoseKey } from '../../src/messages/common.ts';
import { PneConfirmRequest } from '../../src/messages/confirmation.ts';
import type { ApprovalRule } from '../../src/network/approval-policy.ts';
import { publicKeyOf } from '../../src/security/cose-key.ts';
import type { SoftwareSigner } from '../../src/security/keystore.ts';
import type { ServerKeys } from '../../src/security/server-keys.ts';
import type { ConfirmRecord, HomeStore } from '../../src/store/gateway-store.ts';
import type { Timer, VirtualWorld } from './virtual-world.ts';
import { VirtualDriver } from './virtual-world-driver.ts';

/** Brings an answer to the server, again and again until it says yes or never. */
export type Confirm = (joinId: JoinId, answer: Bytes, done: (status: Status) => void) => void;

interface Running {
  feed(input: HomeGatewayInput): void;
  kill(): void;
  readonly state: () => string;
  timer: Timer | undefined;
  sending: boolean;
}

export class VirtualHome {
  readonly #world: VirtualWorld;
  readonly #store: HomeStore;
  readonly #signer: SoftwareSigner;
  readonly #self: { readonly gatewayId: GatewayId; readonly serverKeys: ServerKeys };
  readonly #confirm: Confirm;
  readonly #running = new Map<string, Running>();
  /** Rules that answer at once; with none the owner is asked. */
  rules: readonly ApprovalRule[] = [{ decision: 'allow' }];
  /** What the owner says when asked; undefined for silence. */
  owner: Decision | undefined;
  ownerAfterMs = 3_000;
  readonly statuses: Status[] = [];
  readonly alarms: Status[] = [];
  name = 'home';

  constructor(
    world: VirtualWorld,
    store: HomeStore,
    signer: SoftwareSigner,
    self: { readonly gatewayId: GatewayId; readonly serverKeys: ServerKeys },
    confirm: Confirm,
  ) {
    this.#world = world;
    this.#store = store;
    this.#signer = signer;
    this.#self = self;
    this.#confirm = confirm;
  }

  start(): void {
    for (const record of this.#store.requests()) this.#take(record);
  }

  kill(): void {
    for (const running of this.#running.values()) {
      running.kill();
      running.timer?.cancel();
    }
    this.#running.clear();
  }

  /** Channel kind 8. */
  onConfirmRequest(request: PneConfirmRequest): void {
    const joinId = joinIdOf(request);
    const { th3, deadline } = request;
    const body = PneConfirmRequest.encode(request);
    const record = this.#store.saveRequest({ joinId, th3, body, deadline }, this.#world.seconds);
    this.#world.changed();
    if (record.state === 'settled') return;
    const running = this.#running.get(toHex(joinId));
    if (running) running.feed({ kind: 'resend' });
    else this.#take(record);
  }

  /** Channel kind 12. */
  onJoinOutcome(joinId: JoinId, outcome: Bytes): void {
    const record = this.#store.request(joinId);
    if (!record || record.outcome) return;
    const running = this.#running.get(toHex(joinId)) ?? this.#run(record);
    running.feed({ kind: 'outcome', outcome });
    if (running.state() === 'suspended') throw new CpnsError('cannot-persist');
  }

  #take(record: ConfirmRecord): void {
    this.#run(record).feed({ kind: 'review', now: this.#world.seconds });
  }

  #run(record: ConfirmRecord): Running {
    const { primitives } = this.#world;
    const request = PneConfirmRequest.decode(record.body);
    const thumbprint = claimedThumbprint(request);
    const pne = thumbprint && this.#store.pne(thumbprint);
    const { joinId } = record;
    const machine = new Machine<
      HomeGatewaySession,
      HomeGatewayState,
      HomeGatewayInput,
      HomeGatewayOutput,
      HomeGatewayAction
    >(
      HOME_GATEWAY_MACHINE,
      {
        ...{ primitives, ...this.#self, request, rules: this.rules, subscription: 'family' },
        pne: pne && {
          ...{ thumbprint: pne.thumbprint, revoked: pne.revoked, label: pne.pneId ?? 'a PNE' },
          key: publicKeyOf(primitives, CoseKey.fromCbor(decodeCbor(pne.key), 'CoseKey')),
        },
        ...(record.answer && { answer: record.answer }),
        ...(record.decision && { decision: record.decision }),
      },
      record.answer ? 'answering' : 'asked',
      this.#world.nowMs,
    );
    const driver = new VirtualDriver<
      HomeGatewaySession,
      HomeGatewayState,
      HomeGatewayInput,
      HomeGatewayOutput,
      HomeGatewayAction
    >(this.#world, machine, {
      ask: () => {
        const decision = this.owner;
        if (decision)
          this.#world.after(this.ownerAfterMs, 'answer of the owner', () =>
            driver.feed({ kind: 'decided', decision, now: this.#world.seconds }),
          );
      },
      sign: ({ message }) => ({ kind: 'signed', signature: this.#signer.sign(message) }) as const,
      saveAnswer: ({ decision, decidedBy, answer }) => {
        const saved = this.#store.saveAnswer(joinId, decision, decidedBy, answer);
        if (saved.answer) machine.data.answer = saved.answer;
      },
      send: ({ answer }) => this.#send(joinId, machine.data.answer ?? answer),
      settle: ({ status, outcome }) => {
        this.#store.settleRequest(joinId, status, outcome, this.#world.seconds);
        this.statuses.push(status);
        this.#world.say(this.name, `settled: ${status}`);
        return { kind: 'stored' } as const;
      },
      alarm: ({ status }): void => {
        this.alarms.push(status);
      },
    });
    const running: Running = {
      feed: (input) => driver.feed(input),
      kill: () => driver.kill(),
      state: () => machine.state,
      timer: this.#world.after((record.deadline - this.#world.seconds) * 1000, 'confirm deadline', () =>
        driver.feed({ kind: 'deadline' }),
      ),
      sending: false,
    };
    driver.onEnded = () => {
      running.timer?.cancel();
      if (this.#running.get(toHex(joinId)) === running) this.#running.delete(toHex(joinId));
    };
    this.#running.set(toHex(joinId), running);
    return running;
  }

  #send(joinId: JoinId, answer: Bytes): void {
    const running = this.#running.get(toHex(joinId));
    if (!running || running.sending) return;
    running.sending = true;
    this.#world.say(this.name, 'PneConfirmResponse');
    this.#confirm(joinId, answer, (status) => {
      running.sending = false;
      running.feed(status === 'ok' ? { kind: 'delivered' } : { kind: 'rejected', status });
    });
  }
}
