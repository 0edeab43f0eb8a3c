/**
 * One target under fire for a while: inputs are mutated from a corpus that grows by what reaches new blocks, each run is
 * held to its limits of time and memory, and what breaks is minimised. Owns the loop and the figures of its report.
 */
import { getHeapStatistics } from 'node:v8';
import fc from 'fast-check';
import type { Coverage } from './coverage.ts';
import { Dice } from './dice.ts';
import { type Find, minimise } from './finds.ts';
import { mutate } from './mutate.ts';
import { collectGarbage, Runner } from './runner.ts';
import type { Bench, Input, Target } from './target.ts';
import type { Watch } from './watch.ts';

const BATCH_MS = 20;
/** A look at coverage goes over all code that is loaded: so many times what it takes is spent on the runs before it. */
const LOOK_SHARE = 6;
const AUDIT_MS = 2_000;
const MAX_CORPUS = 4_096;
const MAX_FINDS = 3;
/** Every so manieth input is drawn by fast-check and not mutated. */
const DRAWN_EVERY = 10;
const DRAWN_AT_ONCE = 64;
/** What may stay behind after garbage collection, beside the corpus: 8 MiB, and what V8 keeps for code it compiles. */
const RETAINED_BYTES = 16 * 1024 * 1024;

export interface TargetReport {
  readonly target: string;
  readonly runs: number;
  readonly seconds: number;
  readonly corpus: number;
  /** Blocks of the target's sources that ran: with the seeds alone, and at the end. */
  readonly blocksAtStart: number;
  readonly blocksAtEnd: number;
  readonly slowestMs: number;
  readonly slowestBytes: number;
  readonly peakGrowthBytes: number;
  readonly finds: readonly Find[];
}

export interface Session {
  readonly coverage: Coverage;
  readonly watch: Watch | undefined;
  /** False: mutate the seeds only, whatever they reach. */
  readonly guided: boolean;
  readonly stopped: () => boolean;
  readonly onProgress: (report: TargetReport) => void;
}

export class Fuzzer {
  readonly #target: Target;
  readonly #bench: Bench;
  readonly #session: Session;
  readonly #dice: Dice;
  readonly #runner: Runner;
  readonly #corpus: Input[];
  readonly #finds: Find[] = [];
  readonly #drawn: Input[] = [];
  #made = 0;
  #batch = 1;
  /** What a look took lately. */
  #lookMs = 0;
  #startedAt = performance.now();
  /** Set at the end. */
  #seconds: number | undefined;
  #blocksAtStart: ReadonlyMap<string, Uint8Array> = new Map();
  #baseBytes = 0;
  #peakGrowthBytes = 0;

  private constructor(target: Target, bench: Bench, index: number, seed: number, session: Session) {
    this.#target = target;
    this.#bench = bench;
    this.#session = session;
    this.#dice = new Dice(seed);
    this.#runner = new Runner(target, bench, index, session.watch);
    this.#corpus = [...bench.seeds];
  }

  /** Runs a target for so long. */
  static async run(
    target: Target,
    index: number,
    seed: number,
    ms: number,
    session: Session,
  ): Promise<TargetReport> {
    // Before the sources are loaded, so that their functions are compiled with counters.
    session.coverage.begin(target.sources.map((source) => `src/${source}`));
    const bench = await target.open();
    const fuzzer = new Fuzzer(target, bench, index, seed, session);
    await fuzzer.#run(ms);
    const broken = await fuzzer.#runner.close();
    if (broken !== undefined) fuzzer.#note(broken, fuzzer.#runner.lastInput);
    return fuzzer.#report();
  }

  async #run(ms: number): Promise<void> {
    const { coverage, stopped, onProgress } = this.#session;
    this.#startedAt = performance.now();
    for (const seed of this.#bench.seeds) if (!stopped()) await this.#try(seed);
    coverage.look(true);
    this.#blocksAtStart = coverage.snapshot();
    this.#baseBytes = retainedBytes();
    let auditedAt = performance.now();
    await this.#fire();
    while (performance.now() - this.#startedAt < ms && !stopped() && this.#finds.length < MAX_FINDS) {
      await this.#fire();
      if (performance.now() - auditedAt > AUDIT_MS) {
        await this.#audit();
        onProgress(this.#report());
        auditedAt = performance.now();
      }
      // Signals and timers of the run itself get their turn.
      await new Promise((resolve) => setImmediate(resolve));
    }
    await this.#audit();
    coverage.look(true);
    this.#seconds = (performance.now() - this.#startedAt) / 1000;
  }

  async #fire(): Promise<void> {
    const inputs = Array.from({ length: this.#batch }, () => this.#next());
    const startedAt = performance.now();
    for (const input of inputs) await this.#try(input);
    const tookMs = performance.now() - startedAt;
    const enoughMs = Math.max(BATCH_MS, LOOK_SHARE * this.#lookMs);
    if (tookMs < enoughMs / 2) this.#batch = Math.min(1024, this.#batch * 2);
    else if (tookMs > 2 * enoughMs) this.#batch = Math.max(1, this.#batch >> 1);
    if (!this.#session.guided) return;
    const lookedAt = performance.now();
    const fresh = this.#session.coverage.look(false);
    this.#lookMs += (performance.now() - lookedAt - this.#lookMs) / 8;
    if (fresh > 0) await this.#keepWhatIsNew(inputs);
  }

  /** Halves a batch until each input that reached something new is found. A look can't be divided, so they run again. */
  async #keepWhatIsNew(inputs: readonly Input[]): Promise<void> {
    const { coverage } = this.#session;
    const alone = inputs.length === 1;
    for (const input of inputs) await this.#try(input);
    const fresh = coverage.look(alone);
    const [only] = inputs;
    if (fresh === 0 || only === undefined) return;
    if (alone) {
      this.#corpus.push(only);
      if (this.#corpus.length > MAX_CORPUS) this.#corpus.splice(this.#bench.seeds.length, 1);
      return;
    }
    const half = inputs.length >> 1;
    await this.#keepWhatIsNew(inputs.slice(0, half));
    await this.#keepWhatIsNew(inputs.slice(half));
    // What depends on what went before would otherwise look new for ever.
    coverage.look(true);
  }

  #next(): Input {
    if (this.#made++ % DRAWN_EVERY !== 0) return mutate(this.#chosen(), this.#corpus, this.#dice);
    if (this.#drawn.length === 0) {
      const arbitrary =
        this.#bench.arbitrary ?? fc.array(fc.uint8Array({ maxLength: 48 }), { minLength: 1, maxLength: 6 });
      const seed = this.#dice.below(0x7fffffff);
      this.#drawn.push(...fc.sample(arbitrary, { seed, numRuns: DRAWN_AT_ONCE }));
    }
    return this.#drawn.pop() ?? [];
  }

  /** Half of the time one of the newest, where the frontier is. */
  #chosen(): Input {
    const newest = Math.max(0, this.#corpus.length - 32);
    return this.#dice.chance(0.5)
      ? this.#dice.pick(this.#corpus.slice(newest))
      : this.#dice.pick(this.#corpus);
  }

  async #try(input: Input): Promise<void> {
    const error = await this.#runner.run(input);
    if (error === undefined || this.#finds.some((find) => find.error === error)) return;
    const parts = await minimise(input, error, (candidate) => this.#runner.run(candidate));
    this.#note(error, parts);
  }

  async #audit(): Promise<void> {
    const error = await this.#runner.audit();
    const corpusBytes = this.#corpus.flat().reduce((sum, { length }) => sum + 200 + length, 0);
    const growth = retainedBytes() - this.#baseBytes - corpusBytes;
    this.#peakGrowthBytes = Math.max(this.#peakGrowthBytes, growth);
    const broken =
      error ??
      (growth > (this.#target.retainedBytes ?? RETAINED_BYTES) ? 'memory that is not given back' : undefined);
    if (broken !== undefined) this.#note(broken, this.#runner.lastInput);
  }

  #note(error: string, parts: Input): void {
    if (!this.#finds.some((find) => find.error === error))
      this.#finds.push({ target: this.#target.name, error, parts });
  }

  #report(): TargetReport {
    return {
      target: this.#target.name,
      runs: this.#runner.runs,
      seconds: this.#seconds ?? (performance.now() - this.#startedAt) / 1000,
      corpus: this.#corpus.length,
      blocksAtStart: this.#session.coverage.count(this.#blocksAtStart),
      blocksAtEnd: this.#session.coverage.count(),
      slowestMs: this.#runner.slowestMs,
      slowestBytes: this.#runner.slowestBytes,
      peakGrowthBytes: this.#peakGrowthBytes,
      finds: [...this.#finds],
    };
  }
}

function retainedBytes(): number {
  // The second time waits for buffers that the first has only marked.
  collectGarbage();
  collectGarbage();
  const { used_heap_size: heap, external_memory: external } = getHeapStatistics();
  return heap + external;
}
