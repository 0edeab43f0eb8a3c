/**
 * A world without time or I/O: one queue of things that will happen, one seeded source of chance, a log of what was said,
 * and faults. It jumps from one due thing to the next; nothing waits for a real clock. Parties, links and HTTPS legs are
 * in the files beside this one; here is only when, not what.
 */
import { Prng } from '../../src/base/prng.ts';
import type { Clock } from '../../src/base/time.ts';
import type { Primitives } from '../../src/security/primitives.ts';
import { START_SECONDS, seededPrimitives } from './virtual-world-operator.ts';

export interface Faults {
  /** Chance that a request, an answer, a channel frame or an acknowledgement is lost. */
  readonly httpsLoss: number;
  /** Chance that a link is lost, at a segment drawn among its first ones. */
  readonly linkDrop: number;
  readonly dropWithinSegments: number;
  /** Chance that a finished link is followed by a restart of one of its parties. */
  readonly restart: number;
}

export interface Shape {
  /** One way, milliseconds: at least, at most. */
  readonly bleLatencyMs: readonly [number, number];
  readonly httpsLatencyMs: readonly [number, number];
  /** What one write or notification carries, for each link drawn between these. */
  readonly segmentBytes: readonly [number, number];
}

export const NO_FAULTS: Faults = { httpsLoss: 0, linkDrop: 0, dropWithinSegments: 0, restart: 0 };
export const PLAIN: Shape = { bleLatencyMs: [10, 10], httpsLatencyMs: [20, 20], segmentBytes: [244, 244] };

interface Due {
  readonly atMs: number;
  readonly order: number;
  readonly what: string;
  readonly run: () => void;
  cancelled: boolean;
}

export interface Timer {
  cancel(): void;
}

export interface Said {
  readonly atMs: number;
  readonly who: string;
  readonly what: string;
}

export class VirtualWorld {
  readonly seed: number;
  readonly prng: Prng;
  readonly primitives: Primitives;
  readonly shape: Shape;
  readonly log: Said[] = [];
  faults: Faults = NO_FAULTS;
  /** Called after each thing that may have changed what is on some disk. */
  audit: () => void = () => {};
  nowMs = 1_000_000;
  #queue: Due[] = [];
  #order = 0;
  #changed = false;

  constructor(seed: number, shape: Shape = PLAIN) {
    this.seed = seed;
    this.prng = new Prng(seed);
    this.primitives = seededPrimitives(this.prng);
    this.shape = shape;
  }

  get clock(): Clock {
    return {
      monotonicMs: () => this.nowMs,
      wallSeconds: () => this.seconds,
      wallMs: () => START_SECONDS * 1000 + this.nowMs - 1_000_000,
    };
  }

  /** The server's time. */
  get seconds(): number {
    return START_SECONDS + Math.floor((this.nowMs - 1_000_000) / 1000);
  }

  /** What is due and not called off, by name. */
  get armed(): readonly string[] {
    return this.#queue.filter(({ cancelled }) => !cancelled).map(({ what }) => what);
  }

  say(who: string, what: string): void {
    this.log.push({ atMs: this.nowMs, who, what });
  }

  /** Something durable may have changed. */
  changed(): void {
    this.#changed = true;
  }

  after(afterMs: number, what: string, run: () => void): Timer {
    const due: Due = {
      atMs: this.nowMs + Math.max(0, afterMs),
      order: this.#order++,
      what,
      run,
      cancelled: false,
    };
    let at = this.#queue.length;
    while (at > 0 && later(this.#queue[at - 1], due)) at--;
    this.#queue.splice(at, 0, due);
    return {
      cancel: () => {
        if (due.cancelled) return;
        due.cancelled = true;
        const place = this.#queue.indexOf(due);
        if (place >= 0) this.#queue.splice(place, 1);
      },
    };
  }

  between([least, most]: readonly [number, number]): number {
    return least + Math.floor(this.prng.next() * (most - least + 1));
  }

  chance(probability: number): boolean {
    return this.prng.chance(probability);
  }

  /** Lets the next thing happen. @returns false when nothing is due any more */
  step(): boolean {
    const due = this.#queue.shift();
    if (!due) return false;
    if (due.cancelled) return true;
    this.nowMs = due.atMs;
    due.run();
    if (this.#changed) {
      this.#changed = false;
      this.audit();
    }
    return true;
  }

  /**
   * Runs until `done` says so.
   * @throws Error when nothing more happens or the time is over before
   */
  until(what: string, done: () => boolean, withinMs = 600_000): void {
    const endMs = this.nowMs + withinMs;
    while (!done()) {
      const next = this.#queue.find(({ cancelled }) => !cancelled);
      if (!next) throw new Error(`${this.#name}: nothing is due, and not yet: ${what}`);
      if (next.atMs > endMs) throw new Error(`${this.#name}: not within ${withinMs} ms: ${what}`);
      this.step();
    }
  }

  /** Lets so much time pass. */
  pass(ms: number): void {
    const timer = { over: false };
    this.after(ms, 'pass', () => {
      timer.over = true;
    });
    this.until('time to pass', () => timer.over, ms + 1);
  }

  /** Runs until nothing is due. */
  drain(withinMs = 24 * 3_600_000): void {
    const endMs = this.nowMs + withinMs;
    while (this.step())
      if (this.nowMs > endMs) throw new Error(`${this.#name}: never at rest, due: ${this.armed.join(', ')}`);
  }

  get #name(): string {
    return `seed ${this.seed}, ${this.nowMs - 1_000_000} ms`;
  }
}

function later(a: Due | undefined, b: Due): boolean {
  return a !== undefined && (a.atMs > b.atMs || (a.atMs === b.atMs && a.order > b.order));
}
