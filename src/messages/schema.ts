/**
 * A small declarative language for messages. One declaration gives the TypeScript type, the encoder, the strict decoder,
 * the CDDL and the rows of the documentation, so that the five can't disagree.
 * Owns the combinators; `message.ts` makes whole messages of them. Must not know any message.
 * What our own code gets wrong is a TypeError; what the peer gets wrong is a CpnsError whose text holds the path and the
 * rule, never a value. Source: docs/protocol.md §4.1.
 */
import type { Bytes } from '../base/bytes.ts';
import { CpnsError } from '../base/errors.ts';
import type { CborKey, CborValue } from './cbor.ts';
import { labelRule, utf8Length } from './label.ts';

export interface Schema<T> {
  /** Bytes of the largest encoding. */
  readonly maxBytes: number;
  /** Data items of the largest encoding, keys and containers included. */
  readonly maxItems: number;
  /** Nested containers. */
  readonly depth: number;
  /** True when decoding may drop something, so that encoding again need not give the same bytes. */
  readonly lossy: boolean;
  /** Kind and bounds as the tables of docs/protocol.md say them. */
  readonly type: string;
  readonly bounds: string;
  /** CDDL where it is used: a type expression or a rule's name. */
  readonly cddl: string;
  /** Named schemas that the CDDL mentions. */
  readonly refers: readonly Named[];
  /** @throws TypeError when the value breaks the declaration */
  toCbor(value: T, path: string): CborValue;
  /** @throws CpnsError malformed */
  fromCbor(cbor: CborValue, path: string): T;
}

/** A schema with a name of its own in the CDDL. */
export interface Named {
  readonly name: string;
  readonly doc: string;
  /** The right-hand side of its rule. */
  readonly rule: string;
  readonly refers: readonly Named[];
}

export type TypeOf<S> = S extends Schema<infer T> ? T : never;

/** Stops on a fault of the peer. */
export function refuse(path: string, rule: string): never {
  throw new CpnsError('malformed', `${path}: ${rule}`);
}

/** Stops on a fault of our own. */
export function misuse(path: string, rule: string): never {
  throw new TypeError(`${path}: ${rule}`);
}

/** Bytes of the initial byte and argument for a value, length or count. */
export function headBytes(argument: number): number {
  if (argument < 24) return 1;
  if (argument < 0x100) return 2;
  if (argument < 0x10000) return 3;
  return argument < 0x1_0000_0000 ? 5 : 9;
}

type Rule = (value: unknown) => string | undefined;

interface LeafText {
  readonly maxBytes: number;
  readonly type: string;
  readonly bounds: string;
  readonly cddl: string;
}

/** A schema whose value is the CBOR value itself, held to one rule both ways. */
function leaf<T extends CborValue>(text: LeafText, rule: Rule): Schema<T> {
  return {
    ...text,
    maxItems: 1,
    depth: 0,
    lossy: false,
    refers: [],
    toCbor(value, path) {
      const broken = rule(value);
      return broken === undefined ? value : misuse(path, broken);
    },
    fromCbor(cbor, path) {
      const broken = rule(cbor);
      return broken === undefined ? (cbor as T) : refuse(path, broken);
    },
  };
}

/** An unsigned integer, both bounds included; at most 2^53 − 1. */
export function uint({ min = 0, max }: { readonly min?: number; readonly max: number }): Schema<number> {
  if (!(Number.isSafeInteger(min) && Number.isSafeInteger(max) && 0 <= min && min <= max))
    throw new TypeError('bounds of a uint');
  const rule: Rule = (value) => {
    if (typeof value !== 'number' || !Number.isSafeInteger(value)) return 'not an unsigned integer';
    return value < min || value > max ? `not within ${min} to ${max}` : undefined;
  };
  return leaf(
    { maxBytes: headBytes(max), type: 'uint', bounds: `${min}–${max}`, cddl: `${min}..${max}` },
    rule,
  );
}

export interface BytesBounds<T extends Bytes> {
  readonly length?: number;
  readonly min?: number;
  readonly max?: number;
  /** Makes a branded identifier of the bytes; called after the length was checked. */
  readonly brand?: (bytes: Bytes) => T;
}

/** A byte string of exactly `length`, or of `min` (default 0) to `max` bytes. */
export function bytes<T extends Bytes = Bytes>(bounds: BytesBounds<T>): Schema<T> {
  const max = bounds.length ?? bounds.max;
  const min = bounds.length ?? bounds.min ?? 0;
  if (max === undefined || min > max) throw new TypeError('bounds of a byte string');
  const size = min === max ? `${max}` : `(${min}..${max})`;
  const base = leaf<T>(
    {
      maxBytes: headBytes(max) + max,
      type: 'bstr',
      bounds: min === max ? `${max}` : min === 0 ? `≤ ${max}` : `${min}–${max}`,
      cddl: `bstr .size ${size}`,
    },
    (value) => {
      if (!(value instanceof Uint8Array)) return 'not a byte string';
      if (value.length >= min && value.length <= max) return undefined;
      return min === max ? `not ${max} bytes` : `not ${min} to ${max} bytes`;
    },
  );
  const { brand } = bounds;
  if (!brand) return base;
  return { ...base, fromCbor: (cbor, path) => brand(base.fromCbor(cbor, path)) };
}

export interface TextBounds {
  /** Bytes of UTF-8. */
  readonly maxBytes: number;
  /** `label` is what people see (label.ts); `free` is any UTF-8 text. */
  readonly kind: 'label' | 'free';
  /** Only for `free`: 0 by default. */
  readonly minBytes?: number;
  /** Only for `free`: an XSD regular expression over the whole text, which must mean the same in JavaScript. */
  readonly pattern?: string;
}

/** A text string, bounded in bytes of UTF-8; both directions enforce its kind. */
export function text({ maxBytes, kind, minBytes = 0, pattern }: TextBounds): Schema<string> {
  const expression = pattern === undefined ? undefined : new RegExp(`^(?:${pattern})$`, 'u');
  const rule: Rule = (value) => {
    if (typeof value !== 'string') return 'not a text string';
    if (kind === 'label') return labelRule(value, maxBytes);
    const length = utf8Length(value);
    if (length < minBytes || length > maxBytes) return `not ${minBytes} to ${maxBytes} bytes of UTF-8`;
    return expression?.test(value) === false ? 'not in the form it must have' : undefined;
  };
  const least = kind === 'label' ? 1 : minBytes;
  const size = `${kind === 'label' ? 'label' : 'tstr'} .size (${least}..${maxBytes})`;
  return leaf(
    {
      maxBytes: headBytes(maxBytes) + maxBytes,
      type: kind === 'label' ? 'label' : 'tstr',
      bounds: `≤ ${maxBytes}`,
      cddl:
        pattern === undefined ? size : `(${size}) .and (tstr .regexp "${pattern.replaceAll('\\', '\\\\')}")`,
    },
    rule,
  );
}

export function bool(): Schema<boolean> {
  return leaf({ maxBytes: 1, type: 'bool', bounds: '', cddl: 'bool' }, (value) =>
    typeof value === 'boolean' ? undefined : 'not a boolean',
  );
}

/** Exactly this integer or boolean. */
export function literal<const V extends number | boolean>(expected: V): Schema<V> {
  const size = typeof expected === 'number' ? headBytes(expected < 0 ? -1 - expected : expected) : 1;
  return leaf({ maxBytes: size, type: `${expected}`, bounds: '', cddl: `${expected}` }, (value) =>
    value === expected ? undefined : `not ${expected}`,
  );
}

/** A name in memory, a number on the wire: `named({ establish: 1, enrol: 2 })`. */
export function named<const N extends Readonly<Record<string, number>>>(
  numbers: N,
): Schema<keyof N & string> {
  const names = new Map(Object.entries(numbers).map(([name, number]) => [number, name]));
  if (names.size !== Object.keys(numbers).length) throw new TypeError('two names for one number');
  const pairs = [...names];
  return {
    maxBytes: Math.max(...pairs.map(([number]) => headBytes(number))),
    maxItems: 1,
    depth: 0,
    lossy: false,
    type: 'uint',
    bounds: pairs.map(([number, name]) => `${number} ${name}`).join(', '),
    cddl: pairs.length === 1 ? `${pairs[0]?.[0]}` : `(${pairs.map(([number]) => number).join(' / ')})`,
    refers: [],
    toCbor: (name, path) =>
      (Object.hasOwn(numbers, name) ? numbers[name] : undefined) ?? misuse(path, 'no such name'),
    fromCbor: (cbor, path) =>
      (typeof cbor === 'number' ? names.get(cbor) : undefined) ?? refuse(path, 'not one of its numbers'),
  };
}

/** An array of `min` (default 0) to `max` items of one kind. */
export function arrayOf<T>(
  item: Schema<T>,
  { min = 0, max }: { readonly min?: number; readonly max: number },
): Schema<readonly T[]> {
  const broken = (count: number) => (count < min || count > max ? `not ${min} to ${max} items` : undefined);
  const bounds = min === max ? `${max}*${max}` : `${min}*${max}`;
  return {
    maxBytes: headBytes(max) + max * item.maxBytes,
    maxItems: 1 + max * item.maxItems,
    depth: 1 + item.depth,
    lossy: item.lossy,
    type: `[${bounds} ${describe(item)}]`,
    bounds: '',
    cddl: `[${bounds} ${item.cddl}]`,
    refers: item.refers,
    toCbor(value, path) {
      if (!Array.isArray(value)) misuse(path, 'not an array');
      const rule = broken(value.length);
      if (rule) misuse(path, rule);
      return value.map((one, index) => item.toCbor(one, `${path}[${index}]`));
    },
    fromCbor(cbor, path) {
      if (!Array.isArray(cbor)) refuse(path, 'not an array');
      const rule = broken(cbor.length);
      if (rule) refuse(path, rule);
      return cbor.map((one: CborValue, index) => item.fromCbor(one, `${path}[${index}]`));
    },
  };
}

type Simplify<T> = { [K in keyof T]: T[K] } & unknown;
export type Elements = Readonly<Record<string, Schema<unknown>>>;
type TupleValue<E extends Elements> = Simplify<{ readonly [K in keyof E]: TypeOf<E[K]> }>;

/** A fixed array whose places have names: an object in memory, in the order declared on the wire. */
export function tuple<E extends Elements>(elements: E): Schema<TupleValue<E>> {
  const places = Object.entries(elements);
  const schemas = places.map(([, schema]) => schema);
  return {
    maxBytes: headBytes(places.length) + schemas.reduce((sum, { maxBytes }) => sum + maxBytes, 0),
    maxItems: 1 + schemas.reduce((sum, { maxItems }) => sum + maxItems, 0),
    depth: 1 + Math.max(0, ...schemas.map(({ depth }) => depth)),
    lossy: schemas.some(({ lossy }) => lossy),
    type: `[${places.map(([name, schema]) => `${name} ${describe(schema)}`).join(', ')}]`,
    bounds: '',
    cddl: `[${places.map(([name, schema]) => `${name}: ${schema.cddl}`).join(', ')}]`,
    refers: schemas.flatMap(({ refers }) => refers),
    toCbor(value, path) {
      const record = asRecord(
        value,
        places.map(([name]) => name),
        path,
      );
      return places.map(([name, schema]) => schema.toCbor(record[name], `${path}.${name}`));
    },
    fromCbor(cbor, path) {
      if (!Array.isArray(cbor)) refuse(path, 'not an array');
      if (cbor.length !== places.length) refuse(path, `not ${places.length} items`);
      const entries = places.map(([name, schema], index) => [
        name,
        schema.fromCbor(cbor[index] as CborValue, `${path}.${name}`),
      ]);
      return Object.fromEntries(entries) as TupleValue<E>;
    },
  };
}

/** Our own object as a record of known names; anything else in it is a mistake worth stopping at. */
export function asRecord(value: unknown, names: readonly string[], path: string): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) misuse(path, 'not an object');
  for (const name of Object.keys(value)) if (!names.includes(name)) misuse(path, `no field ${name}`);
  return value as Record<string, unknown>;
}

/** Kind and bounds in one phrase, as in "bstr ≤ 512". */
export function describe({ type, bounds }: Pick<Schema<unknown>, 'type' | 'bounds'>): string {
  return bounds === '' ? type : `${type} ${bounds}`;
}

/** The CDDL of a map key. */
export function cddlKey(key: CborKey): string {
  return typeof key === 'number' ? `${key}` : `"${key}"`;
}
