/**
 * Files and directories that a loss of power can't take back once the call has returned: data, then the name that leads
 * to it, then the names of the directories above. Owns fsync of files and directories (docs/durability.md).
 * Must not know what is in them.
 */
import {
  closeSync,
  fchmodSync,
  fsyncSync,
  linkSync,
  mkdirSync,
  openSync,
  renameSync,
  statSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, resolve } from 'node:path';
import { type Bytes, toHex } from '../base/bytes.ts';
import { nodePrimitives } from './primitives-node.ts';

export const PRIVATE_DIRECTORY = 0o700;

/** Makes a directory of mode 0700 and those above it that are missing. Harmless when it is there. */
export function makeDirectory(path: string): void {
  const made = mkdirSync(path, { recursive: true, mode: PRIVATE_DIRECTORY });
  if (made === undefined) return;
  const first = resolve(made);
  for (let directory = resolve(path); ; directory = dirname(directory)) {
    syncDirectory(dirname(directory));
    if (directory === first) return;
  }
}

/**
 * Makes a file, whole or not at all; one that has the name already stays as it is. Its directory has to be there.
 * @returns whether it was made
 */
export function createFile(path: string, content: string | Bytes, mode: number): boolean {
  const temporary = temporaryFor(path);
  let made: boolean;
  try {
    write(temporary, content, mode);
    made = linkUnlessTaken(temporary, path);
  } finally {
    if (exists(temporary)) unlinkSync(temporary);
  }
  syncDirectory(dirname(path));
  return made;
}

/** Writes a file anew: what is found at any time is all of the old or all of the new. */
export function replaceFile(path: string, content: string | Bytes, mode: number): void {
  const temporary = temporaryFor(path);
  try {
    write(temporary, content, mode);
    renameSync(temporary, path);
  } finally {
    if (exists(temporary)) unlinkSync(temporary);
  }
  syncDirectory(dirname(path));
}

/** What is taken out doesn't come back. */
export function removeFile(path: string): void {
  unlinkSync(path);
  syncDirectory(dirname(path));
}

const temporaryFor = (path: string): string => `${path}.${toHex(nodePrimitives().randomBytes(8))}.tmp`;

function write(path: string, content: string | Bytes, mode: number): void {
  const descriptor = openSync(path, 'wx', mode);
  try {
    fchmodSync(descriptor, mode);
    // All of it: a single write may be short, on a disk that is nearly full say.
    writeFileSync(descriptor, content);
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

/** A link, where a rename would overwrite the file of a process that was faster. */
function linkUnlessTaken(from: string, to: string): boolean {
  try {
    linkSync(from, to);
    return true;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EEXIST') return false;
    throw error;
  }
}

/** Makes the names in a directory durable. */
function syncDirectory(directory: string): void {
  const descriptor = openSync(directory, 'r');
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

export function exists(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false }) !== undefined;
}
