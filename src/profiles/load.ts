/**
 * Reads the firmware profiles that come with the program, each checked. The Node side of this folder: the only file here
 * that touches a disk.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import * as v from 'valibot';
import { ProfileError, profileNamed } from './detect.ts';
import { type Profile, ProfileSchema } from './schema.ts';

const FOLDER = 'firmware-profiles';
const SCHEMA_FILE = 'profile.schema.json';
const MAX_FILE_BYTES = 256 * 1024;

let shipped: readonly Profile[] | undefined;

/** The profiles of this package, by name; read once. @throws ProfileError when the package is damaged */
export function shippedProfiles(): readonly Profile[] {
  shipped ??= loadProfiles(profileFolder());
  return shipped;
}

/** A profile by its name, or by the path of a file of the user's own. @throws ProfileError */
export function findProfile(nameOrFile: string): Profile {
  if (!nameOrFile.endsWith('.json')) return profileNamed(shippedProfiles(), nameOrFile);
  const { profile, faults } = readProfile(nameOrFile);
  if (profile === undefined) throw new ProfileError(faults.join('\n'));
  return profile;
}

/** Where the package has them, from src or from dist. @throws ProfileError */
export function profileFolder(): string {
  for (let at = dirname(fileURLToPath(import.meta.url)); ; at = dirname(at)) {
    const folder = join(at, FOLDER);
    if (existsSync(join(folder, SCHEMA_FILE))) return folder;
    if (dirname(at) === at) throw new ProfileError(`this installation has no ${FOLDER}; install it again`);
  }
}

/** @throws ProfileError naming each file that is wrong */
export function loadProfiles(folder: string): readonly Profile[] {
  const files = readdirSync(folder).filter((name) => name.endsWith('.json') && name !== SCHEMA_FILE);
  const read = files.map((name) => readProfile(join(folder, name)));
  const faults = read.flatMap((each) => each.faults);
  if (faults.length > 0) throw new ProfileError(faults.join('\n'));
  return read.flatMap(({ profile }) => profile ?? []).sort((a, b) => (a.name < b.name ? -1 : 1));
}

export interface ReadProfile {
  readonly file: string;
  readonly profile: Profile | undefined;
  /** `FILE: PATH: what is wrong`; none when it is right. */
  readonly faults: readonly string[];
}

/** Reads and checks one file; never throws for what is in it. */
export function readProfile(file: string): ReadProfile {
  const wrong = (...problems: string[]): ReadProfile => ({
    ...{ file, profile: undefined },
    faults: problems.map((problem) => `${file}: ${problem}`),
  });
  let content: unknown;
  try {
    const text = readFileSync(file, 'utf8');
    if (text.length > MAX_FILE_BYTES) return wrong('larger than 256 KiB');
    content = JSON.parse(text);
  } catch (error) {
    return wrong(error instanceof Error ? error.message : 'unreadable');
  }
  const result = v.safeParse(ProfileSchema, content);
  if (!result.success) return wrong(...result.issues.map(describeIssue));
  const expected = basename(file, '.json');
  if (result.output.name !== expected)
    return wrong(`name: "${result.output.name}" in a file called ${expected}`);
  return { file, profile: result.output, faults: [] };
}

function describeIssue(issue: v.BaseIssue<unknown>): string {
  const path = v.getDotPath(issue as v.BaseIssue<unknown>) ?? '';
  return path === '' ? issue.message : `${path}: ${issue.message}`;
}
