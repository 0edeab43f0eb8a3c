/**
 * What the enrolment code and the gateway token share: base32 of bytes that end in 2 bytes of checksum, read as people
 * type (docs/protocol.md §7.1, §7.3). Pure. Must not know their fields. Nothing typed ever enters an error: it holds a secret.
 */
import { type Bytes, concat, equal } from '../base/bytes.ts';
import { decodeBase32, encodeBase32 } from './base32.ts';
import type { Primitives } from './primitives.ts';

const CHECKSUM_BYTES = 2;
const GROUP = /.{1,5}/g;
/** Letters that base32 has, typed as the digits it lacks. */
const MISREAD: Readonly<Record<string, string>> = { '0': 'O', '1': 'I', '8': 'B' };
/** Many times the longest code: a pasted file is turned away before any work on it. */
const MAX_TYPED_LENGTH = 512;

function checksum(primitives: Primitives, bytes: Bytes): Bytes {
  return primitives.sha256(bytes).slice(0, CHECKSUM_BYTES);
}

/** Base32 of the bytes and their checksum. */
export function encodeCodeText(primitives: Primitives, bytes: Bytes): string {
  return encodeBase32(concat(bytes, checksum(primitives, bytes)));
}

/** The same text in groups of five, for reading aloud. */
export function groupCodeText(text: string): string {
  return (text.match(GROUP) ?? []).join('-');
}

/**
 * The bytes of a typed text without their checksum; undefined when the length, a character or the checksum is wrong.
 * @param length bytes without the checksum
 */
export function decodeCodeText(
  primitives: Primitives,
  typed: string,
  prefix: string,
  length: number,
): Bytes | undefined {
  if (typed.length > MAX_TYPED_LENGTH) return undefined;
  // Hyphens of every kind: word processors and telephones put their own.
  const text = typed.replace(/[\s\p{Pd}]+/gu, '').toUpperCase();
  const digits = text.startsWith(prefix) ? text.slice(prefix.length) : text;
  const whole = decodeBase32(digits.replace(/[018]/g, (digit) => MISREAD[digit] ?? digit));
  if (whole?.length !== length + CHECKSUM_BYTES) return undefined;
  const bytes = whole.slice(0, length);
  return equal(whole.subarray(length), checksum(primitives, bytes)) ? bytes : undefined;
}
