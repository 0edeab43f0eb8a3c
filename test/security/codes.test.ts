/** Base32, the enrolment code and the gateway token: round trips, typing, slips, and errors that keep the secret. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { concat, fromHex, toHex, utf8 } from '../../src/base/bytes.ts';
import { decodeBase32, encodeBase32 } from '../../src/security/base32.ts';
import {
  createEnrolmentCode,
  type EnrolmentCodeKind,
  formatEnrolmentCode,
  parseEnrolmentCode,
  qrTextOf,
} from '../../src/security/enrolment-code.ts';
import { createGatewayToken, parseGatewayToken } from '../../src/security/gateway-token.ts';
import { check, fault, onlyStatuses, primitives } from './helpers.ts';

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';
const sized = (n: number) => fc.uint8Array({ minLength: n, maxLength: n });
const noise = fc.oneof(
  fc.string({ maxLength: 600 }),
  fc.string({ unit: 'binary', maxLength: 80 }),
  fc.string({ unit: fc.constantFrom(...ALPHABET, '0', '-', ' '), minLength: 40, maxLength: 80 }),
);

describe('base32 (RFC 4648, no padding)', () => {
  it('RFC 4648 §10', () => {
    const vectors = {
      '': '',
      f: 'MY',
      fo: 'MZXQ',
      foo: 'MZXW6',
      foob: 'MZXW6YQ',
      fooba: 'MZXW6YTB',
      foobar: 'MZXW6YTBOI',
    };
    for (const [plain, encoded] of Object.entries(vectors)) {
      assert.equal(encodeBase32(utf8(plain)), encoded);
      assert.deepEqual(decodeBase32(encoded), utf8(plain));
    }
  });

  it('round trips', () =>
    check(
      fc.property(fc.uint8Array(), (bytes) => assert.deepEqual(decodeBase32(encodeBase32(bytes)), bytes)),
    ));

  it('refuses what it would not write', () => {
    for (const text of ['A', 'AAA', 'AAAAAA', 'MZ', 'my', 'M1', 'MY======', 'M Y', '😀A'])
      assert.equal(decodeBase32(text), undefined, text);
  });
});

describe('enrolment code', () => {
  const thumbprint = fromHex('00112233445566778899aabbccddeeff'.repeat(2));
  const secret = fromHex('0102030405060708090a0b0c');
  const code = createEnrolmentCode(primitives, 'pne', thumbprint, secret);
  const parsed = { kind: 'pne', thumbprintPrefix: thumbprint.slice(0, 16), secret };

  it('is 50 characters of the bytes of docs/protocol.md §7.1', () => {
    for (const [kind, first] of [
      ['pne', 0x11],
      ['gateway', 0x12],
    ] as const) {
      const bytes = concat(Uint8Array.of(first), thumbprint.slice(0, 16), secret);
      const whole = concat(bytes, primitives.sha256(bytes).slice(0, 2));
      const text = createEnrolmentCode(primitives, kind, thumbprint, secret);
      assert.equal(text.length, 50);
      assert.deepEqual(decodeBase32(text), whole);
    }
  });

  it('is shown in ten groups of five, and in a QR with its prefix', () => {
    assert.match(formatEnrolmentCode(code), /^([A-Z2-7]{5}-){9}[A-Z2-7]{5}$/);
    assert.equal(qrTextOf(code), `CPNS:${code}`);
  });

  it('round trips', () => {
    const kinds = fc.constantFrom<EnrolmentCodeKind>('pne', 'gateway');
    check(
      fc.property(kinds, sized(32), sized(12), (kind, t, s) => {
        const read = parseEnrolmentCode(
          primitives,
          formatEnrolmentCode(createEnrolmentCode(primitives, kind, t, s)),
        );
        assert.deepEqual(read, { kind, thumbprintPrefix: t.slice(0, 16), secret: s });
      }),
      300,
    );
  });

  const typed: readonly (readonly [string, string])[] = [
    ['as it is', code],
    ['in groups', formatEnrolmentCode(code)],
    ['from a QR', qrTextOf(code)],
    ['with prefix and groups', `cpns: ${formatEnrolmentCode(code)}`],
    ['in lower case', code.toLowerCase()],
    ['in several lines', `  ${code.slice(0, 20)}\n\t${code.slice(20)} \r\n`],
    ['with dashes of a word processor', formatEnrolmentCode(code).replaceAll('-', '–')],
    ['with no-break spaces', formatEnrolmentCode(code).replaceAll('-', '\u00a0')],
    ['with the digits it lacks', code.replaceAll('O', '0').replaceAll('I', '1').replaceAll('B', '8')],
  ];
  for (const [name, text] of typed)
    it(`is read ${name}`, () => assert.deepEqual(parseEnrolmentCode(primitives, text), parsed));

  it('0, 1 and 8 are read as O, I and B', () => {
    // A code that has all three letters, so that the tolerance is put to use.
    for (let n = 0; ; n++) {
      const text = createEnrolmentCode(primitives, 'pne', thumbprint, new Uint8Array(12).fill(n));
      if (!/O.*I|I.*O/.test(text) || !text.includes('B')) continue;
      const slipped = text.replaceAll('O', '0').replaceAll('I', '1').replaceAll('B', '8');
      assert.notEqual(slipped, text);
      assert.deepEqual(parseEnrolmentCode(primitives, slipped).secret, new Uint8Array(12).fill(n));
      return;
    }
  });

  const wrong = fault('enrolment-code-wrong');

  it('notices every wrong character', () => {
    let taken = 0;
    let tried = 0;
    for (let i = 0; i < code.length; i++)
      for (const other of ALPHABET) {
        if (other === code[i]) continue;
        tried++;
        try {
          parseEnrolmentCode(primitives, code.slice(0, i) + other + code.slice(i + 1));
          taken++;
        } catch (error) {
          wrong(error);
        }
      }
    // 16 bits of checksum: about one slip in 65,536 is not noticed; the fixed code here has none among its 1,550.
    assert.equal(tried, 50 * 31);
    assert.equal(taken, 0);
  });

  it('notices characters left out, doubled, swapped', () => {
    for (let i = 0; i < code.length; i++) {
      assert.throws(() => parseEnrolmentCode(primitives, code.slice(0, i) + code.slice(i + 1)), wrong);
      assert.throws(() => parseEnrolmentCode(primitives, code.slice(0, i) + code[i] + code.slice(i)), wrong);
      const [a = '', b = ''] = code.slice(i, i + 2);
      if (a === b || b === '') continue;
      assert.throws(
        () => parseEnrolmentCode(primitives, code.slice(0, i) + b + a + code.slice(i + 2)),
        wrong,
      );
    }
  });

  it('refuses another version or kind under a good checksum', () => {
    for (const first of [0x00, 0x10, 0x13, 0x21, 0x22, 0xff]) {
      const bytes = concat(Uint8Array.of(first), thumbprint.slice(0, 16), secret);
      const text = encodeBase32(concat(bytes, primitives.sha256(bytes).slice(0, 2)));
      assert.throws(() => parseEnrolmentCode(primitives, text), wrong);
    }
  });

  it('never says what was typed', () => {
    const slip = code.slice(0, -1);
    assert.throws(
      () => parseEnrolmentCode(primitives, slip),
      (error: Error) => !`${error.stack}${String(error.cause)}`.includes(slip.slice(30, 40)),
    );
  });

  it('any text: a code or enrolment-code-wrong', () =>
    check(
      fc.property(noise, (text) =>
        onlyStatuses(['enrolment-code-wrong'], () => parseEnrolmentCode(primitives, text)),
      ),
    ));

  it('is not made of other lengths', () => {
    assert.throws(() => createEnrolmentCode(primitives, 'pne', thumbprint.slice(0, 15), secret), TypeError);
    assert.throws(() => createEnrolmentCode(primitives, 'pne', thumbprint, secret.slice(1)), TypeError);
  });
});

describe('gateway token', () => {
  const pin = fromHex('a0a1a2a3a4a5a6a7a8a9aaabacadaeaf');
  const id = fromHex('0001020304050607');
  const secret = fromHex('f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff');
  const token = createGatewayToken(primitives, pin, id, secret);
  const invalid = fault('token-invalid');

  it('is the bytes of docs/protocol.md §7.3', () => {
    const bytes = concat(pin, id, secret);
    const whole = concat(bytes, primitives.sha256(bytes).slice(0, 2));
    assert.equal(token, `CPNSGW:${encodeBase32(whole)}`);
    assert.equal(toHex(decodeBase32(token.slice(7)) ?? pin), toHex(whole));
  });

  it('round trips, with and without prefix', () => {
    check(
      fc.property(sized(32), sized(8), sized(16), (thumbprint, i, s) => {
        const text = createGatewayToken(primitives, thumbprint, i, s);
        const read = { caThumbprintPrefix: thumbprint.slice(0, 16), id: i, secret: s };
        for (const typed of [text, text.slice(7), `${text.toLowerCase()}\n`])
          assert.deepEqual(parseGatewayToken(primitives, typed), read);
      }),
      300,
    );
  });

  it('is not an enrolment code, nor the other way about', () => {
    assert.throws(() => parseEnrolmentCode(primitives, token), fault('enrolment-code-wrong'));
    const code = createEnrolmentCode(primitives, 'gateway', pin, secret.slice(0, 12));
    for (const text of [code, qrTextOf(code)])
      assert.throws(() => parseGatewayToken(primitives, text), invalid);
  });

  it('notices slips', () => {
    for (let i = 7; i < token.length; i++) {
      const other = token[i] === 'A' ? 'C' : 'A';
      assert.throws(
        () => parseGatewayToken(primitives, token.slice(0, i) + other + token.slice(i + 1)),
        invalid,
      );
      assert.throws(() => parseGatewayToken(primitives, token.slice(0, i)), invalid);
    }
  });

  it('any text: a token or token-invalid', () =>
    check(
      fc.property(noise, (text) =>
        onlyStatuses(['token-invalid'], () => parseGatewayToken(primitives, text)),
      ),
    ));

  it('is not made of other lengths', () => {
    assert.throws(() => createGatewayToken(primitives, pin.slice(1), id, secret), TypeError);
    assert.throws(() => createGatewayToken(primitives, pin, id.slice(1), secret), TypeError);
    assert.throws(() => createGatewayToken(primitives, pin, id, secret.slice(1)), TypeError);
  });
});
