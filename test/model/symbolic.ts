/**
 * Cryptography as symbols, for the exploration: everything is a hash of what it was made from, so that equal meanings are
 * equal bytes on every path and a step costs microseconds. A signature is a tag over key and message that verification
 * makes again; an agreement is a tag over both ephemerals, the same from either side. Nobody in the model forges: what is
 * shown is about order, loss and crashes. What an attacker can do is the business of the ProVerif models.
 */
import { hash } from 'node:crypto';
import { type Bytes, compare, concat, utf8 } from '../../src/base/bytes.ts';
import type { Ephemeral, Primitives, PublicKey } from '../../src/security/primitives.ts';

function sha256(...parts: readonly Bytes[]): Bytes {
  const [only] = parts;
  const digest = hash('sha256', parts.length === 1 && only ? only : concat(...parts), 'buffer');
  return new Uint8Array(digest.buffer, digest.byteOffset, digest.length).slice();
}

/** So many bytes that stand for a name, at most 32. */
export function named(name: string, length = 32): Bytes {
  return sha256(utf8(name)).slice(0, length);
}

/** The point of an x-coordinate: its y is made from it, the parity apart. */
function pointOf(x: Bytes, yIsOdd: boolean): PublicKey {
  const y = sha256(x, utf8('y'));
  y[31] = ((y[31] ?? 0) & 0xfe) | (yIsOdd ? 1 : 0);
  return { x, y };
}

function tag(x: Bytes, message: Bytes): Bytes {
  return concat(sha256(x, message), sha256(message, x));
}

function sameBytes(a: Bytes, b: Bytes): boolean {
  return compare(a, b) === 0;
}

/** A signing key; nothing but its name is secret. */
export class SymbolicSigner {
  readonly publicKey: PublicKey;

  constructor(name: string) {
    this.publicKey = pointOf(named(`key of ${name}`), false);
  }

  readonly sign = (message: Bytes): Bytes => tag(this.publicKey.x, message);
}

/** The ephemeral of this name; the same name is the same ephemeral. */
export function symbolicEphemeral(name: string): Ephemeral {
  const x = named(`ephemeral ${name}`);
  return {
    x,
    agree: (peerX) => (compare(x, peerX) < 0 ? sha256(x, peerX) : sha256(peerX, x)),
  };
}

function never(what: string): never {
  throw new Error(`${what} has no place in the model`);
}

/** Randomness and records of a link are not here: names are given by whoever makes something, links are abstract. */
export const SYMBOLIC: Primitives = {
  sha256,
  hmacSha256: (key, data) => sha256(key, data),
  aeadSeal: () => never('a record'),
  aeadOpen: () => never('a record'),
  generateEphemeral: () => never('a random ephemeral'),
  publicKey: (x, y) => ({ x, y }),
  publicKeyFromX: pointOf,
  verifyEs256: (key, message, signature) => sameBytes(tag(key.x, message), signature),
  randomBytes: () => never('a random number'),
};
