/**
 * The four tables as the code has them, read for two things: that no state is without a way out, and which cells an
 * exploration has gone through. Cells that it can't go through are listed with the reason; a cell that is neither gone
 * through nor excused is a hole.
 */
import { GATEWAY_MACHINE } from '../../src/establishment/gateway.ts';
import { HOME_GATEWAY_MACHINE } from '../../src/establishment/home-gateway.ts';
import { PNE_MACHINE } from '../../src/establishment/pne.ts';
import { SERVER_MACHINE } from '../../src/establishment/server.ts';
import { COVERAGE } from './drive.ts';

interface AnyTable {
  readonly [state: string]: { readonly [kind: string]: { readonly to: readonly string[] } | undefined };
}

export interface AnyDefinition {
  readonly name: string;
  readonly initial: string;
  readonly final: readonly string[];
  readonly deadlines: { readonly [state: string]: number | undefined };
  readonly table: AnyTable;
}

export const MACHINES: readonly AnyDefinition[] = [
  PNE_MACHINE,
  GATEWAY_MACHINE,
  HOME_GATEWAY_MACHINE,
  SERVER_MACHINE,
];

const name = (machine: AnyDefinition, state: string, kind: string) => `${machine.name}: ${state} × ${kind}`;

export function cellsOf(machine: AnyDefinition): readonly string[] {
  return Object.entries(machine.table).flatMap(([state, row]) =>
    Object.keys(row).map((kind) => name(machine, state, kind)),
  );
}

/** Inputs that end what a machine is about, or move it on, without anybody's help. */
const WAYS_OUT: { readonly [machine: string]: readonly string[] } = {
  pne: ['timeout', 'linkClosed', 'stop'],
  'initiating gateway': ['timeout', 'linkClosed', 'stop'],
  'home gateway': ['stop'],
  server: ['deadline', 'signed'],
};

/** States that a machine could stay in for ever: no deadline and no end of the link or of the program leads out. */
export function trapsOf(machine: AnyDefinition): readonly string[] {
  const ways = WAYS_OUT[machine.name] ?? [];
  const leadsOut = (state: string, kind: string) =>
    machine.table[state]?.[kind]?.to.some((next) => next !== state) ?? false;
  return Object.keys(machine.table).filter((state) => {
    if (machine.final.includes(state) || ENDS_OF_A_ROW.has(`${machine.name}: ${state}`)) return false;
    // A deadline in the table of times is none without its cell, and a link can always be lost.
    const isTimed = machine.deadlines[state] === undefined || machine.table[state]?.['timeout'] !== undefined;
    const linked = machine.name === 'pne' || machine.name === 'initiating gateway';
    return (
      !isTimed ||
      !(linked
        ? ways.slice(1).every((way) => leadsOut(state, way))
        : ways.some((way) => leadsOut(state, way)))
    );
  });
}

/** Where a transaction may rest: before it is, and behind its end. */
const ENDS_OF_A_ROW: ReadonlySet<string> = new Set(['server: new', 'server: registered', 'server: refused']);

/** The server's machine runs inside the real Registrar: its cells are noted where its actions are called. */
export function watchServer(): () => void {
  const actions = SERVER_MACHINE.actions as unknown as Record<string, ServerAction>;
  const originals = { ...actions };
  for (const [action, original] of Object.entries(originals))
    actions[action] = (session, input, state, nowMs) => {
      const step = original(session, input, state, nowMs);
      COVERAGE.note(SERVER_MACHINE.name, state, input.kind, step.to);
      return step;
    };
  return () => {
    Object.assign(actions, originals);
  };
}

type ServerAction = (
  session: unknown,
  input: { readonly kind: string },
  state: string,
  nowMs: number,
) => { readonly to: string };

interface Excuse {
  readonly why: string;
  readonly covers: (cell: string) => boolean;
}

const pattern = (why: string, expression: RegExp): Excuse => ({
  why,
  covers: (cell) => expression.test(cell),
});

/** Why a cell can't come up in the model. */
export const EXCUSES: readonly Excuse[] = [
  pattern(
    'a machine of a link is made when the OPENs are in, and opened at once: the link layer’s own deadline stands before it',
    /^(pne|initiating gateway): opening × (?!opened)/,
  ),
  pattern(
    'the driver hands no other input in while the identity key signs (src/nodes/machine-driver.ts), and the key does not fail here',
    /^(pne: signing × (Abort|timeout|linkClosed|stop)|initiating gateway: signing × (?!signed)|home gateway: signing × (outcome|stop|deadline|decided|resend))/,
  ),
  pattern(
    'the driver writes the end before it hands anything else in',
    /^home gateway: settling × (outcome|stop)/,
  ),
  pattern(
    'a question is looked at as soon as it is taken up',
    /^home gateway: asked × (stop|deadline|resend|failed)/,
  ),
  pattern(
    'nothing is written or fetched there that could fail',
    /^(pne: (awaiting-setup-request|deciding|declined|awaiting-resume) × failed|home gateway: (asking|answered) × failed)/,
  ),
  pattern(
    'one owner, one answer: a second is for tests of the table',
    /^home gateway: (answering|answered) × decided/,
  ),
  pattern(
    'a question is looked at when it is taken up, and only once',
    /^home gateway: (asking|answered) × review/,
  ),
  pattern('the one sender of an answer is told of its delivery once', /^home gateway: answered × delivered/),
  pattern('application data changes nothing that the model looks at', / × Data$/),
  pattern(
    'the operator’s keys stay the same in the model',
    / × ServerKeys$|^initiating gateway: sending-keys × /,
  ),
];

export interface CellReport {
  readonly machine: string;
  readonly cells: number;
  readonly gone: number;
  readonly excused: readonly { readonly cell: string; readonly why: string }[];
  /** Neither gone through nor excused. */
  readonly holes: readonly string[];
  /** States never entered, the excused apart. */
  readonly unreached: readonly string[];
}

/** Excused for the same reasons as their cells. */
const STATES_APART: ReadonlySet<string> = new Set(['initiating gateway: sending-keys']);

export function cellReport(machine: AnyDefinition): CellReport {
  const cells = cellsOf(machine);
  const left = cells.filter((cell) => !COVERAGE.cells.has(cell));
  const excused = left.flatMap((cell) => {
    const excuse = EXCUSES.find(({ covers }) => covers(cell));
    return excuse ? [{ cell, why: excuse.why }] : [];
  });
  const isExcused = new Set(excused.map(({ cell }) => cell));
  const unreached = Object.keys(machine.table)
    .map((state) => `${machine.name}: ${state}`)
    .filter((state) => !COVERAGE.states.has(state) && !STATES_APART.has(state))
    .filter((state) => state !== `${machine.name}: ${machine.initial}`);
  return {
    ...{ machine: machine.name, cells: cells.length, gone: cells.length - left.length, excused, unreached },
    holes: left.filter((cell) => !isExcused.has(cell)),
  };
}
