/**
 * The enrolment code that a PNE or a gateway shows and a person carries over: who shows it and a secret
 * (docs/protocol.md §7.1). Owns its layout and its text. Must not know how long it lives or who has tried it.
 *
 *   0        1                  17               29          31
 *   | 1 kind | T, 16 bytes      | S, 12 bytes    | checksum  |      50 characters of base32
 */
import { type Bytes, concat } from '../base/bytes.ts';
import { CpnsError } from '../base/errors.ts';
import { decodeCodeText, encodeCodeText, groupCodeText } from './code-text.ts';
import type { Primitives } from './primitives.ts';

export type EnrolmentCodeKind = 'pne' | 'gateway';

export const ENROLMENT_SECRET_BYTES = 12;
const THUMBPRINT_PREFIX_BYTES = 16;
const CODE_BYTES = 1 + THUMBPRINT_PREFIX_BYTES + ENROLMENT_SECRET_BYTES;
const PREFIX = 'CPNS:';
/** High nibble: version of the code; low nibble: who shows it. */
const FIRST_BYTE = { pne: 0x11, gateway: 0x12 } as const;

export interface EnrolmentCode {
  /** Who shows it. */
  readonly kind: EnrolmentCodeKind;
  /** T: the first 16 bytes of the thumbprint of the side that shows it. */
  readonly thumbprintPrefix: Bytes;
  /** S, 12 bytes. */
  readonly secret: Bytes;
}

/**
 * The code as 50 characters of base32.
 * @param thumbprint of the side that shows it; its first 16 bytes are taken
 * @param secret 12 random bytes
 */
export function createEnrolmentCode(
  primitives: Primitives,
  kind: EnrolmentCodeKind,
  thumbprint: Bytes,
  secret: Bytes,
): string {
  if (thumbprint.length < THUMBPRINT_PREFIX_BYTES) throw new TypeError('a thumbprint is 32 bytes');
  if (secret.length !== ENROLMENT_SECRET_BYTES) throw new TypeError('an enrolment secret is 12 bytes');
  const prefix = thumbprint.subarray(0, THUMBPRINT_PREFIX_BYTES);
  return encodeCodeText(primitives, concat(Uint8Array.of(FIRST_BYTE[kind]), prefix, secret));
}

/** The code for people to read: ten groups of five. */
export function formatEnrolmentCode(code: string): string {
  return groupCodeText(code);
}

/** The code for a QR. */
export function qrTextOf(code: string): string {
  return PREFIX + code;
}

/**
 * Reads a code as scanned or typed: any case, spaces, hyphens, with or without prefix, 0 1 8 for O I B.
 * @throws CpnsError `enrolment-code-wrong`
 */
export function parseEnrolmentCode(primitives: Primitives, text: string): EnrolmentCode {
  const bytes = decodeCodeText(primitives, text, PREFIX, CODE_BYTES);
  const kind = bytes && kindOf(bytes[0]);
  if (!kind) throw new CpnsError('enrolment-code-wrong', 'not a code: check it for a slip of the pen');
  return {
    kind,
    thumbprintPrefix: bytes.slice(1, 1 + THUMBPRINT_PREFIX_BYTES),
    secret: bytes.slice(1 + THUMBPRINT_PREFIX_BYTES),
  };
}

function kindOf(first: number | undefined): EnrolmentCodeKind | undefined {
  if (first === FIRST_BYTE.pne) return 'pne';
  return first === FIRST_BYTE.gateway ? 'gateway' : undefined;
}
