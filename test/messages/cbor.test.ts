/** Deterministic CBOR: vectors after RFC 8949 Appendix A, a list of what must be refused, and properties. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { fromHex, toHex } from '../../src/base/bytes.ts';
import { CpnsError } from '../../src/base/errors.ts';
import { type CborValue, decodeCbor, encodeCbor } from '../../src/messages/cbor.ts';
import { cborItemLength, scanCbor } from '../../src/messages/cbor-scan.ts';
import { readCbor } from './cbor-reader.ts';
import { check, malformed } from './helpers.ts';

const m = (...entries: [number | string, CborValue][]) => new Map(entries);

/** [value, encoding]; the first part is RFC 8949 Appendix A, less what the protocol has no use for. */
const VECTORS: readonly (readonly [CborValue, string])[] = [
  [0, '00'],
  [1, '01'],
  [10, '0a'],
  [23, '17'],
  [24, '1818'],
  [25, '1819'],
  [100, '1864'],
  [1000, '1903e8'],
  [1000000, '1a000f4240'],
  [1000000000000, '1b000000e8d4a51000'],
  [-1, '20'],
  [-10, '29'],
  [-100, '3863'],
  [-1000, '3903e7'],
  [false, 'f4'],
  [true, 'f5'],
  [null, 'f6'],
  [new Uint8Array(0), '40'],
  [fromHex('01020304'), '4401020304'],
  ['', '60'],
  ['a', '6161'],
  ['IETF', '6449455446'],
  ['"\\', '62225c'],
  ['\u00fc', '62c3bc'],
  ['\u6c34', '63e6b0b4'],
  ['\ud800\udd51', '64f0908591'],
  [[], '80'],
  [[1, 2, 3], '83010203'],
  [[1, [2, 3], [4, 5]], '8301820203820405'],
  [Array.from({ length: 25 }, (_, i) => i + 1), '98190102030405060708090a0b0c0d0e0f101112131415161718181819'],
  [m(), 'a0'],
  [m([1, 2], [3, 4]), 'a201020304'],
  [m(['a', 1], ['b', [2, 3]]), 'a26161016162820203'],
  [['a', m(['b', 'c'])], '826161a161626163'],
  // edges of the argument sizes
  [255, '18ff'],
  [256, '190100'],
  [65535, '19ffff'],
  [65536, '1a00010000'],
  [2 ** 31, '1a80000000'],
  [2 ** 32 - 1, '1affffffff'],
  [2 ** 32, '1b0000000100000000'],
  [Number.MAX_SAFE_INTEGER, '1b001fffffffffffff'],
  [-24, '37'],
  [-25, '3818'],
  [-256, '38ff'],
  [-257, '390100'],
  [-65536, '39ffff'],
  [-65537, '3a00010000'],
  [-(2 ** 31) - 1, '3a80000000'],
  [-(2 ** 32), '3affffffff'],
  [-(2 ** 32) - 1, '3b0000000100000000'],
  [Number.MIN_SAFE_INTEGER, '3b001ffffffffffffe'],
  // order of keys: non-negative, then negative, then text by length
  [
    m(['aa', 0], ['b', 0], ['', 0], [-65537, 0], [-1, 0], [-25, 0], [100, 0], [9, 0], [2 ** 32, 0]),
    'a90900186400' + '1b000000010000000000' + '20003818003a0001000000' + '6000616200' + '62616100',
  ],
];

/** [bytes, words of the reason]. */
const REFUSED: readonly (readonly [hex: string, reason: RegExp])[] = [
  ['', /truncated/],
  ['0000', /after the item/],
  ['8100ff', /after the item/],
  // not the shortest form
  ['1800', /shortest/],
  ['1817', /shortest/],
  ['190018', /shortest/],
  ['1900ff', /shortest/],
  ['1a0000ffff', /shortest/],
  ['1b00000000ffffffff', /shortest/],
  ['3817', /shortest/],
  ['5800', /shortest/],
  ['580101', /shortest/],
  ['780161', /shortest/],
  ['980101', /shortest/],
  ['b8010101', /shortest/],
  // truncated
  ['18', /truncated/],
  ['19ff', /truncated/],
  ['1affffff', /truncated/],
  ['1bffffffffffffff', /truncated/],
  ['41', /truncated/],
  ['440102', /truncated/],
  ['6261', /truncated/],
  ['81', /truncated/],
  ['8200', /truncated/],
  ['a1', /truncated/],
  ['a101', /truncated/],
  ['a2010202', /truncated/],
  // lengths that only claim
  ['5affffffff', /truncated/],
  ['5b001fffffffffffff', /truncated/],
  ['5bffffffffffffffff', /beyond/],
  ['7affffffff', /truncated/],
  ['9affffffff', /truncated/],
  ['9b001fffffffffffff', /truncated/],
  ['baffffffff', /truncated/],
  ['bb001fffffffffffff', /truncated/],
  // indefinite lengths and breaks
  ['5f41014102ff', /indefinite/],
  ['7f6161ff', /indefinite/],
  ['9f01ff', /indefinite/],
  ['bf0102ff', /indefinite/],
  ['ff', /break/],
  ['81ff', /break/],
  ['1f', /indefinite/],
  // reserved additional information
  ['1c', /reserved/],
  ['5d', /reserved/],
  ['9e', /reserved/],
  ['fc', /reserved/],
  // integers
  ['1b0020000000000000', /beyond/],
  ['1bffffffffffffffff', /beyond/],
  ['3b001fffffffffffff', /beyond/],
  ['3bffffffffffffffff', /beyond/],
  // tags: plain, date, bignum, RegExp, records, self-described
  ['c000', /tag/],
  ['c11a514b67b0', /tag/],
  ['c249010000000000000000', /tag/],
  ['d81b83', /tag/],
  ['d823613a', /tag/],
  ['d9dfff', /tag/],
  ['d9d9f700', /tag/],
  ['81c100', /tag/],
  // floats and simple values
  ['f90000', /float/],
  ['f97e00', /float/],
  ['fa47c35000', /float/],
  ['fb3ff199999999999a', /float/],
  ['f7', /simple/],
  ['e0', /simple/],
  ['f3', /simple/],
  ['f818', /simple/],
  ['f8ff', /simple/],
  // maps
  ['a201000100', /duplicate/],
  ['a2616100616100', /duplicate/],
  ['a202000100', /order/],
  ['a220000100', /order/],
  ['a2616100' + '0100', /order/],
  ['a2626161006162' + '00', /order/],
  ['a2200021' + '00a0', /after/],
  ['a14000', /key/],
  ['a18000', /key/],
  ['a1a000', /key/],
  ['a1f400', /key/],
  ['a1f600', /key/],
  // text
  ['61ff', /UTF-8/],
  ['62c328', /UTF-8/],
  ['62c080', /UTF-8/],
  ['63eda080', /UTF-8/],
  ['64f4908080', /UTF-8/],
  ['63efbbbf', /U\+FEFF/],
  ['a161ff00', /UTF-8/],
  // resources
  ['818181818181818181' + '00', /deep/],
  [`990400${'00'.repeat(1024)}`, /too many/],
];

describe('deterministic CBOR', () => {
  for (const [value, hex] of VECTORS)
    it(`writes and reads ${hex.slice(0, 40)}`, () => {
      assert.equal(toHex(encodeCbor(value)), hex);
      assert.deepEqual(decodeCbor(fromHex(hex)), value);
      assert.deepEqual(readCbor(fromHex(hex)), value);
    });

  for (const [hex, reason] of REFUSED)
    it(`refuses ${hex.slice(0, 40) || 'nothing at all'}: ${reason.source}`, () => {
      assert.throws(() => decodeCbor(fromHex(hex)), malformed(reason));
    });

  it('names the bytes and the offset, not the content', () => {
    assert.throws(() => scanCbor(fromHex('82613f61ff'), { what: 'Thing' }), {
      message: 'malformed: Thing, byte 3: text is not UTF-8',
    });
  });

  it('takes nesting of 8 and 1024 items, and what limits it is given', () => {
    decodeCbor(fromHex('8181818181818180'));
    const items = encodeCbor(Array.from({ length: 1023 }, () => 0));
    decodeCbor(items);
    assert.throws(() => decodeCbor(items, { maxItems: 1023 }), malformed(/too many/));
    assert.throws(() => decodeCbor(fromHex('8180'), { maxDepth: 1 }), malformed(/deep/));
    decodeCbor(fromHex('00'), { maxDepth: 0, maxItems: 1 });
  });

  it('finds the end of the first item', () => {
    assert.equal(cborItemLength(fromHex('a1010000ff')), 3);
    assert.throws(() => cborItemLength(fromHex('a101')), CpnsError);
  });

  it('gives plain arrays that own their few bytes', () => {
    const big = new Uint8Array(70_000);
    const message = encodeCbor(m([1, big], [2, fromHex('0102')]));
    assert.equal(Object.getPrototypeOf(message), Uint8Array.prototype);
    assert.equal(message.buffer.byteLength, message.length);
    for (const source of [message, Buffer.from(message)]) {
      const small = (decodeCbor(source) as Map<number, Uint8Array>).get(2);
      assert.ok(small);
      assert.equal(Object.getPrototypeOf(small), Uint8Array.prototype);
      assert.equal(small.buffer.byteLength, 2);
      assert.deepEqual(Object.keys(source).length, source.length, 'the source is left as it was');
    }
  });

  it('keeps U+FEFF inside a text, and long texts whole', () => {
    for (const text of ['a\ufeff', `x${'\ufeff'.repeat(60)}`, 'é'.repeat(5000), '𐅑'.repeat(40)])
      assert.equal(decodeCbor(encodeCbor(text)), text);
  });

  it('refuses to write what it would refuse to read', () => {
    const cyclic: CborValue[] = [];
    cyclic.push(cyclic);
    const wrong: unknown[] = [
      1.5,
      -0,
      Number.NaN,
      Number.POSITIVE_INFINITY,
      2 ** 53,
      -(2 ** 53),
      1n,
      undefined,
      [undefined],
      {},
      new Date(0),
      new Uint16Array(2),
      new ArrayBuffer(2),
      'a\ud800',
      '\udc00'.repeat(80),
      '\ufeffa',
      new Map([[1.5, 0]]),
      new Map([[null, 0]]),
      new Map([[true, 0]]),
      new Map([[1, undefined]]),
      new Set(),
      () => 0,
      Symbol('s'),
      cyclic,
    ];
    for (const value of wrong) assert.throws(() => encodeCbor(value as CborValue), TypeError);
  });

  const text = fc
    .string({ unit: 'binary', maxLength: 70 })
    .filter((value) => !value.startsWith('\ufeff') && !/\p{Surrogate}/u.test(value));
  const { value } = fc.letrec<{ value: CborValue }>((tie) => ({
    value: fc.oneof(
      { maxDepth: 4, depthSize: 'small' },
      fc.maxSafeInteger().map((n) => n + 0),
      fc.integer({ min: -300, max: 300 }),
      fc.boolean(),
      fc.constant(null),
      text,
      fc.uint8Array({ maxLength: 300 }),
      fc.array(tie('value'), { maxLength: 30 }),
      fc
        .array(fc.tuple(fc.oneof(fc.integer(), fc.maxSafeInteger(), text), tie('value')), { maxLength: 30 })
        .map((entries) => new Map(entries)),
    ),
  }));

  it('reads back what it wrote, and a second decoder agrees', () => {
    check(
      fc.property(value, (original) => {
        const bytes = encodeCbor(original);
        const back = decodeCbor(bytes, { maxItems: 100_000 });
        assert.deepEqual(back, original);
        assert.deepEqual(readCbor(bytes), original);
        assert.deepEqual(encodeCbor(back), bytes);
      }),
    );
  });

  it('accepts only bytes that it would have written', () => {
    const accept = (bytes: Uint8Array) => {
      let back: CborValue;
      try {
        back = decodeCbor(bytes);
      } catch (error) {
        assert.ok(error instanceof CpnsError && error.status === 'malformed', String(error));
        return;
      }
      assert.deepEqual(encodeCbor(back), bytes);
    };
    check(fc.property(fc.uint8Array({ maxLength: 24 }), accept));
    check(
      fc.property(value, fc.nat(), fc.nat({ max: 255 }), (original, place, byte) => {
        const bytes = encodeCbor(original);
        bytes[place % bytes.length] = byte;
        accept(bytes);
      }),
    );
  });
});
