/**
 * Turns what valibot found into faults a person can mend, with the names the schema knows at that place, what was
 * expected there and an example. Owns the walk through a schema. Must not know any key.
 */
import * as v from 'valibot';
import type { ConfigFault } from './config-error.ts';
import { nearest } from './suggest.ts';
import { formatPath, type KeyPath, lineOf } from './toml-lines.ts';

export interface KeyNotes {
  readonly expected: string;
  readonly example: string;
}

/** A value with what to say when it is wrong; `example` is the right-hand side of a TOML line. */
export function value<const S extends v.GenericSchema>(schema: S, expected: string, example: string) {
  return v.pipe(schema, v.metadata({ expected, example }));
}

type AnySchema = v.GenericSchema;

interface Insides {
  readonly entries?: Readonly<Record<string, AnySchema>>;
  readonly item?: AnySchema;
  readonly wrapped?: AnySchema;
  readonly options?: readonly AnySchema[];
  readonly pipe?: readonly { readonly kind: string; readonly type?: string; readonly metadata?: KeyNotes }[];
}

/** The schema inside optionals and pipes, with the notes met on the way. */
function unwrap(schema: AnySchema): { readonly inside: Insides; readonly notes: KeyNotes | undefined } {
  let inside = schema as unknown as Insides;
  let notes: KeyNotes | undefined;
  for (;;) {
    for (const action of inside.pipe ?? []) if (action.type === 'metadata') notes ??= action.metadata;
    const next = inside.wrapped ?? (inside.pipe?.[0] as unknown as AnySchema | undefined);
    if (next === undefined || (next as unknown) === inside) return { inside, notes };
    if (inside.entries && inside.wrapped === undefined) return { inside, notes };
    inside = next as unknown as Insides;
  }
}

function at(root: AnySchema, path: KeyPath): ReturnType<typeof unwrap> | undefined {
  let here = unwrap(root);
  for (const part of path) {
    const next = typeof part === 'number' ? here.inside.item : here.inside.entries?.[part];
    if (next === undefined) return undefined;
    here = unwrap(next);
  }
  return here;
}

/** Every key the table at this path may have. */
export function knownKeys(root: AnySchema, path: KeyPath): readonly string[] {
  return Object.keys(at(root, path)?.inside.entries ?? {});
}

export interface Source {
  readonly file?: string | undefined;
  readonly text: string;
}

/** One fault per issue, in the order of the file. */
export function faultsOf(
  root: AnySchema,
  issues: readonly v.BaseIssue<unknown>[],
  { file, text }: Source,
): ConfigFault[] {
  const faults = issues.map((issue): ConfigFault => {
    const path = (issue.path ?? []).map(({ key }) => key as string | number);
    const line = lineOf(text, path);
    const place = { file, line, key: formatPath(path) };
    const name = path.at(-1);
    if (issue.type === 'strict_object' && issue.expected === 'never' && typeof name === 'string') {
      return { ...place, ...unknownKey(name, knownKeys(root, path.slice(0, -1))) };
    }
    const { notes, inside } = at(root, path) ?? {};
    const example = notes && typeof name === 'string' ? exampleOf(path, notes.example) : undefined;
    const expected = notes?.expected ?? (inside?.entries ? 'a table' : undefined);
    if (issue.type === 'strict_object' && issue.received === 'undefined') {
      return { ...place, problem: 'missing', expected, example };
    }
    const problem = issue.kind === 'schema' ? `${typeName(issue.input)} is not right here` : issue.message;
    return { ...place, problem, expected: expected ?? issue.message, example };
  });
  return faults.sort((a, b) => (a.line ?? 0) - (b.line ?? 0));
}

function unknownKey(name: string, known: readonly string[]): Pick<ConfigFault, 'problem' | 'expected'> {
  const meant = nearest(name, known);
  return {
    problem: meant === undefined ? 'unknown key' : `unknown key; did you mean ${meant}?`,
    expected: `one of ${known.join(', ')}`,
  };
}

/** `[bluetooth] adapter = "hci:0"`: a key with its table, so that it can be pasted. */
function exampleOf(path: KeyPath, right: string): string {
  const table = formatPath(path.slice(0, -1)).replaceAll(/\[\d+\]/g, '');
  const inArray = typeof path.at(-2) === 'number';
  const header = table === '' ? '' : inArray ? `[[${table}]] ` : `[${table}] `;
  return `${header}${path.at(-1)} = ${right}`;
}

function typeName(input: unknown): string {
  if (input === undefined) return 'nothing';
  if (Array.isArray(input)) return 'an array';
  if (input instanceof Date) return 'a date';
  if (typeof input === 'object') return 'a table';
  const shown = JSON.stringify(input) ?? String(input);
  return shown.length > 60 ? `a ${typeof input}` : shown;
}
