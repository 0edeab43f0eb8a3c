/**
 * The cryptographic port in plain JavaScript, for browsers: WebCrypto only answers later, and machines and links are
 * synchronous. Held to node:crypto's answers by the same tests (test/security/primitives.test.ts).
 * Owns no identity key: that one is WebCrypto's, and can't be read (identity.ts). Must not know any message.
 */
import { gcm } from '@noble/ciphers/aes.js';
import { p256 } from '@noble/curves/nist.js';
import { hmac } from '@noble/hashes/hmac.js';
import { sha256 } from '@noble/hashes/sha2.js';
import { type Bytes, concat } from '../base/bytes.ts';
import { CpnsError } from '../base/errors.ts';
import type { Ephemeral, Primitives, PublicKey } from '../security/primitives.ts';

const COORDINATE_BYTES = 32;
const SECRET_KEY_BYTES = 32;

/** A point given in any SEC 1 form. @throws CpnsError malformed */
function decompress(encoded: Bytes): PublicKey {
  try {
    const whole = p256.Point.fromBytes(encoded).toBytes(false);
    return { x: whole.slice(1, 1 + COORDINATE_BYTES), y: whole.slice(1 + COORDINATE_BYTES) };
  } catch (cause) {
    throw new CpnsError('malformed', 'not a point on P-256', { cause });
  }
}

function coordinate(x: Bytes): Bytes {
  if (x.length !== COORDINATE_BYTES) throw new CpnsError('malformed', 'a coordinate is 32 bytes');
  return x;
}

const compressed = (x: Bytes, yIsOdd: boolean): Bytes => concat(Uint8Array.of(yIsOdd ? 3 : 2), coordinate(x));

/** A scalar in range; all but one draw in 2^32 is. */
function secretKey(randomBytes: (length: number) => Bytes): Bytes {
  for (;;) {
    const drawn = randomBytes(SECRET_KEY_BYTES);
    if (p256.utils.isValidSecretKey(drawn)) return drawn;
  }
}

function ephemeral(secret: Bytes): Ephemeral {
  return {
    x: p256.getPublicKey(secret, true).slice(1),
    agree(peerX) {
      // The same x belongs to two points; either gives the same shared x-coordinate.
      const point = compressed(peerX, false);
      try {
        return p256.getSharedSecret(secret, point, true).slice(1);
      } catch (cause) {
        throw new CpnsError('malformed', 'not a point on P-256', { cause });
      }
    },
  };
}

function systemRandom(length: number): Bytes {
  return crypto.getRandomValues(new Uint8Array(length));
}

/** @param randomBytes cryptographically strong; the browser's by default */
export function browserPrimitives(randomBytes: (length: number) => Bytes = systemRandom): Primitives {
  return {
    sha256(...parts) {
      const hash = sha256.create();
      for (const part of parts) hash.update(part);
      return hash.digest();
    },
    hmacSha256: (key, data) => hmac(sha256, key, data),
    aeadSeal: (key, nonce, plaintext) => gcm(key, nonce).encrypt(plaintext),
    aeadOpen(key, nonce, sealed) {
      try {
        return gcm(key, nonce).decrypt(sealed);
      } catch {
        return undefined;
      }
    },
    generateEphemeral: () => ephemeral(secretKey(randomBytes)),
    publicKey: (x, y) => decompress(concat(Uint8Array.of(4), coordinate(x), coordinate(y))),
    publicKeyFromX: (x, yIsOdd) => decompress(compressed(x, yIsOdd)),
    verifyEs256({ x, y }, message, signature) {
      if (signature.length !== 2 * COORDINATE_BYTES) return false;
      try {
        const point = concat(Uint8Array.of(4), coordinate(x), coordinate(y));
        // Both halves of s: the protocol never takes a signature's bytes for an identifier (docs/protocol.md §4.2).
        return p256.verify(signature, message, point, { lowS: false, prehash: true });
      } catch {
        return false;
      }
    },
    randomBytes,
  };
}
