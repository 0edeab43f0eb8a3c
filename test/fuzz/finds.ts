/**
 * Finds as files: a minimised input that once broke a promise, kept for ever as a regression vector in `finds/`. Owns the
 * format and the minimising, which is fast-check's shrinking of the input that failed.
 */
import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { fromHex, toHex } from '../../src/base/bytes.ts';
import type { Input } from './target.ts';

export const FINDS_FOLDER = join(dirname(fileURLToPath(import.meta.url)), 'finds');
const MINIMISE_MS = 10_000;

export interface Find {
  readonly target: string;
  /** What was broken, in one line. */
  readonly error: string;
  readonly parts: Input;
}

/** What the bytes of a broken promise look like when they are written down. */
interface Written extends Omit<Find, 'parts'> {
  readonly parts: readonly string[];
}

export function readFind(path: string): Find {
  const { target, error, parts } = JSON.parse(readFileSync(path, 'utf8')) as Written;
  return { target, error, parts: parts.map(fromHex) };
}

/** Every kept vector, by file name. */
export function keptFinds(): readonly { readonly file: string; readonly find: Find }[] {
  return readdirSync(FINDS_FOLDER)
    .filter((file) => file.endsWith('.json'))
    .sort()
    .map((file) => ({ file, find: readFind(join(FINDS_FOLDER, file)) }));
}

/** @returns the path of the file */
export function writeFind(folder: string, { target, error, parts }: Find): string {
  mkdirSync(folder, { recursive: true });
  const written: Written = { target, error, parts: parts.map(toHex) };
  const digest = createHash('sha256').update(error).update(written.parts.join()).digest('hex');
  const path = join(folder, `${target}-${digest.slice(0, 8)}.json`);
  writeFileSync(path, `${JSON.stringify(written, null, 2)}\n`);
  return path;
}

/**
 * The smallest input that fast-check finds to fail in the same way.
 * @param fails the failure of an input in one line, or nothing
 */
export async function minimise(
  input: Input,
  error: string,
  fails: (input: Input) => Promise<string | undefined>,
): Promise<Input> {
  const whole = fc.array(fc.uint8Array({ maxLength: 70_000, size: 'max' }), { maxLength: 64, size: 'max' });
  const property = fc.asyncProperty(whole, async (candidate) => {
    if ((await fails(candidate)) === error) throw new Error(error);
  });
  const { counterexample } = await fc.check(property, {
    examples: [[input.map((one) => one)]],
    numRuns: 1,
    interruptAfterTimeLimit: MINIMISE_MS,
    markInterruptAsFailure: true,
  });
  return counterexample?.[0] ?? input;
}
