/** The cryptographic port, on node:crypto and in plain JavaScript: published vectors, and everything a peer could hand it. */
import assert from 'node:assert/strict';
import { createECDH } from 'node:crypto';
import fc from 'fast-check';
import { concat, EMPTY, fromHex, toHex, utf8 } from '../../src/base/bytes.ts';
import type { Primitives } from '../../src/security/primitives.ts';
import { nodePrimitives } from '../../src/security/primitives-node.ts';
import { browserPrimitives } from '../../src/web/primitives-browser.ts';
import { check, fault, flipped, newSigner, primitives as node, onlyStatuses } from './helpers.ts';

const P = (1n << 256n) - (1n << 224n) + (1n << 192n) + (1n << 96n) - 1n;
const N = fromHex('ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551');
const B = 0x5ac635d8aa3a93e7b3ebbd55769886bc651d06b0cc53b0f63bce3c3e27d2604bn;

const bytesOf = (n: bigint): Uint8Array => fromHex(n.toString(16).padStart(64, '0'));

/** Whether a point on P-256 has this x: Euler's criterion on x³ − 3x + b. */
function isOnCurve(x: bigint): boolean {
  const square = (((x * x * x - 3n * x + B) % P) + P) % P;
  let [base, power, result] = [square, (P - 1n) / 2n, 1n];
  for (; power > 0n; power >>= 1n) {
    if (power & 1n) result = (result * base) % P;
    base = (base * base) % P;
  }
  return result !== P - 1n;
}

const PORTS: Readonly<Record<string, Primitives>> = { 'node:crypto': node, JavaScript: browserPrimitives() };

for (const [name, primitives] of Object.entries(PORTS)) {
  describe(`primitives: ${name}`, () => {
    describe('ECDH on P-256', () => {
      it('both sides get the same 32 bytes', () => {
        for (let i = 0; i < 64; i++) {
          const [a, b] = [primitives.generateEphemeral(), primitives.generateEphemeral()];
          const z = a.agree(b.x);
          assert.equal(z.length, 32);
          assert.deepEqual(z, b.agree(a.x));
        }
      });

      it('gives the same for either y of an x, so x alone may travel', () => {
        const alice = createECDH('prime256v1');
        alice.generateKeys();
        const x = new Uint8Array(alice.getPublicKey().subarray(1, 33));
        const bob = primitives.generateEphemeral();
        const [even, odd] = [2, 3].map((sign) => alice.computeSecret(concat(Uint8Array.of(sign), bob.x)));
        assert.deepEqual(even, odd);
        assert.deepEqual(new Uint8Array(even ?? []), bob.agree(x));
      });

      it('refuses an x of no point, an x from p on, and other lengths', () => {
        const own = primitives.generateEphemeral();
        for (let x = 0n; x < 40n; x++) {
          const agree = (n: bigint) => () => own.agree(bytesOf(n));
          if (isOnCurve(x)) assert.doesNotThrow(agree(x), `x = ${x}`);
          else assert.throws(agree(x), fault('malformed'), `x = ${x}`);
          // The same point by a second name.
          assert.throws(agree(x + P), fault('malformed'), `x = p + ${x}`);
        }
        assert.throws(() => own.agree(new Uint8Array(32).fill(0xff)), fault('malformed'));
        for (const length of [0, 31, 33, 64])
          assert.throws(() => own.agree(new Uint8Array(length).fill(1)), fault('malformed'));
      });

      it('any 32 bytes: a secret or malformed', () => {
        const own = primitives.generateEphemeral();
        const x = fc.uint8Array({ minLength: 32, maxLength: 32 });
        check(
          fc.property(x, (peer) => onlyStatuses(['malformed'], () => own.agree(peer))),
          300,
        );
      });
    });

    describe('public keys', () => {
      const { publicKey } = newSigner();

      it('come back from x and the sign of y', () => {
        const odd = ((publicKey.y[31] ?? 0) & 1) === 1;
        assert.deepEqual(primitives.publicKeyFromX(publicKey.x, odd), publicKey);
        assert.notDeepEqual(primitives.publicKeyFromX(publicKey.x, !odd), publicKey);
      });

      it('are refused off the curve', () => {
        assert.throws(() => primitives.publicKey(publicKey.x, flipped(publicKey.y, 31)), fault('malformed'));
        assert.throws(() => primitives.publicKey(new Uint8Array(32), new Uint8Array(32)), fault('malformed'));
        assert.throws(() => primitives.publicKey(publicKey.x, publicKey.y.slice(1)), fault('malformed'));
        assert.throws(() => primitives.publicKeyFromX(bytesOf(P), false), fault('malformed'));
        let x = 0n;
        while (isOnCurve(x)) x++;
        assert.throws(() => primitives.publicKeyFromX(bytesOf(x), true), fault('malformed'));
      });
    });

    describe('ES256', () => {
      it('RFC 6979 A.2.5, SHA-256', () => {
        const key = primitives.publicKey(
          fromHex('60fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb6'),
          fromHex('7903fe1008b8bc99a41ae9e95628bc64f2f1b20c2d7e9f5177a3c294d4462299'),
        );
        const r = 'efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716';
        const s = 'f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8';
        assert.ok(primitives.verifyEs256(key, utf8('sample'), fromHex(r + s)));
        assert.ok(!primitives.verifyEs256(key, utf8('Sample'), fromHex(r + s)));
        assert.ok(!primitives.verifyEs256(key, utf8('sample'), fromHex(s + r)));
      });

      it('never throws, and takes no signature of zeros, of n or of another length', () => {
        const { publicKey } = newSigner();
        const zero = bytesOf(0n);
        const halves = [zero, bytesOf(1n), N, bytesOf(P), new Uint8Array(32).fill(0xff)];
        for (const r of halves)
          for (const s of halves)
            assert.equal(primitives.verifyEs256(publicKey, EMPTY, concat(r, s)), false, toHex(concat(r, s)));
        for (const length of [0, 1, 63, 65, 72])
          assert.equal(primitives.verifyEs256(publicKey, EMPTY, new Uint8Array(length)), false);
        assert.equal(primitives.verifyEs256({ x: zero, y: zero }, EMPTY, new Uint8Array(64)), false);
      });
    });

    describe('AES-128-GCM', () => {
      const key = new Uint8Array(16);
      const nonce = new Uint8Array(12);

      it('test cases 1 and 2 of the GCM specification', () => {
        assert.equal(toHex(primitives.aeadSeal(key, nonce, EMPTY)), '58e2fccefa7e3061367f1d57a4e7455a');
        assert.equal(
          toHex(primitives.aeadSeal(key, nonce, new Uint8Array(16))),
          '0388dace60b6a392f328c2b971b2fe78ab6e47d42cec13bdf53a67b21257bddf',
        );
      });

      it('opens what it sealed and nothing else', () => {
        check(
          fc.property(fc.uint8Array({ maxLength: 300 }), fc.nat(), (plaintext, n) => {
            const sealed = primitives.aeadSeal(key, nonce, plaintext);
            assert.deepEqual(primitives.aeadOpen(key, nonce, sealed), plaintext);
            assert.equal(primitives.aeadOpen(key, nonce, flipped(sealed, n % sealed.length)), undefined);
            assert.equal(primitives.aeadOpen(key, nonce, sealed.slice(0, n % sealed.length)), undefined);
            assert.equal(primitives.aeadOpen(flipped(key, 0), nonce, sealed), undefined);
            assert.equal(primitives.aeadOpen(key, flipped(nonce, 11), sealed), undefined);
          }),
          300,
        );
      });
    });

    describe('hashes and random bytes', () => {
      it('SHA-256 over parts is over their concatenation', () => {
        const abc = 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad';
        assert.equal(toHex(primitives.sha256(utf8('a'), EMPTY, utf8('bc'))), abc);
      });

      it('HMAC: RFC 4231 test case 2', () => {
        const mac = primitives.hmacSha256(utf8('Jefe'), utf8('what do ya want for nothing?'));
        assert.equal(toHex(mac), '5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843');
      });

      it('results are plain Uint8Arrays', () => {
        for (const bytes of [
          primitives.randomBytes(16),
          primitives.sha256(EMPTY),
          primitives.aeadSeal(new Uint8Array(16), new Uint8Array(12), EMPTY),
          primitives.generateEphemeral().x,
        ])
          assert.equal(bytes.constructor, Uint8Array);
      });
    });
  });
}

describe('primitives: node:crypto', () => {
  it('keeps few keys and mixes none up', () => {
    const small = nodePrimitives(2);
    const signers = Array.from({ length: 5 }, newSigner);
    const signatures = signers.map((signer) => signer.sign(utf8('x')));
    for (let round = 0; round < 3; round++)
      signers.forEach(({ publicKey }, i) => {
        signatures.forEach((signature, j) => {
          assert.equal(small.verifyEs256(publicKey, utf8('x'), signature), i === j);
        });
      });
  });
});
