/**
 * Runs cells of the fault matrix: which ones, how many at once, in which order. Owns the schedule: cells that mostly wait
 * for a deadline have places of their own, so that they run beside those that work.
 */
import { mkdirSync, mkdtempSync, renameSync, rmSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { Prng } from '../../src/base/prng.ts';
import { type CellOptions, runCell } from './cell.ts';
import { COLUMNS, type Column } from './columns.ts';
import type { ReportedCell } from './matrix-report.ts';
import { STEPS, type StepRow } from './steps.ts';
import { makeTemplate } from './town.ts';

/** Longer than this, and a cell is one that waits. */
const WAITING_MS = 5_000;
/** A PNE, a gateway that lost it, and a channel that is dialled again need no longer than this when all are well. */
export const DEFAULT_CONVERGE_MS = 60_000;
const WAITING_PLACES = 8;

export interface MatrixOptions {
  readonly seed: number;
  /** Cells that work at once; default one a processor. */
  readonly jobs?: number | undefined;
  /** `STEP:FAULT`; either part may be `*`. */
  readonly only?: string | undefined;
  /** So many cells, chosen by the seed. */
  readonly sample?: number | undefined;
  readonly convergeMs?: number | undefined;
  readonly defect?: CellOptions['defect'];
  /** Where failed cells are kept. */
  readonly keep: string;
  readonly signal: AbortSignal;
  readonly onResult: (result: ReportedCell, done: number) => void;
}

export interface Planned {
  readonly row: StepRow;
  readonly column: Column;
  readonly seed: number;
  readonly waits: boolean;
  readonly idle: boolean;
}

/** @throws RangeError when no cell is named so */
export function chooseCells({
  seed,
  only,
  sample,
}: Pick<MatrixOptions, 'seed' | 'only' | 'sample'>): Planned[] {
  const [step = '*', fault = '*'] = (only ?? '*').split(':');
  const all = STEPS.flatMap((row) => COLUMNS.map((column) => plan(row, column, seed)));
  const named = all.filter(
    ({ row, column }) => (step === '*' || `${row.step}` === step) && (fault === '*' || column.id === fault),
  );
  if (named.length === 0) throw new RangeError(`no cell is called ${only}`);
  if (sample === undefined) return named;
  const prng = new Prng(seed);
  const quick = named.filter(({ waits, idle }) => !waits && !idle).map((cell) => ({ cell, at: prng.next() }));
  return quick
    .sort((a, b) => a.at - b.at)
    .slice(0, sample)
    .map(({ cell }) => cell);
}

/** Each cell has a seed of its own, so that one run alone is the same as in the whole matrix. */
function plan(row: StepRow, column: Column, seed: number): Planned {
  const script = column.script(row);
  const waits = 'lastsMs' in script && script.lastsMs > WAITING_MS;
  return { row, column, seed, waits, idle: 'na' in script };
}

/** Runs them all. @returns the results, in the order of the matrix */
export async function runMatrix(options: MatrixOptions): Promise<readonly ReportedCell[]> {
  const cells = chooseCells(options);
  const work = mkdtempSync(join(tmpdir(), 'cpns-faults-'));
  const forget = () => rmSync(work, { recursive: true, force: true });
  process.on('exit', forget);
  try {
    const root = join(work, 't');
    mkdirSync(root);
    const template = await makeTemplate(root);
    const results = new Map<Planned, ReportedCell>();
    const run = async (cell: Planned, at: number): Promise<void> => {
      const { row, column, seed } = cell;
      const directory = join(work, `${at}`);
      const { convergeMs = DEFAULT_CONVERGE_MS, defect, signal } = options;
      const result = await runCell({ template, row, column, seed, directory, convergeMs, defect, signal });
      // What was cut short has come to nothing.
      if (signal.aborted) return;
      if (result.verdict === 'failed') keep(directory, join(options.keep, `${row.step}-${column.id}`));
      results.set(cell, result);
      options.onResult(result, results.size);
    };
    const queue = (waits: boolean) =>
      cells.map((cell, at) => ({ cell, at })).filter(({ cell }) => cell.waits === waits);
    const take = async (waiting: { cell: Planned; at: number }[]): Promise<void> => {
      for (let next = waiting.shift(); next && !options.signal.aborted; next = waiting.shift())
        await run(next.cell, next.at);
    };
    const [working, waiting] = [queue(false), queue(true)];
    const places = (count: number, of: typeof working) => Array.from({ length: count }, () => take(of));
    const jobs = options.jobs ?? availableParallelism();
    await Promise.all([...places(jobs, working), ...places(Math.min(WAITING_PLACES, 4 * jobs), waiting)]);
    return cells.flatMap((cell) => results.get(cell) ?? []);
  } finally {
    forget();
    process.off('exit', forget);
  }
}

function keep(from: string, to: string): void {
  rmSync(to, { recursive: true, force: true });
  mkdirSync(join(to, '..'), { recursive: true });
  try {
    renameSync(from, to);
  } catch {
    // Another file system, or nothing was made: the result says what went wrong.
  }
}
