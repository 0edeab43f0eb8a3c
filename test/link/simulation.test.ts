/**
 * Two links on a wire that delivers in arbitrary batches: whatever the first credits, segment sizes, lanes and timing,
 * every message arrives once, in order and unchanged, no credit is overdrawn, and nothing waits for ever.
 * And the other way: bytes of a stranger never make a link throw or allocate beyond its limit.
 */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { toHex } from '../../src/base/bytes.ts';
import { type Lane, parseSegment } from '../../src/link/segment.ts';
import { check, pattern } from './helpers.ts';
import { type End, Pair, RMS } from './pair.ts';

interface Send {
  readonly from: 'central' | 'peripheral';
  readonly lane: Lane;
  readonly bytes: number;
  /** Turns of the wire before it is queued. */
  readonly after: number;
}

const sends = fc.array(
  fc.record<Send>({
    from: fc.constantFrom('central', 'peripheral'),
    lane: fc.constantFrom<Lane>(0, 1),
    bytes: fc.oneof(fc.nat(300), fc.nat(6000)),
    after: fc.nat(4),
  }),
  { minLength: 1, maxLength: 12 },
);
const credit = fc.oneof(fc.integer({ min: 1, max: 4 }), fc.integer({ min: 1, max: 255 }));
const size = fc.integer({ min: 20, max: 244 });
const shape = fc.record({
  peripheral: fc.constantFrom<'pne' | 'gateway'>('pne', 'gateway'),
  resume: fc.boolean(),
  credits: fc.tuple(credit, credit),
  segmentBytes: fc.tuple(size, size),
});

/** A third party's ledger of one direction: opened with the receiver's first credits, never below zero or above 255. */
class Ledger {
  #credits: number;
  #plaintext = true;

  constructor(first: number) {
    this.#credits = first;
  }

  paid(segment: Uint8Array): void {
    const parsed = parseSegment(segment);
    if (parsed.bare) return;
    if (!this.#plaintext) this.#credits--;
    if (parsed.end) this.#plaintext = false;
    assert.ok(this.#credits >= 0, 'a segment was sent without credit');
  }

  granted(segment: Uint8Array): void {
    this.#credits += parseSegment(segment).grant ?? 0;
    assert.ok(this.#credits <= 255, 'more than 255 credits');
  }
}

describe('two links', () => {
  it('deliver everything, in order and once, in any batching', () => {
    check(
      fc.property(shape, sends, fc.infiniteStream(fc.nat(8)), (options, plan, batches) => {
        const pair = Pair.open({
          ...options,
          ...(options.resume && { request: { kind: 'resume', rms: RMS } }),
        });
        const ledgers = new Map<End, Ledger>([
          [pair.central, new Ledger(options.credits[1])],
          [pair.peripheral, new Ledger(options.credits[0])],
        ]);
        const expected = new Map<End, Send[]>([
          [pair.central, []],
          [pair.peripheral, []],
        ]);
        let seen = new Map<End, number>([
          [pair.central, 0],
          [pair.peripheral, 0],
        ]);
        const audit = () => {
          // A grant counts for the other direction when it is sent; that is the latest moment it can be too much.
          for (const end of [pair.central, pair.peripheral])
            for (const segment of end.sent.slice(seen.get(end)))
              ledgers.get(pair.other(end))?.granted(segment);
          for (const end of [pair.central, pair.peripheral])
            for (const segment of end.sent.slice(seen.get(end))) ledgers.get(end)?.paid(segment);
          seen = new Map([pair.central, pair.peripheral].map((end) => [end, end.sent.length]));
        };
        // Looked at after each way: within one look no grant may be for a segment of the same look.
        const deliver = (from: End) => {
          const moved = pair.deliver(from, batches.next().value);
          audit();
          return moved;
        };
        const turn = () => deliver(pair.central) + deliver(pair.peripheral);
        audit();
        for (const send of plan) {
          for (let i = 0; i < send.after; i++) turn();
          const end = pair[send.from];
          end.link.send(64, pattern(send.bytes), send.lane);
          expected.get(end)?.push(send);
          end.pump(pair.nowMs);
          audit();
        }
        for (let i = 0; pair.central.wire.length + pair.peripheral.wire.length > 0; i++) {
          assert.ok(i < 20_000, 'the links never come to rest');
          turn();
        }
        for (const end of [pair.central, pair.peripheral]) {
          const queued = expected.get(end) ?? [];
          for (const lane of [0, 1] as const) {
            assert.equal(end.link.queuedBytes(lane), 0, 'a message waits for ever');
            assert.deepEqual(
              pair.other(end).messages(lane),
              queued
                .filter((send) => send.lane === lane)
                .map(({ bytes }) => ({ kind: 'message', type: 64, lane, body: pattern(bytes) })),
            );
          }
          const rest = end.events.filter(({ kind }) => kind !== 'message');
          assert.equal(rest[0]?.kind, 'opened');
          assert.ok(rest.slice(1).every(({ kind }) => kind === 'drained'));
          end.link.close('ok');
          assert.equal(end.link.deadlineAt, undefined);
        }
      }),
      400,
    );
  });

  it('give the same events whatever the segment sizes and batches', () => {
    const tell = (end: End) => end.messages().map(({ lane, type, body }) => `${lane} ${type} ${toHex(body)}`);
    check(
      fc.property(shape, shape, fc.array(fc.nat(2500), { minLength: 1, maxLength: 6 }), (one, two, sizes) => {
        const told = [one, two].map(({ credits, segmentBytes }) => {
          const pair = Pair.open({ credits, segmentBytes });
          for (const bytes of sizes) pair.central.link.send(64, pattern(bytes), 1);
          pair.settle();
          return tell(pair.peripheral);
        });
        assert.equal(told[0]?.length, sizes.length);
        assert.deepEqual(told[0], told[1]);
      }),
      100,
    );
  });

  it('close, and say nothing more, when any one byte of any one segment is changed', () => {
    check(
      fc.property(
        fc.nat(2000),
        fc.nat(),
        fc.nat(243),
        fc.integer({ min: 1, max: 255 }),
        (bytes, which, at, flip) => {
          const pair = Pair.open({ segmentBytes: [60, 60] });
          pair.central.link.send(64, pattern(bytes), 1);
          pair.central.pump(pair.nowMs);
          const victim = pair.central.wire[which % pair.central.wire.length];
          assert.ok(victim);
          const place = at % victim.length;
          victim[place] = (victim[place] ?? 0) ^ flip;
          pair.settle();
          const got = pair.peripheral.messages();
          // Bits that nothing protects: a grant where it changes only our credits. Nothing else may pass.
          if (got.length > 0) assert.deepEqual(got[0]?.body, pattern(bytes));
          else if (pair.peripheral.link.closed)
            assert.ok(
              ['link-violation', 'record-failed'].includes(pair.peripheral.event('closed')?.status ?? ''),
            );
          assert.ok(got.length <= 1);
        },
      ),
      400,
    );
  });
});

describe('a link and a stranger', () => {
  const garbage = fc.uint8Array({ minLength: 0, maxLength: 250 });
  /** Garbage with a header that gets further: the sequence number is right more often than not. */
  const near = fc
    .tuple(fc.nat(255), fc.uint8Array({ minLength: 1, maxLength: 243 }))
    .map(([header, rest]) => Uint8Array.of(header, ...rest));

  for (const opened of [false, true])
    it(`takes any bytes ${opened ? 'on an open link' : 'in the place of OPEN'} without throwing`, () => {
      check(
        fc.property(
          fc.array(fc.oneof(garbage, near), { maxLength: 40 }),
          fc.boolean(),
          (segments, fixSeq) => {
            const pair = opened ? Pair.open() : new Pair();
            for (const end of [pair.central, pair.peripheral]) {
              end.pump(pair.nowMs);
              let seq = opened ? 1 : 0;
              for (const segment of segments) {
                if (fixSeq && segment.length > 2) segment[0] = ((segment[0] ?? 0) & 0xf8) | (seq++ & 7);
                end.link.receive(segment, pair.nowMs);
                end.link.endOfBurst();
                end.pump(pair.nowMs);
              }
              assert.equal(end.messages().length, 0);
              assert.ok(end.events.filter(({ kind }) => kind === 'closed').length <= 1);
            }
          },
        ),
        1500,
      );
    });

  it('allocates no more for a message than its limit', () => {
    const sizes: number[] = [];
    const Plain = globalThis.Uint8Array;
    // Counts what the link asks for; a length beyond the limit must never get as far as an allocation.
    class Counting extends Plain {
      constructor(...args: readonly unknown[]) {
        super(...(args as [number]));
        if (typeof args[0] === 'number') sizes.push(args[0]);
      }
    }
    for (let length = 2; length <= 65_535; length += 97) {
      const pair = new Pair();
      pair.settle();
      const segment = Plain.of(0x81, length >> 8, length & 0xff, 0xaa);
      sizes.length = 0;
      globalThis.Uint8Array = Counting as unknown as Uint8ArrayConstructor;
      try {
        pair.peripheral.link.receive(segment, pair.nowMs);
      } finally {
        globalThis.Uint8Array = Plain;
      }
      assert.equal(pair.peripheral.link.closed, length > 2048, `${length}`);
      assert.deepEqual(sizes, length > 2048 ? [] : [length]);
    }
  });
});
