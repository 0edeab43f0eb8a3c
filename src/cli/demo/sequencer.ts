/**
 * Puts the events of several processes into the order of the flow. They come over different pipes, so step 5 of the
 * server may be read after step 6 of the PNE; each PNE's steps are held back until the ones before them are out.
 * Pure: no clock; what is still held at the end comes out by `flush`.
 */
import type { FlowEvent } from './flow-event.ts';

interface Lane {
  /** The step that may come out next. */
  next: number;
  readonly held: FlowEvent[];
}

export const LAST_STEP = 13;

export class Sequencer {
  readonly #lanes = new Map<number, Lane>();
  readonly #out: (event: FlowEvent) => void;

  constructor(out: (event: FlowEvent) => void) {
    this.#out = out;
  }

  push(event: FlowEvent): void {
    const lane = this.#lane(event.pne);
    // A step that was out already is a repetition: a second attempt begins again behind it.
    if (event.step !== undefined && event.step < lane.next && event.step === 0) lane.next = 0;
    lane.held.push(event);
    this.#release(lane);
  }

  /** The last step of a PNE that came out; −1 before the first. */
  reached(pne: number): number {
    return this.#lane(pne).next - 1;
  }

  /** Lets out everything still held, steps in order. */
  flush(): void {
    for (const lane of this.#lanes.values()) {
      const rest = lane.held.splice(0).sort((a, b) => (a.step ?? LAST_STEP) - (b.step ?? LAST_STEP));
      for (const event of rest) this.#let(lane, event);
    }
  }

  #lane(pne: number): Lane {
    const known = this.#lanes.get(pne);
    if (known) return known;
    const lane = { next: 0, held: [] };
    this.#lanes.set(pne, lane);
    return lane;
  }

  /** Events without a step keep their place behind the steps that came before them. */
  #release(lane: Lane): void {
    for (let at = lane.held.findIndex((event) => mayCome(lane, event)); at >= 0; ) {
      const [event] = lane.held.splice(at, 1);
      if (event) this.#let(lane, event);
      at = lane.held.findIndex((held) => mayCome(lane, held));
    }
  }

  #let(lane: Lane, event: FlowEvent): void {
    if (event.step !== undefined) lane.next = Math.max(lane.next, event.step + 1);
    this.#out(event);
  }
}

function mayCome(lane: Lane, event: FlowEvent): boolean {
  if (event.step !== undefined) return event.step <= lane.next;
  return !lane.held.some(
    (held) => held.step !== undefined && held.step <= lane.next + 1 && held.atMs < event.atMs,
  );
}
