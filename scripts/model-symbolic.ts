/**
 * Runs the symbolic models of docs/model with ProVerif and compares each query's result with what its model says is expected.
 * Owns the command line and the processes; models and results are read in scripts/symbolic. Call it by scripts/model-symbolic.
 */
import { spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { type Model, parseModel, textOf, type Variant } from './symbolic/model.ts';
import { type Done, progressOf, toMarkdown, toText } from './symbolic/report.ts';
import { compare } from './symbolic/results.ts';

const EXIT = { ok: 0, unexpected: 1, usage: 2, skipped: 77 } as const;

const HELP = `Usage: scripts/model-symbolic [options] [MODEL[:VARIANT] ...]

Runs the symbolic models of docs/model/symbolic (all, or those named) and compares every result with the expected one.

Options:
  --proverif PATH  the verifier; else $PROVERIF, else \`proverif\` in PATH
  --timeout N      seconds for a variant (1800)
  --jobs N         variants at once (number of processors)
  --write          also write what came out into docs/model/results.md; only with whole models, others stay there as they are
  --show           print the text of the variants named, and run nothing
  --list           print models and variants, and run nothing
  --help           this text

Exit status: 0 all as expected; 1 something else came out; 2 wrong usage; 77 ProVerif is not installed, nothing was run.

Examples:
  scripts/model-symbolic
  scripts/model-symbolic freshness enrolment:photographed
  scripts/model-symbolic --show establishment:no-join-id
`;

const NOT_INSTALLED = `skipped: ProVerif is not installed, so no symbolic model was run.
Install it with opam (\`opam install proverif\`) or from https://proverif.inria.fr, version 2.05 or newer, and put it into PATH
or name it with --proverif PATH.`;

const FOLDER = fileURLToPath(new URL('../docs/model/symbolic/', import.meta.url));
const RESULTS = fileURLToPath(new URL('../docs/model/results.md', import.meta.url));
const LIBRARY = join(FOLDER, 'common.pvl');

interface Task {
  readonly model: Model;
  readonly variant: Variant;
}

interface Ran {
  readonly output: string;
  /** What ended it, when it did not end by itself. */
  readonly stopped: string | undefined;
  readonly exitStatus: number;
}

function readModels(): readonly Model[] {
  return readdirSync(FOLDER)
    .filter((name) => name.endsWith('.pv'))
    .sort()
    .map((name) => parseModel(basename(name, '.pv'), readFileSync(join(FOLDER, name), 'utf8')));
}

/** @throws TypeError for a name that there is not */
function tasksOf(models: readonly Model[], names: readonly string[]): readonly Task[] {
  const all = models.flatMap((model) => model.variants.map((variant) => ({ model, variant })));
  if (names.length === 0) return all;
  return names.flatMap((name) => {
    const found = all.filter(
      ({ model, variant }) => name === model.name || name === `${model.name}:${variant.name}`,
    );
    if (found.length === 0) throw new TypeError(`no such model or variant: ${name}`);
    return found;
  });
}

function run(command: string, args: readonly string[], timeoutMs: number): Promise<Ran> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    let timedOut = false;
    // Of our own: that of spawn() goes on when the program could not be started.
    const timer = setTimeout(() => {
      timedOut = true;
      child.kill('SIGKILL');
    }, timeoutMs);
    const chunks: Buffer[] = [];
    child.stdout.on('data', (chunk: Buffer) => chunks.push(chunk));
    child.stderr.on('data', (chunk: Buffer) => chunks.push(chunk));
    child.once('error', (error) => {
      clearTimeout(timer);
      reject(error);
    });
    child.once('close', (code, signal) => {
      clearTimeout(timer);
      const ended = signal ? `ended by ${signal}` : undefined;
      const stopped = timedOut ? `stopped after ${timeoutMs / 1000} s` : ended;
      resolve({ output: Buffer.concat(chunks).toString('utf8'), stopped, exitStatus: code ?? 0 });
    });
  });
}

/** What --help of ProVerif begins with, as in `2.05`; undefined when it can't be started. */
async function versionOf(proverif: string): Promise<string | undefined> {
  const ran = await run(proverif, ['-help'], 10_000).catch(() => undefined);
  return ran && /Proverif (\d[\w.]*\w)/i.exec(ran.output)?.[1];
}

async function runTask(
  { model, variant }: Task,
  proverif: string,
  work: string,
  timeoutMs: number,
): Promise<Done> {
  const path = join(work, `${model.name}-${variant.name}.pv`);
  writeFileSync(path, textOf(model, variant));
  const startedAt = performance.now();
  const { output, stopped, exitStatus } = await run(proverif, ['-lib', LIBRARY, path], timeoutMs);
  const seconds = (performance.now() - startedAt) / 1000;
  try {
    if (stopped) throw new Error(stopped);
    const failure = exitStatus === 0 ? undefined : `exit status ${exitStatus}`;
    return { model, variant, seconds, findings: compare(model, variant, output), failure };
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    return { model, variant, seconds, findings: [], failure: why };
  }
}

/** What is kept of the file: nothing when everything was run. */
function resultsBefore(names: readonly string[]): string {
  return names.length === 0 ? '' : readFileSync(RESULTS, 'utf8');
}

async function runAll(
  tasks: readonly Task[],
  jobs: number,
  runOne: (task: Task) => Promise<Done>,
): Promise<Done[]> {
  const done: Done[] = [];
  let next = 0;
  const worker = async () => {
    for (let index = next++; index < tasks.length; index = next++) {
      const task = tasks[index];
      if (task) done[index] = await runOne(task);
    }
  };
  await Promise.all(Array.from({ length: jobs }, worker));
  return done;
}

function positive(text: string, name: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1)
    throw new TypeError(`--${name} wants a number above 0, not ${text}`);
  return value;
}

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      proverif: { type: 'string', default: process.env['PROVERIF'] ?? 'proverif' },
      timeout: { type: 'string', default: '1800' },
      jobs: { type: 'string', default: String(availableParallelism()) },
      write: { type: 'boolean', default: false },
      show: { type: 'boolean', default: false },
      list: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  if (values.help) {
    process.stdout.write(HELP);
    return EXIT.ok;
  }
  const tasks = tasksOf(readModels(), positionals);
  if (values.write && positionals.some((name) => name.includes(':')))
    throw new TypeError('--write wants whole models run');
  if (values.list) {
    for (const { model, variant } of tasks)
      console.log(
        `${`${model.name}:${variant.name}`.padEnd(44)}${variant.looser ? '! ' : '  '}${variant.what}`,
      );
    return EXIT.ok;
  }
  if (values.show) {
    for (const { model, variant } of tasks) process.stdout.write(textOf(model, variant));
    return EXIT.ok;
  }
  const version = await versionOf(values.proverif);
  if (!version) {
    console.error(NOT_INSTALLED);
    return EXIT.skipped;
  }
  const timeoutMs = positive(values.timeout, 'timeout') * 1000;
  const jobs = positive(values.jobs, 'jobs');
  const work = mkdtempSync(join(tmpdir(), 'cpns-symbolic-'));
  try {
    const done = await runAll(tasks, jobs, async (task) => {
      const result = await runTask(task, values.proverif, work, timeoutMs);
      console.error(progressOf(result));
      return result;
    });
    process.stdout.write(toText(done, version));
    if (values.write) writeFileSync(RESULTS, toMarkdown(done, version, resultsBefore(positionals)));
    return done.every(({ failure, findings }) => !failure && findings.every(({ asExpected }) => asExpected))
      ? EXIT.ok
      : EXIT.unexpected;
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

main().then(
  (status) => {
    process.exitCode = status;
  },
  (error: unknown) => {
    const usage = error instanceof TypeError;
    console.error(`model-symbolic: ${error instanceof Error ? error.message : String(error)}`);
    process.exitCode = usage ? EXIT.usage : EXIT.unexpected;
  },
);
