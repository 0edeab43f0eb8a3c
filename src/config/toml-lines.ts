/**
 * Which line of a TOML text a key stands on, for error messages. The parser keeps no positions, so this walks the
 * lines: table headers, arrays of tables, keys at the start of a line. What it can't place has no line, never a wrong one
 * that matters: a key inside an inline table is placed at the line of its outermost key.
 */

export type KeyPath = readonly (string | number)[];

const HEADER = /^\s*\[(\[)?\s*([^\]]+?)\s*\]\]?\s*(?:#.*)?$/;
const ASSIGNMENT =
  /^\s*((?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*')(?:\s*\.\s*(?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*'))*)\s*=/;
const TRIPLE_QUOTES = /"""|'''/g;

/** `a."b c".d` as its parts. */
function splitKey(text: string): string[] {
  const parts = text.match(/"[^"]*"|'[^']*'|[^.\s]+/g) ?? [];
  return parts.map((part) => part.replace(/^(["'])(.*)\1$/, '$2'));
}

const same = (a: KeyPath, b: KeyPath): boolean =>
  a.length === b.length && a.every((part, i) => part === b[i]);

interface Place {
  readonly path: KeyPath;
  readonly line: number;
}

/** Every header and key with its line, in order. */
function places(toml: string): Place[] {
  const found: Place[] = [];
  const counts = new Map<string, number>();
  let table: KeyPath = [];
  let inMultiline = false;
  for (const [index, text] of toml.split('\n').entries()) {
    const wasMultiline = inMultiline;
    if ((text.match(TRIPLE_QUOTES)?.length ?? 0) % 2 === 1) inMultiline = !inMultiline;
    if (wasMultiline) continue;
    const header = HEADER.exec(text);
    const name = header?.[2];
    if (name !== undefined) {
      const keys = splitKey(name);
      if (header?.[1]) {
        const count = counts.get(keys.join('\0')) ?? 0;
        counts.set(keys.join('\0'), count + 1);
        table = [...withIndices(keys.slice(0, -1), counts), keys.at(-1) ?? '', count];
      } else table = withIndices(keys, counts);
      found.push({ path: table, line: index + 1 });
      continue;
    }
    const key = ASSIGNMENT.exec(text)?.[1];
    if (key !== undefined) found.push({ path: [...table, ...splitKey(key)], line: index + 1 });
  }
  return found;
}

/** `[rule.more]` below `[[rule]]` belongs to the last rule. */
function withIndices(keys: readonly string[], counts: ReadonlyMap<string, number>): (string | number)[] {
  const path: (string | number)[] = [];
  for (let i = 0; i < keys.length; i++) {
    path.push(keys[i] ?? '');
    const count = counts.get(keys.slice(0, i + 1).join('\0'));
    if (count !== undefined) path.push(count - 1);
  }
  return path;
}

/**
 * The line of a key, or of the nearest thing around it that has one.
 * @returns a line from 1, or nothing when not even the key's table is written in the text
 */
export function lineOf(toml: string, path: KeyPath): number | undefined {
  const all = places(toml);
  for (let length = path.length; length > 0; length--) {
    const wanted = path.slice(0, length);
    const exact = all.find((place) => same(place.path, wanted));
    if (exact) return exact.line;
    // Only a dotted key or a header below it was written.
    const below = all.find(
      (place) => place.path.length > length && same(place.path.slice(0, length), wanted),
    );
    if (below) return below.line;
  }
  return undefined;
}

/** `approvals.rule[2].user`, counted from 1 as people do. */
export function formatPath(path: KeyPath): string {
  let text = '';
  for (const part of path) {
    if (typeof part === 'number') text += `[${part + 1}]`;
    else text += `${text === '' ? '' : '.'}${/^[A-Za-z0-9_-]+$/.test(part) ? part : JSON.stringify(part)}`;
  }
  return text;
}
