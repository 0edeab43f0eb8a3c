/**
 * Which blocks of the project's sources have run, by V8's precise block coverage in this process. Owns the inspector
 * session and the merging: V8 joins neighbouring blocks of one count, so ranges of two looks are compared by position and
 * not by name. A look costs 2 to 60 ms, by how much code is loaded. Begin before the sources are loaded: what was compiled before
 * has no counters inside its functions.
 */
import { type Profiler, Session } from 'node:inspector';

interface Covered {
  /** One byte a position of the function: ran, or not. */
  readonly ran: Uint8Array;
  /** Where blocks begin and end. */
  readonly edges: Set<number>;
  readonly start: number;
}

export class Coverage {
  readonly #session = new Session();
  readonly #root: string;
  #functions = new Map<string, Covered>();
  #wanted: readonly string[] = [];

  /** @param root URL of the folder that paths are relative to, with a slash behind */
  constructor(root: string) {
    this.#root = root;
    this.#session.connect();
    this.#post('Profiler.enable');
    this.#post('Profiler.startPreciseCoverage', { callCount: true, detailed: true });
  }

  /** Forgets everything and counts only sources whose path begins with one of these. */
  begin(prefixes: readonly string[]): void {
    this.#wanted = prefixes.map((prefix) => this.#root + prefix);
    this.#post('Profiler.takePreciseCoverage');
    this.#functions = new Map();
  }

  /**
   * What ran since the last look.
   * @param keep whether it counts as known from now on
   * @returns positions that had never run before
   */
  look(keep: boolean): number {
    const { result } = this.#post('Profiler.takePreciseCoverage') as Profiler.TakePreciseCoverageReturnType;
    let fresh = 0;
    for (const { url, functions } of result) {
      if (!this.#wanted.some((prefix) => url.startsWith(prefix))) continue;
      for (const { ranges } of functions) fresh += this.#merge(url, ranges, keep);
    }
    return fresh;
  }

  /** What has run, to be counted later against the edges known then. */
  snapshot(): ReadonlyMap<string, Uint8Array> {
    return new Map([...this.#functions].map(([name, { ran }]) => [name, ran.slice()]));
  }

  /** Blocks that ran, of all that were told apart. */
  count(of: ReadonlyMap<string, Uint8Array> = this.snapshot()): number {
    let blocks = 0;
    for (const [name, { edges, start }] of this.#functions) {
      const ran = of.get(name);
      if (!ran) continue;
      for (const edge of edges) if (ran[edge - start] === 1) blocks++;
    }
    return blocks;
  }

  stop(): void {
    this.#post('Profiler.stopPreciseCoverage');
    this.#session.disconnect();
  }

  #merge(url: string, ranges: readonly Profiler.CoverageRange[], keep: boolean): number {
    const [whole] = ranges;
    if (!whole || whole.count === 0) return 0;
    const { startOffset: start, endOffset: end } = whole;
    const name = `${url}:${start}:${end}`;
    let known = this.#functions.get(name);
    if (!known) {
      known = { ran: new Uint8Array(end - start), edges: new Set(), start };
      if (keep) this.#functions.set(name, known);
    }
    // Ranges nest, outer ones first: paint them over one another, then compare.
    const now = new Uint8Array(end - start);
    for (const { startOffset, endOffset, count } of ranges) {
      now.fill(count > 0 ? 1 : 0, startOffset - start, endOffset - start);
      known.edges.add(startOffset);
      if (endOffset < end) known.edges.add(endOffset);
    }
    let fresh = 0;
    for (let i = 0; i < now.length; i++) {
      if (now[i] !== 1 || known.ran[i] === 1) continue;
      if (keep) known.ran[i] = 1;
      fresh++;
    }
    return fresh;
  }

  #post(method: string, parameters?: object): object {
    let outcome: object | undefined;
    let failure: Error | null = null;
    this.#session.post(method, parameters, (error, result) => {
      failure = error;
      outcome = result ?? {};
    });
    if (failure) throw failure as Error;
    if (!outcome) throw new Error(`the inspector did not answer ${method} at once`);
    return outcome;
  }
}
