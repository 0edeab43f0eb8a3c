/** Both enrolment machines with real crypto and the words that lead each of them from state to state. */
import { type Bytes, EMPTY } from '../../src/base/bytes.ts';
import {
  GATEWAY_ENROL_MACHINE,
  type GatewayEnrolInput,
  type GatewayEnrolState,
} from '../../src/enrolment/gateway.ts';
import { PNE_ENROL_MACHINE, type PneEnrolInput, type PneEnrolState } from '../../src/enrolment/pne.ts';
import { receiptTranscript } from '../../src/enrolment/transcript.ts';
import { Machine } from '../../src/establishment/machine.ts';
import { EnrolAck, EnrolComparison, EnrolReceiptPayload } from '../../src/messages/enrolment.ts';
import { coseKeyOf } from '../../src/security/cose-key.ts';
import { NOW, PRIMITIVES, type STRANGER, Table } from '../establishment/bench.ts';

export const SALT = new Uint8Array(16).fill(5);

export interface Out {
  readonly kind: string;
  readonly message?: Bytes | string;
  readonly body?: Bytes;
}

/** Both machines and what they have said. */
export class Enrolment {
  readonly table = new Table();
  readonly th1 = new Uint8Array(32).fill(9);
  e1: Bytes = EMPTY;
  e2: Bytes = EMPTY;
  spentOn: Bytes | undefined;
  /** Whose code it is; of a gateway's the digits are compared. */
  codeOf: 'pne' | 'gateway' = 'pne';
  expected: Bytes = this.table.operator.thumbprintOf(this.table.pne).slice(0, 16);
  last: readonly Out[] = [];
  readonly nowMs = 1_000;

  readonly pne = (): Machine<object, PneEnrolState, PneEnrolInput, Out, string> =>
    new Machine<object, PneEnrolState, PneEnrolInput, Out, string>(
      PNE_ENROL_MACHINE as never,
      this.pneSession(),
      'opening',
      this.nowMs,
    );

  pneSession() {
    const { publicKey } = this.table.pne;
    return {
      primitives: PRIMITIVES,
      publicKey,
      coseKey: coseKeyOf(publicKey),
      pneId: 'lamp',
      capability: undefined,
      epoch: 1,
      spentOn: this.spentOn,
      expectedGateway:
        this.codeOf === 'gateway'
          ? this.table.operator.thumbprintOf(this.table.gateway).slice(0, 16)
          : undefined,
    };
  }

  readonly gateway = (): Machine<object, GatewayEnrolState, GatewayEnrolInput, Out, string> => {
    const { gateway, operator, homeAddress, credential } = this.table;
    const offer = {
      ...{ gatewayKey: coseKeyOf(gateway.publicKey), rootKey: coseKeyOf(operator.root.publicKey) },
      ...{ serverKeys: [coseKeyOf(operator.server.publicKey)], homeAddress, userLabel: 'bob', credential },
      nonce: new Uint8Array(16),
    };
    const expectedThumbprint = this.codeOf === 'pne' ? this.expected : undefined;
    const session = { primitives: PRIMITIVES, offer, expectedThumbprint, salt: SALT };
    return new Machine<object, GatewayEnrolState, GatewayEnrolInput, Out, string>(
      GATEWAY_ENROL_MACHINE as never,
      session,
      'opening',
      this.nowMs,
    );
  };

  get opened() {
    return { ...this.table.opened, th1: this.th1 } as const;
  }

  receipt(over: Partial<EnrolReceiptPayload> = {}, by?: typeof STRANGER): Bytes {
    const { operator, pne, gatewayId } = this.table;
    const value = {
      thumbprint: operator.thumbprintOf(pne),
      gatewayId,
      userLabel: 'bob',
      epoch: 1,
      serverTime: NOW,
      ...over,
    };
    return operator.sign(
      EnrolReceiptPayload,
      receiptTranscript(PRIMITIVES, this.th1, this.e1, this.e2),
      value,
      by,
    );
  }
}

/** One machine on the bench; the other one only speaks when its words are needed. */
export class Bench<State extends string, Input extends { readonly kind: string }> {
  readonly world = new Enrolment();
  readonly machine: Machine<object, State, Input, Out, string>;

  constructor(make: (world: Enrolment) => Machine<object, State, Input, Out, string>) {
    this.machine = make(this.world);
  }

  feed(input: Input): readonly Out[] {
    const outputs = this.machine.handle(input, this.world.nowMs);
    this.world.last = outputs;
    for (const { message, body } of outputs) {
      if (message === 'EnrolOffer' && body) this.world.e1 = body;
      if (message === 'EnrolClaim' && body) this.world.e2 = body;
    }
    return outputs;
  }
}

/** Lets a machine make the next message: opened, then signed by its party. */
export function offerOf(world: Enrolment): Bytes {
  const bench = new Bench<GatewayEnrolState, GatewayEnrolInput>(() => world.gateway());
  Object.assign(bench, { world });
  const [asked] = bench.machine.handle(world.opened, 0);
  const [sent] = bench.machine.handle(
    { kind: 'signed', signature: world.table.gateway.sign(asked?.message as Bytes) },
    0,
  );
  world.e1 = sent?.body ?? EMPTY;
  return world.e1;
}

export function claimOf(world: Enrolment): Bytes {
  const machine = world.pne();
  machine.handle(world.opened, 0);
  const asked = machine.handle({ kind: 'EnrolOffer', body: world.e1 }, 0).find(({ kind }) => kind === 'sign');
  const [sent] = machine.handle(
    { kind: 'signed', signature: world.table.pne.sign(asked?.message as Bytes) },
    0,
  );
  world.e2 = sent?.body ?? EMPTY;
  return world.e2;
}

export type PneBench = Bench<PneEnrolState, PneEnrolInput>;
export type GatewayBench = Bench<GatewayEnrolState, GatewayEnrolInput>;

export const signature = (world: Enrolment, who: 'pne' | 'gateway') => {
  const asked = world.last.find(({ kind }) => kind === 'sign')?.message;
  return { kind: 'signed', signature: world.table[who].sign(asked as Bytes) } as const;
};
export const PNE_STEPS: readonly ((bench: PneBench) => PneEnrolInput)[] = [
  ({ world }) => world.opened,
  ({ world }) => ({ kind: 'EnrolOffer', body: offerOf(world) }),
  ({ world }) => signature(world, 'pne'),
  ({ world }) => ({ kind: 'EnrolReceipt', body: world.receipt() }),
];
export const GATEWAY_STEPS: readonly ((bench: GatewayBench) => GatewayEnrolInput)[] = [
  ({ world }) => world.opened,
  ({ world }) => signature(world, 'gateway'),
  ({ world }) => ({ kind: 'EnrolClaim', body: claimOf(world) }),
  ({ world }) => ({ kind: 'receipt', receipt: world.receipt() }),
  () => ({ kind: 'EnrolAck', body: EnrolAck.encode({ status: 'ok' }) }),
];
export const PNE_STATES: readonly PneEnrolState[] = [
  'opening',
  'awaiting-offer',
  'signing-claim',
  'awaiting-receipt',
  'done',
];
export const GATEWAY_STATES: readonly GatewayEnrolState[] = [
  'opening',
  'signing-offer',
  'awaiting-claim',
  'awaiting-receipt',
  'awaiting-ack',
  'done',
];

/** The gateway's, once it has E2 under a code that it shows. */
export const ASKS_ITS_USER: PneEnrolInput = {
  kind: 'EnrolComparison',
  body: EnrolComparison.encode({ salt: SALT }),
};

/** A PNE that has taken some steps. @param codeOf who shows the code */
export function pneOf(codeOf: 'pne' | 'gateway', ...steps: typeof PNE_STEPS): PneBench {
  const bench: PneBench = new Bench((world) => {
    world.codeOf = codeOf;
    return world.pne() as never;
  });
  for (const step of steps) bench.feed(step(bench));
  return bench;
}

export function pneAt(state: PneEnrolState): PneBench {
  if (state === 'comparing') return pneOf('gateway', ...PNE_STEPS.slice(0, 3));
  if (state === 'showing-digits') return pneOf('gateway', ...PNE_STEPS.slice(0, 3), () => ASKS_ITS_USER);
  if (state === 'closed') return pneOf('pne', () => ({ kind: 'stop' }));
  return pneOf('pne', ...PNE_STEPS.slice(0, PNE_STATES.indexOf(state)));
}

/** A gateway that has taken some steps. @param codeOf who shows the code */
export function gatewayOf(codeOf: 'pne' | 'gateway', ...steps: typeof GATEWAY_STEPS): GatewayBench {
  const bench: GatewayBench = new Bench((world) => {
    world.codeOf = codeOf;
    return world.gateway() as never;
  });
  for (const step of steps) bench.feed(step(bench));
  return bench;
}

export function gatewayAt(state: GatewayEnrolState): GatewayBench {
  if (state === 'comparing') return gatewayOf('gateway', ...GATEWAY_STEPS.slice(0, 3));
  if (state === 'closed') return gatewayOf('pne', () => ({ kind: 'stop' }));
  return gatewayOf('pne', ...GATEWAY_STEPS.slice(0, GATEWAY_STATES.indexOf(state)));
}
