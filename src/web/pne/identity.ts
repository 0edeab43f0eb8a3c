/**
 * The PNE's identity key in a browser: made by WebCrypto, never extractable, kept as a handle in IndexedDB. Nobody can
 * read it, this page included; it signs when the machine asks for a signature (docs/protocol.md §4.2).
 */
import { CpnsError } from '../../base/errors.ts';
import type { Primitives } from '../../security/primitives.ts';
import type { Signer } from '../../security/signer.ts';
import type { PneDatabase } from './database.ts';

const IDENTITY = 'identity';
const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256' } as const;
const SIGNATURE = { name: 'ECDSA', hash: 'SHA-256' } as const;
const COORDINATE_BYTES = 32;

/** @throws CpnsError cannot-persist when a new key can't be kept */
export async function loadOrCreateIdentity(database: PneDatabase, primitives: Primitives): Promise<Signer> {
  const kept = await database.get(IDENTITY);
  if (kept !== undefined) return signerOf(kept as CryptoKeyPair, primitives);
  const made = await crypto.subtle.generateKey(ALGORITHM, false, ['sign', 'verify']);
  await database.put(IDENTITY, made);
  return signerOf(made, primitives);
}

async function signerOf({ privateKey, publicKey }: CryptoKeyPair, primitives: Primitives): Promise<Signer> {
  if (privateKey.extractable) throw new CpnsError('internal', 'an identity key that can be read');
  const point = new Uint8Array(await crypto.subtle.exportKey('raw', publicKey));
  return {
    publicKey: primitives.publicKey(point.slice(1, 1 + COORDINATE_BYTES), point.slice(1 + COORDINATE_BYTES)),
    sign: async (message) =>
      new Uint8Array(await crypto.subtle.sign(SIGNATURE, privateKey, new Uint8Array(message))),
  };
}
