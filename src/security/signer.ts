/**
 * An identity key that signs. The port says nothing of where the key is: a file, a TPM, a non-extractable WebCrypto key.
 */
import type { Bytes } from '../base/bytes.ts';
import type { PublicKey } from './primitives.ts';

export interface Signer {
  readonly publicKey: PublicKey;
  /** ECDSA P-256 with SHA-256 over the message: r ‖ s, 64 bytes. */
  sign(message: Bytes): Bytes | Promise<Bytes>;
}
