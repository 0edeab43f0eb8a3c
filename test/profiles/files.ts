/** Profiles for tests: a shipped one with other values, as a file that `profile` names. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { findProfile } from '../../src/profiles/load.ts';
import type { Profile, ProfileQuirk } from '../../src/profiles/schema.ts';

const directory = mkdtempSync(join(tmpdir(), 'cpns-profile-'));
process.on('exit', () => rmSync(directory, { recursive: true, force: true }));

export interface Changes {
  readonly radio?: Readonly<Record<string, unknown>>;
  readonly connection?: Readonly<Record<string, unknown>>;
  readonly scan?: Readonly<Record<string, unknown>>;
  readonly capability?: Readonly<Record<string, unknown>>;
  readonly quirks?: readonly (Pick<ProfileQuirk, 'name'> & { readonly ms?: number; readonly why?: string })[];
  readonly channel?: Profile['radio']['channel'][number]['use'];
}

const grounded = { why: 'a test', sources: ['test'] };

let made = 0;

/** The profile of the virtual radio with these values. @returns the path of its file */
export function profileFile({ quirks = [], channel, ...changes }: Changes): string {
  const name = `test-${++made}`;
  const profile = structuredClone(findProfile('virtual-radio')) as unknown as Record<string, unknown>;
  for (const [part, values] of Object.entries(changes)) {
    const facts = Object.entries(values).map(([fact, value]) => [fact, { value, ...grounded }]);
    Object.assign(profile[part] as object, Object.fromEntries(facts));
  }
  if (channel !== undefined)
    Object.assign(profile['radio'] as object, { channel: [{ use: channel, ...grounded }] });
  Object.assign(profile, { name, match: [], quirks: quirks.map((quirk) => ({ ...grounded, ...quirk })) });
  const cited = new Set(
    [...JSON.stringify(profile).matchAll(/"sources":\["([^"]*)"\]/g)].map(([, source]) => source),
  );
  const known = profile['sources'] as Record<string, unknown>;
  profile['sources'] = Object.fromEntries(
    [...cited].map((source = '') => [
      source,
      known[source] ?? { where: 'docs/firmware-profiles.md', says: 'a test' },
    ]),
  );
  const file = join(directory, `${name}.json`);
  writeFileSync(file, JSON.stringify(profile));
  return file;
}
