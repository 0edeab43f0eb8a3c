/** The PNE's machine brought into any of its states by what a real gateway and server would say. */
import type { Bytes } from '../../src/base/bytes.ts';
import { Machine } from '../../src/establishment/machine.ts';
import { PNE_MACHINE } from '../../src/establishment/pne.ts';
import type { PneAction, PneState } from '../../src/establishment/pne-table.ts';
import type {
  KnownJoin,
  PneIdentity,
  PneInput,
  PneOutput,
  PneSession,
} from '../../src/establishment/pne-types.ts';
import { Resume } from '../../src/messages/resumption.ts';
import { unpadPnSetupResponse } from '../../src/messages/setup.ts';
import { CAPABILITY, Disk, NOW, PN, PRIMITIVES, Table } from './bench.ts';

export class PneBench {
  readonly table = new Table();
  readonly disk = new Disk();
  readonly machine: Machine<PneSession, PneState, PneInput, PneOutput, PneAction>;
  nowMs = 1_000;
  last: readonly PneOutput[] = [];

  constructor(
    options: { joins?: (table: Table) => readonly KnownJoin[]; identity?: Partial<PneIdentity> } = {},
  ) {
    const { table } = this;
    this.machine = new Machine(
      PNE_MACHINE,
      {
        primitives: PRIMITIVES,
        identity: {
          thumbprint: table.operator.thumbprintOf(table.pne),
          homeAddress: table.homeAddress,
          capability: CAPABILITY,
          contents: undefined,
          pneId: undefined,
          ...options.identity,
        },
        serverKeys: table.serverKeys,
        floor: { serverTime: NOW, atMs: 1_000 },
        joins: options.joins?.(table) ?? [],
      },
      PNE_MACHINE.initial,
      this.nowMs,
    );
  }

  feed(input: PneInput): readonly PneOutput[] {
    this.last = this.machine.handle(input, this.nowMs);
    this.disk.carryOut(this.last);
    for (const output of this.last)
      if (output.kind === 'send' && output.message === 'PnSetupResponse')
        this.table.m2 = unpadPnSetupResponse(output.body);
    return this.last;
  }

  /** The signature that the last outputs ask for. */
  signed(): PneInput {
    const asked = this.last.find((output) => output.kind === 'sign');
    if (asked?.kind !== 'sign') throw new Error('nothing is to be signed');
    return { kind: 'signed', signature: this.table.pne.sign(asked.message) };
  }

  message(kind: Extract<PneInput, { readonly body: Bytes }>['kind'], body: Bytes): PneInput {
    return { kind, body };
  }

  resume(pnId = PN, version = 1): PneInput {
    return this.message('Resume', Resume.encode({ pnId, version }));
  }

  /** Opened for a resumption of this join. */
  resuming(over: Partial<KnownJoin> = {}): this {
    this.feed({ ...this.table.opened, join: this.table.knownJoin(over) });
    return this;
  }
}

const ESTABLISHING: readonly PneState[] = [
  'opening',
  'awaiting-setup-request',
  'deciding',
  'awaiting-challenge',
  'signing',
  'awaiting-notify',
  'member',
  'closed',
];

/** One step of the establishment from each state to the next. */
const STEPS: { readonly [S in PneState]?: (bench: PneBench) => PneInput } = {
  opening: ({ table }) => table.opened,
  'awaiting-setup-request': ({ table }) => ({ kind: 'PnSetupRequest', body: table.setupRequest() }),
  deciding: () => ({ kind: 'decided', status: 'ok' }),
  'awaiting-challenge': ({ table }) => ({ kind: 'AuthenticationChallenge', body: table.makeChallenge() }),
  signing: (bench) => bench.signed(),
  'awaiting-notify': ({ table }) => ({ kind: 'PnSetupNotify', body: table.notify() }),
  member: () => ({ kind: 'stop' }),
};

/** A bench whose machine is in this state. */
export function pneAt(state: PneState, options: ConstructorParameters<typeof PneBench>[0] = {}): PneBench {
  const bench = new PneBench(options);
  if (state === 'awaiting-resume') return bench.resuming();
  if (state === 'resuming') {
    bench.resuming({ state: 'pending', version: 0 });
    bench.feed(bench.resume());
    return bench;
  }
  if (state === 'declined') {
    const before = pneAt('deciding', options);
    before.feed({ kind: 'decided', status: 'declined' });
    return before;
  }
  for (const at of ESTABLISHING.slice(0, ESTABLISHING.indexOf(state))) {
    const step = STEPS[at];
    if (step) bench.feed(step(bench));
  }
  return bench;
}

/** The step that leads on from a state of the establishment. */
export function stepOf(bench: PneBench): PneInput {
  const step = STEPS[bench.machine.state];
  if (!step) throw new Error(`no step from ${bench.machine.state}`);
  return step(bench);
}
