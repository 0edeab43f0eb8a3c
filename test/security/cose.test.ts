/**
 * COSE_Sign1: the working group's published examples at the level where they apply (ours are untagged, with external_aad
 * of our own), our form and what it refuses, and RFC 9679's thumbprint.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { concat, EMPTY, fromHex, toHex, utf8 } from '../../src/base/bytes.ts';
import { type CborValue, encodeCbor } from '../../src/messages/cbor.ts';
import { assembleSign1, parseSign1, sign1, sigStructure, verifySign1 } from '../../src/security/cose.ts';
import { coseKeyOf, gatewayIdOf, kidOf, publicKeyOf, thumbprintOf } from '../../src/security/cose-key.ts';
import { readCbor } from '../messages/cbor-reader.ts';
import { check, fault, flipped, newSigner, onlyStatuses, primitives } from './helpers.ts';

interface Example {
  readonly file: string;
  readonly verifies: boolean;
  readonly payload: string;
  readonly externalAad: string;
  readonly toBeSigned: string;
  readonly cose: string;
}
interface Examples {
  readonly key: { readonly x: string; readonly y: string };
  readonly examples: readonly Example[];
}

const published = JSON.parse(
  readFileSync(new URL('../vectors/cose-wg-examples.json', import.meta.url), 'utf8'),
) as Examples;
const publishedKey = primitives.publicKey(fromHex(published.key.x), fromHex(published.key.y));
const TAG = /^(d2|d903e6)/;
const PROTECTED = fromHex('a10126');

const structure = (header: Uint8Array, aad: Uint8Array, payload: Uint8Array): Uint8Array =>
  encodeCbor(['Signature1', header, aad, payload]);

describe('COSE working group examples', () => {
  it('holds the examples that count', () => assert.equal(published.examples.length, 10));

  for (const { file, verifies, payload, externalAad, toBeSigned, cose } of published.examples) {
    it(`${file} ${verifies ? 'verifies' : 'is refused'}`, () => {
      const [header, , body, signature] = readCbor(fromHex(cose.replace(TAG, ''))) as Uint8Array[];
      assert.ok(header && body && signature);
      const aad = fromHex(externalAad);
      const signedBytes = structure(header.length === 1 ? EMPTY : header, aad, body);
      // The wrong tag, 998, is all that is wrong with fail-01: our form has no tag at all.
      const signatureVerifies = verifies || file.endsWith('fail-01.json');
      assert.equal(primitives.verifyEs256(publishedKey, signedBytes, signature), signatureVerifies);
      assert.equal(toHex(signedBytes) === toBeSigned, signatureVerifies);
      if (verifies) assert.deepEqual(body, utf8(payload));
      // Tagged, or with a kid of 2 bytes or another protected header: never in our form.
      assert.throws(() => parseSign1(fromHex(cose)), fault('malformed'));
    });
  }

  it('takes C.2.1 when tag and kid are off, and the signature verifies', () => {
    const [example] = published.examples;
    assert.ok(example);
    const [, , body, signature] = readCbor(fromHex(example.cose.replace(TAG, ''))) as Uint8Array[];
    assert.ok(body && signature);
    const parsed = parseSign1(assembleSign1(body, signature));
    assert.deepEqual(parsed, { payload: utf8(example.payload), signature, kid: undefined });
    assert.ok(primitives.verifyEs256(publishedKey, fromHex(example.toBeSigned), parsed.signature));
  });

  it('our Sig_structure is that structure with external_aad = cbor([context, th])', () => {
    const th = new Uint8Array(32).fill(7);
    const aad = concat(fromHex('82' + '65'), utf8('cpns1'), fromHex('5820'), th);
    assert.deepEqual(sigStructure('cpns1', th, utf8('x')), structure(PROTECTED, aad, utf8('x')));
  });
});

describe('COSE_Sign1', () => {
  const signer = newSigner();
  const th = new Uint8Array(32).fill(1);
  const payload = utf8('payload');
  const kid = kidOf(primitives, signer.publicKey);

  it('signs and verifies, with and without kid', async () => {
    for (const hint of [kid, undefined]) {
      const bytes = await sign1(signer, 'cpns1/test', th, payload, hint);
      const parsed = parseSign1(bytes);
      assert.deepEqual(parsed.payload, payload);
      assert.deepEqual(parsed.kid, hint);
      assert.ok(verifySign1(primitives, signer.publicKey, 'cpns1/test', th, parsed));
    }
  });

  it('binds key, context, transcript and payload', async () => {
    const parsed = parseSign1(await sign1(signer, 'cpns1/test', th, payload));
    const other = newSigner().publicKey;
    assert.ok(!verifySign1(primitives, other, 'cpns1/test', th, parsed));
    assert.ok(!verifySign1(primitives, signer.publicKey, 'cpns1/tesu', th, parsed));
    assert.ok(!verifySign1(primitives, signer.publicKey, 'cpns1/test', EMPTY, parsed));
    assert.ok(!verifySign1(primitives, signer.publicKey, 'cpns1/test', flipped(th, 31), parsed));
    const forged = { ...parsed, payload: flipped(payload, 0) };
    assert.ok(!verifySign1(primitives, signer.publicKey, 'cpns1/test', th, forged));
  });

  const signature = new Uint8Array(64);
  const none = new Map<number, CborValue>();
  const refused: readonly (readonly [string, CborValue])[] = [
    ['three items', [PROTECTED, none, payload]],
    ['five items', [PROTECTED, none, payload, signature, 0]],
    ['no array', new Map([[1, payload]])],
    ['empty protected header', [EMPTY, none, payload, signature]],
    ['another algorithm', [fromHex('a10127'), none, payload, signature]],
    ['one parameter more', [fromHex('a201260300'), none, payload, signature]],
    ['a header that is a map', [new Map([[1, -7]]), none, payload, signature]],
    ['a detached payload', [PROTECTED, none, null, signature]],
    ['a payload of text', [PROTECTED, none, 'payload', signature]],
    ['a signature of 63 bytes', [PROTECTED, none, payload, new Uint8Array(63)]],
    ['a signature in DER', [PROTECTED, none, payload, new Uint8Array(70)]],
    ['kid of 3 bytes', [PROTECTED, new Map([[4, kid.slice(1)]]), payload, signature]],
    ['kid of text', [PROTECTED, new Map([[4, 'abcd']]), payload, signature]],
    ['algorithm in the unprotected header', [PROTECTED, new Map([[1, -7]]), payload, signature]],
    [
      'kid and more',
      [
        PROTECTED,
        new Map<number, CborValue>([
          [4, kid],
          [33, kid],
        ]),
        payload,
        signature,
      ],
    ],
    ['unprotected header that is an array', [PROTECTED, [], payload, signature]],
  ];
  for (const [name, value] of refused)
    it(`refuses ${name}`, () => assert.throws(() => parseSign1(encodeCbor(value)), fault('malformed')));

  it('refuses a tag, trailing bytes and a long form of the array head', () => {
    const good = assembleSign1(payload, signature, kid);
    parseSign1(good);
    for (const bad of [
      concat(Uint8Array.of(0xd2), good),
      concat(good, Uint8Array.of(0)),
      concat(fromHex('9804'), good.subarray(1)),
    ])
      assert.throws(() => parseSign1(bad), fault('malformed'));
  });

  it('any bytes, and any change of a good one: parsed or malformed', async () => {
    const good = await sign1(signer, 'cpns1/test', th, payload, kid);
    check(
      fc.property(fc.uint8Array({ maxLength: 200 }), (b) => onlyStatuses(['malformed'], () => parseSign1(b))),
    );
    const change = fc.tuple(fc.nat(good.length - 1), fc.nat(7));
    check(
      fc.property(fc.array(change, { maxLength: 4 }), fc.nat(good.length), (changes, length) => {
        const bad = changes.reduce((bytes, [at, bit]) => flipped(bytes, at, bit), good).slice(0, length);
        onlyStatuses(['malformed'], () => parseSign1(bad));
      }),
    );
  });

  it('no single bit can change without notice, but in the hint', async () => {
    const good = await sign1(signer, 'cpns1/test', th, payload, kid);
    const kidAt = good.length - 66 - (1 + payload.length) - kid.length;
    for (let i = 0; i < good.length; i++) {
      if (i >= kidAt && i < kidAt + kid.length) continue;
      onlyStatuses(['malformed'], () => {
        const parsed = parseSign1(flipped(good, i));
        assert.ok(!verifySign1(primitives, signer.publicKey, 'cpns1/test', th, parsed), `byte ${i}`);
      });
    }
  });

  it('will not assemble a signature of another length', () =>
    assert.throws(() => assembleSign1(payload, new Uint8Array(63)), TypeError));
});

describe('COSE_Key and thumbprint', () => {
  it('RFC 9679 §6', () => {
    const key = primitives.publicKey(
      fromHex('65eda5a12577c2bae829437fe338701a10aaa375e1bb5b5de108de439c08551d'),
      fromHex('1e52ed75701163f7f9e40ddf9f341b3dc9ba860af7e0ca7ca7e9eecd0084d19c'),
    );
    const thumbprint = '496bd8afadf307e5b08c64b0421bf9dc01528a344a43bda88fadd1669da253ec';
    assert.equal(toHex(thumbprintOf(primitives, key)), thumbprint);
    assert.equal(toHex(gatewayIdOf(primitives, key)), thumbprint.slice(0, 16));
    assert.equal(toHex(kidOf(primitives, key)), thumbprint.slice(0, 8));
  });

  it('is over deterministic CBOR of kty, crv, x and y', () => {
    const { publicKey } = newSigner();
    const whole = new Map<number, CborValue>([
      [1, 2],
      [-1, 1],
      [-2, publicKey.x],
      [-3, publicKey.y],
    ]);
    assert.deepEqual(thumbprintOf(primitives, publicKey), primitives.sha256(encodeCbor(whole)));
  });

  it('travels compressed and comes back whole', () => {
    for (let i = 0; i < 16; i++) {
      const { publicKey } = newSigner();
      assert.deepEqual(publicKeyOf(primitives, coseKeyOf(publicKey)), publicKey);
    }
  });
});
