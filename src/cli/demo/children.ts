/**
 * The demo's processes, and those of the fault matrix: each in a group of its own, told to end when we end, however that
 * comes. Owns starting, reading their JSON lines, and killing. Must not know what they are.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import type { Duplex } from 'node:stream';
import { fileURLToPath } from 'node:url';
import type { Status } from '../../base/statuses.ts';
import { LineCutter } from '../../nodes/control-lines.ts';

const TERM_GRACE_MS = 2_500;
const TAIL_LINES = 12;

export interface ChildLine {
  /** What the daemon says of itself; absent on a traced message. */
  readonly event?: string;
  readonly name?: string;
  readonly status?: Status;
  /** Of the PNE's `code`. */
  readonly code?: string;
  /** Of the PNE's `comparing`. */
  readonly digits?: string;
  /** Of the server's `ready`. */
  readonly url?: string;
}

/**
 * A small heap that is collected often: left to itself V8 lets one of these programs grow to 150 MB before it looks, which
 * a Pi Zero 2 has not got to spare.
 */
const NODE_FLAGS = [
  '--max-semi-space-size=1',
  '--max-old-space-size=128',
  // Node's own SQLite says that it is experimental, once a process.
  '--disable-warning=ExperimentalWarning',
];

/** The entry of this very program, built or not, with the flags node was started with. */
export function ownCommand(extraFlags: readonly string[] = []): readonly string[] {
  const here = import.meta.url;
  const main = fileURLToPath(new URL(here.endsWith('.ts') ? '../main.ts' : '../main.js', here));
  return [...NODE_FLAGS, ...process.execArgv, ...extraFlags, main];
}

export interface Child {
  readonly name: string;
  readonly pid: number;
  readonly logFile: string;
  /** The first line with this `event`. @throws Error when the process ends before */
  waitFor(event: string): Promise<ChildLine>;
  /** Settles when the process is gone and its pipes are read to the end. */
  readonly ended: Promise<void>;
  signal(signal: NodeJS.Signals): void;
}

/** What tests start a process with in addition. */
export interface StartExtras {
  /** Somebody else's program in the place of ours; it gets `args` and nothing more. */
  readonly command?: readonly string[];
  /** Flags for node, before the program. */
  readonly nodeFlags?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** Gets our end of a socket that is the process's descriptor 3. */
  readonly onWire?: (wire: Duplex) => void;
}

export interface ChildrenOptions {
  readonly onLine: (name: string, line: ChildLine) => void;
  /** A process ended that was not told to. */
  readonly onDeath: (child: Child, how: string) => void;
}

interface Running extends Child {
  readonly process: ChildProcess;
}

export class Children {
  readonly #options: ChildrenOptions;
  readonly #running = new Set<Running>();
  #stopping = false;
  readonly #killAll = () => {
    for (const { pid } of this.#running) killGroup(pid, 'SIGKILL');
  };

  constructor(options: ChildrenOptions) {
    this.#options = options;
    // The last resort: whatever ends this process, its children go too.
    process.on('exit', this.#killAll);
  }

  start(name: string, args: readonly string[], logFile: string, extras: StartExtras = {}): Child {
    if (this.#stopping) throw new Error('stopping');
    const { nodeFlags = [], env, onWire } = extras;
    const [program = process.execPath, ...before] = extras.command ?? [];
    const own = [...ownCommand(nodeFlags), ...args, '--trace', '--parent-pipe'];
    const log = openSync(logFile, 'a', 0o600);
    const child = spawn(program, extras.command ? [...before, ...args] : own, {
      detached: true,
      stdio: ['pipe', 'pipe', log, ...(onWire ? (['pipe'] as const) : [])],
      ...(env && { env: { ...process.env, ...env } }),
    });
    closeSync(log);
    const { pid } = child;
    if (pid === undefined) throw new Error(`${name} did not start`);
    const seen = new Map<string, ChildLine>();
    const waiting: {
      readonly event: string;
      readonly resolve: (line: ChildLine) => void;
      readonly reject: (error: Error) => void;
    }[] = [];
    const cutter = new LineCutter();
    child.stdin?.on('error', () => {});
    const wire = child.stdio[3] as Duplex | null | undefined;
    if (wire) onWire?.(wire);
    child.stdout?.on('data', (chunk: Buffer) => {
      cutter.push(chunk, (text) => {
        const line = parseLine(text);
        if (!line) return;
        if (line.event !== undefined && !seen.has(line.event)) seen.set(line.event, line);
        for (let i = waiting.length - 1; i >= 0; i--) {
          if (waiting[i]?.event === line.event) waiting.splice(i, 1)[0]?.resolve(line);
        }
        this.#options.onLine(name, line);
      });
    });
    const ended = new Promise<void>((resolve) => {
      child.on('close', (code, signal) => {
        this.#running.delete(running);
        const how = signal ? `killed by ${signal}` : `exit code ${code}`;
        for (const { reject } of waiting.splice(0)) reject(new Error(`${name} ended: ${how}`));
        if (!this.#stopping) this.#options.onDeath(running, how);
        resolve();
      });
    });
    const running: Running = {
      ...{ name, pid, logFile, process: child, ended },
      signal: (signal) => killGroup(pid, signal),
      waitFor: (event) => {
        const known = seen.get(event);
        if (known) return Promise.resolve(known);
        return new Promise((resolve, reject) => waiting.push({ event, resolve, reject }));
      },
    };
    this.#running.add(running);
    return running;
  }

  /** Ends all, politely at first unless told otherwise. Settles when none is left. */
  async stop(first: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    this.#stopping = true;
    const all = [...this.#running];
    for (const { pid } of all) killGroup(pid, first);
    const force = setTimeout(this.#killAll, TERM_GRACE_MS);
    await Promise.all(all.map(({ ended }) => ended));
    clearTimeout(force);
    process.off('exit', this.#killAll);
  }
}

function killGroup(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-pid, signal);
  } catch {
    // It is gone already.
  }
}

function parseLine(text: string): ChildLine | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? (value as ChildLine) : undefined;
  } catch {
    return undefined;
  }
}

/** The last lines of a log, for an error message. */
export function logTail(file: string): string {
  try {
    return readFileSync(file, 'utf8').trimEnd().split('\n').slice(-TAIL_LINES).join('\n');
  } catch {
    return '(no log)';
  }
}
