/** HKDF against RFC 5869 Appendix A (the SHA-256 cases) and against node:crypto. */
import assert from 'node:assert/strict';
import { hkdfSync } from 'node:crypto';
import fc from 'fast-check';
import { fromHex, toHex } from '../../src/base/bytes.ts';
import { hkdfExpand, hkdfExtract } from '../../src/security/hkdf.ts';
import { check, primitives } from './helpers.ts';

/** Hexadecimal of n bytes that count up from the first. */
const upFrom = (first: number, n: number): string =>
  toHex(Uint8Array.from({ length: n }, (_, i) => first + i));

const VECTORS = [
  {
    name: 'A.1, basic',
    ikm: '0b'.repeat(22),
    salt: upFrom(0, 13),
    info: upFrom(0xf0, 10),
    prk: '077709362c2e32df0ddc3f0dc47bba6390b6c73bb50f9c3122ec844ad7c2b3e5',
    okm: '3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865',
  },
  {
    name: 'A.2, longer inputs and outputs',
    ikm: upFrom(0, 80),
    salt: upFrom(0x60, 80),
    info: upFrom(0xb0, 80),
    prk: '06a6b88c5853361a06104c9ceb35b45cef760014904671014a193f40c15fc244',
    okm:
      'b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c59045a99cac7827271cb41c65e590e09' +
      'da3275600c2f09b8367793a9aca3db71cc30c58179ec3e87c14c01d5c1f3434f1d87',
  },
  {
    name: 'A.3, no salt and no info',
    ikm: '0b'.repeat(22),
    salt: '',
    info: '',
    prk: '19ef24a32c717b167f33a91d6f648bdf96596776afdb6377ac434c1c293ccb04',
    okm: '8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8',
  },
];

describe('HKDF (RFC 5869)', () => {
  for (const { name, ikm, salt, info, prk, okm } of VECTORS) {
    it(name, () => {
      const extracted = hkdfExtract(primitives, fromHex(salt), fromHex(ikm));
      assert.equal(toHex(extracted), prk);
      assert.equal(toHex(hkdfExpand(primitives, extracted, fromHex(info), okm.length / 2)), okm);
    });
  }

  it('agrees with node:crypto', () => {
    const bytes = fc.uint8Array({ maxLength: 100 });
    const length = fc.oneof(fc.integer({ min: 1, max: 200 }), fc.constant(8160));
    check(
      fc.property(bytes, bytes, bytes, length, (ikm, salt, info, n) => {
        const ours = hkdfExpand(primitives, hkdfExtract(primitives, salt, ikm), info, n);
        assert.deepEqual(ours, new Uint8Array(hkdfSync('sha256', ikm, salt, info, n)));
      }),
      300,
    );
  });

  it('refuses lengths it has no bytes for', () => {
    for (const length of [0, -1, 8161])
      assert.throws(() => hkdfExpand(primitives, new Uint8Array(32), new Uint8Array(0), length), TypeError);
  });
});
