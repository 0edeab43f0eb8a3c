/** The transcripts that enrolment's signatures cover (docs/protocol.md §7.2). Pure. */
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
