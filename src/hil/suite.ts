/**
 * N runs of the suite against given adapters, and the report of them: sets the parties up, makes run after run, keeps what
 * belongs to a failure, tries the links at once, and takes everything down again however it ends. Prints nothing.
 */
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CpnsError } from '../base/errors.ts';
import type { GatewayNode } from '../nodes/gateway/gateway.ts';
import { makeDirectory } from '../security/durable-file.ts';
import { Happenings } from './happenings.ts';
import { adapterRecord, type HostIdentity, hostIdentity, programIdentity } from './identity.ts';
import { readInstants } from './instants.ts';
import { linksAtOnce } from './links.ts';
import { Operator } from './operator.ts';
import type { PhaseId } from './phases.ts';
import { PneChild, type RemoteOptions } from './pne-child.ts';
import type { HilReport, RunRecord, SideRecord } from './report.ts';
import { Run, type RunOutcome } from './run.ts';

export interface SuiteOptions {
  /** Monikers. */
  readonly gatewayAdapter: string;
  /** Monikers on the PNE's host; the runs are made with the first, all of them are wanted for the links at once. */
  readonly pneAdapters: readonly string[];
  readonly remote?: RemoteOptions | undefined;
  /** How this program is started here: node, its flags, the entry. */
  readonly localCommand: readonly string[];
  readonly runs: number;
  /** Where captures of failures are kept; made when there is something to keep. Default: a new one in the system's. */
  readonly keep?: string | undefined;
  readonly signal: AbortSignal;
  readonly onProgress: (progress: Progress) => void;
  /** For tests that disturb a run at a certain place. */
  readonly onPhase?: ((phase: PhaseId, run: number) => void) | undefined;
}

export type Progress =
  | { readonly kind: 'stage'; readonly what: string }
  | { readonly kind: 'run'; readonly run: RunRecord; readonly of: number };

export interface SuiteResult {
  readonly report: HilReport;
  /** The directory of what was kept, when something was. */
  readonly kept: string | undefined;
}

/** So many runs in a row that could not even open an adapter end the suite. */
const STARTS_IN_VAIN = 3;
const ENROL_LIMIT_MS = 90_000;

/** @throws CpnsError, BluetoothUnavailableError when the parties can't be set up: then there is nothing to report */
export async function runSuite(options: SuiteOptions): Promise<SuiteResult> {
  const dir = mkdtempSync(join(tmpdir(), 'cpns-hil-'));
  const forget = () => rmSync(dir, { recursive: true, force: true });
  process.on('exit', forget);
  const suite = new Suite(options, dir);
  try {
    return await suite.perform();
  } finally {
    await suite.close();
    forget();
    process.off('exit', forget);
  }
}

interface PneParty {
  readonly child: PneChild;
  host: HostIdentity;
  /** Known from its enrolment on. */
  side: SideRecord | undefined;
}

class Suite {
  readonly #options: SuiteOptions;
  readonly #dir: string;
  readonly #startedAt = new Date();
  readonly #program = programIdentity();
  readonly #pnes: PneParty[] = [];
  readonly #runs: RunRecord[] = [];
  #gateway: SideRecord | undefined;
  #operator: Operator | undefined;
  /** Of the run that is under way. */
  #happenings = new Happenings();
  #links: HilReport['links'] = null;
  #clockUncertaintyMs = 0;
  #kept: string | undefined;
  #stopped: string | undefined;

  constructor(options: SuiteOptions, dir: string) {
    this.#options = options;
    this.#dir = dir;
  }

  async perform(): Promise<SuiteResult> {
    const { signal } = this.#options;
    try {
      await this.#setUp();
      await this.#makeRuns();
      if (this.#pnes.length > 1 && this.#stopped === undefined) await this.#tryLinks();
    } catch (error) {
      // Without a run there is nothing to report but the error itself.
      if (!signal.aborted || this.#runs.length === 0) throw error;
    }
    return { report: this.#report(), kept: this.#kept };
  }

  async #setUp(): Promise<void> {
    const { gatewayAdapter, pneAdapters, onProgress, signal } = this.#options;
    onProgress({ kind: 'stage', what: 'starting the PNE, the server and the home gateway' });
    this.#operator = await Operator.open(this.#dir);
    for (const adapter of pneAdapters) this.#pnes.push(this.#startPne(adapter));
    await Promise.all(this.#pnes.map((pne) => this.#meet(pne)));
    signal.throwIfAborted();
    onProgress({ kind: 'stage', what: 'enrolling the PNE at its home gateway, over the radio' });
    const capture = join(this.#dir, 'enrolment.btsnoop');
    const home = await this.#operator.openHome(gatewayAdapter, { capture });
    const adapter = adapterRecord(gatewayAdapter, home.adapter);
    this.#gateway = { host: hostIdentity(), adapter, over: 'this process' };
    try {
      for (const pne of this.#pnes) await this.#enrol(pne, home);
    } catch (error) {
      await home.close();
      this.#keepFile('enrolment-gateway.btsnoop', (path) => copyFileSync(capture, path));
      throw error;
    }
    await this.#operator.moveHome();
    const address = readInstants(readFileSync(capture)).ownAddress;
    this.#gateway = { ...this.#gateway, adapter: { ...adapter, address } };
  }

  async #enrol(pne: PneParty, home: GatewayNode): Promise<void> {
    const { code, adapter } = await pne.child.ask('enrol');
    pne.side = { host: pne.host, adapter, over: pne.child.over };
    await within(home.pair(code), ENROL_LIMIT_MS, this.#options.signal, () => this.#noEnrolment());
    await pne.child.ask('close');
    const address = readInstants(await pne.child.capture()).ownAddress;
    pne.side = { ...pne.side, adapter: { ...adapter, address } };
  }

  async #meet(pne: PneParty): Promise<void> {
    pne.host = (await pne.child.meet(this.#program)).host;
  }

  #startPne(adapter: string): PneParty {
    const { localCommand, remote } = this.#options;
    const child = new PneChild({
      ...{ adapter, localCommand, remote },
      onHappening: (happening) => {
        this.#happenings.push({ ...happening, side: 'pne' });
        if (happening.kind === 'radio-gone')
          this.#happenings.break(new CpnsError('link-lost', "the PNE's controller is gone"));
      },
      onEnd: (why) => {
        this.#stopped ??= why.message;
        this.#happenings.break(why);
      },
    });
    return { child, host: hostIdentity(), side: undefined };
  }

  #noEnrolment(): CpnsError {
    return new CpnsError('timeout', `the PNE was not found and enrolled within ${ENROL_LIMIT_MS / 1000} s`, {
      mend: `Are both adapters up, in reach of each other, and free of other programs? The capture is kept in ${this.#keepDirectory()}.`,
    });
  }

  async #makeRuns(): Promise<void> {
    const { runs, gatewayAdapter, signal, onPhase, onProgress } = this.#options;
    const [first] = this.#pnes;
    if (!this.#operator || !first) throw new Error('not set up');
    let inVain = 0;
    for (let number = 1; number <= runs && this.#stopped === undefined; number++) {
      const capture = join(this.#dir, 'gateway.btsnoop');
      rmSync(capture, { force: true });
      const parts = { number, gatewayAdapter, capture, signal, onPhase };
      const run = new Run({ ...parts, operator: this.#operator, pne: first.child });
      this.#happenings = run.happenings;
      const outcome = await run.perform();
      const { clockUncertaintyMs } = first.child;
      this.#clockUncertaintyMs = Math.max(this.#clockUncertaintyMs, clockUncertaintyMs);
      const record = outcome.record.ok ? outcome.record : await this.#keep(outcome, capture, first.child);
      this.#runs.push(record);
      onProgress({ kind: 'run', run: record, of: runs });
      inVain = record.failure?.phase === 'start' ? inVain + 1 : 0;
      if (inVain >= STARTS_IN_VAIN) this.#stopped ??= `${record.failure?.reason}`;
    }
  }

  async #tryLinks(): Promise<void> {
    const { gatewayAdapter, signal, onProgress } = this.#options;
    if (!this.#operator) return;
    onProgress({ kind: 'stage', what: `${this.#pnes.length} links at once` });
    const pnes = this.#pnes.map(({ child }) => child);
    this.#links = await linksAtOnce({ operator: this.#operator, gatewayAdapter, pnes, signal });
  }

  /** What belongs to a failure: both captures, the keys to read them by, and what was said. */
  async #keep(
    { record, happenings, secrets }: RunOutcome,
    capture: string,
    pne: PneChild,
  ): Promise<RunRecord> {
    const { failure } = record;
    if (failure === null) return record;
    const name = `run-${String(record.number).padStart(String(this.#options.runs).length, '0')}`;
    const files: string[] = [];
    const write = (file: string, act: (path: string) => void): void => {
      this.#keepFile(file, act);
      files.push(file);
    };
    const attempt = async (act: () => void | Promise<void>): Promise<void> => {
      try {
        await act();
      } catch {
        // There is no capture of an adapter that was never opened, and none of a process that is gone.
      }
    };
    await attempt(() => write(`${name}-gateway.btsnoop`, (path) => copyFileSync(capture, path)));
    await attempt(async () => {
      const bytes = await pne.capture();
      write(`${name}-pne.btsnoop`, (path) => writeFileSync(path, bytes, { mode: 0o600 }));
    });
    write(`${name}.keys`, (path) => writeFileSync(path, `${secrets.join('\n')}\n`, { mode: 0o600 }));
    const [start = 0] = happenings.map(({ atMs }) => atMs);
    const said = happenings.map((it) =>
      [`${(it.atMs - start).toFixed(1)} ms`, it.side, it.kind, it.state, it.address, it.what, it.status]
        .filter(Boolean)
        .join('  '),
    );
    said.push(`failed in ${failure.phase}: ${failure.reason}`);
    write(`${name}.txt`, (path) => writeFileSync(path, `${said.join('\n')}\n`, { mode: 0o600 }));
    return { ...record, failure: { ...failure, files } };
  }

  #keepFile(name: string, write: (path: string) => void): void {
    write(join(this.#keepDirectory(), name));
  }

  #keepDirectory(): string {
    if (this.#kept !== undefined) return this.#kept;
    const { keep } = this.#options;
    if (keep !== undefined) makeDirectory(keep);
    this.#kept = keep ?? mkdtempSync(join(tmpdir(), 'cpns-hil-kept-'));
    return this.#kept;
  }

  #report(): HilReport {
    const { runs, signal } = this.#options;
    if (!this.#gateway) throw new Error('not set up');
    const ended = signal.aborted ? 'interrupted' : this.#stopped === undefined ? 'complete' : 'stopped';
    return {
      ...{ report: 'cpns-hil', version: 1 },
      program: this.#program,
      startedAt: this.#startedAt.toISOString(),
      tookMs: Date.now() - this.#startedAt.getTime(),
      planned: runs,
      ended,
      because: this.#stopped ?? null,
      gateway: this.#gateway,
      pnes: this.#pnes.flatMap(({ side }) => side ?? []),
      clockUncertaintyMs: this.#clockUncertaintyMs,
      links: this.#links,
      runs: this.#runs,
    };
  }

  async close(): Promise<void> {
    await Promise.all(this.#pnes.map(({ child }) => child.end()));
    await this.#operator?.close();
  }
}

async function within<T>(
  work: Promise<T>,
  limitMs: number,
  signal: AbortSignal,
  late: () => Error,
): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  let abort = () => {};
  const end = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(late()), limitMs);
    abort = () => reject(signal.reason);
    signal.addEventListener('abort', abort);
  });
  work.catch(() => {});
  try {
    return await Promise.race([work, end]);
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', abort);
  }
}
