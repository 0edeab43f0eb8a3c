/**
 * Reads a symbolic model of docs/model/symbolic: its variants, what each of its queries is expected to give, and the text of
 * one variant. Must not know how the verifier is run. The marks are comments to ProVerif, so that a file as it stands is
 * nearly the protocol as built; docs/model/README.md describes them.
 */

/** `reached` and `unreached` are said of an event that a query asks to be impossible. */
export const EXPECTATIONS = ['true', 'false', 'reached', 'unreached'] as const;
export type Expectation = (typeof EXPECTATIONS)[number];

export interface Variant {
  readonly name: string;
  /** One in which a check is left out, so that an attack must be found. */
  readonly looser: boolean;
  readonly what: string;
}

export interface Query {
  readonly label: string;
  /** In words: what holds when it is true. */
  readonly what: string;
  readonly expected: Expectation;
  /** Where a variant differs. */
  readonly exceptions: ReadonlyMap<string, Expectation>;
}

export interface Model {
  readonly name: string;
  readonly variants: readonly Variant[];
  readonly queries: readonly Query[];
  readonly source: string;
}

const VARIANTS = /^\(\*@ ([\s\S]*?)\*\)$/m;
const LEFT_OUT = /^(.*?)\s*\(\*- ([a-z0-9 -]+) \*\)\s*$/;
const PUT_IN = /^(\s*)\(\*\+ ([a-z0-9 -]+): (.*) \*\)\s*$/;
const QUERY_MARK = /^\(\*\? (\S+) ([^\n]*)\n([\s\S]*?)\*\)\n/;

/** @throws Error naming the model, when a mark is wrong or a query has none */
export function parseModel(name: string, source: string): Model {
  const wrong = (why: string) => new Error(`${name}: ${why}`);
  const block = VARIANTS.exec(source)?.[1];
  if (!block) throw wrong('no list of variants, (*@ … *)');
  const variants = block
    .split('\n')
    .filter((line) => line.trim() !== '')
    .map((line): Variant => {
      const [, mark, variant, what] = /^\s*(! )?([a-z0-9-]+)\s{2,}(\S.*?)\s*$/.exec(line) ?? [];
      if (!variant || !what) throw wrong(`a variant is a name, two spaces and what it is: ${line.trim()}`);
      return { name: variant, looser: mark !== undefined, what };
    });
  const names = new Set(variants.map((variant) => variant.name));
  for (const line of source.split('\n')) {
    const marked = LEFT_OUT.exec(line)?.[2] ?? PUT_IN.exec(line)?.[2];
    if (!marked && /\(\*[-+] /.test(line)) throw wrong(`a mark that says nothing: ${line.trim()}`);
    for (const used of marked?.split(' ') ?? [])
      if (!names.has(used)) throw wrong(`no such variant: ${used}`);
  }
  const queries = queryTexts(source).map((text) => parseQuery(text, names, wrong));
  if (queries.length !== (source.match(/^query /gm) ?? []).length) throw wrong('a query without (*? … *)');
  if (new Set(queries.map(({ label }) => label)).size !== queries.length)
    throw wrong('a label is used twice');
  return { name, variants, queries, source };
}

/** Each query with the mark before it. */
function queryTexts(source: string): readonly string[] {
  const end = source.indexOf('\nprocess');
  return source
    .slice(0, end)
    .split(/^(?=\(\*\? )/m)
    .slice(1);
}

function parseQuery(text: string, variants: ReadonlySet<string>, wrong: (why: string) => Error): Query {
  const [whole, label, expectations, words] = QUERY_MARK.exec(text) ?? [];
  if (!whole || !label || !expectations || !words) throw wrong(`a mark of a query: ${text.split('\n')[0]}`);
  if ((text.match(/^query /gm) ?? []).length !== 1) throw wrong(`${label}: one mark, one query`);
  const [first, ...rest] = expectations.split(';').map((part) => part.trim());
  const exceptions = new Map<string, Expectation>();
  for (const part of rest) {
    const parts = part.split(' ');
    const expected = expectation(parts.pop());
    for (const variant of parts) {
      if (!variants.has(variant)) throw wrong(`${label}: no such variant: ${variant}`);
      exceptions.set(variant, expected);
    }
  }
  return { label, what: words.trim().replace(/\s+/g, ' '), expected: expectation(first), exceptions };

  function expectation(word: string | undefined): Expectation {
    const found = EXPECTATIONS.find((known) => known === word);
    if (!found) throw wrong(`${label}: expected is one of ${EXPECTATIONS.join(', ')}, not ${word}`);
    return found;
  }
}

/**
 * The queries that a variant is run with: all, but of a looser one only those it is there to break and those that show
 * that it runs at all.
 */
export function queriesOf({ queries }: Model, variant: Variant): readonly Query[] {
  if (!variant.looser) return queries;
  return queries.filter(({ expected, exceptions }) => expected === 'reached' || exceptions.has(variant.name));
}

export function expectedOf(query: Query, variant: Variant): Expectation {
  return query.exceptions.get(variant.name) ?? query.expected;
}

/** The variant's own text, as ProVerif reads it, with just its queries. */
export function textOf(model: Model, variant: Variant): string {
  const wanted = new Set(queriesOf(model, variant).map(({ label }) => label));
  let source = model.source;
  for (const text of queryTexts(model.source)) {
    const label = QUERY_MARK.exec(text)?.[1];
    if (label && !wanted.has(label)) source = source.replace(text, () => '');
  }
  return source
    .split('\n')
    .flatMap((line) => {
      const leftOut = LEFT_OUT.exec(line);
      if (leftOut) return leftOut[2]?.split(' ').includes(variant.name) ? [] : [leftOut[1] ?? ''];
      const putIn = PUT_IN.exec(line);
      if (putIn) return putIn[2]?.split(' ').includes(variant.name) ? [`${putIn[1]}${putIn[3]}`] : [];
      return [line];
    })
    .join('\n');
}
