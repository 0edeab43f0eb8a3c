/**
 * One party of a world as a process: started with a plan, killed, stopped, continued, started again on the same state.
 * Owns the wire to its preload: stops, reports and the journal. Must not know which fault is being tried.
 */
import { execFileSync } from 'node:child_process';
import { closeSync, openSync, writeFileSync, writeSync } from 'node:fs';
import type { Duplex } from 'node:stream';
import { pathToFileURL } from 'node:url';
import type { Part } from '../../src/cli/demo/cast.ts';
import type { Child, Children, StartExtras } from '../../src/cli/demo/children.ts';
import { LineCutter } from '../../src/nodes/control-lines.ts';
import { type FromProcess, PLAN_VARIABLE, type Plan, type ToProcess } from './plan.ts';
import type { JournalEntry } from './safety.ts';

/** Longest line of the journal: a view with every inventory and all evidence. */
const MAX_LINE_BYTES = 4 * 1024 * 1024;

export interface PartyOptions {
  /** Its name in the journal. */
  readonly party: string;
  readonly role: Plan['role'];
  readonly part: Part;
  readonly children: Children;
  /** `pne run …` without the state. */
  readonly args: readonly string[];
  readonly preload: string;
  readonly clockFile: string;
  /** Where the journal is kept; absent when whoever takes the entries is all who wants them. */
  readonly journalFile?: string | undefined;
  readonly errands?: string | undefined;
  readonly onEntry: (entry: JournalEntry) => void;
}

/** How a program is started with our preload. */
export function underPlan(preload: string, plan: Plan, onWire: (wire: Duplex) => void): StartExtras {
  return {
    nodeFlags: ['--import', pathToFileURL(preload).href],
    env: { [PLAN_VARIABLE]: JSON.stringify(plan) },
    onWire,
  };
}

/** What a process is to meet in this life. */
export type LifePlan = Pick<Plan, 'trap' | 'fault' | 'defect'>;

export class PartyProcess {
  readonly party: string;
  readonly #options: PartyOptions;
  readonly #journal: number | undefined;
  #child: Child | undefined;
  #wire: Duplex | undefined;
  #stopped = signalled();
  #done = signalled();

  constructor(options: PartyOptions) {
    this.party = options.party;
    this.#options = options;
    const { journalFile } = options;
    this.#journal = journalFile === undefined ? undefined : openSync(journalFile, 'a', 0o600);
    writeFileSync(options.clockFile, '0', { mode: 0o600 });
  }

  get alive(): boolean {
    return this.#child !== undefined;
  }

  /** Of its present life. */
  get pid(): number | undefined {
    return this.#child?.pid;
  }

  /** Settles when the trap has closed: the whole process stands still. */
  get stopped(): Promise<void> {
    return this.#stopped.promise;
  }

  /** Settles when the process has done its own fault, or a reset that was asked for. */
  get done(): Promise<void> {
    return this.#done.promise;
  }

  /** @returns once the program says that it is ready @throws Error when it ends before */
  async start(plan: LifePlan = {}): Promise<void> {
    const { part, children, args, preload, clockFile, party, role, errands } = this.#options;
    this.#stopped = signalled();
    this.#done = signalled();
    const whole: Plan = {
      ...{ party, role, stateDir: part.stateDir, clockFile },
      ...(errands !== undefined && { errands }),
      ...plan,
    };
    const child = children.start(
      part.name,
      [...args, '--state', part.stateDir, '--config', part.configFile],
      part.logFile,
      underPlan(preload, whole, (wire) => this.#listen(wire)),
    );
    this.#child = child;
    void child.ended.then(() => {
      if (this.#child === child) this.#child = undefined;
    });
    await child.waitFor('ready');
  }

  /** What a standing process does next. */
  tell(word: ToProcess): void {
    this.#wire?.write(`${word}\n`);
  }

  async kill(): Promise<void> {
    const child = this.#child;
    child?.signal('SIGKILL');
    await child?.ended;
  }

  /** Ends it in order, as an operator would. */
  async terminate(): Promise<void> {
    const child = this.#child;
    child?.signal('SIGTERM');
    await child?.ended;
  }

  signal(signal: NodeJS.Signals): void {
    this.#child?.signal(signal);
  }

  /** Resets every connection that this process has accepted; it has to be running. */
  async resetConnections(): Promise<void> {
    this.#done = signalled();
    this.signal('SIGUSR2');
    await this.#done.promise;
  }

  /** Every write to a file fails from now on (EFBIG, from the kernel), or works again. */
  setDiskFull(full: boolean): void {
    const pid = this.#child?.pid;
    if (pid !== undefined)
      execFileSync('prlimit', ['--pid', `${pid}`, `--fsize=${full ? '0' : 'unlimited'}:`]);
  }

  setClock(offsetMs: number): void {
    writeFileSync(this.#options.clockFile, `${offsetMs}`.padEnd(16));
  }

  close(): void {
    if (this.#journal !== undefined) closeSync(this.#journal);
  }

  #listen(wire: Duplex): void {
    this.#wire = wire;
    const cutter = new LineCutter(MAX_LINE_BYTES);
    wire.on('error', () => {});
    wire.on('data', (chunk: Buffer) => cutter.push(chunk, (line) => this.#take(line)));
  }

  #take(line: string): void {
    if (line.startsWith('{"atNs"')) {
      if (this.#journal !== undefined) writeSync(this.#journal, `${line}\n`);
      this.#options.onEntry(JSON.parse(line) as JournalEntry);
      return;
    }
    const said = JSON.parse(line) as FromProcess;
    if ('stopped' in said) this.#stopped.settle();
    else if ('done' in said) this.#done.settle();
    else this.#done.fail(new Error(said.failed));
  }
}

interface Signalled {
  readonly promise: Promise<void>;
  readonly settle: () => void;
  readonly fail: (error: Error) => void;
}

function signalled(): Signalled {
  let [settle, fail]: [() => void, (error: Error) => void] = [() => {}, () => {}];
  const promise = new Promise<void>((resolve, reject) => {
    [settle, fail] = [resolve, reject];
  });
  // Whether anybody waits for it is the script's business.
  promise.catch(() => {});
  return { promise, settle, fail };
}
