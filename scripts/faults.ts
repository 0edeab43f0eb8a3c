/**
 * `npm run test:faults`: the fault matrix on real processes, or a part of it. Owns the command line, progress and exit
 * status; cells are run by test/faults/runner.ts and shown by matrix-report.ts and matrix-page.ts beside it.
 */
import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { EXIT, UsageError } from '../src/cli/exit-codes.ts';
import type { CellOptions } from '../test/faults/cell.ts';
import { COLUMNS } from '../test/faults/columns.ts';
import { matrixPage } from '../test/faults/matrix-page.ts';
import {
  again,
  type MatrixReport,
  matrixJson,
  matrixText,
  type ReportedCell,
} from '../test/faults/matrix-report.ts';
import { DEFECTS, type Defect, PARTIES, type Party } from '../test/faults/plan.ts';
import { chooseCells, DEFAULT_CONVERGE_MS, runMatrix } from '../test/faults/runner.ts';
import { STEPS } from '../test/faults/steps.ts';
import { interruptible, runCommand } from './command-line.ts';

const COMMAND = 'npm run test:faults --';
const WIDTH = 120;
const HELP = `The fault matrix: every fault at every step, between four real processes on a virtual radio.
docs/fault-matrix.md says what each column does and what counts as passed.

usage: ${COMMAND} [options]

  --only STEP:FAULT  one cell, a row (6:*) or a column ('*:link')
  --sample N         N cells, chosen by the seed; none that waits for a long deadline
  --seed N           where chance comes from; default: a new one, printed
  --jobs N           cells that work at once; default: one a processor
  --deadline S       seconds from the end of a fault to the outcome; default ${DEFAULT_CONVERGE_MS / 1000}
  --defect P:NAME    plants a defect in party P, to see it found: ${DEFECTS.join(', ')}
  --keep DIR         where failed cells are kept with state, logs and journal; default test/output/faults
  --html FILE        also writes the matrix as a page
  --json             prints the matrix as JSON
  --help

steps   ${STEPS.map(({ step }) => step).join(' ')}
faults  ${COLUMNS.map(({ id }) => id).join(' ')}

examples
  ${COMMAND} --html matrix.html                       the whole matrix
  ${COMMAND} --only 7:kill-server-after --seed 7      one cell again
  ${COMMAND} --sample 12                              a quick look

exit status: 0 all passed, 1 some failed, 2 wrong usage, 130 interrupted
`;

function readArguments() {
  try {
    const { values } = parseArgs({
      options: {
        only: { type: 'string' },
        sample: { type: 'string' },
        seed: { type: 'string' },
        jobs: { type: 'string' },
        deadline: { type: 'string' },
        defect: { type: 'string' },
        keep: { type: 'string', default: 'test/output/faults' },
        html: { type: 'string' },
        json: { type: 'boolean', default: false },
        help: { type: 'boolean', short: 'h', default: false },
      },
    });
    const seconds = numberOf('deadline', values.deadline);
    return {
      ...values,
      sample: numberOf('sample', values.sample),
      seed: numberOf('seed', values.seed) ?? randomBytes(4).readUInt32BE(),
      jobs: numberOf('jobs', values.jobs),
      convergeMs: seconds === undefined ? undefined : seconds * 1000,
      defect: defectOf(values.defect),
    };
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}

function numberOf(name: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  if (!/^\d{1,10}$/.test(text) || Number(text) > 0xffffffff)
    throw new UsageError(`--${name} wants a number from 0 to ${0xffffffff}, not ${text}`);
  return Number(text);
}

function defectOf(text: string | undefined): CellOptions['defect'] {
  if (text === undefined) return undefined;
  const [party, kind] = text.split(':');
  if (!PARTIES.includes(party as Party) || !DEFECTS.includes(kind as Defect))
    throw new UsageError(
      `--defect wants a party of ${PARTIES.join(', ')} and a defect of ${DEFECTS.join(', ')}`,
    );
  return { party: party as Party, kind: kind as Defect };
}

async function main(): Promise<number> {
  const options = readArguments();
  if (options.help) {
    process.stdout.write(HELP);
    return EXIT.ok;
  }
  const cells = chosen(options);
  const interrupt = interruptible();
  const say = (text: string): void => void (options.json ? process.stderr : process.stdout).write(text);
  const showProgress = process.stdout.isTTY && !options.json;
  const startedAt = new Date();
  const startedMs = performance.now();
  say(`seed ${options.seed}, ${cells.length} cells\n`);
  const report = (results: readonly ReportedCell[]): MatrixReport => ({
    seed: options.seed,
    startedAt: startedAt.toISOString(),
    tookMs: Math.round(performance.now() - startedMs),
    platform: `Node ${process.versions.node}, ${process.platform} ${process.arch}`,
    rows: STEPS.filter((row) => cells.some((cell) => cell.row === row)),
    columns: COLUMNS.filter((column) => cells.some((cell) => cell.column === column)),
    cells: results,
    command: options.defect ? `${COMMAND} --defect ${options.defect.party}:${options.defect.kind}` : COMMAND,
  });
  const results = await runMatrix({
    ...options,
    signal: interrupt.signal,
    onResult: (result, done) => {
      if (result.verdict === 'failed')
        say(
          `${showProgress ? '\r\x1b[K' : ''}failed ${result.step}:${result.fault}: ${result.detail}\n  ${again(report([]), result)}\n`,
        );
      if (showProgress) say(`\r\x1b[K${done} of ${cells.length}`);
    },
  });
  if (showProgress) say('\r\x1b[K');
  const whole = report(results);
  const { isTTY, columns: width = WIDTH } = process.stdout;
  process.stdout.write(
    options.json ? matrixJson(whole) : matrixText(whole, { colour: isTTY === true, width }),
  );
  if (options.html !== undefined) writeFileSync(options.html, matrixPage(whole));
  if (interrupt.signal.aborted) return EXIT.interrupted;
  return results.some(({ verdict }) => verdict === 'failed') ? EXIT.failure : EXIT.ok;
}

function chosen(options: Parameters<typeof chooseCells>[0]) {
  try {
    return chooseCells(options);
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}

runCommand(main);
