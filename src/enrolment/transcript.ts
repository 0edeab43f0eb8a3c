/** The transcripts that enrolment's signatures cover, and the digits that people compare (docs/protocol.md §7.2). Pure. */
import type { Bytes } from '../base/bytes.ts';
import { encodeCbor } from '../messages/cbor.ts';
import type { Primitives } from '../security/primitives.ts';

/** What E2 is signed over: SHA-256(cbor([th1, E1])), 32 bytes. */
export function claimTranscript(primitives: Primitives, th1: Bytes, e1: Bytes): Bytes {
  return primitives.sha256(encodeCbor([th1, e1]));
}

/** What E3 is signed over: SHA-256(cbor([th1, E1, E2])), 32 bytes. */
export function receiptTranscript(primitives: Primitives, th1: Bytes, e1: Bytes, e2: Bytes): Bytes {
  return primitives.sha256(encodeCbor([th1, e1, e2]));
}

/**
 * What both sides show before a code of the gateway's makes a PNE its user's: six digits of SHA-256(th1 ‖ E2 ‖ salt). Whoever
 * makes E2 can't aim at any, since the salt is the gateway's and unknown until it has E2.
 * @param salt 16 bytes
 */
export function comparedDigits(primitives: Primitives, th1: Bytes, e2: Bytes, salt: Bytes): string {
  const hash = primitives.sha256(th1, e2, salt);
  const number = new DataView(hash.buffer, hash.byteOffset).getUint32(0);
  return String(number % 1_000_000).padStart(6, '0');
}
