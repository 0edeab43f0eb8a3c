/**
 * The four establishment machines and the two of enrolment, given any input in any order: what a peer would say next,
 * the same with bytes spoilt, or anything at all. They throw nothing, go only where their table says, end with a status
 * that is not `internal`, send nothing behind a close, and keep the order of "on disk, then said".
 */
import assert from 'node:assert/strict';
import { toHex } from '../../../src/base/bytes.ts';
import { STATUSES, type Status } from '../../../src/base/statuses.ts';
import { GATEWAY_TABLE, type GatewayState } from '../../../src/establishment/gateway-table.ts';
import { HOME_GATEWAY_MACHINE } from '../../../src/establishment/home-gateway.ts';
import { HOME_GATEWAY_TABLE } from '../../../src/establishment/home-gateway-table.ts';
import type { Machine } from '../../../src/establishment/machine.ts';
import { Machine as TheMachine } from '../../../src/establishment/machine.ts';
import { PNE_TABLE, type PneState } from '../../../src/establishment/pne-table.ts';
import { SERVER_TABLE, type ServerState } from '../../../src/establishment/server-table.ts';
import type { ServerInput } from '../../../src/establishment/server-types.ts';
import { PneConfirmRequest } from '../../../src/messages/confirmation.ts';
import { PnRegistrationRequest } from '../../../src/messages/registration.ts';
import { Resumed } from '../../../src/messages/resumption.ts';
import { Abort, PnSetupNotify } from '../../../src/messages/setup.ts';
import { gatewayAt, stepOf as gatewayStep } from '../../establishment/gateway-bench.ts';
import { pneAt, stepOf as pneStep } from '../../establishment/pne-bench.ts';
import { confirmRequest, outcomeOf, parties, sessionOf } from '../../gateway/server-side/confirm-samples.ts';
import { MachineKit, NOW } from '../../server/machine-kit.ts';
import { byteAt, documented, type Input, part, pick, type Target, UNREADABLE } from '../target.ts';
import { enrolmentBench } from './enrolment-bench.ts';

type AnyInput = { readonly kind: string };
type AnyOutput = { readonly kind: string };
type AnyMachine = Pick<
  Machine<unknown, string, AnyInput, AnyOutput, string>,
  'state' | 'ended' | 'deadlineAt' | 'definition'
>;

/** A machine on its bench, whatever its types. */
export interface Played {
  /** Joins that were on disk before, th3 in hex. */
  readonly pending?: Iterable<string>;
  readonly machine: AnyMachine;
  readonly table: Readonly<
    Record<string, Readonly<Record<string, { readonly to: readonly string[] } | undefined>>>
  >;
  feed(input: AnyInput): readonly AnyOutput[];
  /** What would come next from an honest peer; throws when nothing does. */
  next(): AnyInput;
}

const KINDS = [
  ...[
    'opened',
    'PnSetupRequest',
    'AuthenticationChallenge',
    'PnSetupNotify',
    'PnInventoryUpdate',
    'Resume',
    'Freshness',
  ],
  ...[
    'ServerKeys',
    'Waiting',
    'Abort',
    'Data',
    'decided',
    'signed',
    'failed',
    'timeout',
    'linkClosed',
    'stop',
  ],
  ...[
    'PnSetupResponse',
    'AuthenticationResponse',
    'Ack',
    'Resumed',
    'challenged',
    'settled',
    'updated',
    'waiting',
    'freshness',
  ],
  ...['refused', 'EnrolOffer', 'EnrolClaim', 'compared', 'EnrolReceipt', 'EnrolAck', 'receipt'],
  ...['review', 'outcome', 'rejected', 'delivered', 'resend', 'stored', 'deadline', 'EnrolComparison'],
];
const YES = { yours: true, chargeable: true, reason: 'ok' };
const STATUS_NAMES = (Object.keys(STATUSES) as Status[]).filter(
  (status) => status !== 'ok' && status !== 'internal',
);

/** Byte fields of an input that came from outside, each spoilt by the patch: place, bits to turn over; or cut short. */
function spoil(input: AnyInput, patch: Uint8Array): AnyInput {
  const spoilt: Record<string, unknown> = { ...input };
  for (const [name, value] of Object.entries(input)) {
    const bytesField: unknown = value;
    if (
      !(bytesField instanceof Uint8Array) ||
      !['body', 'challenge', 'receipt', 'response', 'answer', 'outcome'].includes(name)
    )
      continue;
    let bytes: Uint8Array = bytesField.slice();
    for (let i = 0; i + 2 < patch.length; i += 3) {
      const at = ((byteAt(patch, i) << 8) | byteAt(patch, i + 1)) % (bytes.length + 1);
      if (at === bytes.length) bytes = bytes.slice(0, byteAt(patch, i + 2) % (bytes.length + 1));
      else bytes[at] = byteAt(bytes, at) ^ (byteAt(patch, i + 2) || 1);
    }
    spoilt[name] = bytes;
  }
  return spoilt as AnyInput;
}

const WAITING = ['awaiting-home-gateway', 'awaiting-user'] as const;

/** An input of a kind with every field that any kind has: the driver's part is true, what a peer says is not. */
function made(kind: string, patch: Uint8Array, like: AnyInput | undefined): AnyInput {
  // Whom a join waits for the node has checked before it tells the machine.
  const names = kind === 'waiting' ? WAITING : STATUS_NAMES;
  const status = pick(names, byteAt(patch, 0));
  const whole = {
    ...{ th1: new Uint8Array(32), prk1: new Uint8Array(32), openG: part(1), openP: part(2) },
    ...{ signature: new Uint8Array(64), body: patch, challenge: patch, receipt: patch, outcome: patch },
    ...{ statement: patch, inventory: patch, version: byteAt(patch, 0), now: NOW, decision: YES, status },
  };
  return { ...whole, ...(like?.kind === kind && like), kind } as AnyInput;
}

/** First byte 0: the honest next step; 1: the same, spoilt; 2: time or stop; otherwise of any kind, second byte, with any bytes. */
function inputOf(op: Uint8Array, played: Played): AnyInput {
  let next: AnyInput | undefined;
  try {
    next = played.next();
  } catch {
    // No honest step leads on from here.
  }
  const mode = byteAt(op, 0) % 4;
  if (next && mode === 0) return next;
  if (next && mode === 1) return spoil(next, op.subarray(1));
  if (mode === 2)
    return made(
      pick(['timeout', 'stop', 'linkClosed', 'failed', 'waiting'], byteAt(op, 1)),
      op.slice(2),
      next,
    );
  const kind = pick(KINDS, byteAt(op, 1));
  return made(kind === 'settled' || kind === 'opened' ? 'Data' : kind, op.slice(2), next);
}

/** Whether the peer itself says `internal`, or a number that is read so (docs/protocol.md §11). */
function saysInternal(input: AnyInput): boolean {
  const { body } = input as { readonly body?: Uint8Array };
  if (!body) return false;
  return [Abort, Resumed, PnSetupNotify].some(
    (message) => documented(UNREADABLE, () => message.decode(body))?.status === 'internal',
  );
}

function play(played: Played, steps: readonly Uint8Array[]): void {
  const { machine, table } = played;
  const pending = new Set<string>(played.pending);
  for (const op of steps.slice(0, 24)) {
    const [state, wasEnded] = [machine.state, machine.ended];
    const input = inputOf(op, played);
    const outputs = played.feed(input);
    if (wasEnded) assert.deepEqual([outputs.length, machine.state], [0, state], 'it lives on behind its end');
    const cell = table[state]?.[input.kind];
    if (cell) assert.ok(cell.to.includes(machine.state), `${state} × ${input.kind} led to ${machine.state}`);
    if (machine.ended) assert.equal(machine.deadlineAt, undefined, 'a timer is left armed');
    let closed = false;
    for (const output of outputs) {
      const { kind, status, message, join } = output as AnyOutput & {
        status?: Status;
        message?: unknown;
        join?: { th3: Uint8Array };
      };
      assert.ok(!(closed && kind === 'send'), `${state} × ${input.kind} sends behind a close`);
      closed ||= kind === 'close';
      if (kind === 'close')
        assert.ok(
          status && status in STATUSES && (status !== 'internal' || saysInternal(input)),
          `${state} × ${input.kind} ends with ${status}`,
        );
      if (kind === 'persistPending' && join) pending.add(toHex(join.th3));
      if (kind === 'send' && message === 'AuthenticationResponse')
        assert.ok(pending.size > 0, 'signed before it was on disk');
    }
  }
}

function pnePlayed(state: PneState): Played {
  const bench = pneAt(state);
  return {
    pending: bench.disk.pending,
    machine: bench.machine as never,
    table: PNE_TABLE as never,
    feed: (input) => bench.feed(input as never),
    next: () => pneStep(bench),
  };
}

function gatewayPlayed(state: GatewayState): Played {
  const bench = gatewayAt(state);
  return {
    machine: bench.machine as never,
    table: GATEWAY_TABLE as never,
    feed: (input) => bench.feed(input as never),
    next: () => gatewayStep(bench),
  };
}

/** @param spoilt bytes of the whole request, decoded again when they still can be */
function homePlayed(spoilt: Uint8Array): Played | undefined {
  const bytes = (
    spoil({ kind: '', body: PneConfirmRequest.encode(confirmRequest()) } as AnyInput, spoilt) as unknown as {
      body: Uint8Array;
    }
  ).body;
  const request = documented(UNREADABLE, () => PneConfirmRequest.decode(bytes));
  if (!request) return undefined;
  const machine = new TheMachine(HOME_GATEWAY_MACHINE, sessionOf(request));
  let asked: Uint8Array | undefined;
  return {
    machine: machine as never,
    table: HOME_GATEWAY_TABLE as never,
    feed: (input) => {
      const outputs = machine.handle(input as never, 0);
      for (const output of outputs) if (output.kind === 'sign') asked = output.message;
      return outputs;
    },
    next: () => {
      if (machine.state === 'asked') return { kind: 'review', now: NOW } as AnyInput;
      if (asked && machine.state === 'signing')
        return { kind: 'signed', signature: parties.home.sign(asked) } as AnyInput;
      if (machine.state === 'asking') return { kind: 'decided', decision: YES, now: NOW } as AnyInput;
      return { kind: 'outcome', outcome: outcomeOf(request, 'ok') } as AnyInput;
    },
  };
}

const SERVER_AT: readonly ServerState[] = ['new', 'challenged', 'verified', 'registered', 'refused'];

/** The server's inputs come decoded and with facts: what a gateway brings is spoilt, the facts are true. */
function playServer(state: ServerState, steps: readonly Uint8Array[]): void {
  const kit = MachineKit.at(state);
  for (const op of steps.slice(0, 8)) {
    const before = kit.machine.state;
    const input = serverInput(kit, op);
    // The store asks its own questions only where a row can be asked them.
    const own = ['deadline', 'superseded', 'confirmDelivered'];
    if (!input || (own.includes(input.kind) && !(input.kind in SERVER_TABLE[kit.load().state]))) continue;
    const { reply, outputs } = kit.feed(input);
    const to = (SERVER_TABLE as Record<string, Record<string, { do: string } | undefined>>)[before]?.[
      input.kind
    ];
    if (!to) continue;
    assert.ok(kit.machine.state in SERVER_TABLE);
    if (reply?.kind === 'rejected')
      assert.ok(reply.status in STATUSES && reply.status !== 'internal', 'rejected as internal');
    for (const output of outputs)
      if (output.kind === 'commit' && output.change.to === 'refused')
        assert.notEqual(output.change.status, 'internal', 'refused as internal');
  }
}

function serverInput(kit: MachineKit, op: Uint8Array): ServerInput | undefined {
  const patch = op.subarray(1);
  switch (byteAt(op, 0) % 5) {
    case 0: {
      const { body, txn } = spoil(
        { kind: '', body: kit.join.body, txn: kit.join.txn } as AnyInput,
        patch,
      ) as unknown as { body: Uint8Array; txn: typeof kit.join.txn };
      const request = documented(UNREADABLE, () => PnRegistrationRequest.decode(body));
      return request && kit.request({ body, request, txn });
    }
    case 1:
      return spoil(kit.response(), patch) as ServerInput;
    case 2:
      return spoil(kit.answer(), patch) as ServerInput;
    case 3:
      return kit.row && { kind: 'deadline', now: NOW + byteAt(op, 1) * 400 };
    default:
      return (
        kit.row && { kind: pick(['superseded', 'confirmDelivered'] as const, byteAt(op, 1)), now: NOW + 6 }
      );
  }
}

const PNE_STATES = Object.keys(PNE_TABLE) as PneState[];
const GATEWAY_STATES = Object.keys(GATEWAY_TABLE) as GatewayState[];

function machineSeeds(): Input[] {
  const honest = Array.from({ length: 9 }, () => part(0));
  const spoilt = [part(1, 0, 40, 1), part(1, 0, 3, 255), part(3, 9), part(2, 0)];
  const of = (machine: number, states: number): Input[] =>
    Array.from({ length: states }, (_, state) =>
      [honest, spoilt].map((steps): Input => [part(machine, state), ...steps]),
    ).flat();
  return [
    ...of(0, PNE_STATES.length),
    ...of(1, GATEWAY_STATES.length),
    ...of(2, 1),
    ...of(3, SERVER_AT.length),
    ...of(4, 2),
    ...of(5, 2),
    ...KINDS.map((_, kind): Input => [part(kind % 2, kind), part(3, kind, 1, 2, 3), part(0)]),
  ];
}

export const machinesTarget: Target = {
  name: 'machines',
  about: 'the four establishment machines and the two of enrolment, any input in any order',
  sources: ['establishment/', 'enrolment/'],
  weight: 2,
  open: () => ({
    seeds: machineSeeds(),
    run: ([chosen, ...steps]) => {
      const [which, state] = [byteAt(chosen, 0) % 6, byteAt(chosen, 1)];
      if (which === 3) return playServer(pick(SERVER_AT, state), steps);
      const played =
        which === 0
          ? pnePlayed(pick(PNE_STATES, state))
          : which === 1
            ? gatewayPlayed(pick(GATEWAY_STATES, state))
            : which === 2
              ? homePlayed(chosen?.subarray(1) ?? part())
              : enrolmentBench(which === 4 ? 'pne' : 'gateway', state % 2 === 0 ? 'pne' : 'gateway');
      if (played) play(played, steps);
    },
  }),
};
