/**
 * The cryptographic port on node:crypto, for Node hosts.
 * Owns key import and its small cache; must not know any message.
 */
import {
  createCipheriv,
  createDecipheriv,
  createECDH,
  createHash,
  createHmac,
  createPublicKey,
  ECDH,
  type KeyObject,
  randomBytes,
  verify,
} from 'node:crypto';
import { type Bytes, concat } from '../base/bytes.ts';
import { CpnsError } from '../base/errors.ts';
import type { Ephemeral, Primitives, PublicKey } from './primitives.ts';

const CURVE = 'prime256v1';
const COORDINATE_BYTES = 32;
const TAG_BYTES = 16;
/** Imported keys kept: importing one and using it for the first time costs more than verifying. */
const MAX_CACHED_KEYS = 64;

/** A Buffer's bytes as a plain Uint8Array over the same memory. */
function plain(buffer: Buffer): Bytes {
  return new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.length);
}

const base64Url = (bytes: Bytes): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('base64url');

/** Both coordinates of a point given in any SEC 1 form. */
function decompress(point: Bytes): PublicKey {
  try {
    const whole = ECDH.convertKey(point, CURVE, undefined, undefined, 'uncompressed') as Buffer;
    return {
      x: new Uint8Array(whole.subarray(1, 1 + COORDINATE_BYTES)),
      y: new Uint8Array(whole.subarray(1 + COORDINATE_BYTES)),
    };
  } catch (cause) {
    throw new CpnsError('malformed', 'not a point on P-256', { cause });
  }
}

function coordinate(x: Bytes): Bytes {
  if (x.length !== COORDINATE_BYTES) throw new CpnsError('malformed', 'a coordinate is 32 bytes');
  return x;
}

const compressed = (x: Bytes, yIsOdd: boolean): Bytes => concat(Uint8Array.of(yIsOdd ? 3 : 2), coordinate(x));

function generateEphemeral(): Ephemeral {
  const ecdh = createECDH(CURVE);
  const x = new Uint8Array(ecdh.generateKeys().subarray(1, 1 + COORDINATE_BYTES));
  return {
    x,
    agree(peerX) {
      // The same x belongs to two points; either gives the same shared x-coordinate.
      const point = compressed(peerX, false);
      try {
        return plain(ecdh.computeSecret(point));
      } catch (cause) {
        throw new CpnsError('malformed', 'not a point on P-256', { cause });
      }
    },
  };
}

/** @param maxCachedKeys public keys kept in their imported form */
export function nodePrimitives(maxCachedKeys: number = MAX_CACHED_KEYS): Primitives {
  const keys = new Map<string, KeyObject>();

  const imported = ({ x, y }: PublicKey): KeyObject => {
    const jwk = { kty: 'EC', crv: 'P-256', x: base64Url(x), y: base64Url(y) };
    const name = jwk.x + jwk.y;
    let key = keys.get(name);
    // Put in again at each use, so that the first in order is the one unused for longest.
    if (key) keys.delete(name);
    else key = createPublicKey({ key: jwk, format: 'jwk' });
    const longestUnused = keys.keys().next();
    if (keys.size >= maxCachedKeys && !longestUnused.done) keys.delete(longestUnused.value);
    keys.set(name, key);
    return key;
  };

  return {
    sha256(...parts) {
      const hash = createHash('sha256');
      for (const part of parts) hash.update(part);
      return plain(hash.digest());
    },
    hmacSha256: (key, data) => plain(createHmac('sha256', key).update(data).digest()),
    aeadSeal(key, nonce, plaintext) {
      const cipher = createCipheriv('aes-128-gcm', key, nonce);
      const body = cipher.update(plaintext);
      cipher.final();
      const sealed = new Uint8Array(body.length + TAG_BYTES);
      sealed.set(body);
      sealed.set(cipher.getAuthTag(), body.length);
      return sealed;
    },
    aeadOpen(key, nonce, sealed) {
      const length = sealed.length - TAG_BYTES;
      if (length < 0) return undefined;
      const decipher = createDecipheriv('aes-128-gcm', key, nonce);
      decipher.setAuthTag(sealed.subarray(length));
      const plaintext = decipher.update(sealed.subarray(0, length));
      try {
        decipher.final();
      } catch {
        plaintext.fill(0);
        return undefined;
      }
      return plain(plaintext);
    },
    generateEphemeral,
    publicKey: (x, y) => decompress(concat(Uint8Array.of(4), coordinate(x), coordinate(y))),
    publicKeyFromX: (x, yIsOdd) => decompress(compressed(x, yIsOdd)),
    verifyEs256(key, message, signature) {
      if (signature.length !== 2 * COORDINATE_BYTES) return false;
      try {
        return verify('sha256', message, { key: imported(key), dsaEncoding: 'ieee-p1363' }, signature);
      } catch {
        return false;
      }
    },
    randomBytes: (length) => plain(randomBytes(length)),
  };
}
