/**
 * A reader of the part of CDDL (RFC 8610) that docs/cpns.cddl uses, and a matcher of CBOR values against it; for tests
 * only. It reads the text, not the declarations, so that grammar and codec are compared with each other.
 */
import type { CborValue } from '../../src/messages/cbor.ts';

type Type =
  | { readonly is: 'name'; readonly name: string }
  | { readonly is: 'value'; readonly value: CborValue }
  | { readonly is: 'range'; readonly from: number; readonly to: number }
  | { readonly is: 'control'; readonly of: Type; readonly control: string; readonly by: Type }
  | { readonly is: 'choice'; readonly types: readonly Type[] }
  | { readonly is: 'array' | 'map'; readonly entries: readonly Entry[] };

interface Entry {
  readonly least: number;
  readonly most: number;
  readonly key: CborValue | undefined;
  readonly type: Type;
}

export type Grammar = ReadonlyMap<string, Type>;

const TOKEN =
  /\s+|;[^\n]*|h'[0-9a-f]*'|"(?:[^"\\]|\\.)*"|\.\.|\.[a-z]+|\d*\*\d*|-?\d+|[A-Za-z][\w-]*|[=/{}()[\],:?]/gy;

/** Parses a whole file; throws on anything outside the part it knows. */
export function parseCddl(text: string): Grammar {
  const tokens: string[] = [];
  TOKEN.lastIndex = 0;
  while (TOKEN.lastIndex < text.length) {
    const from = TOKEN.lastIndex;
    const found = TOKEN.exec(text)?.[0];
    if (found === undefined) throw new Error(`no CDDL at ${JSON.stringify(text.slice(from, from + 20))}`);
    if (!/^(\s|;)/.test(found)) tokens.push(found);
  }
  let at = 0;
  const peek = (ahead = 0) => tokens[at + ahead] ?? '';
  const next = () => tokens[at++] ?? '';
  const expect = (token: string) => {
    const found = next();
    if (found !== token) throw new Error(`wanted ${token}, found ${found}`);
  };
  const literal = (token: string): CborValue | undefined => {
    if (/^-?\d+$/.test(token)) return Number(token);
    if (token.startsWith('"')) return JSON.parse(token) as string;
    if (token.startsWith("h'")) return new Uint8Array(Buffer.from(token.slice(2, -1), 'hex'));
    return token === 'true' ? true : token === 'false' ? false : undefined;
  };
  const group = (close: string): Entry[] => {
    const entries: Entry[] = [];
    while (peek() !== close) {
      let [least, most] = [1, 1];
      const occurrence = /^(\d*)\*(\d*)$/.exec(peek());
      if (peek() === '?') [least, most] = [0, 1];
      if (occurrence)
        [least, most] = [Number(occurrence[1]), Number(occurrence[2] || Number.POSITIVE_INFINITY)];
      if (peek() === '?' || occurrence) next();
      let key: CborValue | undefined;
      if (peek(1) === ':') {
        const token = next();
        key = literal(token) ?? token;
        next();
      }
      entries.push({ least, most, key, type: type() });
      if (peek() === ',') next();
    }
    expect(close);
    return entries;
  };
  const type2 = (): Type => {
    const token = next();
    if (token === '{') return { is: 'map', entries: group('}') };
    if (token === '[') return { is: 'array', entries: group(']') };
    if (token === '(') {
      const inner = type();
      expect(')');
      return inner;
    }
    const value = literal(token);
    if (value !== undefined) return { is: 'value', value };
    if (!/^[A-Za-z]/.test(token)) throw new Error(`no type: ${token}`);
    return { is: 'name', name: token };
  };
  const type1 = (): Type => {
    const left = type2();
    if (peek() === '..') {
      next();
      const right = type2();
      if (left.is !== 'value' || right.is !== 'value') throw new Error('range of no values');
      return { is: 'range', from: Number(left.value), to: Number(right.value) };
    }
    if (!/^\.[a-z]+$/.test(peek())) return left;
    return { is: 'control', of: left, control: next(), by: type2() };
  };
  const type = (): Type => {
    const types = [type1()];
    while (peek() === '/') {
      next();
      types.push(type1());
    }
    return types.length === 1 && types[0] ? types[0] : { is: 'choice', types };
  };
  const rules = new Map<string, Type>();
  while (at < tokens.length) {
    const name = next();
    expect('=');
    if (rules.has(name)) throw new Error(`two rules ${name}`);
    rules.set(name, type());
  }
  return rules;
}

const PRELUDE: Readonly<Record<string, (value: CborValue) => boolean>> = {
  bstr: (value) => value instanceof Uint8Array,
  tstr: (value) => typeof value === 'string',
  bool: (value) => typeof value === 'boolean',
};

/** Names used and not defined, and rules that `root` does not reach. */
export function looseEnds(grammar: Grammar, root: string): string[] {
  const seen = new Set<string>();
  const loose: string[] = [];
  const visit = (type: Type): void => {
    if (type.is === 'choice') type.types.forEach(visit);
    else if (type.is === 'control') [type.of, type.by].forEach(visit);
    else if (type.is === 'array' || type.is === 'map')
      for (const { type: inner } of type.entries) visit(inner);
    else if (type.is === 'name' && !(type.name in PRELUDE) && !seen.has(type.name)) {
      seen.add(type.name);
      const rule = grammar.get(type.name);
      if (rule) visit(rule);
      else loose.push(type.name);
    }
  };
  visit({ is: 'name', name: root });
  return [...loose, ...[...grammar.keys()].filter((name) => !seen.has(name))];
}

/** True when the value is what the type says; the content of `.cbor` strings is not looked at. */
export function matches(grammar: Grammar, type: Type | string, value: CborValue): boolean {
  if (typeof type === 'string') return matches(grammar, { is: 'name', name: type }, value);
  switch (type.is) {
    case 'name': {
      const rule = grammar.get(type.name);
      return rule ? matches(grammar, rule, value) : PRELUDE[type.name]?.(value) === true;
    }
    case 'value':
      return value === type.value;
    case 'range':
      return typeof value === 'number' && value >= type.from && value <= type.to;
    case 'choice':
      return type.types.some((one) => matches(grammar, one, value));
    case 'control':
      return matches(grammar, type.of, value) && controls(grammar, type.control, type.by, value);
    case 'map': {
      if (!(value instanceof Map)) return false;
      const known = type.entries.map(({ key }) => key);
      return (
        [...value.keys()].every((key) => known.includes(key)) &&
        type.entries.every(({ key, least, type: inner }) =>
          value.has(key) ? matches(grammar, inner, value.get(key)) : least === 0,
        )
      );
    }
    case 'array': {
      if (!Array.isArray(value)) return false;
      const [first] = type.entries;
      if (type.entries.length !== 1 || !first)
        return (
          value.length === type.entries.length &&
          type.entries.every(({ type: inner }, i) => matches(grammar, inner, value[i] as CborValue))
        );
      const { least, most, type: inner } = first;
      return (
        value.length >= least && value.length <= most && value.every((one) => matches(grammar, inner, one))
      );
    }
  }
}

function controls(grammar: Grammar, control: string, by: Type, value: CborValue): boolean {
  switch (control) {
    case '.size':
      return matches(
        grammar,
        by,
        typeof value === 'string' ? Buffer.byteLength(value) : (value as Uint8Array).length,
      );
    case '.regexp':
      return by.is === 'value' && new RegExp(`^(?:${by.value})$`, 'u').test(value as string);
    case '.and':
      return matches(grammar, by, value);
    case '.cbor':
      return true;
    default:
      throw new Error(`control ${control}`);
  }
}
