/**
 * One radio link as the tap saw it: segments in order, each with the connection events around it, and the messages they
 * make. Numbers connection events by the radio's own rule. Knows headers of segments, not what they carry.
 */
import type { LinkCounters } from '../../src/bluetooth/virtual-radio/shapes.ts';

/** `up` is central to peripheral. */
export type Direction = 'up' | 'down';

export interface TappedSegment {
  readonly bytes: Uint8Array;
  /** The last connection event that was over when the host handed it over. */
  readonly handedAfter: number;
  /** The connection event it crossed in; undefined while it waits. */
  crossedIn: number | undefined;
  readonly handedAtMs: number;
  crossedAtMs: number;
}

export interface TappedMessage {
  readonly direction: Direction;
  readonly epoch: number;
  /** Bytes as carried: the payloads together. */
  bytes: number;
  readonly segments: TappedSegment[];
}

const START = 0x80;
const END = 0x40;
const LANE = 0x20;
const EPOCH = 0x10;
const GRANT = 0x08;
const BARE_BYTES = 2;

export class TappedLink {
  /** In the order in which their first segments were handed over. */
  readonly messages: TappedMessage[] = [];
  /** Segments that carry nothing but a grant. */
  readonly bare: TappedSegment[] = [];
  readonly #counters: () => LinkCounters;
  readonly #startedAt: number;
  readonly #intervalMs: number;
  readonly #waiting: Readonly<Record<Direction, TappedSegment[]>> = { up: [], down: [] };
  readonly #open = new Map<string, TappedMessage>();
  /** The event in which something crossed last, the one the radio has a timer for, the one that is being held. */
  #lastEvent = 0;
  #armedFor: number | undefined;
  #held: number | undefined;

  constructor(counters: () => LinkCounters) {
    this.#counters = counters;
    const { ageMs, intervalMs } = counters();
    this.#startedAt = performance.now() - ageMs;
    this.#intervalMs = intervalMs;
  }

  /** When the radio made the link. */
  get startedAtMs(): number {
    return this.#startedAt;
  }

  get counters(): LinkCounters {
    return this.#counters();
  }

  handed(direction: Direction, bytes: Uint8Array): void {
    // As the radio does it: the first segment in the queue arms a timer for the next event, others go with it.
    this.#armedFor ??= this.#nextEvent();
    const segment = {
      bytes: new Uint8Array(bytes),
      handedAfter: this.#armedFor - 1,
      crossedIn: undefined,
      handedAtMs: performance.now(),
      crossedAtMs: Number.NaN,
    };
    this.#waiting[direction].push(segment);
    this.#gather(direction, segment);
  }

  /** The oldest segment of this direction has crossed. */
  crossed(direction: Direction): void {
    const segment = this.#waiting[direction].shift();
    if (segment === undefined) return;
    segment.crossedAtMs = performance.now();
    segment.crossedIn = this.#event(segment);
  }

  /** The event that is being held: all its segments cross in one turn, and timers may come early or late for it. */
  #event({ handedAfter, crossedAtMs }: TappedSegment): number {
    if (this.#held !== undefined) return this.#held;
    this.#held = Math.max(this.#armedFor ?? handedAfter + 1, this.#slotAt(crossedAtMs));
    this.#lastEvent = this.#held;
    queueMicrotask(() => {
      this.#held = undefined;
      const empty = this.#waiting.up.length === 0 && this.#waiting.down.length === 0;
      this.#armedFor = empty ? undefined : this.#nextEvent();
    });
    return this.#held;
  }

  #nextEvent(): number {
    return Math.max(this.#slotAt(performance.now()), this.#lastEvent) + 1;
  }

  #gather(direction: Direction, segment: TappedSegment): void {
    const header = segment.bytes[0] ?? 0;
    if (segment.bytes.length === BARE_BYTES && header === GRANT) {
      this.bare.push(segment);
      return;
    }
    const lane = `${direction} ${header & LANE}`;
    let message = this.#open.get(lane);
    if (message === undefined) {
      message = { direction, epoch: header & EPOCH ? 1 : 0, bytes: 0, segments: [] };
      this.#open.set(lane, message);
      this.messages.push(message);
    }
    message.segments.push(segment);
    message.bytes += segment.bytes.length - headerBytes(header);
    if (header & END) this.#open.delete(lane);
  }

  #slotAt(now: number): number {
    return this.#intervalMs > 0 ? Math.floor((now - this.#startedAt) / this.#intervalMs) : 0;
  }
}

function headerBytes(header: number): number {
  const length = header & START && !(header & END) ? 2 : 0;
  return 1 + (header & GRANT ? 1 : 0) + length;
}
