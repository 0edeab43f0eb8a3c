/**
 * Both enrolment machines against each other, with real crypto: every cell of both tables, absent cells, deadlines, and
 * what each side refuses (docs/protocol.md §7.2, §10). "Spent" is on disk before a claim is signed.
 */
import assert from 'node:assert/strict';
import { type Bytes, EMPTY } from '../../src/base/bytes.ts';
import type { Status } from '../../src/base/statuses.ts';
import {
  GATEWAY_ENROL_MACHINE,
  type GatewayEnrolInput,
  type GatewayEnrolState,
} from '../../src/enrolment/gateway.ts';
import { PNE_ENROL_MACHINE, type PneEnrolInput, type PneEnrolState } from '../../src/enrolment/pne.ts';
import { receiptTranscript } from '../../src/enrolment/transcript.ts';
import { Machine } from '../../src/establishment/machine.ts';
import { EnrolAck, EnrolReceiptPayload } from '../../src/messages/enrolment.ts';
import { Abort } from '../../src/messages/setup.ts';
import { coseKeyOf } from '../../src/security/cose-key.ts';
import { GARBAGE, NOW, PRIMITIVES, STRANGER, Table } from '../establishment/bench.ts';
import { checkTable, type Row, summary } from '../establishment/table-check.ts';

interface Out {
  readonly kind: string;
  readonly message?: Bytes | string;
  readonly body?: Bytes;
}

/** Both machines and what they have said. */
class Enrolment {
  readonly table = new Table();
  readonly th1 = new Uint8Array(32).fill(9);
  e1: Bytes = EMPTY;
  e2: Bytes = EMPTY;
  spentOn: Bytes | undefined;
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
    };
  }

  readonly gateway = (): Machine<object, GatewayEnrolState, GatewayEnrolInput, Out, string> => {
    const { gateway, operator, homeAddress, credential } = this.table;
    const offer = {
      ...{ gatewayKey: coseKeyOf(gateway.publicKey), rootKey: coseKeyOf(operator.root.publicKey) },
      ...{ serverKeys: [coseKeyOf(operator.server.publicKey)], homeAddress, userLabel: 'bob', credential },
      nonce: new Uint8Array(16),
    };
    const session = { primitives: PRIMITIVES, offer, expectedThumbprint: this.expected };
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
class Bench<State extends string, Input extends { readonly kind: string }> {
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
function offerOf(world: Enrolment): Bytes {
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

function claimOf(world: Enrolment): Bytes {
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

type PneBench = Bench<PneEnrolState, PneEnrolInput>;
type GatewayBench = Bench<GatewayEnrolState, GatewayEnrolInput>;

const signature = (world: Enrolment, who: 'pne' | 'gateway') => {
  const asked = world.last.find(({ kind }) => kind === 'sign')?.message;
  return { kind: 'signed', signature: world.table[who].sign(asked as Bytes) } as const;
};
const PNE_STEPS: readonly ((bench: PneBench) => PneEnrolInput)[] = [
  ({ world }) => world.opened,
  ({ world }) => ({ kind: 'EnrolOffer', body: offerOf(world) }),
  ({ world }) => signature(world, 'pne'),
  ({ world }) => ({ kind: 'EnrolReceipt', body: world.receipt() }),
];
const GATEWAY_STEPS: readonly ((bench: GatewayBench) => GatewayEnrolInput)[] = [
  ({ world }) => world.opened,
  ({ world }) => signature(world, 'gateway'),
  ({ world }) => ({ kind: 'EnrolClaim', body: claimOf(world) }),
  ({ world }) => ({ kind: 'receipt', receipt: world.receipt() }),
  () => ({ kind: 'EnrolAck', body: EnrolAck.encode({ status: 'ok' }) }),
];
const PNE_STATES: readonly PneEnrolState[] = [
  'opening',
  'awaiting-offer',
  'signing-claim',
  'awaiting-receipt',
  'done',
];
const GATEWAY_STATES: readonly GatewayEnrolState[] = [
  'opening',
  'signing-offer',
  'awaiting-claim',
  'awaiting-receipt',
  'awaiting-ack',
  'done',
];

function pneAt(state: PneEnrolState): PneBench {
  const bench: PneBench = new Bench((world) => world.pne() as never);
  if (state === 'closed') bench.feed({ kind: 'stop' });
  else for (const step of PNE_STEPS.slice(0, PNE_STATES.indexOf(state))) bench.feed(step(bench));
  return bench;
}

function gatewayAt(state: GatewayEnrolState): GatewayBench {
  const bench: GatewayBench = new Bench((world) => world.gateway() as never);
  if (state === 'closed') bench.feed({ kind: 'stop' });
  else for (const step of GATEWAY_STEPS.slice(0, GATEWAY_STATES.indexOf(state))) bench.feed(step(bench));
  return bench;
}

type End =
  | { readonly kind: 'Abort'; readonly body: Bytes }
  | { readonly kind: 'failed' | 'linkClosed'; readonly status: Status }
  | { readonly kind: 'timeout' | 'stop' };
const ENDS: readonly (readonly [End, string])[] = [
  [{ kind: 'Abort', body: Abort.encode({ status: 'busy' }) }, 'close busy'],
  [{ kind: 'failed', status: 'cannot-persist' }, 'close cannot-persist, abort'],
  [{ kind: 'timeout' }, 'close timeout, abort'],
  [{ kind: 'linkClosed', status: 'link-lost' }, 'close link-lost'],
  [{ kind: 'stop' }, 'close shutting-down, abort'],
];
const endsAt = <S extends string, B>(states: readonly S[]): Row<B, S, End>[] =>
  states.flatMap((at) =>
    ENDS.map(([input, says]) => ({
      at,
      on: input.kind,
      input: () => input,
      to: 'closed' as S,
      says: [says],
    })),
  );

const pneSays: readonly (readonly string[])[] = [
  [],
  ['persistSpent', 'sign'],
  ['send EnrolClaim'],
  ['persistOwnership', 'send EnrolAck', 'enrolled', 'close ok'],
];
const gatewaySays: readonly (readonly string[])[] = [
  ['sign'],
  ['send EnrolOffer'],
  ['claim'],
  ['persistEnrolled', 'send EnrolReceipt'],
  ['persistAcknowledged', 'enrolled', 'close ok'],
];
const PNE_KINDS = ['opened', 'EnrolOffer', 'signed', 'EnrolReceipt'] as const;
const GATEWAY_KINDS = ['opened', 'signed', 'EnrolClaim', 'receipt', 'EnrolAck'] as const;
const END_KINDS = ['Abort', 'failed', 'timeout', 'linkClosed', 'stop'] as const;

checkTable<object, PneEnrolState, PneEnrolInput, Out, string, PneBench>(PNE_ENROL_MACHINE as never, {
  enter: pneAt,
  rows: [
    ...(endsAt<PneEnrolState, PneBench>(PNE_STATES.slice(0, -1)) as Row<
      PneBench,
      PneEnrolState,
      PneEnrolInput
    >[]),
    ...PNE_STEPS.map((input, i) => ({
      at: PNE_STATES[i] ?? 'done',
      on: PNE_KINDS[i] ?? 'opened',
      input,
      to: PNE_STATES[i + 1] ?? 'done',
      says: pneSays[i] ?? [],
    })),
    {
      at: 'awaiting-offer',
      on: 'EnrolOffer',
      when: 'malformed',
      input: () => ({ kind: 'EnrolOffer', body: GARBAGE }),
      to: 'closed',
      says: ['close malformed, abort'],
    },
    {
      at: 'awaiting-receipt',
      on: 'EnrolReceipt',
      when: 'malformed',
      input: () => ({ kind: 'EnrolReceipt', body: GARBAGE }),
      to: 'closed',
      says: ['close malformed, abort'],
    },
  ],
  kinds: [...PNE_KINDS, ...END_KINDS],
  unexpected: 'unexpected-message',
  stray: (kind, { world }): PneEnrolInput =>
    kind === 'opened'
      ? world.opened
      : ({ kind, body: GARBAGE, signature: new Uint8Array(64), status: 'internal' } as PneEnrolInput),
});

checkTable<object, GatewayEnrolState, GatewayEnrolInput, Out, string, GatewayBench>(
  GATEWAY_ENROL_MACHINE as never,
  {
    enter: gatewayAt,
    rows: [
      ...(endsAt<GatewayEnrolState, GatewayBench>(GATEWAY_STATES.slice(0, -1)) as Row<
        GatewayBench,
        GatewayEnrolState,
        GatewayEnrolInput
      >[]),
      ...GATEWAY_STEPS.map((input, i) => ({
        at: GATEWAY_STATES[i] ?? 'done',
        on: GATEWAY_KINDS[i] ?? 'opened',
        input,
        to: GATEWAY_STATES[i + 1] ?? 'done',
        says: gatewaySays[i] ?? [],
      })),
      {
        at: 'awaiting-claim',
        on: 'EnrolClaim',
        when: 'malformed',
        input: () => ({ kind: 'EnrolClaim', body: GARBAGE }),
        to: 'closed',
        says: ['close malformed, abort'],
      },
      {
        at: 'awaiting-receipt',
        on: 'refused',
        input: () => ({ kind: 'refused', status: 'already-owned' }),
        to: 'closed',
        says: ['close already-owned, abort'],
      },
      {
        at: 'awaiting-ack',
        on: 'EnrolAck',
        when: 'not written',
        input: () => ({ kind: 'EnrolAck', body: EnrolAck.encode({ status: 'cannot-persist' }) }),
        to: 'closed',
        says: ['close cannot-persist'],
      },
    ],
    kinds: [...GATEWAY_KINDS, 'refused', ...END_KINDS],
    unexpected: 'unexpected-message',
    stray: (kind, { world }): GatewayEnrolInput =>
      kind === 'opened'
        ? world.opened
        : ({
            kind,
            body: GARBAGE,
            signature: new Uint8Array(64),
            status: 'internal',
            receipt: GARBAGE,
          } as GatewayEnrolInput),
  },
);

describe('enrolment: refusals', () => {
  const says = (bench: PneBench | GatewayBench, input: PneEnrolInput & GatewayEnrolInput) =>
    summary(bench.feed(input));

  it('a receipt of another key, epoch, gateway or PNE: receipt-invalid', () => {
    for (const [over, by] of [
      [{}, STRANGER],
      [{ epoch: 2 }],
      [{ gatewayId: new Uint8Array(8) }],
      [{ thumbprint: new Uint8Array(32) }],
    ] as const) {
      const bench = pneAt('awaiting-receipt');
      const body = bench.world.receipt(over as Partial<EnrolReceiptPayload>, by);
      assert.deepEqual(summary(bench.feed({ kind: 'EnrolReceipt', body })), ['close receipt-invalid, abort']);
    }
  });

  it('a code spent on another gateway key, and an offer whose signature is wrong: nothing is signed', () => {
    const spent: PneBench = new Bench((world) => {
      world.spentOn = new Uint8Array(32);
      return world.pne() as never;
    });
    spent.feed(spent.world.opened);
    assert.deepEqual(summary(spent.feed({ kind: 'EnrolOffer', body: offerOf(spent.world) })), [
      'close enrolment-code-spent, abort',
    ]);
    const bench = pneAt('awaiting-offer');
    const body = offerOf(bench.world).slice();
    body[body.length - 1] = (body.at(-1) ?? 0) ^ 1;
    assert.deepEqual(summary(bench.feed({ kind: 'EnrolOffer', body })), [
      'close enrolment-code-wrong, abort',
    ]);
  });

  it('a claim of a key that the code is not about: enrolment-code-wrong; a bad signature: response-invalid', () => {
    const other: GatewayBench = new Bench((world) => {
      world.expected = new Uint8Array(16);
      return world.gateway() as never;
    });
    other.feed(other.world.opened);
    other.feed(signature(other.world, 'gateway'));
    assert.deepEqual(says(other, { kind: 'EnrolClaim', body: claimOf(other.world) } as never), [
      'close enrolment-code-wrong, abort',
    ]);
    const bench = gatewayAt('awaiting-claim');
    const body = claimOf(bench.world).slice();
    body[body.length - 1] = (body.at(-1) ?? 0) ^ 1;
    assert.deepEqual(says(bench, { kind: 'EnrolClaim', body } as never), ['close response-invalid, abort']);
  });
});
