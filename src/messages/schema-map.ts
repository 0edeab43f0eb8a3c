/**
 * Maps: named fields under integer (or text) keys, choices between maps told apart by one field, and names for parts
 * that several messages share.
 * Owns the handling of unknown, missing and optional keys. Must not know any message. Source: docs/protocol.md §4.1.
 */
import type { CborKey, CborMap, CborValue } from './cbor.ts';
import {
  asRecord,
  cddlKey,
  describe,
  headBytes,
  literal,
  misuse,
  type Named,
  refuse,
  type Schema,
  type TypeOf,
} from './schema.ts';

type Presence = 'required' | 'optional' | 'constant';

export interface Field<T, P extends Presence = Presence> {
  readonly key: CborKey;
  readonly schema: Schema<T>;
  readonly presence: P;
  /** What its value has to be, when `presence` is constant. */
  readonly value?: T;
  readonly doc: string;
}

/** A field that must be there. */
export function field<T>(key: CborKey, schema: Schema<T>, doc = ''): Field<T, 'required'> {
  return { key, schema, presence: 'required', doc };
}

/** A field that may be absent; undefined stands for absent nowhere: leave it out. */
export function optional<T>(key: CborKey, schema: Schema<T>, doc = ''): Field<T, 'optional'> {
  return { key, schema, presence: 'optional', doc };
}

/** A field with one possible value: written and checked, but no part of the value in memory. */
export function constant(key: CborKey, value: number, doc = ''): Field<number, 'constant'> {
  return { key, schema: literal(value), presence: 'constant', value, doc };
}

export type Fields = Readonly<Record<string, Field<unknown>>>;

type With<F extends Fields, P extends Presence> = {
  [K in keyof F]: F[K] extends Field<unknown, P> ? K : never;
}[keyof F];
type ValueOf<F> = F extends { readonly schema: infer S } ? TypeOf<S> : never;
export type MapValue<F extends Fields> = {
  readonly [K in With<F, 'required'>]: ValueOf<F[K]>;
} & {
  readonly [K in With<F, 'optional'>]?: ValueOf<F[K]>;
} extends infer M
  ? { [K in keyof M]: M[K] }
  : never;

/** One row of a message's table in the documentation. */
export interface FieldRow {
  readonly key: CborKey;
  readonly name: string;
  readonly type: string;
  readonly bounds: string;
  readonly optional: boolean;
  readonly doc: string;
  /** The rows inside, when the field is a map of its own. */
  readonly fields: readonly FieldRow[];
}

export interface MapSchema<F extends Fields> extends Schema<MapValue<F>> {
  readonly fields: F;
}

export interface MapOptions<V> {
  /** A rule over several fields: what is wrong with the value, or nothing. */
  readonly rule?: (value: V) => string | undefined;
}

/** A map with exactly these fields; unknown keys are refused. */
export function map<F extends Fields>(fields: F, options: MapOptions<MapValue<F>> = {}): MapSchema<F> {
  const entries = Object.entries(fields);
  const names = entries.filter(([, { presence }]) => presence !== 'constant').map(([name]) => name);
  const keys = new Set(entries.map(([, { key }]) => key));
  if (keys.size !== entries.length) throw new TypeError('two fields with one key');
  const sum = (of: (schema: Schema<unknown>) => number) =>
    entries.reduce((total, [, { schema }]) => total + of(schema), 0);
  const broken = (value: MapValue<F>) => options.rule?.(value);
  return {
    fields,
    maxBytes: headBytes(entries.length) + keyBytes(keys) + sum(({ maxBytes }) => maxBytes),
    maxItems: 1 + entries.length + sum(({ maxItems }) => maxItems),
    depth: 1 + Math.max(0, ...entries.map(([, { schema }]) => schema.depth)),
    lossy: entries.some(([, { schema }]) => schema.lossy),
    type: `{${entries.map(([name, each]) => inProse(name, each)).join(', ')}}`,
    bounds: '',
    cddl: `{${entries.map(([, each]) => inCddl(each)).join(', ')}}`,
    refers: entries.flatMap(([, { schema }]) => schema.refers),
    toCbor(value, path) {
      const record = asRecord(value, names, path);
      const out = new Map<CborKey, CborValue>();
      for (const [name, each] of entries) {
        const item = each.presence === 'constant' ? each.value : record[name];
        if (item !== undefined) out.set(each.key, each.schema.toCbor(item, `${path}.${name}`));
        else if (each.presence !== 'optional' || Object.hasOwn(record, name))
          misuse(`${path}.${name}`, 'missing');
      }
      const rule = broken(value);
      return rule === undefined ? out : misuse(path, rule);
    },
    fromCbor(cbor, path) {
      const source = asMap(cbor, path);
      for (const key of source.keys()) if (!keys.has(key)) refuse(path, 'unknown key');
      const record: Record<string, unknown> = {};
      for (const [name, each] of entries) {
        const item = source.get(each.key);
        if (item !== undefined) {
          const read = each.schema.fromCbor(item, `${path}.${name}`);
          if (each.presence !== 'constant') record[name] = read;
        } else if (each.presence !== 'optional') refuse(`${path}.${name}`, 'missing');
      }
      const value = record as MapValue<F>;
      const rule = broken(value);
      return rule === undefined ? value : refuse(path, rule);
    },
  };
}

export interface Choice<T> extends Schema<T> {
  readonly alternatives: readonly MapSchema<Fields>[];
}

/**
 * One of several maps, told apart by the field `by`, which all of them have under the same key: the first whose schema
 * takes the value on the wire decides, and every other error is then an error.
 */
export function choice<const A extends readonly MapSchema<Fields>[]>(
  by: string,
  ...alternatives: A
): Choice<TypeOf<A[number]>> {
  const fields = alternatives.map(({ fields }) => fields[by]);
  const key = fields[0]?.key;
  if (key === undefined || fields.some((each) => each?.key !== key))
    throw new TypeError(`the alternatives do not share a field ${by}`);
  const most = (of: (schema: Schema<unknown>) => number) => Math.max(...alternatives.map(of));
  return {
    alternatives,
    maxBytes: most(({ maxBytes }) => maxBytes),
    maxItems: most(({ maxItems }) => maxItems),
    depth: most(({ depth }) => depth),
    lossy: alternatives.some(({ lossy }) => lossy),
    type: alternatives.map(({ type }) => type).join(' or '),
    bounds: '',
    cddl: alternatives.map(({ cddl }) => cddl).join(' / '),
    refers: alternatives.flatMap(({ refers }) => refers),
    toCbor(value, path) {
      const told = (value as Record<string, unknown> | undefined)?.[by];
      for (const each of alternatives)
        if (passes(() => each.fields[by]?.schema.toCbor(told, path))) return each.toCbor(value, path);
      return misuse(`${path}.${by}`, 'no alternative has this value');
    },
    fromCbor(cbor, path) {
      const told = asMap(cbor, path).get(key);
      if (told === undefined) return refuse(`${path}.${by}`, 'missing');
      for (const each of alternatives)
        if (passes(() => each.fields[by]?.schema.fromCbor(told, path)))
          return each.fromCbor(cbor, path) as TypeOf<A[number]>;
      return refuse(`${path}.${by}`, 'no alternative has this value');
    },
  };
}

/** Gives a part that several messages share its own rule in the CDDL and its own name in the documentation. */
export function define<S extends Schema<unknown>>(name: string, doc: string, schema: S): S & Named {
  const self = { name, doc, rule: ruleText(schema), refers: schema.refers };
  return { ...schema, ...self, cddl: name, refers: [self] };
}

/** The rows of a map's fields, in the order declared; empty for anything else. */
export function fieldRows(schema: object): readonly FieldRow[] {
  if (!('fields' in schema)) return [];
  return Object.entries(schema.fields as Fields).map(([name, { key, schema: inner, presence, doc }]) => ({
    key,
    name,
    type: inner.type,
    bounds: inner.bounds,
    optional: presence === 'optional',
    doc,
    fields: fieldRows(inner),
  }));
}

/** The tables of a message: one for a map, one for each alternative of a choice, none for anything else. */
export function fieldTables(schema: object): readonly (readonly FieldRow[])[] {
  if ('alternatives' in schema) return (schema as Choice<unknown>).alternatives.map(fieldRows);
  return 'fields' in schema ? [fieldRows(schema)] : [];
}

/** The right-hand side of a rule: one field a line for a map, with its name and meaning as a comment. */
export function ruleText(schema: Schema<unknown>): string {
  if (!('fields' in schema)) return schema.cddl;
  const entries = Object.entries(schema.fields as Fields);
  if (entries.length === 0) return '{}';
  const lines = entries.map(([name, each]) => {
    const about = each.doc === '' ? name : `${name}: ${each.doc}`;
    return `  ${inCddl(each)},  ; ${about}`;
  });
  return `{\n${lines.join('\n')}\n}`;
}

function inCddl({ key, schema, presence }: Field<unknown>): string {
  return `${presence === 'optional' ? '? ' : ''}${cddlKey(key)}: ${schema.cddl}`;
}

function inProse(name: string, { key, schema, presence }: Field<unknown>): string {
  return `${presence === 'optional' ? '?' : ''}${key}: ${name} ${describe(schema)}`;
}

function keyBytes(keys: ReadonlySet<CborKey>): number {
  let total = 0;
  for (const key of keys) {
    if (typeof key === 'number') total += headBytes(key < 0 ? -1 - key : key);
    else total += headBytes(key.length) + key.length;
  }
  return total;
}

function asMap(cbor: CborValue, path: string): CborMap {
  return cbor instanceof Map ? (cbor as CborMap) : refuse(path, 'not a map');
}

function passes(attempt: () => unknown): boolean {
  try {
    attempt();
    return true;
  } catch {
    return false;
  }
}
