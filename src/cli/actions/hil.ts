/**
 * `cpns hil run`, `pne` and `compare`: wiring of options, signals, progress and output to src/hil.
 */
import { openSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { monikerOf } from '../../hil/adapter-name.ts';
import { compareReports } from '../../hil/compare.ts';
import { servePne } from '../../hil/pne-process.ts';
import {
  figuresOf,
  HilReportError,
  parseReport,
  type RunRecord,
  reportWithFigures,
} from '../../hil/report.ts';
import { type Progress, runSuite } from '../../hil/suite.ts';
import { ownCommand } from '../demo/children.ts';
import { EXIT, UsageError } from '../exit-codes.ts';
import { exitSoon } from '../exit-soon.ts';
import { comparisonText } from '../hil/compare-text.ts';
import { hilPage } from '../hil/page.ts';
import { ms, reportText } from '../hil/report-text.ts';
import { inert, print } from '../output.ts';
import { stopSignals } from '../stop-signals.ts';

interface RunOptions {
  readonly gatewayAdapter: string;
  readonly pneAdapter: readonly string[];
  readonly pneHost?: string;
  readonly pneCommand: string;
  readonly sshConfig?: string;
  readonly runs: number;
  readonly json?: boolean;
  readonly html?: string;
  readonly keep?: string;
}

const REPORT_FILE = 'report.json';

export async function hilRun(options: RunOptions): Promise<void> {
  const { pneHost: host, pneCommand: command, sshConfig, keep } = options;
  const gatewayAdapter = monikerOf(options.gatewayAdapter);
  const pneAdapters = options.pneAdapter.map(monikerOf);
  checkDifferent(host === undefined ? [gatewayAdapter, ...pneAdapters] : pneAdapters);
  // Not found out after an hour that it can't be written.
  const page = options.html === undefined ? undefined : openPage(options.html);
  const told = stopSignals();
  const interrupt = new AbortController();
  let code: number | undefined;
  void told.signal.then((signalled) => {
    code = signalled;
    interrupt.abort(new Error('interrupted'));
  });
  try {
    const { report, kept } = await runSuite({
      gatewayAdapter,
      pneAdapters,
      remote: host === undefined ? undefined : { host, command, sshConfig },
      localCommand: [process.execPath, ...ownCommand()],
      runs: options.runs,
      keep: keep === undefined ? undefined : resolve(keep),
      signal: interrupt.signal,
      onProgress: (progress) => process.stderr.write(`${inert(progressText(progress))}\n`),
    });
    const full = reportWithFigures(report);
    if (page !== undefined) writeFileSync(page, hilPage(report));
    if (kept !== undefined) writeFileSync(join(kept, REPORT_FILE), `${JSON.stringify(full, undefined, 2)}\n`);
    print(options.json, full, () => reportText(report, kept));
    process.exitCode = code ?? (figuresOf(report).accepted ? EXIT.ok : EXIT.failure);
  } catch (error) {
    // Stopped before the first run: there is nothing to say.
    if (code === undefined) throw error;
    process.exitCode = code;
  } finally {
    told.forget();
    exitSoon();
  }
}

/** @throws UsageError: an adapter is held by one program, whatever its channel */
function checkDifferent(monikers: readonly string[]): void {
  const adapters = monikers.filter((moniker) => moniker.startsWith('hci:'));
  const names = adapters.map((moniker) => moniker.replace(/\/.*/, ''));
  const twice = names.find((name, at) => names.indexOf(name) !== at);
  if (twice !== undefined) throw new UsageError(`${twice} is named twice: each party needs its own adapter`);
}

function openPage(file: string): number {
  try {
    return openSync(file, 'w', 0o644);
  } catch (error) {
    throw new UsageError(`--html ${file}: ${error instanceof Error ? error.message : error}`);
  }
}

function progressText(progress: Progress): string {
  if (progress.kind === 'stage') return `${progress.what} …`;
  const { run, of } = progress;
  return `run ${run.number} of ${of}: ${outcomeText(run)}`;
}

function outcomeText({ failure, phases }: RunRecord): string {
  if (failure) return `failed in ${failure.phase}: ${failure.reason}`;
  const { connect, establish, resume } = phases;
  return `ok, connect ${ms(connect)} ms, establish ${ms(establish)} ms, resume ${ms(resume)} ms`;
}

export async function hilPne(options: { readonly adapter: string }): Promise<void> {
  const adapter = monikerOf(options.adapter);
  const told = stopSignals();
  const end = new AbortController();
  void told.signal.then((code) => {
    process.exitCode = code;
    end.abort();
  });
  await servePne({ adapter, input: process.stdin, output: process.stdout, signal: end.signal });
  told.forget();
  process.stdin.destroy();
  exitSoon();
}

interface CompareOptions {
  readonly threshold: number;
  readonly json?: boolean;
}

export function hilCompare(before: string, after: string, { threshold, json }: CompareOptions): void {
  const comparison = compareReports(read(before), read(after), threshold / 100);
  print(json, comparison, () => comparisonText(comparison));
  process.exitCode = comparison.regressions.length > 0 ? EXIT.failure : EXIT.ok;
}

function read(file: string) {
  try {
    return parseReport(readFileSync(file, 'utf8'));
  } catch (error) {
    if (error instanceof HilReportError) throw new UsageError(`${file}: ${error.message}`);
    throw new UsageError(`${file}: ${error instanceof Error ? error.message : error}`);
  }
}
