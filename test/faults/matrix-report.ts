/**
 * The fault matrix as people and programs read it: what the runner hands over, the figures of it, aligned text for a
 * terminal, and JSON. The page is matrix-page.ts. Owns the words and letters of an outcome; must not run anything.
 */
import { OUTCOMES, type OutcomeKind } from './outcome.ts';

export interface ReportedCell {
  readonly step: number;
  readonly fault: string;
  readonly seed: number;
  /** `na`: the step has no such fault; the detail says why. */
  readonly verdict: 'passed' | 'failed' | 'na';
  readonly outcome?: OutcomeKind;
  /** What was reached, or everything that was wrong: violations in words. */
  readonly detail: string;
  readonly tookMs: number;
  /** From the end of the fault to the outcome. */
  readonly convergedMs?: number;
}

export interface MatrixReport {
  readonly seed: number;
  /** ISO 8601, UTC. */
  readonly startedAt: string;
  readonly tookMs: number;
  /** Such as `Node 20.20.2, linux x64`. */
  readonly platform: string;
  readonly rows: readonly { readonly step: number; readonly name: string }[];
  /** The id's words, parted by hyphens, are the heading; the title says it in full. */
  readonly columns: readonly { readonly id: string; readonly title: string }[];
  readonly cells: readonly ReportedCell[];
  /** How the cell is run again, before its own `--only` and `--seed`. */
  readonly command: string;
}

/** How a cell looks: by verdict first, then by outcome. */
export type Mark = Exclude<OutcomeKind, 'illegal'> | 'failed' | 'na' | 'not-run';

export const MARKS: Readonly<
  Record<
    Mark,
    { readonly letter: string; readonly word: string; readonly meaning: string; readonly sgr: number }
  >
> = {
  member: { letter: 'M', word: 'member', meaning: OUTCOMES.member, sgr: 32 },
  nothing: { letter: 'N', word: 'nothing', meaning: OUTCOMES.nothing, sgr: 36 },
  'signed-unheard': { letter: 'U', word: 'unheard', meaning: OUTCOMES['signed-unheard'], sgr: 33 },
  'not-yet-notified': { letter: 'R', word: 'registered', meaning: OUTCOMES['not-yet-notified'], sgr: 35 },
  failed: {
    letter: 'F',
    word: 'FAILED',
    meaning: 'a safety rule broke, or no legal outcome in time',
    sgr: 31,
  },
  na: { letter: '·', word: 'n/a', meaning: 'the step has no such fault', sgr: 2 },
  'not-run': { letter: ' ', word: '', meaning: 'not in this run', sgr: 2 },
};

export function markOf(cell: ReportedCell | undefined): Mark {
  if (!cell) return 'not-run';
  if (cell.verdict !== 'passed') return cell.verdict;
  return cell.outcome === undefined || cell.outcome === 'illegal' ? 'failed' : cell.outcome;
}

export const cellAt = ({ cells }: MatrixReport, step: number, fault: string): ReportedCell | undefined =>
  cells.find((cell) => cell.step === step && cell.fault === fault);

/** The one command that runs this cell again. */
export const again = ({ command }: MatrixReport, { step, fault, seed }: ReportedCell): string =>
  `${command} --only ${step}:${fault} --seed ${seed}`;

/** `0.4 s`, `12 s`. */
export const seconds = (ms: number): string => `${(ms / 1000).toFixed(ms < 9_950 ? 1 : 0)} s`;

export interface MatrixFigures {
  readonly counts: Readonly<Record<Mark, number>>;
  /** Cells that were run. */
  readonly run: number;
  /** From the end of a fault to the outcome; absent when nothing converged. */
  readonly converged?: { readonly medianMs: number; readonly p95Ms: number; readonly maxMs: number };
}

export function figuresOf({ cells, rows, columns }: MatrixReport): MatrixFigures {
  const counts = Object.fromEntries(Object.keys(MARKS).map((mark) => [mark, 0])) as Record<Mark, number>;
  for (const cell of cells) counts[markOf(cell)]++;
  counts['not-run'] = Math.max(0, rows.length * columns.length - cells.length);
  const times = cells.flatMap(({ convergedMs }) => convergedMs ?? []).sort((a, b) => a - b);
  const at = (share: number): number =>
    times[Math.min(times.length - 1, Math.floor(share * times.length))] ?? 0;
  return {
    counts,
    run: cells.filter(({ verdict }) => verdict !== 'na').length,
    ...(times.length > 0 && { converged: { medianMs: at(0.5), p95Ms: at(0.95), maxMs: at(1) } }),
  };
}

/** `12 member, 1 FAILED`; marks that do not occur are left out. */
export function countsInWords({ counts }: MatrixFigures): string {
  const marks = Object.keys(MARKS) as Mark[];
  const said = marks.filter((mark) => mark !== 'not-run' && counts[mark] > 0);
  return said.map((mark) => `${counts[mark]} ${MARKS[mark].word}`).join(', ') || 'nothing was run';
}

export function timesInWords({ converged }: MatrixFigures): string {
  if (!converged) return 'nothing converged';
  const { medianMs, p95Ms, maxMs } = converged;
  return `from the end of a fault to the outcome: median ${seconds(medianMs)}, 95 % ${seconds(p95Ms)}, longest ${seconds(maxMs)}`;
}

/** Everything, for programs: the figures with what they are of. */
export function matrixJson(report: MatrixReport): string {
  const cells = report.cells.map((cell) => ({ ...cell, mark: markOf(cell), again: again(report, cell) }));
  return `${JSON.stringify({ ...report, cells, figures: figuresOf(report) }, undefined, 2)}\n`;
}

export interface TextOptions {
  readonly colour: boolean;
  /** Columns of the terminal: faults that do not fit beside each other go below. */
  readonly width: number;
}

const GAP = '  ';
/** A letter and a time. */
const CELL_WIDTH = 7;

/** Aligned text: the matrix in as many blocks as the width needs, then what failed with the command for each. */
export function matrixText(report: MatrixReport, options: TextOptions): string {
  const figures = figuresOf(report);
  const { rows, columns, cells, seed, platform, tookMs } = report;
  const head = Math.max(4, ...rows.map(({ step, name }) => `${step}`.padStart(2).length + 1 + name.length));
  const width = Math.max(CELL_WIDTH, ...columns.flatMap(({ id }) => wordsOf(id).map(({ length }) => length)));
  // As few blocks as the terminal allows, all about as wide.
  const most = Math.max(1, Math.floor((options.width - head) / (GAP.length + width)));
  const each = Math.ceil(columns.length / Math.max(1, Math.ceil(columns.length / most)));
  const blocks = columns.flatMap((_, i) => (i % each === 0 ? [columns.slice(i, i + each)] : []));
  const failed = cells.filter((cell) => markOf(cell) === 'failed');
  return [
    `fault matrix, seed ${seed}, ${platform}, ${seconds(tookMs)}`,
    ...blocks.flatMap((block) => ['', ...blockLines(report, block, { head, width, options })]),
    '',
    ...legend(options),
    '',
    ...failed.flatMap((cell) => [
      `FAILED ${cell.step}:${cell.fault}: ${inert(cell.detail)}`,
      `  ${again(report, cell)}`,
    ]),
    `${countsInWords(figures)}`,
    timesInWords(figures),
    '',
  ].join('\n');
}

interface Layout {
  readonly head: number;
  readonly width: number;
  readonly options: TextOptions;
}

/** `kill-pne-before` is three words, `clock-pne-1h` too. */
const wordsOf = (id: string): readonly string[] => id.split(/-(?!\d)|(?=[+-]\d)/);

function blockLines(
  report: MatrixReport,
  block: MatrixReport['columns'],
  { head, width, options }: Layout,
): string[] {
  const words = block.map(({ id }) => wordsOf(id));
  const height = Math.max(...words.map(({ length }) => length));
  const headings = Array.from({ length: height }, (_, line) => {
    // Stacked so that the last words stand on the column.
    const texts = words.map((own) => (own[line - (height - own.length)] ?? '').padEnd(width));
    return [(line === height - 1 ? 'step' : '').padEnd(head), ...texts].join(GAP).trimEnd();
  });
  const body = report.rows.map(({ step, name }) => {
    const texts = block.map(({ id }) => {
      const cell = cellAt(report, step, id);
      const mark = markOf(cell);
      const time = cell?.convergedMs === undefined ? '' : ` ${seconds(cell.convergedMs)}`;
      return paint(`${MARKS[mark].letter}${time}`.padEnd(width), mark, options);
    });
    return [`${`${step}`.padStart(2)} ${name}`.padEnd(head), ...texts].join(GAP).trimEnd();
  });
  return [...headings, ...body];
}

function legend(options: TextOptions): string[] {
  const marks = (Object.keys(MARKS) as Mark[]).filter((mark) => mark !== 'not-run');
  return marks.map(
    (mark) =>
      `${paint(MARKS[mark].letter, mark, options)}  ${MARKS[mark].word.padEnd(10)}  ${MARKS[mark].meaning}`,
  );
}

function paint(text: string, mark: Mark, { colour }: TextOptions): string {
  return colour && mark !== 'not-run' ? `\x1b[${MARKS[mark].sgr}m${text}\x1b[0m` : text;
}

/** Details come from errors: nothing in them may steer a terminal. */
const inert = (text: string): string => text.replace(/\p{C}+/gu, ' ');
