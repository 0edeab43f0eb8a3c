/**
 * The ladder diagram, a line per message: lifelines of the four parties, an arrow, then step, transport, sizes and time.
 * Owns the drawing only: text in, text out. Colour and Unicode are options, so that a log stays plain.
 */
import type { PartyName } from '../../nodes/trace.ts';
import type { FlowEvent } from './flow-event.ts';

export interface LadderOptions {
  readonly unicode: boolean;
  readonly colour: boolean;
  /** More than one: each line says which PNE it is about. */
  readonly pnes: number;
}

const COLUMNS: readonly { readonly party: PartyName; readonly title: string }[] = [
  { party: 'pne', title: 'PNE' },
  { party: 'gateway', title: 'PN GW #2' },
  { party: 'server', title: 'Server' },
  { party: 'home-gateway', title: 'PN GW #1' },
];
const SPACING = 13;
const MARGIN = 4;
const NAME_WIDTH = 26;

interface Strokes {
  readonly life: string;
  readonly dash: string;
  readonly left: string;
  readonly right: string;
  readonly dot: string;
  readonly rule: string;
}

const UNICODE: Strokes = { life: '│', dash: '─', left: '◀', right: '▶', dot: '●', rule: '─' };
const ASCII: Strokes = { life: '|', dash: '-', left: '<', right: '>', dot: '*', rule: '-' };

/** SGR colours of the transports. */
const COLOURS = { ble: 36, https: 32, local: 33 } as const;
const TRANSPORT = { ble: 'BLE', https: 'HTTPS', local: 'local' } as const;

const at = (column: number): number => MARGIN + column * SPACING;

/** The two lines above the first message. */
export function ladderHeader(options: LadderOptions): string {
  const { rule } = options.unicode ? UNICODE : ASCII;
  let titles = '';
  for (const [column, { title }] of COLUMNS.entries()) {
    titles = `${titles.padEnd(at(column) - Math.floor(title.length / 2))}${title}`;
  }
  const head = `${'step'.padStart(4)} ${pneCell(options, undefined)}${titles.padEnd(diagramWidth())} ${tail('message', 'over', 'bytes', 'segm', 'ms')}`;
  return `${head.trimEnd()}\n${rule.repeat(head.trimEnd().length)}`;
}

/** One message. */
export function ladderLine(event: FlowEvent, options: LadderOptions): string {
  const strokes = options.unicode ? UNICODE : ASCII;
  const diagram = arrow(event, strokes);
  const text = `${String(event.step ?? '').padStart(4)} ${pneCell(options, event.pne)}${diagram} ${tail(
    event.status === undefined ? event.name : `${event.name} (${event.status})`,
    TRANSPORT[event.via],
    event.bytes > 0 ? String(event.bytes) : '',
    event.segments ? String(event.segments) : '',
    String(event.atMs),
  )}`.trimEnd();
  if (!options.colour) return text;
  const colour = event.step === undefined ? 2 : COLOURS[event.via];
  return `\x1b[${colour}m${text}\x1b[0m`;
}

const diagramWidth = (): number => at(COLUMNS.length - 1) + 5;

function pneCell({ pnes }: LadderOptions, pne: number | undefined): string {
  return pnes > 1 ? `${pne === undefined ? 'PNE' : String(pne).padStart(3)} ` : '';
}

function tail(name: string, via: string, bytes: string, segments: string, ms: string): string {
  return [
    name.padEnd(NAME_WIDTH),
    via.padEnd(5),
    bytes.padStart(6),
    segments.padStart(4),
    ms.padStart(6),
  ].join(' ');
}

function arrow({ from, to }: Pick<FlowEvent, 'from' | 'to'>, strokes: Strokes): string {
  const cells = Array<string>(diagramWidth()).fill(' ');
  for (const column of COLUMNS.keys()) cells[at(column)] = strokes.life;
  const source = at(COLUMNS.findIndex(({ party }) => party === from));
  const target = at(COLUMNS.findIndex(({ party }) => party === to));
  const step = Math.sign(target - source);
  for (let x = source + step; step !== 0 && x !== target; x += step) {
    // The lifeline of a party in between is passed behind.
    if (cells[x] === ' ') cells[x] = strokes.dash;
  }
  if (step === 0) cells[source] = strokes.dot;
  else cells[target - step] = step > 0 ? strokes.right : strokes.left;
  return cells.join('');
}

/** Whether a terminal of this environment shows Unicode and colours. */
export function ladderStyle(
  environment: {
    readonly LC_ALL?: string;
    readonly LC_CTYPE?: string;
    readonly LANG?: string;
    readonly NO_COLOR?: string;
    readonly TERM?: string;
  },
  terminal: boolean,
): Pick<LadderOptions, 'unicode' | 'colour'> {
  const locale = environment.LC_ALL || environment.LC_CTYPE || environment.LANG || 'C.UTF-8';
  return {
    unicode: /utf-?8/i.test(locale),
    colour: terminal && !environment.NO_COLOR && environment.TERM !== 'dumb',
  };
}
