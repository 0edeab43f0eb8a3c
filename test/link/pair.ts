/**
 * Two links on a virtual clock and a wire in memory, for tests: what is sent, when it arrives and in which batches is up
 * to the test. Counts credits as a third party would, from the segments alone.
 */
import assert from 'node:assert/strict';
import { EMPTY } from '../../src/base/bytes.ts';
import { Link, type LinkConfig, type LinkEvent } from '../../src/link/link.ts';
import type { OpenAcceptance, OpenRequest } from '../../src/link/open.ts';
import { type Lane, parseSegment } from '../../src/link/segment.ts';
import type { Primitives } from '../../src/security/primitives.ts';
import { nodePrimitives } from '../../src/security/primitives-node.ts';

export const PRIMITIVES = nodePrimitives();
export const SECRET = new Uint8Array(12).fill(0x5e);
export const RMS = new Uint8Array(32).fill(0x77);
export const SESSION = { rms: RMS, ref: 'membership-1' };
export const ACCEPT_ALL: OpenAcceptance = { establish: true, enrolSecret: SECRET, sessions: [SESSION] };

export interface PairOptions {
  /** Who is the peripheral; the PNE by default. */
  readonly peripheral?: 'pne' | 'gateway';
  readonly request?: OpenRequest;
  readonly accept?: OpenAcceptance;
  readonly segmentBytes?: readonly [central: number, peripheral: number];
  readonly credits?: readonly [central: number, peripheral: number];
  readonly recordLimit?: number;
  readonly queueBytes?: number;
  readonly primitives?: Primitives;
}

/** One end: its link, what it sent that has not arrived yet, and everything it reported. */
export class End {
  readonly link: Link;
  readonly events: LinkEvent[] = [];
  readonly wire: Uint8Array[] = [];
  /** Every segment ever sent. */
  readonly sent: Uint8Array[] = [];
  readonly #limits: number;

  constructor(config: LinkConfig, nowMs: number) {
    this.link = new Link(config, nowMs);
    this.#limits = Math.min(config.transportSegmentBytes, 244);
  }

  /** Puts everything that may be sent on the wire. */
  pump(nowMs: number): void {
    for (let next = this.link.nextSegment(nowMs); next; next = this.link.nextSegment(nowMs)) {
      assert.ok(next.length >= 1 && next.length <= this.#limits, 'segment size');
      this.wire.push(next);
      this.sent.push(next);
    }
    this.events.push(...this.link.takeEvents());
  }

  messages(lane?: Lane): Extract<LinkEvent, { kind: 'message' }>[] {
    return this.events
      .filter((event) => event.kind === 'message')
      .filter((m) => lane === undefined || m.lane === lane);
  }

  event<K extends LinkEvent['kind']>(kind: K): Extract<LinkEvent, { kind: K }> | undefined {
    return this.events.find((event): event is Extract<LinkEvent, { kind: K }> => event.kind === kind);
  }
}

export class Pair {
  nowMs = 1_000_000;
  readonly central: End;
  readonly peripheral: End;

  constructor(options: PairOptions = {}) {
    const { peripheral = 'pne', request = { kind: 'establish' }, accept = ACCEPT_ALL } = options;
    const common = (i: 0 | 1) => ({
      transportSegmentBytes: options.segmentBytes?.[i] ?? 244,
      primitives: options.primitives ?? PRIMITIVES,
      ephemeral: (options.primitives ?? PRIMITIVES).generateEphemeral(),
      credits: options.credits?.[i] ?? 32,
      ...(options.recordLimit !== undefined && { recordLimit: options.recordLimit }),
      ...(options.queueBytes !== undefined && { queueBytes: options.queueBytes }),
    });
    const centralRole = peripheral === 'pne' ? 'gateway' : 'pne';
    this.central = new End({ side: 'central', role: centralRole, request, ...common(0) }, this.nowMs);
    this.peripheral = new End({ side: 'peripheral', role: peripheral, accept, ...common(1) }, this.nowMs);
  }

  other(end: End): End {
    return end === this.central ? this.peripheral : this.central;
  }

  /** Hands at most `count` segments from one end to the other, as one burst. */
  deliver(from: End, count = Number.POSITIVE_INFINITY): number {
    const to = this.other(from);
    let handed = 0;
    for (; handed < count && from.wire.length > 0; handed++)
      to.link.receive(from.wire.shift() ?? EMPTY, this.nowMs);
    if (handed > 0) to.link.endOfBurst();
    to.pump(this.nowMs);
    return handed;
  }

  /** Both ways until nothing moves. */
  settle(): void {
    this.central.pump(this.nowMs);
    this.peripheral.pump(this.nowMs);
    for (let turn = 0; this.central.wire.length + this.peripheral.wire.length > 0; turn++) {
      assert.ok(turn < 100_000, 'the links never come to rest');
      this.deliver(this.peripheral);
      this.deliver(this.central);
    }
  }

  /** Lets time pass, deadline by deadline, until `untilMs`. */
  run(untilMs: number): void {
    for (;;) {
      const at = Math.min(
        ...[this.central, this.peripheral].map((end) => end.link.deadlineAt ?? Number.POSITIVE_INFINITY),
      );
      if (at > untilMs) break;
      this.nowMs = Math.max(this.nowMs, at);
      for (const end of [this.central, this.peripheral]) {
        if ((end.link.deadlineAt ?? Number.POSITIVE_INFINITY) <= this.nowMs)
          end.link.handleTimeout(this.nowMs);
      }
      this.settle();
    }
    this.nowMs = untilMs;
  }

  /** Opened, at rest, no limit on data. */
  static open(options: PairOptions = {}): Pair {
    const pair = new Pair(options);
    pair.settle();
    for (const end of [pair.central, pair.peripheral]) {
      assert.ok(end.event('opened'), `not open: ${JSON.stringify(end.events)}`);
      end.link.setReceiveLimit(65_535);
    }
    return pair;
  }
}

/** A third party's count: credits each direction held at every point, from the segments in order. */
export function countPayloads(segments: readonly Uint8Array[]): {
  payloads: number;
  granted: number;
  bare: number;
} {
  let payloads = 0;
  let granted = 0;
  let bare = 0;
  for (const segment of segments) {
    const parsed = parseSegment(segment);
    granted += parsed.grant ?? 0;
    if (parsed.bare) bare++;
    else payloads++;
  }
  return { payloads, granted, bare };
}
