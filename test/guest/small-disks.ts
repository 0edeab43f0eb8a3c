/** File systems of memory that are full when a test says so, to the last byte. Only for root. */
import { execFileSync } from 'node:child_process';
import { closeSync, openSync, rmSync, statfsSync, writeSync } from 'node:fs';
import { join } from 'node:path';

/** More than the doctor calls nearly full; what is not written takes no memory. */
const ROOMY = '256m';
/** What is left to be filled, so that filling takes no memory either. */
const REST_BYTES = 1024 * 1024;
const CHUNKS = [65_536, 4096, 64, 1];

export class SmallDisks {
  mount(folder: string): void {
    execFileSync('mount', ['-t', 'tmpfs', '-o', `mode=700,size=${ROOMY}`, 'tmpfs', folder]);
  }

  unmount(folder: string): void {
    execFileSync('umount', ['--lazy', folder]);
  }

  /** Not one byte is left. */
  fill(folder: string): void {
    const { blocks, bavail, bsize } = statfsSync(folder);
    resize(folder, String((blocks - bavail) * bsize + REST_BYTES));
    const file = openSync(fillerOf(folder), 'a');
    try {
      for (const bytes of CHUNKS) writeUntilFull(file, Buffer.alloc(bytes));
    } finally {
      closeSync(file);
    }
  }

  empty(folder: string): void {
    rmSync(fillerOf(folder), { force: true });
    resize(folder, ROOMY);
  }
}

const fillerOf = (folder: string): string => join(folder, 'filler');

function resize(folder: string, size: string): void {
  execFileSync('mount', ['-o', `remount,size=${size}`, folder]);
}

function writeUntilFull(file: number, chunk: Buffer): void {
  try {
    for (;;) writeSync(file, chunk);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
  }
}
