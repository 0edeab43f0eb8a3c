/**
 * Byte strings as the protocol uses them: plain Uint8Array, so that the same code runs in Node and in a browser.
 * Owns concatenation, comparison and the text forms. Must not know any message.
 */

export type Bytes = Uint8Array;

export const EMPTY: Bytes = new Uint8Array(0);

/** Joins byte strings into one fresh array. */
export function concat(...parts: readonly Bytes[]): Bytes {
  let length = 0;
  for (const part of parts) length += part.length;
  const out = new Uint8Array(length);
  let offset = 0;
  for (const part of parts) {
    out.set(part, offset);
    offset += part.length;
  }
  return out;
}

/** True when both hold the same bytes; takes the same time whatever the position of a difference. */
export function equal(a: Bytes, b: Bytes): boolean {
  if (a.length !== b.length) return false;
  let difference = 0;
  for (let i = 0; i < a.length; i++) difference |= (a[i] ?? 0) ^ (b[i] ?? 0);
  return difference === 0;
}

/** Bytewise lexicographic order, as RFC 8949 §4.2.1 wants for map keys: negative, zero or positive. */
export function compare(a: Bytes, b: Bytes): number {
  const shared = Math.min(a.length, b.length);
  for (let i = 0; i < shared; i++) {
    const difference = (a[i] ?? 0) - (b[i] ?? 0);
    if (difference !== 0) return difference;
  }
  return a.length - b.length;
}

const HEX = Array.from({ length: 256 }, (_, i) => i.toString(16).padStart(2, '0'));

/** Lower-case hexadecimal, two digits a byte. */
export function toHex(bytes: Bytes): string {
  let text = '';
  for (const byte of bytes) text += HEX[byte];
  return text;
}

/**
 * Reads hexadecimal, any case, no separators.
 * @throws TypeError when the text is not an even number of hexadecimal digits
 */
export function fromHex(text: string): Bytes {
  if (text.length % 2 !== 0 || !/^[0-9a-f]*$/i.test(text)) throw new TypeError('not hexadecimal');
  const out = new Uint8Array(text.length / 2);
  for (let i = 0; i < out.length; i++) out[i] = Number.parseInt(text.slice(2 * i, 2 * i + 2), 16);
  return out;
}

const encoder = new TextEncoder();
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** UTF-8 of a string. */
export function utf8(text: string): Bytes {
  return encoder.encode(text);
}

/**
 * The string whose UTF-8 these bytes are.
 * @throws TypeError when they are not well-formed UTF-8
 */
export function fromUtf8(bytes: Bytes): string {
  return decoder.decode(bytes);
}
