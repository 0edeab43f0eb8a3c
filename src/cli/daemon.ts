/**
 * What every `run` does around its node: the lock, the log, the control socket, trace and key log, and an orderly end on
 * SIGTERM, SIGHUP, Ctrl-C or a parent that is gone. Must not know a role.
 */
import { fchmodSync, openSync, writeSync } from 'node:fs';
import { type Logger, pino } from 'pino';
import { CpnsError } from '../base/errors.ts';
import type { GattRole } from '../config/parts.ts';
import { type ControlHandlers, lockState, serveControl } from '../nodes/control-socket.ts';
import type { Vitals } from '../nodes/health.ts';
import { EXIT } from './exit-codes.ts';
import { exitSoon } from './exit-soon.ts';
import { isJournal, journalLine } from './journal-line.ts';
import { openLogSink } from './log-sink.ts';
import { type ServiceManager, serviceManager } from './service-manager.ts';
import { type Watch, watchOver } from './watch.ts';

export interface DaemonOptions {
  readonly state?: string;
  readonly config?: string;
  readonly trace?: boolean;
  readonly logFile?: string;
  readonly logLevel?: string;
  readonly parentPipe?: boolean;
}

export interface RadioOptions {
  readonly adapter?: string;
  readonly as?: GattRole;
  readonly capture?: string;
  readonly keylog?: string;
}

export interface DaemonTools {
  readonly logger: Logger;
  /** Takes the node's trace events when `--trace` was given. */
  readonly onTrace: ((event: object) => void) | undefined;
  /** A JSON line on stdout, with `--trace`. */
  readonly emit: (event: object) => void;
  /** Ends the daemon, since it is deaf without its controller: what started it may start it again on one that works. */
  readonly radioGone: () => void;
}

export interface RunningNode {
  readonly handlers: ControlHandlers;
  /** What the line that says "ready" holds. */
  readonly ready: Readonly<Record<string, unknown>>;
  /** How the node is, whenever it is asked. */
  readonly vitals: () => Promise<Vitals>;
  /** Called when the control socket is up. */
  readonly started?: () => void | Promise<void>;
  close(): Promise<void>;
}

const STDERR = 2;
/** Longest an orderly end may take. */
const CLOSE_DEADLINE_MS = 5_000;

/** Appends lines to a file of mode 0600, made when it is not there. @returns undefined when there is no path */
export function keyLogWriter(path: string | undefined): ((line: string) => void) | undefined {
  if (path === undefined) return undefined;
  const descriptor = openSync(path, 'a', 0o600);
  fchmodSync(descriptor, 0o600);
  // One write a line, in append mode: several processes can share the file.
  return (line) => void writeSync(descriptor, `${line}\n`);
}

/**
 * Runs a node until it is told to stop; sets the exit code.
 * @param open makes the node; everything it opened is closed by it when it throws
 */
export async function runDaemon(
  name: string,
  stateDir: string,
  options: DaemonOptions & { readonly level: string },
  open: (tools: DaemonTools) => Promise<RunningNode>,
): Promise<void> {
  const lock = lockState(stateDir);
  const logger = openLog(name, options.logLevel ?? options.level, options.logFile);
  let stop: (reason: StopReason) => void = () => {};
  const stopped = new Promise<StopReason>((resolve) => {
    stop = resolve;
  });
  const forget = listenForEnd(stop, options.parentPipe === true);
  const emit = (event: object) => {
    if (options.trace) process.stdout.write(`${JSON.stringify(event)}\n`);
  };
  const tools: DaemonTools = {
    logger,
    onTrace: options.trace ? emit : undefined,
    emit,
    radioGone: () =>
      stop({ kind: 'failed', error: new CpnsError('link-lost', 'the Bluetooth controller is gone') }),
  };
  const manager = serviceManager();
  let watch: Watch | undefined;
  try {
    const opening = open(tools);
    const early = await Promise.race([opening.then(() => undefined), stopped]);
    if (early) {
      // Told to stop while it was still opening: what comes of it is closed again.
      void opening.then((node) => node.close()).catch(() => {});
      return end(early);
    }
    const node = await opening;
    const control = await serveControl(stateDir, {
      ...node.handlers,
      stop: () => {
        setImmediate(stop, { kind: 'asked' });
        return 'stopping';
      },
    });
    logger.info(node.ready, 'ready');
    if (options.trace) emit({ event: 'ready', pid: process.pid, ...node.ready });
    else if (options.logFile !== undefined) process.stderr.write(`cpns ${name}: ready\n`);
    if (manager) watch = await presentTo(manager, node, logger);
    await node.started?.();
    const reason = await stopped;
    logger.info({ reason: reason.kind }, 'stopping');
    watch?.stop();
    if (manager) void manager.tell('STOPPING=1').catch(() => {});
    await withDeadline(Promise.all([control.close(), node.close()]), CLOSE_DEADLINE_MS);
    end(reason);
  } catch (error) {
    logger.fatal({ err: error instanceof Error ? error.message : String(error) }, 'failed');
    throw error;
  } finally {
    watch?.stop();
    forget();
    lock.release();
  }
}

/** Says that the node is ready, and from then on how it is. A manager that can't be told ends it, so that is worth an error. */
async function presentTo(manager: ServiceManager, node: RunningNode, logger: Logger): Promise<Watch> {
  await manager.tell('READY=1').catch((error: unknown) => {
    logger.error({ err: String(error) }, 'the service manager can not be told');
  });
  return watchOver(manager, node.vitals, logger);
}

type StopReason =
  | { readonly kind: 'asked' | 'interrupted' | 'parent-gone' }
  | { readonly kind: 'failed'; readonly error: unknown };

function end(reason: StopReason): void {
  if (reason.kind === 'failed') throw reason.error;
  process.exitCode = reason.kind === 'interrupted' ? EXIT.interrupted : EXIT.ok;
  exitSoon();
}

function listenForEnd(stop: (reason: StopReason) => void, parentPipe: boolean): () => void {
  let told = false;
  const once = (reason: StopReason) => () => {
    // The second Ctrl-C does not wait.
    if (told && reason.kind === 'interrupted') process.exit(EXIT.interrupted);
    told = true;
    stop(reason);
  };
  const handlers = {
    SIGINT: once({ kind: 'interrupted' }),
    SIGTERM: once({ kind: 'asked' }),
    SIGHUP: once({ kind: 'asked' }),
  };
  for (const [signal, handler] of Object.entries(handlers)) process.on(signal, handler);
  const gone = once({ kind: 'parent-gone' });
  if (parentPipe) {
    process.stdin.on('end', gone).on('error', gone).on('close', gone).resume();
    // What is printed for a parent that is gone must not throw.
    process.stdout.on('error', gone);
  }
  return () => {
    for (const [signal, handler] of Object.entries(handlers)) process.off(signal, handler);
    if (parentPipe) process.stdin.destroy();
  };
}

function openLog(name: string, level: string, file: string | undefined): Logger {
  const settings = { name: `cpns-${name}`, level, base: { pid: process.pid } };
  if (file !== undefined) return pino(settings, openLogSink(openSync(file, 'a', 0o600)));
  return pino(settings, openLogSink(STDERR, isJournal(STDERR) ? journalLine : undefined));
}

async function withDeadline(work: Promise<unknown>, ms: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new CpnsError('timeout', 'the daemon did not end in time')), ms);
  });
  try {
    await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
