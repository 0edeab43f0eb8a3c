/** The declarative language itself: bounds both ways, labels, and what its errors say and don't say. */
import assert from 'node:assert/strict';
import { PnId } from '../../src/base/ids.ts';
import type { CborValue } from '../../src/messages/cbor.ts';
import { isLabel } from '../../src/messages/label.ts';
import { message } from '../../src/messages/message.ts';
import {
  arrayOf,
  bool,
  bytes,
  literal,
  named,
  type Schema,
  text,
  tuple,
  uint,
} from '../../src/messages/schema.ts';
import { choice, constant, field, fieldRows, map, optional } from '../../src/messages/schema-map.ts';
import { failure, status, success } from '../../src/messages/schema-status.ts';
import { malformed } from './helpers.ts';

const info = { doc: 'for a test', section: '0' };

/** Both directions take `good` and stop at `bad`. */
function bounds<T extends CborValue>(schema: Schema<T>, good: readonly T[], bad: readonly unknown[]): void {
  for (const value of good) assert.deepEqual(schema.fromCbor(schema.toCbor(value, 'p'), 'p'), value);
  for (const value of bad) {
    assert.throws(() => schema.toCbor(value as T, 'p'), TypeError);
    assert.throws(() => schema.fromCbor(value as CborValue, 'p'), malformed(/: p(\[0\])?: /));
  }
}

describe('schema', () => {
  it('bounds integers, byte strings, texts, booleans and literals', () => {
    bounds(uint({ min: 2, max: 300 }), [2, 300], [1, 301, -2, 2.5, '2', true, null, undefined, new Map()]);
    bounds(
      bytes({ length: 2 }),
      [new Uint8Array(2)],
      [new Uint8Array(1), new Uint8Array(3), [1, 2], 'ab', null],
    );
    bounds(
      bytes({ min: 1, max: 2 }),
      [new Uint8Array(1), new Uint8Array(2)],
      [new Uint8Array(0), new Uint8Array(3)],
    );
    bounds(text({ kind: 'free', maxBytes: 4, minBytes: 1 }), ['a', 'éé', '\u0000'], ['', 'ééa', 3, null]);
    bounds(text({ kind: 'free', maxBytes: 9, pattern: 'a+|b' }), ['aaa', 'b'], ['ab', 'xb', 'ax', 'b\n', '']);
    bounds(bool(), [true, false], [0, 1, null, 'true']);
    bounds(literal(3), [3], [4, '3', true]);
    bounds(literal(true), [true], [false, 1]);
    assert.throws(() => uint({ max: -1 }), TypeError);
    assert.throws(() => bytes({ min: 1 }), TypeError);
  });

  const good = [
    'a',
    'Küche',
    'Wohnzimmer 2',
    '東京',
    '"<b>"',
    "O'Hara",
    '🙂',
    'x'.repeat(24),
    'é'.repeat(12),
  ];
  const bad: readonly (readonly [string, string])[] = [
    ['empty', ''],
    ['too long in bytes', `${'é'.repeat(12)}a`],
    ['not NFC', 'e\u0301'],
    ['Hangul not composed', '\u1100\u1161'],
    ['NUL', 'a\u0000b'],
    ['escape', '\u001b[31m'],
    ['line feed', 'a\nb'],
    ['DEL', 'a\u007f'],
    ['C1 control', 'a\u0085'],
    ['right-to-left override', 'a\u202eb'],
    ['isolate', 'a\u2066b'],
    ['Arabic letter mark', 'a\u061cb'],
    ['zero-width space', 'a\u200bb'],
    ['zero-width joiner', 'a\u200db'],
    ['byte-order mark', 'a\ufeffb'],
    ['soft hyphen', 'a\u00adb'],
    ['tag character', 'a\u{e0041}'],
    ['line separator', 'a\u2028b'],
    ['paragraph separator', 'a\u2029b'],
    ['private use', 'a\ue000'],
    ['private use, plane 16', 'a\u{100000}'],
    ['unassigned', 'a\u0378'],
    ['noncharacter', 'a\ufffe'],
    ['lone surrogate', 'a\ud800'],
    ['space before', ' a'],
    ['space behind', 'a '],
    ['no-break space behind', 'a\u00a0'],
    ['ideographic space before', '\u3000a'],
  ];
  it('takes labels', () => {
    bounds(text({ kind: 'label', maxBytes: 24 }), good, [3, null]);
    for (const value of good) assert.ok(isLabel(value, 24));
  });
  for (const [what, value] of bad)
    it(`refuses as a label: ${what}`, () => {
      bounds(text({ kind: 'label', maxBytes: 24 }), [], [value]);
      assert.equal(isLabel(value, 24), false);
    });

  it('names numbers, bounds arrays, names the places of a tuple', () => {
    const colour = named({ red: 1, blue: 7 });
    assert.equal(colour.toCbor('blue', 'p'), 7);
    assert.equal(colour.fromCbor(7, 'p'), 'blue');
    assert.throws(() => colour.fromCbor(2, 'p'), malformed(/p: not one/));
    assert.throws(() => colour.toCbor('toString' as 'red', 'p'), TypeError);
    assert.throws(() => named({ a: 1, b: 1 }), TypeError);
    bounds(arrayOf(uint({ max: 9 }), { min: 1, max: 2 }), [[1], [1, 2]], [[], [1, 2, 3], [10], 1, null]);
    const pair = tuple({ a: uint({ max: 1 }), b: bool() });
    assert.deepEqual(pair.toCbor({ b: true, a: 1 }, 'p'), [1, true]);
    assert.deepEqual(pair.fromCbor([1, true], 'p'), { a: 1, b: true });
    for (const value of [[1], [1, true, 0], [true, 1], 0])
      assert.throws(() => pair.fromCbor(value, 'p'), malformed(/^malformed: p/));
  });

  const Inner = map({ id: field(1, bytes({ length: 8, brand: PnId })), kind: constant(2, 5) });
  const Thing = message(
    'Thing',
    info,
    map({
      list: field(1, arrayOf(Inner, { max: 2 }), 'what it holds'),
      name: optional('n', text({ kind: 'label', maxBytes: 3 })),
    }),
  );

  it('says where a peer went wrong, and never what it sent', () => {
    const id = `48${'00'.repeat(8)}`;
    const cases: readonly (readonly [string, string])[] = [
      [`a10181a101${id}`, 'Thing.list[0].kind: missing'],
      [`a10182a201${id}0205a201${id}0206`, 'Thing.list[1].kind: not 5'],
      ['a10181a20141000205', 'Thing.list[0].id: not 8 bytes'],
      ['a10180', ''],
      ['a20180616e6461616161', 'Thing.n: '],
      ['a201800200', 'Thing: unknown key'],
      ['a2018061780a', 'Thing: unknown key'],
      ['a101f6', 'Thing.list: not an array'],
      ['a0', 'Thing.list: missing'],
      ['8101', 'Thing: not a map'],
      ['a1018000', 'Thing, byte 3: bytes after the item'],
      ['a10183808080', 'Thing.list: not 0 to 2 items'],
    ];
    for (const [hex, where] of cases) {
      const run = () => Thing.decode(Uint8Array.from(Buffer.from(hex, 'hex')));
      if (where === '') run();
      else
        assert.throws(run, (error: Error) => {
          assert.ok(error.message.includes(where.replace('Thing.n', 'Thing.name')), error.message);
          return true;
        });
    }
    assert.throws(() => Thing.decode(new Uint8Array(99)), {
      message: /^oversize: Thing: longer than \d+ bytes$/,
    });
  });

  it('stops at our own mistakes with a TypeError', () => {
    const item = { id: PnId(new Uint8Array(8)) };
    const wrong: unknown[] = [
      undefined,
      null,
      [],
      {},
      { list: [item], name: undefined },
      { list: [item], other: 1 },
      { list: [{ ...item, kind: 5 }] },
      { list: [{ id: new Uint8Array(7) }] },
      { list: [item, item, item] },
    ];
    for (const value of wrong)
      assert.throws(() => Thing.encode(value as Parameters<typeof Thing.encode>[0]), TypeError);
    assert.throws(() => map({ a: field(1, bool()), b: field(1, bool()) }), TypeError);
    assert.throws(() => choice('a', map({ a: field(1, bool()) }), map({ a: field(2, bool()) })), TypeError);
    assert.throws(
      () =>
        message(
          'Signed',
          { ...info, signing: { context: 'c', signer: 'PNE', over: '', kid: false } },
          map({}),
        ),
      TypeError,
    );
  });

  it('derives sizes: reached exactly by the largest value', () => {
    const largest = { list: [{ id: PnId(new Uint8Array(8)) }, { id: PnId(new Uint8Array(8)) }], name: 'abc' };
    assert.equal(Thing.encode(largest).length, Thing.maxBytes);
    const tight = message('Tight', { ...info, maxBytes: 5 }, map({ a: field(1, bytes({ max: 9 })) }));
    assert.equal(tight.encode({ a: new Uint8Array(2) }).length, 5);
    assert.throws(() => tight.encode({ a: new Uint8Array(3) }), TypeError);
  });

  it('gives the rows of the documentation', () => {
    assert.deepEqual(
      Thing.tables[0]?.map(({ key, name, optional: may, doc }) => [key, name, may, doc]),
      [
        [1, 'list', false, 'what it holds'],
        ['n', 'name', true, ''],
      ],
    );
    assert.deepEqual(fieldRows(Inner)[0], {
      key: 1,
      name: 'id',
      type: 'bstr',
      bounds: '8',
      optional: false,
      doc: '',
      fields: [],
    });
  });

  it('maps statuses, within their ranges', () => {
    assert.equal(status().toCbor('unknown-pne', 'p'), 64);
    assert.equal(status().fromCbor(0, 'p'), 'ok');
    assert.throws(() => success().fromCbor(1, 'p'), malformed(/not a status allowed here/));
    assert.throws(() => failure().fromCbor(0, 'p'), malformed(/not a status allowed here/));
    assert.throws(() => failure().fromCbor(126, 'p'), malformed(/unknown status/));
    assert.equal(failure({ lenient: true }).fromCbor(126, 'p'), 'internal');
    for (const value of [128, -1, '16', null, true])
      assert.throws(() => status({ lenient: true }).fromCbor(value, 'p'), malformed(/not a status/));
    assert.throws(() => status().toCbor('nonsense' as 'ok', 'p'), TypeError);
    assert.throws(() => status().toCbor('toString' as 'ok', 'p'), TypeError);
  });
});
