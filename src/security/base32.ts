/**
 * Base32 (RFC 4648 §6) without padding, upper case: the text form of what people read to one another and type.
 * Must not know what the bytes are; tolerance for typing is the codes' own (code-text.ts).
 */
import type { Bytes } from '../base/bytes.ts';

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';
const BITS_A_DIGIT = 5;
const BITS_A_BYTE = 8;

export function encodeBase32(bytes: Bytes): string {
  let text = '';
  let pending = 0;
  let bits = 0;
  for (const byte of bytes) {
    pending = (pending << BITS_A_BYTE) | byte;
    bits += BITS_A_BYTE;
    while (bits >= BITS_A_DIGIT) {
      bits -= BITS_A_DIGIT;
      text += ALPHABET.charAt((pending >>> bits) & 0x1f);
    }
    pending &= (1 << bits) - 1;
  }
  return bits === 0 ? text : text + ALPHABET.charAt((pending << (BITS_A_DIGIT - bits)) & 0x1f);
}

/** The bytes of a text in the one form that encodeBase32 gives, or undefined when it is not in that form. */
export function decodeBase32(text: string): Bytes | undefined {
  const out = new Uint8Array(Math.floor((text.length * BITS_A_DIGIT) / BITS_A_BYTE));
  let pending = 0;
  let bits = 0;
  let length = 0;
  for (const digit of text) {
    const value = ALPHABET.indexOf(digit);
    if (value < 0) return undefined;
    pending = (pending << BITS_A_DIGIT) | value;
    bits += BITS_A_DIGIT;
    if (bits < BITS_A_BYTE) continue;
    bits -= BITS_A_BYTE;
    out[length++] = pending >>> bits;
    pending &= (1 << bits) - 1;
  }
  // A digit too many, or bits that belong to no byte, would be a second text for the same bytes.
  return bits < BITS_A_DIGIT && pending === 0 ? out : undefined;
}
