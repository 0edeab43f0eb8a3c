/** Signed messages with every intermediate value: payload, Sig_structure, signature, COSE_Sign1. */
import type { Bytes } from '../../src/base/bytes.ts';
import type { Message } from '../../src/messages/message.ts';
import { assembleSign1 } from '../../src/security/cose.ts';
import { kidOf } from '../../src/security/cose-key.ts';
import { nodePrimitives } from '../../src/security/primitives-node.ts';
import { toBeSigned } from '../../src/security/signed-message.ts';
import type { FixedSigner } from './fixed-keys.ts';

export const primitives = nodePrimitives();

export interface SignedVector {
  readonly context: string;
  readonly th: Bytes;
  readonly payload: Bytes;
  readonly sigStructure: Bytes;
  readonly signature: Bytes;
  readonly sign1: Bytes;
}

export function signVector<T>(message: Message<T>, signer: FixedSigner, th: Bytes, value: T): SignedVector {
  const payload = message.encode(value);
  const sigStructure = toBeSigned(message, th, payload);
  const signature = signer.sign(sigStructure);
  const kid = message.info.signing?.kid ? kidOf(primitives, signer.publicKey) : undefined;
  const context = message.info.signing?.context ?? '';
  return { context, th, payload, sigStructure, signature, sign1: assembleSign1(payload, signature, kid) };
}
