/**
 * One run of one input, held to its limits: it must not throw, leave a rejection behind, wait, compute or allocate beyond
 * what the target allows. Owns the measuring; a limit counts as broken only when the same input breaks it three times,
 * since a busy machine slows anything once.
 */
import { getHeapStatistics, setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import type { Bench, Input, Target } from './target.ts';
import type { Watch } from './watch.ts';

const CPU_MS = 50;
const WAIT_MS = 10_000;
const ALLOC_BYTES = 8 * 1024 * 1024;
/** A run without a break this long is one that hangs. */
const HANG_MS = 20_000;
/** Below this a run can't have allocated much. */
const WORTH_A_LOOK_MS = 2;
const CONFIRMATIONS = 3;

setFlagsFromString('--expose-gc');
export const collectGarbage = runInNewContext('gc') as () => void;

const OURS = /(?:src|test)\/[\w./-]+:\d+/;

export class Runner {
  runs = 0;
  slowestMs = 0;
  slowestBytes = 0;
  lastInput: Input = [];
  readonly #target: Target;
  readonly #bench: Bench;
  readonly #index: number;
  readonly #watch: Watch | undefined;

  constructor(target: Target, bench: Bench, index = 0, watch?: Watch) {
    this.#target = target;
    this.#bench = bench;
    this.#index = index;
    this.#watch = watch;
  }

  /** @returns what was broken, in one line that is the same for the same fault; nothing when all held */
  async run(input: Input): Promise<string | undefined> {
    const broken = await this.#once(input);
    if (broken === undefined || broken.firm) return broken?.error;
    for (let i = 0; i < CONFIRMATIONS; i++) {
      // Garbage of before, collected within a run, would hide what the run takes.
      collectGarbage();
      if ((await this.#once(input))?.error !== broken.error) return undefined;
    }
    return broken.error;
  }

  audit(): Promise<string | undefined> {
    return this.#outside(() => this.#bench.audit?.());
  }

  /** Closes the bench: that everything can be closed is a promise too. */
  close(): Promise<string | undefined> {
    return this.#outside(() => this.#bench.close?.());
  }

  async #outside(work: () => void | Promise<void>): Promise<string | undefined> {
    try {
      await work();
      return strays.splice(0).map(inOneLine)[0];
    } catch (error) {
      return inOneLine(error);
    }
  }

  async #once(input: Input): Promise<{ readonly error: string; readonly firm: boolean } | undefined> {
    this.runs++;
    this.lastInput = input;
    const { cpuMs = CPU_MS, waitMs = WAIT_MS, allocBytes = ALLOC_BYTES } = this.#target;
    this.#watch?.begin(this.#index, input, HANG_MS + waitMs);
    const heapBefore = getHeapStatistics();
    const cpuBefore = process.cpuUsage();
    const startedAt = performance.now();
    try {
      const running = this.#bench.run(input);
      if (running instanceof Promise) await within(running, waitMs);
    } catch (error) {
      return { error: inOneLine(error), firm: !(error instanceof HungError) };
    } finally {
      this.#watch?.end();
    }
    const tookMs = performance.now() - startedAt;
    if (tookMs > this.slowestMs) {
      this.slowestMs = tookMs;
      this.slowestBytes = input.reduce((sum, { length }) => sum + length, 0);
    }
    const [stray] = strays.splice(0);
    if (stray !== undefined) return { error: `behind the run: ${inOneLine(stray)}`, firm: true };
    if (tookMs < WORTH_A_LOOK_MS) return undefined;
    const { user, system } = process.cpuUsage(cpuBefore);
    if (tookMs > cpuMs && (user + system) / 1000 > cpuMs)
      return { error: `more than ${cpuMs} ms of processor time`, firm: false };
    const heap = getHeapStatistics();
    const allocated =
      heap.used_heap_size + heap.external_memory - heapBefore.used_heap_size - heapBefore.external_memory;
    return allocated > allocBytes
      ? { error: `allocated more than ${allocBytes} bytes`, firm: false }
      : undefined;
  }
}

class HungError extends Error {}

async function within(running: Promise<void>, limitMs: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new HungError(`not done after ${limitMs} ms`)), limitMs);
  });
  try {
    await Promise.race([running, limit]);
  } finally {
    clearTimeout(timer);
  }
}

/** What nobody caught: it ends a real process, so it is a find. */
const strays: unknown[] = [];

/** Catches what would end the process, for as long as there is fuzzing. @returns the end of it */
export function catchStrays(): () => void {
  const note = (error: unknown): void => {
    if (strays.length < 16) strays.push(error ?? new Error('nothing was thrown'));
  };
  process.on('uncaughtException', note);
  process.on('unhandledRejection', note);
  return () => {
    process.off('uncaughtException', note);
    process.off('unhandledRejection', note);
  };
}

/** The error without what differs from input to input, and the line of the project that it came from. */
function inOneLine(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const [first = ''] = error.message.split('\n');
  const at = OURS.exec(error.stack?.replace(error.message, '') ?? '')?.[0] ?? '';
  return `${error.name}: ${first.slice(0, 200).replace(/\d+/g, 'N')}${at && ` (${at.replace(/:\d+$/, '')})`}`;
}
