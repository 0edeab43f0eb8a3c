/**
 * Reading what a system says of itself in small files: sysfs, procfs, configuration. Owns "it is not there" and bounds; a
 * file that can't be read is undefined, never an error. Must not write.
 */
import { existsSync, readdirSync, readFileSync, readlinkSync, realpathSync } from 'node:fs';

const MAX_CHARS = 1024 * 1024;

/** The text of a file, without the white space at its end. */
export function textOf(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8').slice(0, MAX_CHARS).trimEnd();
  } catch {
    return undefined;
  }
}

/** Names in a folder, or none. */
export function namesIn(path: string): readonly string[] {
  try {
    return readdirSync(path);
  } catch {
    return [];
  }
}

/** What a link says. */
export function linkOf(path: string): string | undefined {
  try {
    return readlinkSync(path);
  } catch {
    return undefined;
  }
}

/** Where a path leads to in the end. */
export function realPathOf(path: string): string | undefined {
  try {
    return realpathSync(path);
  } catch {
    return undefined;
  }
}

export { existsSync as exists };

/** The system's code of an error, for a reason why something could not be seen. */
export function codeOf(error: unknown): string {
  if (error instanceof Error && 'code' in error && error.code) return String(error.code);
  return error instanceof Error ? error.message : String(error);
}
