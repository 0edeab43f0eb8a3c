/**
 * What commands print: tables for people, JSON for programs, progress for what takes longer than a moment.
 * Owns the forms. Results go to stdout, everything else to stderr.
 */

/** What a terminal may act upon, or what makes one line look like two. */
const NOT_INERT = /[\p{C}\p{Zl}\p{Zp}]/gu;

/** A text that somebody else chose, with everything that is no visible character as `\uXXXX`. */
export function inert(text: string): string {
  return text.replace(NOT_INERT, (found) =>
    found
      .split('')
      .map((unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
      .join(''),
  );
}

/** A value as JSON, inert and still the same JSON. @param spaces of indentation; on one line without */
export function inertJson(value: unknown, spaces?: number): string {
  return JSON.stringify(value, undefined, spaces).split('\n').map(inert).join('\n');
}

/** Prints a value as JSON with two spaces, or what `human` makes of it. */
export function print(json: boolean | undefined, value: unknown, human: () => string): void {
  process.stdout.write(`${json ? inertJson(value, 2) : human()}\n`);
}

/** Columns as wide as their widest cell; two spaces between. */
export function table(head: readonly string[], rows: readonly (readonly unknown[])[]): string {
  const lines = [head, ...rows].map((row) => head.map((_, i) => cell(row[i])));
  const widths = head.map((_, i) => Math.max(...lines.map((line) => line[i]?.length ?? 0)));
  return lines
    .map((line) =>
      line
        .map((text, i) => text.padEnd(widths[i] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

function cell(value: unknown): string {
  if (value === undefined || value === null || value === '') return '-';
  return typeof value === 'boolean' ? (value ? 'yes' : 'no') : String(value);
}

/** `name: value` a line, nested tables indented; lists of plain values on one line. */
export function fields(value: unknown, indent = ''): string {
  if (typeof value !== 'object' || value === null) return `${indent}${cell(value)}`;
  const entries = Object.entries(value);
  const width = Math.max(0, ...entries.map(([name]) => name.length));
  return entries
    .map(([name, inner]) => {
      const label = `${indent}${Array.isArray(value) ? '-' : name}`;
      if (typeof inner !== 'object' || inner === null) {
        return `${label.padEnd(Array.isArray(value) ? 0 : indent.length + width)}  ${cell(inner)}`;
      }
      const inside = fields(inner, `${indent}  `);
      return inside === '' ? `${label}  none` : `${label}\n${inside}`;
    })
    .join('\n');
}

/** 2026-11-24 02:29:00Z of server seconds. */
export function formatTime(seconds: number | undefined): string {
  if (seconds === undefined) return '-';
  return `${new Date(seconds * 1000).toISOString().slice(0, 19).replace('T', ' ')}Z`;
}

const PROGRESS_AFTER_MS = 1_500;
const PROGRESS_EVERY_MS = 1_000;

/** Says on stderr what is being waited for, once it takes longer than a moment, and how long it has taken. */
export async function withProgress<T>(what: string, work: Promise<T>): Promise<T> {
  const startedAt = Date.now();
  let shown = false;
  const live = process.stderr.isTTY === true;
  const show = () => {
    const seconds = Math.round((Date.now() - startedAt) / 1000);
    if (live) process.stderr.write(`\r${what} … ${seconds} s `);
    else if (!shown) process.stderr.write(`${what} …\n`);
    shown = true;
  };
  let repeat: NodeJS.Timeout | undefined;
  const first = setTimeout(() => {
    show();
    repeat = setInterval(show, PROGRESS_EVERY_MS);
  }, PROGRESS_AFTER_MS);
  try {
    return await work;
  } finally {
    clearTimeout(first);
    clearInterval(repeat);
    if (shown && live) process.stderr.write('\r\x1b[K');
  }
}
