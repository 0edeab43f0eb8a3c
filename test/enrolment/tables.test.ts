/**
 * Both enrolment machines against each other, with real crypto: every cell of both tables, absent cells, deadlines, and
 * what each side refuses (docs/protocol.md §7.2, §10). "Spent" is on disk before a claim is signed.
 */
import assert from 'node:assert/strict';
import type { Bytes } from '../../src/base/bytes.ts';
import type { Status } from '../../src/base/statuses.ts';
import {
  GATEWAY_ENROL_MACHINE,
  type GatewayEnrolInput,
  type GatewayEnrolState,
} from '../../src/enrolment/gateway.ts';
import { PNE_ENROL_MACHINE, type PneEnrolInput, type PneEnrolState } from '../../src/enrolment/pne.ts';
import { EnrolAck, type EnrolReceiptPayload } from '../../src/messages/enrolment.ts';
import { Abort } from '../../src/messages/setup.ts';
import { GARBAGE, STRANGER } from '../establishment/bench.ts';
import { checkTable, type Row, summary } from '../establishment/table-check.ts';
import {
  ASKS_ITS_USER,
  Bench,
  claimOf,
  GATEWAY_STATES,
  GATEWAY_STEPS,
  type GatewayBench,
  gatewayAt,
  gatewayOf,
  type Out,
  offerOf,
  PNE_STATES,
  PNE_STEPS,
  type PneBench,
  pneAt,
  pneOf,
  signature,
} from './bench.ts';

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
const endsAt = <S extends string, B>(states: readonly S[], timeout?: string): Row<B, S, End>[] =>
  states.flatMap((at) =>
    ENDS.map(([input, says]) => ({
      at,
      on: input.kind,
      input: () => input,
      to: 'closed' as S,
      says: [(input.kind === 'timeout' && timeout) || says],
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
const PNE_KINDS = ['opened', 'EnrolOffer', 'signed', 'EnrolReceipt', 'EnrolComparison'] as const;
const GATEWAY_KINDS = ['opened', 'signed', 'EnrolClaim', 'receipt', 'EnrolAck'] as const;
const END_KINDS = ['Abort', 'failed', 'timeout', 'linkClosed', 'stop'] as const;

checkTable<object, PneEnrolState, PneEnrolInput, Out, string, PneBench>(PNE_ENROL_MACHINE as never, {
  enter: pneAt,
  rows: [
    ...(endsAt<PneEnrolState, PneBench>([...PNE_STATES.slice(0, -1), 'comparing', 'showing-digits']) as Row<
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
    ...(['awaiting-receipt', 'comparing', 'showing-digits'] as const).map((at) => ({
      at,
      on: 'EnrolReceipt' as const,
      when: 'malformed',
      input: () => ({ kind: 'EnrolReceipt' as const, body: GARBAGE }),
      to: 'closed' as const,
      says: ['close malformed, abort'],
    })),
    {
      at: 'signing-claim',
      on: 'signed',
      when: 'the gateway shows the code',
      bench: () => pneOf('gateway', ...PNE_STEPS.slice(0, 2)),
      input: ({ world }) => signature(world, 'pne'),
      to: 'comparing',
      says: ['send EnrolClaim'],
    },
    {
      at: 'comparing',
      on: 'EnrolComparison',
      input: () => ASKS_ITS_USER,
      to: 'showing-digits',
      says: ['compare'],
    },
    {
      at: 'comparing',
      on: 'EnrolComparison',
      when: 'malformed',
      input: () => ({ kind: 'EnrolComparison', body: GARBAGE }),
      to: 'closed',
      says: ['close malformed, abort'],
    },
    ...(['comparing', 'showing-digits'] as const).map((at) => ({
      at,
      on: 'EnrolReceipt' as const,
      input: ({ world }: PneBench) => ({ kind: 'EnrolReceipt' as const, body: world.receipt() }),
      to: 'done' as const,
      says: ['persistOwnership', 'send EnrolAck', 'enrolled', 'close ok'],
    })),
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
      ...(endsAt<GatewayEnrolState, GatewayBench>(['comparing'], 'close confirmation-timeout, abort') as Row<
        GatewayBench,
        GatewayEnrolState,
        GatewayEnrolInput
      >[]),
      {
        at: 'awaiting-claim',
        on: 'EnrolClaim',
        when: 'this gateway shows the code',
        bench: () => gatewayOf('gateway', ...GATEWAY_STEPS.slice(0, 2)),
        input: ({ world }) => ({ kind: 'EnrolClaim', body: claimOf(world) }),
        to: 'comparing',
        says: ['compare', 'send EnrolComparison'],
      },
      {
        at: 'comparing',
        on: 'compared',
        when: 'the same',
        input: () => ({ kind: 'compared', status: 'ok' }),
        to: 'awaiting-receipt',
        says: ['claim'],
      },
      {
        at: 'comparing',
        on: 'compared',
        when: 'not the same',
        input: () => ({ kind: 'compared', status: 'user-refused' }),
        to: 'closed',
        says: ['close user-refused, abort'],
      },
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
    kinds: [...GATEWAY_KINDS, 'compared', 'refused', ...END_KINDS],
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
