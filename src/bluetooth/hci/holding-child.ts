/**
 * The daemon's end of the process that has the kernel's sockets of links (holding-process.ts). Owns that it ends with the
 * daemon, and that its silence is noticed.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { extname, join } from 'node:path';

/** What it is asked: to hold a link, or without an event to let it go. */
export interface HoldingOrder {
  readonly id: number;
  readonly handle?: number;
  /** What the controller said when the link was up, in hex. */
  readonly event?: string;
}

/** What it answers: that it is ready, or whether the kernel had the link. */
export type HoldingAnswer = { readonly ready: true } | { readonly id: number; readonly held: boolean };

export interface HoldingEvents {
  readonly onAnswer: (id: number, held: boolean) => void;
  /** It has not answered in time: it is blocked, or the machine is very busy. */
  readonly onSilent: () => void;
  /** It ended, unasked. */
  readonly onEnd: (how: string) => void;
}

const FILE = join(import.meta.dirname, `holding-process${extname(import.meta.filename)}`);
/** A new link has 2 s, of which half is for whoever takes over. */
const ANSWER_LIMIT_MS = 1000;
/** To start takes seconds on a small board; one that hangs there does not end by itself. */
const READY_LIMIT_MS = 30_000;

/** The last resort: they end when this process is gone, and are ended with it even while they are blocked. */
const running = new Set<ChildProcess>();
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

export class HoldingChild {
  /** Rejects when it ends before. */
  readonly ready: Promise<void>;
  /** Links that it has held, since it started. */
  taken = 0;
  readonly #process: ChildProcess;
  /** Ids that it has not answered for, oldest first. */
  readonly #unanswered = new Set<number>();
  readonly #onSilent: () => void;
  #silence: NodeJS.Timeout | undefined;
  #ended = false;

  /** @param index N of `hciN` */
  constructor(index: number, { onAnswer, onSilent, onEnd }: HoldingEvents) {
    this.#onSilent = onSilent;
    const child = fork(FILE, [String(index)], { stdio: ['ignore', 'ignore', 'ignore', 'ipc'] });
    this.#process = child;
    running.add(child);
    this.ready = new Promise((resolve, reject) => {
      const late = setTimeout(() => ended(`not ready within ${READY_LIMIT_MS} ms`), READY_LIMIT_MS).unref();
      child.on('message', (answer: HoldingAnswer) => {
        if (this.#ended) return;
        if ('ready' in answer) {
          clearTimeout(late);
          // Until now somebody waits for it; from now on it keeps nobody.
          child.unref();
          child.channel?.unref();
          resolve();
          return;
        }
        this.#unanswered.delete(answer.id);
        if (answer.held) this.taken++;
        this.#listen();
        onAnswer(answer.id, answer.held);
      });
      const ended = (how: string): void => {
        clearTimeout(late);
        running.delete(child);
        reject(new Error(how));
        if (this.#ended) return;
        this.end();
        onEnd(how);
      };
      child.on('error', ({ message }) => ended(message));
      child.on('exit', (code, signal) => ended(signal ? `killed by ${signal}` : `exit code ${code}`));
    });
    this.ready.catch(() => {});
  }

  /** The link it has been silent about for longest. */
  get awaited(): number | undefined {
    return this.#unanswered.values().next().value;
  }

  hold({ id, handle, event }: { id: number; handle: number; event: Buffer }): void {
    this.#unanswered.add(id);
    if (this.#silence === undefined) this.#listen();
    this.#send({ id, handle, event: event.toString('hex') });
  }

  letGo(id: number): void {
    this.#send({ id });
  }

  end(): void {
    this.#ended = true;
    clearTimeout(this.#silence);
    this.#process.kill('SIGKILL');
  }

  #listen(): void {
    clearTimeout(this.#silence);
    this.#silence = undefined;
    if (this.#unanswered.size === 0) return;
    this.#silence = setTimeout(this.#onSilent, ANSWER_LIMIT_MS).unref();
  }

  #send(order: HoldingOrder): void {
    // What can't be sent any more goes to a process whose end is about to be told.
    if (this.#process.connected) this.#process.send(order, () => {});
  }
}
