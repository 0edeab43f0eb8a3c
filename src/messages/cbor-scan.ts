/**
 * The strict reader that stands before cbor-x: it walks a CBOR item without building it and refuses everything that is
 * not the one deterministic encoding (RFC 8949 §4.2.1) of a value this protocol can hold.
 * Owns well-formedness, canonical form and resource bounds. Must not know any message and must not build values.
 * Why it exists: cbor-x takes duplicate keys, non-minimal and indefinite lengths, and turns tags into live objects.
 */
import { type Bytes, compare } from '../base/bytes.ts';
import { CpnsError } from '../base/errors.ts';

export interface CborLimits {
  /** Nested arrays and maps; a lone integer has depth 0. Default 8. */
  readonly maxDepth?: number;
  /** Data items in all, keys and containers included. Default 1024. */
  readonly maxItems?: number;
  /** What the error calls these bytes. Default "CBOR". */
  readonly what?: string;
}

export const DEFAULT_MAX_DEPTH = 8;
export const DEFAULT_MAX_ITEMS = 1024;

const UNSIGNED = 0;
const NEGATIVE = 1;
const BYTE_STRING = 2;
const TEXT_STRING = 3;
const ARRAY = 4;
const MAP = 5;
const TAG = 6;

const FALSE = 20;
const TRUE = 21;
const NULL = 22;

const utf8Check = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/**
 * Passes when `bytes` is exactly one deterministically encoded item of the kinds the protocol uses: integers within
 * ±(2^53 − 1), byte strings, UTF-8 text, arrays, maps with integer or text keys, true, false, null.
 * Nothing is allocated in proportion to a length the bytes merely claim.
 * @throws CpnsError malformed, naming the offset and the rule
 * @see RFC 8949 §4.2.1
 */
export function scanCbor(bytes: Bytes, limits: CborLimits = {}): void {
  new Scanner(bytes, limits).scan();
}

/**
 * The length of the first item of `bytes`, held to the same rules as {@link scanCbor}; what follows is not looked at.
 * For the one padded message of the protocol (docs/protocol.md §6.3).
 * @throws CpnsError malformed
 */
export function cborItemLength(bytes: Bytes, limits: CborLimits = {}): number {
  return new Scanner(bytes, limits).first();
}

interface Head {
  readonly major: number;
  readonly argument: number;
}

class Scanner {
  private readonly bytes: Bytes;
  private readonly maxDepth: number;
  private readonly what: string;
  private itemsLeft: number;
  private position = 0;

  constructor(bytes: Bytes, limits: CborLimits) {
    this.bytes = bytes;
    this.maxDepth = limits.maxDepth ?? DEFAULT_MAX_DEPTH;
    this.what = limits.what ?? 'CBOR';
    this.itemsLeft = limits.maxItems ?? DEFAULT_MAX_ITEMS;
  }

  scan(): void {
    if (this.first() !== this.bytes.length) this.refuse('bytes after the item');
  }

  first(): number {
    this.item(0);
    return this.position;
  }

  private refuse(rule: string, at = this.position): never {
    throw new CpnsError('malformed', `${this.what}, byte ${at}: ${rule}`);
  }

  private item(depth: number): void {
    const start = this.position;
    const { major, argument } = this.head();
    switch (major) {
      case UNSIGNED:
      case NEGATIVE:
        return;
      case BYTE_STRING:
        this.skipString(argument, start);
        return;
      case TEXT_STRING:
        this.text(argument, start);
        return;
      case ARRAY:
        this.openContainer(argument, depth, start);
        for (let i = 0; i < argument; i++) this.item(depth + 1);
        return;
      case MAP:
        // At least two bytes an entry; the argument is a safe integer, and so is twice any that passes.
        this.openContainer(argument * 2, depth, start);
        this.mapEntries(argument, depth);
        return;
      case TAG:
        this.refuse('tag', start);
        break;
      default:
        if (argument !== FALSE && argument !== TRUE && argument !== NULL)
          this.refuse('simple value other than false, true, null', start);
    }
  }

  private mapEntries(count: number, depth: number): void {
    let previous: Bytes | undefined;
    for (let i = 0; i < count; i++) {
      const start = this.position;
      const major = (this.bytes[start] ?? 0) >> 5;
      if (major !== UNSIGNED && major !== NEGATIVE && major !== TEXT_STRING)
        this.refuse('map key is neither integer nor text');
      this.item(depth + 1);
      const key = this.bytes.subarray(start, this.position);
      if (previous) {
        const order = compare(previous, key);
        if (order === 0) this.refuse('duplicate map key', start);
        if (order > 0) this.refuse('map keys out of order', start);
      }
      previous = key;
      this.item(depth + 1);
    }
  }

  /** Reads initial byte and argument; the argument is minimal and a safe integer when this returns. */
  private head(): Head {
    const start = this.position;
    if (this.itemsLeft-- <= 0) this.refuse('too many items');
    const initial = this.bytes[this.position++];
    if (initial === undefined) return this.refuse('truncated', start);
    const major = initial >> 5;
    const info = initial & 0x1f;
    if (info < 24) return { major, argument: info };
    if (info === 31) this.refuse(major === 7 ? 'break' : 'indefinite length', start);
    if (info > 27) this.refuse('reserved additional information', start);
    if (major === 7) this.refuse(info === 24 ? 'extended simple value' : 'float', start);
    const size = 1 << (info - 24);
    if (this.bytes.length - this.position < size) this.refuse('truncated', start);
    let argument = 0;
    for (let i = 0; i < size; i++) argument = argument * 256 + (this.bytes[this.position++] ?? 0);
    const smallest = size === 1 ? 24 : 2 ** (4 * size);
    if (argument < smallest) this.refuse('not the shortest form', start);
    // −1 − n is the value of a negative integer, so its n may go one less far.
    if (argument > Number.MAX_SAFE_INTEGER - (major === NEGATIVE ? 1 : 0))
      this.refuse('integer beyond 2^53 − 1', start);
    return { major, argument };
  }

  private skipString(length: number, start: number): Bytes {
    if (length > this.bytes.length - this.position) this.refuse('truncated', start);
    const content = this.bytes.subarray(this.position, this.position + length);
    this.position += length;
    return content;
  }

  private text(length: number, start: number): void {
    const content = this.skipString(length, start);
    // cbor-x keeps a leading U+FEFF in short strings and drops it from long ones, so none is let through.
    if (content[0] === 0xef && content[1] === 0xbb && content[2] === 0xbf)
      this.refuse('text begins with U+FEFF', start);
    if (content.every((byte) => byte < 0x80)) return;
    try {
      utf8Check.decode(content);
    } catch {
      this.refuse('text is not UTF-8', start);
    }
  }

  private openContainer(leastBytes: number, depth: number, start: number): void {
    if (depth >= this.maxDepth) this.refuse('nested too deep', start);
    if (leastBytes > this.bytes.length - this.position) this.refuse('truncated', start);
  }
}
