/** The gateway's machine brought into any of its states by what a real PNE and server would say. */
import type { Bytes } from '../../src/base/bytes.ts';
import { GATEWAY_MACHINE } from '../../src/establishment/gateway.ts';
import type { GatewayAction, GatewayState } from '../../src/establishment/gateway-table.ts';
import type {
  GatewayInput,
  GatewayJoin,
  GatewayMessageInput,
  GatewayOutput,
  GatewaySession,
  Settlement,
} from '../../src/establishment/gateway-types.ts';
import { Machine } from '../../src/establishment/machine.ts';
import { Resumed } from '../../src/messages/resumption.ts';
import type { Failure } from '../../src/messages/schema-status.ts';
import { Ack } from '../../src/messages/setup.ts';
import { INVITATION, NOW, PN, PRIMITIVES, Table } from './bench.ts';

export class GatewayBench {
  readonly table = new Table();
  readonly machine: Machine<GatewaySession, GatewayState, GatewayInput, GatewayOutput, GatewayAction>;
  nowMs = 1_000;
  last: readonly GatewayOutput[] = [];

  /** @param resume the version of the inventory on disk, 0 while the join is pending, or how it was refused */
  constructor(options: { resume?: number | Failure; keysStatement?: boolean } = {}) {
    const { table } = this;
    const { resume, keysStatement } = options;
    const session: GatewaySession = {
      primitives: PRIMITIVES,
      serverKeys: table.serverKeys,
      gatewayId: table.gatewayId,
      credential: table.credential,
      serverKeysStatement: keysStatement ? table.operator.serverKeysStatement(NOW) : undefined,
      gatewayInfo: { capability: Uint8Array.of(1), subscription: 'home' },
      invitation: resume === undefined ? INVITATION : undefined,
      ...(resume !== undefined && { join: this.join() }),
      ...(typeof resume === 'number' && resume > 0 && { settlement: this.registered(resume) }),
      ...(typeof resume === 'string' && { settlement: this.refused(resume) }),
    };
    this.machine = new Machine(GATEWAY_MACHINE, session, GATEWAY_MACHINE.initial, this.nowMs);
  }

  feed(input: GatewayInput): readonly GatewayOutput[] {
    this.last = this.machine.handle(input, this.nowMs);
    for (const output of this.last)
      if (output.kind === 'send' && output.message === 'PnSetupRequest') this.table.m1 = output.body;
    return this.last;
  }

  signed(): GatewayInput {
    const asked = this.last.find((output) => output.kind === 'sign');
    if (asked?.kind !== 'sign') throw new Error('nothing is to be signed');
    return { kind: 'signed', signature: this.table.gateway.sign(asked.message) };
  }

  message(kind: GatewayMessageInput['kind'], body: Bytes): GatewayInput {
    return { kind, body };
  }

  ack(status: Failure | 'ok' = 'ok'): GatewayInput {
    return this.message('Ack', Ack.encode({ status }));
  }

  /** @param serverKeysIssuedAt of the set the PNE says it has */
  resumed(version: number, status: Failure | 'ok' = 'ok', serverKeysIssuedAt?: number): GatewayInput {
    const keys = serverKeysIssuedAt === undefined ? {} : { serverKeysIssuedAt };
    return this.message('Resumed', Resumed.encode({ status, version, ...keys }));
  }

  updated(version: number): GatewayInput {
    return { kind: 'updated', inventory: this.table.inventory({ version }), version };
  }

  settled(settlement: Settlement = this.registered(1)): GatewayInput {
    return { kind: 'settled', settlement };
  }

  registered(version: number): Settlement {
    return { status: 'ok', inventory: this.table.inventory({ version }), version };
  }

  refused(status: Failure = 'user-refused'): Settlement {
    return { status, outcome: this.table.outcome(status) };
  }

  join(): GatewayJoin {
    const { txn, joinId, th3, operator, pne } = this.table;
    const rms = new Uint8Array(32).fill(3);
    return { txn, joinId, pnId: PN, thumbprint: operator.thumbprintOf(pne), th3, rms };
  }
}

const ESTABLISHING: readonly GatewayState[] = [
  'opening',
  'signing',
  'awaiting-setup-response',
  'awaiting-challenge',
  'awaiting-response',
  'awaiting-outcome',
  'notifying',
  'member',
  'updating',
];

const STEPS: { readonly [S in GatewayState]?: (bench: GatewayBench) => GatewayInput } = {
  opening: ({ table }) => table.opened,
  signing: (bench) => bench.signed(),
  'awaiting-setup-response': ({ table }) => ({ kind: 'PnSetupResponse', body: table.setupResponse() }),
  'awaiting-challenge': ({ table }) => ({ kind: 'challenged', challenge: table.makeChallenge() }),
  'awaiting-response': ({ table }) => ({ kind: 'AuthenticationResponse', body: table.response() }),
  'awaiting-outcome': (bench) => bench.settled(),
  notifying: (bench) => bench.ack(),
  member: (bench) => bench.updated(2),
};

/** A bench whose machine is in this state. */
export function gatewayAt(state: GatewayState): GatewayBench {
  if (state === 'awaiting-resumed') {
    const bench = new GatewayBench({ resume: 1 });
    bench.feed(bench.table.opened);
    return bench;
  }
  if (state === 'sending-keys') {
    const bench = awaitingStep2WithKeys();
    bench.feed(bench.message('PnSetupResponse', bench.table.decline('credential-unknown-key')));
    return bench;
  }
  if (state === 'refusing') {
    const bench = gatewayAt('awaiting-outcome');
    bench.feed(bench.settled(bench.refused()));
    return bench;
  }
  if (state === 'closed') {
    const bench = new GatewayBench();
    bench.feed({ kind: 'stop' });
    return bench;
  }
  return leading(state, new GatewayBench());
}

/** Opened for a resumption. */
/** @param keysStatement the gateway has the root's word of NOW about the server keys */
export function resumingWith(resume: number | Failure, keysStatement = false): GatewayBench {
  const bench = new GatewayBench({ resume, keysStatement });
  bench.feed(bench.table.opened);
  return bench;
}

/** A gateway that has a newer server key set to show. */
export function awaitingStep2WithKeys(): GatewayBench {
  return leading('awaiting-setup-response', new GatewayBench({ keysStatement: true }));
}

function leading(state: GatewayState, bench: GatewayBench): GatewayBench {
  for (const at of ESTABLISHING.slice(0, ESTABLISHING.indexOf(state))) bench.feed(stepOf(bench, at));
  return bench;
}

/** The step that leads on from a state of the establishment. */
export function stepOf(bench: GatewayBench, at: GatewayState = bench.machine.state): GatewayInput {
  const step = STEPS[at];
  if (!step) throw new Error(`no step from ${at}`);
  return step(bench);
}
