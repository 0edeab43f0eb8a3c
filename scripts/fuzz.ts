/**
 * `npm run fuzz`: every target of test/fuzz for a while, or one of them; finds are minimised and written down with the
 * command that runs them again. Owns the command line and the report. Exit status: 0 nothing found, 1 a find, 2 misuse, 3 a target that could not be opened or closed;
 * 137 when a run never came back, after it was written down.
 */
import { relative, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { Command, InvalidArgumentError } from 'commander';
import { Coverage } from '../test/fuzz/coverage.ts';
import { Fuzzer, type Session, type TargetReport } from '../test/fuzz/engine.ts';
import { readFind, writeFind } from '../test/fuzz/finds.ts';
import { markdownReport } from '../test/fuzz/report.ts';
import { catchStrays, Runner } from '../test/fuzz/runner.ts';
import { Watch } from '../test/fuzz/watch.ts';

const ROOT = resolve(import.meta.dirname, '..');
const FOUND_FOLDER = resolve(ROOT, 'test/output/fuzz');
const AGAIN = 'npx tsx scripts/fuzz.ts --again';

const SAME_INTERRUPT_MS = 1_000;

const EXAMPLES = `
Examples:
  npm run fuzz                               all targets, two minutes in all
  npm run fuzz -- --minutes 30               the same for half an hour
  npm run fuzz -- --target link --minutes 1  one target
  npm run fuzz -- --seed 42                  with the dice of an earlier run
  npm run fuzz -- --plain                    without coverage guidance, for comparison
  npm run fuzz -- --again FILE               one find or regression vector again
  npm run fuzz -- --list                     what there is

Ctrl-C prints the report so far. Finds go to test/output/fuzz; once mended, a find is kept in test/fuzz/finds.`;

interface Options {
  readonly minutes: number;
  readonly target?: string;
  readonly seed: number;
  readonly json?: boolean;
  readonly plain?: boolean;
  readonly again?: string;
  readonly list?: boolean;
}

const number = (text: string): number => {
  const value = Number(text);
  if (!(Number.isFinite(value) && value >= 0)) throw new InvalidArgumentError('not a number of 0 or more');
  return value;
};

const options = new Command('fuzz')
  .description('Feeds the project hostile bytes, guided by coverage.')
  .option('--minutes <M>', 'time for all targets together', number, 2)
  .option('--target <NAME>', 'only this one')
  .option('--seed <S>', 'seed of the dice', number, Math.floor(Math.random() * 0x7fffffff))
  .option('--json', 'the report as JSON')
  .option('--plain', 'do not keep what reaches new blocks')
  .option('--again <FILE>', 'run one written input again')
  .option('--list', 'name the targets')
  .addHelpText('after', EXAMPLES)
  .parse()
  .opts<Options>();

// Counting begins before the sources are loaded: functions compiled earlier have no counters inside.
const coverage = new Coverage(`${pathToFileURL(ROOT)}/`);
const { TARGETS } = await import('../test/fuzz/targets/index.ts');
const releaseStrays = catchStrays();

if (options.list) {
  for (const { name, about } of TARGETS) console.log(`${name.padEnd(12)} ${about}`);
  process.exit(0);
}
try {
  process.exit(options.again === undefined ? await fuzz() : await again(options.again));
} catch (error) {
  // With the catchers of strays in place nothing else would say it.
  console.error(error);
  process.exit(3);
}

async function again(path: string): Promise<number> {
  coverage.stop();
  const find = readFind(path);
  const target = targetNamed(find.target);
  const watch = new Watch([target.name], path, AGAIN);
  const bench = await target.open();
  const runner = new Runner(target, bench, 0, watch);
  const broken = await runner.run(find.parts);
  const error = broken ?? (await runner.close());
  await watch.close();
  console.log(error === undefined ? `${path}: holds` : `${path}: ${error}`);
  return error === undefined ? 0 : 1;
}

function targetNamed(name: string) {
  const target = TARGETS.find((one) => one.name === name);
  if (target) return target;
  console.error(`no target ${name}; there are ${TARGETS.map((one) => one.name).join(', ')}`);
  return process.exit(2);
}

async function fuzz(): Promise<number> {
  const targets = options.target === undefined ? TARGETS : [targetNamed(options.target)];
  const watch = new Watch(
    TARGETS.map(({ name }) => name),
    resolve(FOUND_FOLDER, 'TARGET-hang.json'),
    AGAIN,
  );
  let stopped = false;
  let interruptedAt = 0;
  process.on('SIGINT', () => {
    // The terminal and tsx both pass on the same Ctrl-C.
    if (stopped && performance.now() - interruptedAt > SAME_INTERRUPT_MS) process.exit(130);
    if (!stopped) console.error('\nstopping; once more ends at once');
    if (!stopped) interruptedAt = performance.now();
    stopped = true;
  });
  console.error(`seed ${options.seed}, ${options.minutes} minutes, ${targets.length} targets`);
  const startedAt = performance.now();
  const shares = targets.reduce((sum, { weight = 1 }) => sum + weight, 0);
  const reports: TargetReport[] = [];
  for (const target of targets) {
    if (stopped) break;
    const session: Session = {
      coverage,
      watch,
      guided: options.plain !== true,
      stopped: () => stopped,
      onProgress: progress,
    };
    const ms = (options.minutes * 60_000 * (target.weight ?? 1)) / shares;
    const report = await Fuzzer.run(target, TARGETS.indexOf(target), options.seed, ms, session);
    progress(report);
    if (process.stderr.isTTY) console.error();
    for (const find of report.finds) told(writeFind(FOUND_FOLDER, find), find.error);
    reports.push(report);
  }
  coverage.stop();
  await watch.close();
  releaseStrays();
  const seconds = (performance.now() - startedAt) / 1000;
  if (options.json)
    console.log(JSON.stringify({ seed: options.seed, seconds, targets: reports }, bytesAsHex, 2));
  else console.log(markdownReport(reports, { seed: options.seed, seconds }));
  return reports.some(({ finds }) => finds.length > 0) ? 1 : 0;
}

function bytesAsHex(_key: string, value: unknown): unknown {
  return value instanceof Uint8Array ? Buffer.from(value).toString('hex') : value;
}

function told(path: string, error: string): void {
  const name = relative(process.cwd(), path);
  console.error(`FOUND ${error}\n  written to ${name}; again: ${AGAIN} ${name}`);
}

function progress({ target, runs, seconds, corpus, blocksAtEnd, finds }: TargetReport): void {
  const line = `${target}: ${runs} runs, ${Math.round(runs / Math.max(seconds, 0.001))}/s, corpus ${corpus}, ${blocksAtEnd} blocks, ${finds.length} finds`;
  process.stderr.write(process.stderr.isTTY ? `\r\x1b[K${line}` : `${line}\n`);
}
