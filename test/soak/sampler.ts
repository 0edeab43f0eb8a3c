/**
 * Looks at the town's processes in /proc, now and then, and at their heaps when all is quiet. Owns reading; what the
 * figures mean is growth.ts's.
 */
import { readdirSync, readFileSync } from 'node:fs';
import type { MemoryUse } from '../faults/preload-errands.ts';
import type { Curve, Sample } from './growth.ts';
import type { Site } from './site.ts';

/** The program that runs the soak, radio and checker included: shown, and not judged. */
export const HARNESS = 'soak';
const KIB = 1024;

export class Sampler {
  readonly #site: Site;
  readonly #startedMs: number;
  readonly #curves = new Map<string, Sample[]>();

  constructor(site: Site, startedMs: number) {
    this.#site = site;
    this.#startedMs = startedMs;
  }

  /** Every process that runs, and this one. */
  look(): void {
    const { town } = this.#site;
    for (const name of town.names) this.#add(name, town.process(name).pid);
    this.#add(HARNESS, process.pid);
  }

  /** One after the other, so that no collection disturbs another's. */
  async lookDeep(): Promise<void> {
    const { town } = this.#site;
    for (const name of town.names) {
      const { pid } = town.process(name);
      // A process that does not answer has been found wanting already.
      const use = (await this.#site.errand(name, 'memory').catch(() => undefined)) as MemoryUse | undefined;
      if (use && pid === town.process(name).pid) this.#add(name, pid, use);
    }
  }

  curves(): readonly Curve[] {
    return [...this.#curves].map(([name, samples]) => ({ process: name, samples }));
  }

  #add(name: string, pid: number | undefined, use?: MemoryUse): void {
    if (pid === undefined) return;
    const seen = inProc(pid);
    if (!seen) return;
    const atMs = Math.round(performance.now() - this.#startedMs);
    const samples = this.#curves.get(name) ?? [];
    samples.push({ atMs, pid, ...seen, ...use });
    this.#curves.set(name, samples);
  }
}

function inProc(pid: number): { readonly rss: number; readonly files: number } | undefined {
  try {
    const status = readFileSync(`/proc/${pid}/status`, 'utf8');
    const rss = Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? 0) * KIB;
    return rss > 0 ? { rss, files: readdirSync(`/proc/${pid}/fd`).length } : undefined;
  } catch {
    return undefined;
  }
}
