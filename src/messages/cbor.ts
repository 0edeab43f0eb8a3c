/**
 * Deterministic CBOR (RFC 8949 §4.2.1), the only import of cbor-x in the project.
 * Owns the mapping between values and bytes: sorted maps, shortest integers, definite lengths, and nothing that a
 * strict reader would refuse. Must not know any message. Runs in a browser: nothing from node:.
 * `cbor-x/encode` is the pure JavaScript half; the package's main entry would parse hostile text in a native addon.
 */
import { Encoder } from 'cbor-x/encode';
import { type Bytes, compare, utf8 } from '../base/bytes.ts';
import { CpnsError } from '../base/errors.ts';
import { type CborLimits, scanCbor } from './cbor-scan.ts';

export type { CborLimits } from './cbor-scan.ts';

export type CborKey = number | string;
export type CborMap = ReadonlyMap<CborKey, CborValue>;
export type CborValue = number | boolean | null | string | Bytes | readonly CborValue[] | CborMap;

// int64AsNumber is missing from the package's types. copyBuffers: a kept field must not pin a whole message.
const SETTINGS = {
  useRecords: false,
  mapsAsObjects: false,
  variableMapSize: true,
  tagUint8Array: false,
  copyBuffers: true,
  int64AsNumber: true,
};
const codec = new Encoder(SETTINGS);

/** What is handed to cbor-x: the same tree with maps sorted and integers past 32 bits as bigint. */
type Prepared = number | bigint | boolean | null | string | Bytes | Prepared[] | Map<Prepared, Prepared>;

/** Deeper than any message; a cyclic value of our own making ends here and not in a stack overflow. */
const MAX_ENCODE_DEPTH = 32;

/**
 * The deterministic encoding of a value.
 * @returns a fresh plain Uint8Array
 * @throws TypeError for what has no place in the protocol: floats, −0, integers beyond ±(2^53 − 1), undefined, lone
 * surrogates, text that begins with U+FEFF, objects that are no Map, array or Uint8Array
 * @see RFC 8949 §4.2.1
 */
export function encodeCbor(value: CborValue): Bytes {
  return new Uint8Array(codec.encode(prepare(value, 0)));
}

/**
 * Reads exactly one deterministically encoded item; byte strings in the result are copies.
 * @throws CpnsError malformed for anything {@link scanCbor} refuses
 */
export function decodeCbor(bytes: Bytes, limits?: CborLimits): CborValue {
  scanCbor(bytes, limits);
  // cbor-x hangs a DataView on the array it is given and slices by its class: give it its own plain view.
  const view = new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length);
  try {
    return codec.decode(view) as CborValue;
  } catch (error) {
    throw new CpnsError('malformed', 'CBOR refused by the decoder', { cause: error });
  }
}

function prepare(value: CborValue, depth: number): Prepared {
  if (depth > MAX_ENCODE_DEPTH) throw new TypeError('CBOR value nested too deep');
  if (typeof value === 'number') return prepareInteger(value);
  if (typeof value === 'string') return prepareText(value);
  if (value === null || value === true || value === false) return value;
  if (value instanceof Uint8Array) return value;
  if (Array.isArray(value)) return value.map((item: CborValue) => prepare(item, depth + 1));
  if (value instanceof Map) {
    const entries = [...(value as CborMap)].sort(([a], [b]) => compareKeys(a, b));
    return new Map(entries.map(([key, item]) => [prepareKey(key), prepare(item, depth + 1)]));
  }
  throw new TypeError('value has no CBOR form here');
}

function prepareKey(key: unknown): Prepared {
  if (typeof key === 'number') return prepareInteger(key);
  if (typeof key === 'string') return prepareText(key);
  throw new TypeError('CBOR map key is neither integer nor text');
}

function prepareInteger(value: number): Prepared {
  if (!Number.isSafeInteger(value) || Object.is(value, -0))
    throw new TypeError('CBOR number is not a safe integer');
  // cbor-x writes numbers outside 32 bits as floats, bigints as 64-bit integers.
  return value > 0xffffffff || value < -0x100000000 ? BigInt(value) : value;
}

function prepareText(value: string): Prepared {
  // cbor-x would write a lone surrogate as it stands, which is not UTF-8.
  if (/\p{Surrogate}/u.test(value)) throw new TypeError('CBOR text holds a lone surrogate');
  if (value.startsWith('\ufeff')) throw new TypeError('CBOR text begins with U+FEFF');
  return value;
}

/**
 * Order of the encoded keys, bytewise: non-negative integers ascending, then negative ones from −1 down, then text by
 * length in UTF-8 and then by bytes.
 */
function compareKeys(a: CborKey, b: CborKey): number {
  if (typeof a === 'number' && typeof b === 'number') {
    if (a < 0 !== b < 0) return a < 0 ? 1 : -1;
    return a < 0 ? b - a : a - b;
  }
  if (typeof a === 'string' && typeof b === 'string') {
    const [left, right] = [utf8(a), utf8(b)];
    return left.length - right.length || compare(left, right);
  }
  return typeof a === 'number' ? -1 : 1;
}
