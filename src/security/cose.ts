/**
 * COSE_Sign1 (RFC 9052 §4.2, §4.4) in the one form the protocol allows: untagged, ES256 in a protected header of exactly
 * a10126, an optional 4-byte kid (docs/protocol.md §4.2). Pure; signing itself is the caller's.
 */
import { type Bytes, equal, fromHex } from '../base/bytes.ts';
import { CpnsError } from '../base/errors.ts';
import { type CborValue, decodeCbor, encodeCbor } from '../messages/cbor.ts';
import type { Primitives, PublicKey } from './primitives.ts';
import type { Signer } from './signer.ts';

/** {1: -7}: the algorithm is ES256 by the suite; a message can't choose another. */
const PROTECTED = fromHex('a10126');
const KID = 4;
const KID_BYTES = 4;
const SIGNATURE_BYTES = 64;
const LIMITS = { maxDepth: 2, maxItems: 7, what: 'COSE_Sign1' };

export interface Sign1 {
  readonly payload: Bytes;
  /** r ‖ s, 64 bytes. */
  readonly signature: Bytes;
  /** 4 bytes, a hint only. */
  readonly kid: Bytes | undefined;
}

/** The bytes that are signed: Sig_structure with external_aad = cbor([context, th]). */
export function sigStructure(context: string, th: Bytes, payload: Bytes): Bytes {
  return encodeCbor(['Signature1', PROTECTED, encodeCbor([context, th]), payload]);
}

export function assembleSign1(payload: Bytes, signature: Bytes, kid?: Bytes): Bytes {
  if (signature.length !== SIGNATURE_BYTES) throw new TypeError('a signature is 64 bytes');
  const unprotected = new Map<number, CborValue>(kid ? [[KID, kid]] : []);
  return encodeCbor([PROTECTED, unprotected, payload, signature]);
}

function malformed(why: string): never {
  throw new CpnsError('malformed', `COSE_Sign1: ${why}`);
}

/** Takes a COSE_Sign1 apart without verifying it. @throws CpnsError malformed */
export function parseSign1(bytes: Bytes): Sign1 {
  const value = decodeCbor(bytes, LIMITS);
  if (!Array.isArray(value) || value.length !== 4) malformed('not four items');
  const [header, unprotected, payload, signature] = value as CborValue[];
  if (!(header instanceof Uint8Array) || !equal(header, PROTECTED))
    malformed('protected header is not a10126');
  if (!(payload instanceof Uint8Array)) malformed('payload is not a byte string');
  if (!(signature instanceof Uint8Array) || signature.length !== SIGNATURE_BYTES)
    malformed('signature is not 64 bytes');
  return { payload, signature, kid: kidIn(unprotected) };
}

function kidIn(unprotected: CborValue | undefined): Bytes | undefined {
  if (!(unprotected instanceof Map)) malformed('unprotected header is not a map');
  if (unprotected.size === 0) return undefined;
  const kid: unknown = unprotected.get(KID);
  if (unprotected.size !== 1 || !(kid instanceof Uint8Array) || kid.length !== KID_BYTES)
    malformed('unprotected header holds more than a 4-byte kid');
  return kid;
}

export function verifySign1(
  primitives: Primitives,
  key: PublicKey,
  context: string,
  th: Bytes,
  { payload, signature }: Sign1,
): boolean {
  return primitives.verifyEs256(key, sigStructure(context, th, payload), signature);
}

/** Signs with a key at hand: for the server and for tools; machines let their driver sign. */
export async function sign1(
  signer: Signer,
  context: string,
  th: Bytes,
  payload: Bytes,
  kid?: Bytes,
): Promise<Bytes> {
  return assembleSign1(payload, await signer.sign(sigStructure(context, th, payload)), kid);
}

/** The kid of a COSE_Sign1; none of what does not parse, which no key will verify. */
export function statedKid(sign1: Bytes): Bytes | undefined {
  try {
    return parseSign1(sign1).kid;
  } catch {
    return undefined;
  }
}
