/**
 * The link layer: one end of a real pair of links is the victim, the other is a peer whose segments are lost, doubled,
 * spoilt or made up. Nothing throws, the link ends with a documented status and is then silent, and no message longer
 * than the limit comes through. A second target holds split invariance. Source: docs/protocol.md §3, §5.1.
 */
import assert from 'node:assert/strict';
import { Prng } from '../../../src/base/prng.ts';
import type { Status } from '../../../src/base/statuses.ts';
import { ReceiveCredits, SendCredits } from '../../../src/link/credits.ts';
import type { LinkEvent } from '../../../src/link/link.ts';
import { Reassembler } from '../../../src/link/reassembler.ts';
import { epochOf, isBare, type Lane, laneOf } from '../../../src/link/segment.ts';
import { Segmenter } from '../../../src/link/segmenter.ts';
import { pattern } from '../../link/helpers.ts';
import { type End, Pair, RMS, SECRET } from '../../link/pair.ts';
import { seededPrimitives } from '../../support/virtual-world-operator.ts';
import { byteAt, type Input, part, pick, type Target } from '../target.ts';

const CLOSES: readonly Status[] = [
  ...([
    'link-violation',
    'record-failed',
    'unexpected-message',
    'malformed',
    'oversize',
    'version-mismatch',
  ] as const),
  ...([
    'suite-mismatch',
    'busy',
    'unknown-session',
    'enrolment-code-spent',
    'timeout',
    'peer-lost',
    'keys-exhausted',
  ] as const),
];
const REQUESTS = [
  { kind: 'establish' },
  { kind: 'enrol', secret: SECRET },
  { kind: 'resume', rms: RMS },
] as const;
const LIMITS = [17, 128, 2_048, 8_192, 65_535];
const [BEFORE_OPEN, ADVANCED] = [1, 2];

class Scene {
  readonly #pair: Pair;
  readonly #victim: End;
  readonly #peer: End;
  #limit = 2_048;
  #closed = false;
  #longest = 0;
  #judged = 0;

  /** Bits: 0–1 what is asked for, 2 who is the victim, 3 who is the peripheral, 4 before the OPENs, 5 epoch 1, 6–7 segment size. */
  constructor(setting: number, rest: number) {
    const primitives = seededPrimitives(new Prng(setting));
    const size = pick([244, 20, 61, 180], setting >> 6);
    this.#pair = new Pair({
      primitives,
      request: pick(REQUESTS, setting & 3),
      peripheral: setting & 8 ? 'gateway' : 'pne',
      segmentBytes: [size, 244],
      credits: [pick([32, 1, 255, 4], rest), 32],
      recordLimit: rest & 0x10 ? 3 : 1_000,
    });
    this.#victim = setting & 4 ? this.#pair.central : this.#pair.peripheral;
    this.#peer = this.#pair.other(this.#victim);
    const phase = (setting >> 4) & 3;
    if (phase & BEFORE_OPEN) this.#pair.peripheral.pump(this.#pair.nowMs);
    else this.#pair.settle();
    if (phase === ADVANCED && (setting & 3) % 3 === 0)
      for (const end of [this.#victim, this.#peer]) end.link.advance(new Uint8Array(32).fill(9));
    this.#look();
  }

  step(op: Uint8Array): void {
    const { nowMs } = this.#pair;
    const { link } = this.#victim;
    const [kind, a, b, c] = [byteAt(op, 0) % 10, byteAt(op, 1), byteAt(op, 2), byteAt(op, 3)];
    const { wire } = this.#peer;
    switch (kind) {
      case 0:
        link.receive(op.slice(1), nowMs);
        break;
      case 1:
        this.#say(this.#peer, a, (b << 8) | c);
        break;
      case 2:
        for (let i = 0; i <= a % 64; i++) this.#hand(wire.shift());
        link.endOfBurst();
        break;
      case 3: {
        const segment = wire.shift()?.slice();
        if (segment) segment[a % segment.length] = byteAt(segment, a % segment.length) ^ (b || 1);
        this.#hand(segment);
        break;
      }
      case 4:
        wire.splice(a % (wire.length + 1), 1);
        break;
      case 5:
        if (wire[0]) wire.splice(b % wire.length, 0, wire[a % wire.length]?.slice() ?? wire[0]);
        break;
      case 6:
        this.#say(this.#victim, a, (b << 8) | c);
        break;
      case 7:
        this.#pair.nowMs += a * 256;
        link.handleTimeout(this.#pair.nowMs);
        break;
      case 8:
        this.#limit = pick(LIMITS, a);
        link.setReceiveLimit(this.#limit);
        break;
      default:
        this.#pair.deliver(this.#victim, 1 + (a % 8));
    }
    this.#look();
  }

  #hand(segment: Uint8Array | undefined): void {
    if (segment) this.#victim.link.receive(segment, this.#pair.nowMs);
  }

  #say(end: End, type: number, length: number): void {
    const lane: Lane = type & 0x80 ? 1 : 0;
    const wanted = 1 + (type % 40);
    try {
      end.link.send(wanted === 42 ? 41 : wanted, pattern(length), lane);
    } catch (error) {
      // Misuse by this harness: too early, too long, too much at once.
      if (!(error instanceof TypeError)) throw error;
    }
    end.pump(this.#pair.nowMs);
  }

  #look(): void {
    const { link } = this.#victim;
    this.#victim.pump(this.#pair.nowMs);
    // Also those that came while it was made to speak.
    for (const event of this.#victim.events.slice(this.#judged)) this.#judge(event);
    this.#judged = this.#victim.events.length;
    assert.equal(link.closed, this.#closed, 'closed without the event');
    if (!link.closed) return;
    assert.equal(link.deadlineAt, undefined, 'a timer is left armed');
    assert.equal(link.nextSegment(this.#pair.nowMs), undefined, 'it speaks after its end');
    assert.equal(link.queuedBytes(0) + link.queuedBytes(1), 0, 'queues are not erased');
  }

  #judge(event: LinkEvent): void {
    assert.ok(!this.#closed, `${event.kind} after the end`);
    if (event.kind === 'closed') {
      this.#closed = true;
      if (event.by === 'us') assert.ok(CLOSES.includes(event.status), `undocumented end ${event.status}`);
    }
    if (event.kind === 'message') {
      this.#longest = Math.max(this.#longest, event.body.length + 17);
      assert.ok(this.#longest <= Math.max(...LIMITS), 'longer than any limit');
    }
  }
}

/** Openings of every kind, then a conversation, then segments by hand. */
function linkSeeds(): Input[] {
  const seeds: Input[] = [];
  for (let setting = 0; setting < 256; setting += 1) {
    if (setting & 0x40 && setting & 0x0f) continue;
    seeds.push([
      part(setting, 0),
      part(1, 3, 0, 200),
      part(2, 60),
      part(6, 4, 1, 0),
      part(9, 7),
      part(8, 4),
      part(1, 0x84, 9, 0),
      part(2, 60),
    ]);
  }
  seeds.push([part(0x10, 0), part(2, 5), part(9, 8), part(2, 5)], [part(0x14, 0), part(2, 5), part(9, 8)]);
  seeds.push([
    part(0, 0x10),
    part(1, 5, 0, 9),
    part(1, 5, 0, 9),
    part(1, 5, 0, 9),
    part(1, 5, 0, 9),
    part(2, 9),
  ]);
  seeds.push([
    part(0, 1),
    part(0, 8, 5),
    part(0, 0xc0, 1, 2),
    part(0, 0x80, 0, 60, 1),
    part(0, 0x41, 2),
    part(7, 255),
    part(7, 255),
  ]);
  return seeds;
}

export const linkTarget: Target = {
  name: 'link',
  about: 'both ends of a link in every phase, before a peer that loses, doubles, spoils and invents segments',
  sources: ['link/', 'messages/link'],
  weight: 2,
  open: () => ({
    seeds: linkSeeds(),
    run: ([setting, ...steps]) => {
      const scene = new Scene(byteAt(setting, 0), byteAt(setting, 1));
      for (const op of steps) scene.step(op);
    },
  }),
};

interface Whole {
  readonly lane: Lane;
  readonly bytes: Uint8Array;
}

/** The messages, cut to some size, put together again. */
function throughSegments(messages: readonly Whole[], segmentBytes: number, first: number): Whole[] {
  const credits = new SendCredits();
  const owed = new ReceiveCredits(255);
  owed.begin();
  credits.add(255);
  const segmenter = new Segmenter(segmentBytes, credits, new ReceiveCredits(first));
  const reassembler = new Reassembler(() => true, owed);
  for (const { bytes, lane } of messages) segmenter.push(bytes, lane, 0, false);
  const whole: Whole[] = [];
  for (let lane = segmenter.ready(); lane !== undefined; lane = segmenter.ready()) {
    const segment = segmenter.cut(lane);
    assert.ok(segment.length <= segmentBytes && !isBare(segment) && epochOf(segment[0] ?? 0) === 0);
    const message = reassembler.push(segment);
    if (message) whole.push({ lane: laneOf(segment[0] ?? 0), bytes: message.slice() });
    credits.add(owed.grant());
  }
  assert.ok(!reassembler.incomplete, 'a message is left over');
  return whole;
}

const ofLane = (messages: readonly Whole[], lane: Lane) => messages.filter((one) => one.lane === lane);

export const splitTarget: Target = {
  name: 'split',
  about: 'however messages are cut, the same ones come out, in the order of their lane',
  sources: ['link/segment', 'link/reassembler', 'link/credits'],
  open: () => ({
    seeds: [
      [part(0, 200), part(0, 0, 18), part(1, 2, 0), part(0, 0, 244)],
      [part(41, 3), part(1, 255, 255), part(0, 0, 243), part(0, 0, 244), part(0, 0, 245)],
    ],
    run: ([sizes, ...rest]) => {
      const messages = rest.slice(0, 4).map((op): Whole => {
        const length = Math.max(1, (byteAt(op, 1) << 8) | byteAt(op, 2));
        return { lane: byteAt(op, 0) & 1 ? 1 : 0, bytes: pattern(length) };
      });
      for (const size of [244, 20 + (byteAt(sizes, 0) % 225), 20 + (byteAt(sizes, 1) % 225)]) {
        const whole = throughSegments(messages, size, 32);
        for (const lane of [0, 1] as const) {
          const [out, expected] = [ofLane(whole, lane), ofLane(messages, lane)];
          assert.equal(out.length, expected.length, `cut to ${size}`);
          // By hand: comparing arrays of 64 KiB by assert takes longer than everything else.
          for (const [i, { bytes }] of out.entries())
            assert.equal(Buffer.compare(bytes, expected[i]?.bytes ?? part()), 0, `cut to ${size}`);
        }
      }
    },
  }),
};
