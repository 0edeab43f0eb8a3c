/** Cutting and putting together again: split invariance, lanes, grants that ride, and every breach of §3.1. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { toHex } from '../../src/base/bytes.ts';
import { ReceiveCredits, SendCredits } from '../../src/link/credits.ts';
import { Reassembler } from '../../src/link/reassembler.ts';
import { type Epoch, type Lane, laneOf, parseSegment } from '../../src/link/segment.ts';
import { Segmenter } from '../../src/link/segmenter.ts';
import { check, fault, type Hand, pattern, segment } from './helpers.ts';

interface Carried {
  readonly lane: Lane;
  readonly epoch: Epoch;
  readonly bytes: Uint8Array;
}

function makeSegmenter(segmentBytes: number, owed = 0) {
  const send = new SendCredits();
  const receive = new ReceiveCredits(255);
  receive.begin();
  for (let i = 0; i < owed; i++) receive.consume();
  return { segmenter: new Segmenter(segmentBytes, send, receive), send, receive };
}

function makeReassembler(credits = 255) {
  const receive = new ReceiveCredits(credits);
  receive.begin();
  const admitted: number[] = [];
  const reassembler = new Reassembler((_lane, _epoch, length) => {
    admitted.push(length);
    return true;
  }, receive);
  return { reassembler, receive, admitted };
}

/** Everything a segmenter gives with credit without end. */
function cutAll({ segmenter, send }: ReturnType<typeof makeSegmenter>): Uint8Array[] {
  const out: Uint8Array[] = [];
  for (;;) {
    if (send.available === 0) send.add(200);
    const lane = segmenter.ready();
    if (lane === undefined) return out;
    out.push(segmenter.cut(lane));
  }
}

const hex = (segments: readonly Uint8Array[]) => segments.map(toHex);

describe('link segmenter', () => {
  it('cuts one segment, exactly full and one byte over', () => {
    const one = makeSegmenter(20);
    one.segmenter.push(pattern(19), 0, 1, false);
    assert.deepEqual(hex(cutAll(one)), [`d0${toHex(pattern(19))}`]);
    const two = makeSegmenter(20);
    two.segmenter.push(pattern(20), 1, 0, false);
    const bytes = toHex(pattern(20));
    assert.deepEqual(hex(cutAll(two)), [`a00014${bytes.slice(0, 34)}`, `61${bytes.slice(34)}`]);
  });

  it('lets control overtake data at the edge of a segment', () => {
    const sender = makeSegmenter(20);
    sender.segmenter.push(pattern(60), 1, 1, false);
    sender.send.add(255);
    const first = sender.segmenter.cut(1);
    sender.segmenter.push(pattern(5), 0, 1, false);
    const rest = cutAll(sender);
    assert.deepEqual(
      [first, ...rest].map((bytes) => [parseSegment(bytes).lane, parseSegment(bytes).seq]),
      [
        [1, 0],
        [0, 1],
        [1, 2],
        [1, 3],
        [1, 4],
      ],
    );
    assert.equal(parseSegment(rest[0] ?? new Uint8Array()).lane, 0);
  });

  it('puts a grant only where it costs no segment', () => {
    // 19 bytes fill a segment of 20; 18 leave room for one grant.
    for (const [length, grant] of [
      [19, undefined],
      [18, 7],
    ] as const) {
      const sender = makeSegmenter(20, 7);
      sender.segmenter.push(pattern(length), 0, 1, false);
      const cut = cutAll(sender);
      assert.equal(cut.length, 1);
      assert.equal(parseSegment(cut[0] ?? new Uint8Array()).grant, grant);
      assert.equal(sender.receive.owed, grant === undefined ? 7 : 0);
    }
  });

  it('never needs more segments because of grants, at any length', () => {
    check(
      fc.property(
        fc.integer({ min: 1, max: 3000 }),
        fc.integer({ min: 20, max: 244 }),
        (length, segmentBytes) => {
          const plain = makeSegmenter(segmentBytes);
          plain.segmenter.push(pattern(length), 0, 1, false);
          const expected = cutAll(plain).length;
          const granting = makeSegmenter(segmentBytes);
          granting.segmenter.push(pattern(length), 0, 1, false);
          let count = 0;
          for (granting.send.add(255); granting.segmenter.ready() !== undefined; count++) {
            if (granting.send.available === 1) granting.send.add(200);
            granting.receive.consume();
            const spare = granting.segmenter.carriesGrant(0);
            const cut = parseSegment(granting.segmenter.cut(0));
            assert.equal(cut.grant !== undefined, spare);
            if (!spare) granting.receive.grant();
          }
          assert.equal(count, expected);
        },
      ),
    );
  });

  it('gives a message back whatever the segment size and however lanes interleave', () => {
    const message = fc.record({
      lane: fc.constantFrom<Lane>(0, 1),
      epoch: fc.constantFrom<Epoch>(0, 1),
      bytes: fc.uint8Array({ minLength: 1, maxLength: 900 }),
    });
    check(
      fc.property(
        fc.array(message, { minLength: 1, maxLength: 6 }),
        fc.integer({ min: 20, max: 244 }),
        fc.array(fc.nat(3), { maxLength: 40 }),
        (messages, segmentBytes, pauses) => {
          const sender = makeSegmenter(segmentBytes);
          const { reassembler, receive } = makeReassembler();
          const got: Carried[] = [];
          const carry = (limit: number) => {
            for (let i = 0; i < limit; i++) {
              if (sender.send.available === 0) sender.send.add(1);
              const lane = sender.segmenter.ready();
              if (lane === undefined) return;
              const bytes = sender.segmenter.cut(lane);
              const whole = reassembler.push(bytes);
              receive.grant();
              const { epoch } = parseSegment(bytes);
              if (whole) got.push({ lane: laneOf(bytes[0] ?? 0), epoch, bytes: whole });
            }
          };
          messages.forEach(({ bytes, lane, epoch }, i) => {
            sender.segmenter.push(bytes, lane, epoch, false);
            carry(pauses[i] ?? 0);
          });
          carry(Number.POSITIVE_INFINITY);
          for (const lane of [0, 1] as const) {
            const of = (list: readonly Carried[]) =>
              list.filter((one) => one.lane === lane).map(({ epoch, bytes }) => `${epoch} ${toHex(bytes)}`);
            assert.deepEqual(of(got), of(messages));
          }
          assert.equal(reassembler.incomplete, false);
        },
      ),
    );
  });

  it('does not care how a message was cut', () => {
    check(
      fc.property(
        fc.uint8Array({ minLength: 2, maxLength: 600 }),
        fc.infiniteStream(fc.integer({ min: 1, max: 240 })),
        fc.infiniteStream(fc.option(fc.nat(255), { nil: undefined })),
        (bytes, sizes, grants) => {
          const { reassembler, receive } = makeReassembler();
          let whole: Uint8Array | undefined;
          for (let offset = 0, seq = 0; offset < bytes.length; seq++) {
            const size = Math.min(sizes.next().value, bytes.length - offset);
            const [start, end] = [offset === 0, offset + size === bytes.length];
            const grant = grants.next().value;
            whole = reassembler.push(
              segment({
                start,
                end,
                seq: seq & 7,
                payload: bytes.subarray(offset, offset + size),
                ...(grant !== undefined && { grant }),
                ...(start && !end && { length: bytes.length }),
              }),
            );
            receive.grant();
            offset += size;
            assert.equal(whole !== undefined, end);
          }
          assert.deepEqual(whole && new Uint8Array(whole), bytes);
        },
      ),
    );
  });
});

describe('link reassembler refuses', () => {
  const first: Hand = { start: true, length: 10, payload: 4 };
  const cases: readonly (readonly [string, readonly Hand[]])[] = [
    ['a sequence number that is not the next', [{ start: true, end: true, seq: 1 }]],
    [
      'a sequence number again',
      [
        { start: true, end: true },
        { start: true, end: true },
      ],
    ],
    ['a message that begins within one', [first, { start: true, end: true, seq: 1 }]],
    ['a segment of no message', [{ end: true }]],
    ['a segment of a message of the other lane', [first, { lane: 1, end: true, seq: 1, payload: 6 }]],
    ['another epoch within a message', [first, { epoch: 1, end: true, seq: 1, payload: 6 }]],
    ['payloads beyond the length', [first, { end: true, seq: 1, payload: 7 }]],
    ['END before the length is reached', [first, { end: true, seq: 1, payload: 5 }]],
    ['the length reached without END', [first, { seq: 1, payload: 6 }]],
    ['a length that its first segment reaches', [{ start: true, length: 4, payload: 4 }]],
  ];
  for (const [what, hands] of cases)
    it(what, () => {
      const { reassembler } = makeReassembler();
      const segments = hands.map(segment);
      const last = segments.pop() ?? new Uint8Array();
      for (const one of segments) reassembler.push(one);
      assert.throws(() => reassembler.push(last), fault('link-violation'));
    });

  it('a segment without credit', () => {
    const { reassembler } = makeReassembler(2);
    reassembler.push(segment(first));
    reassembler.push(segment({ seq: 1, payload: 3 }));
    assert.throws(
      () => reassembler.push(segment({ seq: 2, end: true, payload: 3 })),
      fault('link-violation'),
    );
  });

  it('nothing before the length was admitted, and asks once a message', () => {
    const { reassembler, admitted } = makeReassembler();
    reassembler.push(segment(first));
    reassembler.push(segment({ seq: 1, end: true, payload: 6 }));
    reassembler.push(segment({ seq: 2, start: true, end: true, payload: 3 }));
    assert.deepEqual(admitted, [10, 3]);
  });
});

describe('link credits', () => {
  it('refuse to exceed 255', () => {
    const credits = new SendCredits();
    credits.add(255);
    credits.spend();
    credits.add(1);
    assert.throws(() => credits.add(1), fault('link-violation'));
  });

  it('keep the grant for one segment that ended a message, and speak up below half', () => {
    const credits = new ReceiveCredits(3);
    credits.begin();
    credits.consume();
    credits.endOfBurst(false);
    assert.equal(credits.due, false);
    credits.endOfBurst(true);
    assert.equal(credits.due, false, 'the burst is over');
    assert.equal(credits.grant(), 1);
    credits.consume();
    credits.endOfBurst(true);
    assert.equal(credits.due, true);
    assert.equal(credits.grant(), 1);
    assert.equal(credits.due, false);
    credits.consume();
    assert.equal(credits.due, false);
    credits.consume();
    assert.equal(credits.due, true);
    assert.equal(credits.grant(), 2);
  });

  it('of one are granted at once', () => {
    const credits = new ReceiveCredits(1);
    credits.begin();
    credits.consume();
    assert.equal(credits.due, true);
    assert.equal(credits.grant(), 1);
    credits.consume();
    assert.throws(() => credits.consume(), fault('link-violation'));
  });
});
