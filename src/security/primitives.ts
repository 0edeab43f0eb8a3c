/**
 * The cryptography the protocol stands on, as a port: suite 1 = SHA-256, HMAC, AES-128-GCM, ECDH and ECDSA on P-256
 * (docs/protocol.md §5.1). Synchronous, so that machines and links stay sans-IO. Signing is not here: an identity key
 * may live where it can't be called synchronously (signer.ts).
 */
import type { Bytes } from '../base/bytes.ts';

/** A point on P-256, both coordinates 32 bytes big-endian. Only made by a Primitives, which checks it. */
export interface PublicKey {
  readonly x: Bytes;
  readonly y: Bytes;
}

/** One link's ephemeral key pair; used for one agreement, then forgotten. */
export interface Ephemeral {
  /** x-coordinate, 32 bytes: what travels. */
  readonly x: Bytes;
  /**
   * The x-coordinate of the shared point, 32 bytes.
   * @param peerX the peer's x-coordinate, taken as the point 02 ‖ x
   * @throws CpnsError malformed when it is no coordinate of a point on the curve
   */
  agree(peerX: Bytes): Bytes;
}

export interface Primitives {
  /** SHA-256 over the parts in order, 32 bytes. */
  sha256(...parts: readonly Bytes[]): Bytes;
  /** HMAC-SHA-256, 32 bytes. */
  hmacSha256(key: Bytes, data: Bytes): Bytes;
  /** AES-128-GCM without associated data: ciphertext ‖ 16-byte tag. Key 16, nonce 12 bytes. */
  aeadSeal(key: Bytes, nonce: Bytes, plaintext: Bytes): Bytes;
  /** The plaintext, or undefined when the tag does not verify or there is none. */
  aeadOpen(key: Bytes, nonce: Bytes, sealed: Bytes): Bytes | undefined;
  generateEphemeral(): Ephemeral;
  /** Checks a point given whole. @throws CpnsError malformed when it is not on the curve */
  publicKey(x: Bytes, y: Bytes): PublicKey;
  /** Decompresses a point. @throws CpnsError malformed when x is no coordinate of a point on the curve */
  publicKeyFromX(x: Bytes, yIsOdd: boolean): PublicKey;
  /** ECDSA P-256 with SHA-256; the signature is r ‖ s, 64 bytes. Never throws. */
  verifyEs256(key: PublicKey, message: Bytes, signature: Bytes): boolean;
  /** Cryptographically strong random bytes. */
  randomBytes(length: number): Bytes;
}
