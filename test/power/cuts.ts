/**
 * Every point at which the power may go during a recording, and the disks that may be found then: only what was synced,
 * all that was written, and seeded choices in between. Owns which are looked at; must not know what has to be on them.
 */
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { Prng } from '../../src/base/prng.ts';
import { Disk, type Fate, type Image, SYNCED, seededFate, WRITTEN } from './disk.ts';
import type { DiskEvent } from './recording.ts';

export interface Cut {
  /** The power goes after this many events. */
  readonly at: number;
  /** How many acknowledgements came before. */
  readonly acknowledged: number;
  /** `synced`, `written` or `seed n`: with `at` it names the disk again. */
  readonly fate: string;
  readonly image: Image;
  readonly digest: string;
}

export interface CutOptions {
  /** Only this directory of the recording; all of it by default. */
  readonly under?: string;
  /** Seeded disks at each point. */
  readonly seeds: number;
  readonly firstSeed: number;
  /** Seeded disks at each event; else only where something is about to be synced. */
  readonly everywhere: boolean;
}

/** The disks of a recording that differ from those before, or follow a further acknowledgement. */
export function* cutsOf(events: readonly DiskEvent[], options: CutOptions): Generator<Cut> {
  const { under = '', seeds, firstSeed, everywhere } = options;
  const disk = new Disk();
  const seen = new Set<string>();
  let acknowledged = 0;
  for (let at = 0; at <= events.length; at++) {
    const fates: (readonly [string, Fate])[] = [
      ['synced', SYNCED],
      ['written', WRITTEN],
    ];
    if (everywhere || events[at]?.kind.startsWith('sync'))
      for (let seed = firstSeed; seed < firstSeed + seeds; seed++)
        fates.push([`seed ${seed}`, fateOf(seed, at)]);
    for (const [fate, what] of fates) {
      const image = disk.image(what, under);
      const digest = digestOf(image);
      const key = `${acknowledged} ${digest}`;
      if (seen.has(key)) continue;
      seen.add(key);
      yield { at, acknowledged, fate, image, digest };
    }
    const event = events[at];
    if (!event) return;
    disk.apply(event);
    if (event.kind === 'mark') acknowledged++;
  }
}

/** The disk of a seed at a point. */
export function fateOf(seed: number, at: number): Fate {
  const prng = new Prng(Math.imul(seed, 0x9e3779b1) ^ at);
  return seededFate(() => prng.next());
}

/** The same for two images exactly when they hold the same. */
export function digestOf(image: Image): string {
  const hash = createHash('sha1');
  for (const [path, content] of [...image].sort(([a], [b]) => (a < b ? -1 : 1)))
    hash.update(`${path} ${content.length}\n`).update(content);
  return hash.digest('hex');
}

/** In memory where there is such a place: looking at a disk syncs it a few times, and thousands are looked at. */
const IMAGES = existsSync('/dev/shm') ? '/dev/shm' : tmpdir();

/** Writes an image out, gives its directory to `look` and takes it away again. */
export async function onDisk<T>(image: Image, look: (directory: string) => T | Promise<T>): Promise<T> {
  const directory = mkdtempSync(join(IMAGES, 'cpns-image-'));
  try {
    for (const [path, content] of image) {
      const full = join(directory, path);
      if (content === 'directory') mkdirSync(full, { recursive: true, mode: 0o700 });
      else {
        mkdirSync(dirname(full), { recursive: true, mode: 0o700 });
        writeFileSync(full, content, { mode: 0o600 });
      }
    }
    return await look(directory);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** Shared memory of SQLite as it may lie there after a crash: any bytes, which nobody may believe. */
export function withStaleSharedMemory(image: Image, databaseFile: string): Image {
  return new Map([...image, [`${databaseFile}-shm`, Buffer.alloc(32_768, 0xa5)]]);
}
