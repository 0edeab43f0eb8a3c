/**
 * Keys and randomness that anybody can make again: private scalar = SHA-256 of "cpns1 vector " and a name; signatures by
 * RFC 6979. For test vectors only.
 */
import { createECDH, createHash } from 'node:crypto';
import { p256 } from '@noble/curves/nist.js';
import type { Bytes } from '../../src/base/bytes.ts';
import { utf8 } from '../../src/base/bytes.ts';
import type { Ephemeral, PublicKey } from '../../src/security/primitives.ts';
import type { Signer } from '../../src/security/signer.ts';

/** 32 bytes that a name stands for. */
export function fixedBytes(name: string, length = 32): Bytes {
  const digest = createHash('sha256')
    .update(utf8(`cpns1 vector ${name}`))
    .digest();
  return new Uint8Array(digest.subarray(0, length));
}

export interface FixedSigner extends Signer {
  readonly privateKey: Bytes;
  sign(message: Bytes): Bytes;
}

/** An identity key; its signatures are deterministic (RFC 6979). */
export function fixedSigner(name: string): FixedSigner {
  const privateKey = fixedBytes(name);
  const point = p256.getPublicKey(privateKey, false);
  const publicKey: PublicKey = { x: point.slice(1, 33), y: point.slice(33) };
  return { privateKey, publicKey, sign: (message) => p256.sign(message, privateKey, { lowS: false }) };
}

export interface FixedEphemeral extends Ephemeral {
  readonly privateKey: Bytes;
}

export function fixedEphemeral(name: string): FixedEphemeral {
  const privateKey = fixedBytes(name);
  const ecdh = createECDH('prime256v1');
  ecdh.setPrivateKey(privateKey);
  return {
    privateKey,
    x: new Uint8Array(ecdh.getPublicKey().subarray(1, 33)),
    agree: (peerX) => new Uint8Array(ecdh.computeSecret(Buffer.concat([Buffer.of(2), peerX]))),
  };
}
