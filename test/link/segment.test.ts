/** Segment headers: the bits, and the breaches that one segment alone can show (docs/protocol.md §3.1). */
import assert from 'node:assert/strict';
import { fromHex, toHex } from '../../src/base/bytes.ts';
import { encodeBare, isBare, parseSegment, payloadOffset } from '../../src/link/segment.ts';
import { fault, segment } from './helpers.ts';

describe('link segment', () => {
  it('reads every field of a header', () => {
    const parsed = parseSegment(fromHex('bd20012caabb'));
    assert.deepEqual(
      { ...parsed, payload: toHex(parsed.payload) },
      {
        bare: false,
        start: true,
        end: false,
        lane: 1,
        epoch: 1,
        seq: 5,
        grant: 0x20,
        length: 300,
        payload: 'aabb',
      },
    );
  });

  it('has no length in a message of one segment', () => {
    const parsed = parseSegment(fromHex('c0aabb'));
    assert.equal(parsed.length, undefined);
    assert.equal(toHex(parsed.payload), 'aabb');
  });

  it('tells a bare segment by its exact form', () => {
    assert.equal(toHex(encodeBare(255)), '08ff');
    assert.equal(parseSegment(encodeBare(0)).grant, 0);
    for (const other of ['09ff', '28ff', '18ff', '88ff', 'c8ff', '48ff', '08', '08ffff', ''])
      assert.equal(isBare(fromHex(other)), false, other);
  });

  it('refuses a segment without payload, empty or longer than any link carries', () => {
    for (const bytes of ['', '00', 'c0', 'c8ff', '09ff', '28ff', '80012c', '880101ff'])
      assert.throws(() => payloadOffset(fromHex(bytes)), fault('link-violation'), bytes);
    assert.throws(
      () => payloadOffset(segment({ start: true, end: true, payload: 244 })),
      fault('link-violation'),
    );
    payloadOffset(segment({ start: true, end: true, payload: 243 }));
  });

  it('refuses a stated length that its own segment reaches', () => {
    for (const length of [0, 1, 4, 5])
      assert.throws(
        () => parseSegment(segment({ start: true, length, payload: 5 })),
        fault('link-violation'),
      );
    assert.equal(parseSegment(segment({ start: true, length: 6, payload: 5 })).length, 6);
  });
});
