/** HKDF with SHA-256 (RFC 5869) on the cryptographic port. Pure. */
import { type Bytes, concat } from '../base/bytes.ts';
import type { Primitives } from './primitives.ts';

const HASH_BYTES = 32;

/** Pseudorandom key, 32 bytes. */
export function hkdfExtract(primitives: Primitives, salt: Bytes, keyMaterial: Bytes): Bytes {
  return primitives.hmacSha256(salt, keyMaterial);
}

/** @param length 1 to 8,160 bytes */
export function hkdfExpand(primitives: Primitives, prk: Bytes, info: Bytes, length: number): Bytes {
  if (length < 1 || length > 255 * HASH_BYTES) throw new TypeError('HKDF length');
  const out = new Uint8Array(Math.ceil(length / HASH_BYTES) * HASH_BYTES);
  let block: Bytes = new Uint8Array(0);
  for (let i = 0; i * HASH_BYTES < length; i++) {
    block = primitives.hmacSha256(prk, concat(block, info, Uint8Array.of(i + 1)));
    out.set(block, i * HASH_BYTES);
  }
  return out.slice(0, length);
}
