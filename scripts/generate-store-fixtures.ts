/**
 * Writes what a release leaves on disk, once: test/store/fixtures/<version>/ with the databases of a server, two gateways and
 * a PNE in the middle of a second join, as SQL text, and what their stores read from them; and a fingerprint of the schema
 * of each version. What is there is never written anew: it is what users have. A fixture of a version that was not
 * released yet has to be deleted by hand first. `--check` writes nothing and exits 1 when something is missing, does not
 * load, or a schema is not what it was. Needs a C compiler, save for `--check` and `--fingerprints`.
 */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { cutsOf, onDisk } from '../test/power/cuts.ts';
import { gatewayView, pneView, serverView } from '../test/power/parties.ts';
import { record } from '../test/power/recording.ts';
import {
  FIXTURE_FILES,
  FIXTURES,
  type FixtureFile,
  fingerprints,
  openFixture,
} from '../test/store/fixtures.ts';
import { databaseText } from '../test/support/database-text.ts';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const MAIN = join(ROOT, 'src/cli/main.ts');
const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { version: string };
const SCHEMAS = join(FIXTURES, 'schemas.json');

/** A fingerprint that is there stays; a version without one gets it. */
function writeFingerprints(): void {
  mkdirSync(FIXTURES, { recursive: true });
  const known = existsSync(SCHEMAS)
    ? (JSON.parse(readFileSync(SCHEMAS, 'utf8')) as Record<string, readonly string[]>)
    : {};
  const all = Object.fromEntries(
    Object.entries(fingerprints()).map(([store, now]) => {
      const before = known[store] ?? [];
      return [store, [...before, ...now.slice(before.length)]];
    }),
  );
  writeFileSync(SCHEMAS, `${JSON.stringify(all, undefined, 2)}\n`);
}

/** The directories of the parties, and a disk on which one join is registered and another waits for its answer. */
async function writeFixture(directory: string): Promise<void> {
  const args = ['demo', '--pnes', '2', '--timeout', '100', '--keep'];
  const recording = record((root) => ['--import=tsx', MAIN, ...args, root], 120_000);
  try {
    for (const cut of cutsOf(recording.events, { seeds: 0, firstSeed: 0, everywhere: false })) {
      if (cut.fate !== 'written' || !recording.events[cut.at]?.kind.startsWith('sync')) continue;
      const done = await onDisk(cut.image, (root) => {
        if (!existsSync(join(root, 'server/server.db'))) return false;
        const { registrations } = serverView(join(root, 'server/server.db'));
        const states = Object.values(registrations).map(({ state }) => state);
        const waiting = Object.entries(registrations).find(([, { state }]) => state === 'verified')?.[0];
        if (!states.includes('registered') || waiting === undefined) return false;
        const home = ['ann', 'cleo'].find((user) =>
          Object.hasOwn(pneView(join(root, `pne-${user}/pne.sqlite`)).joins, waiting),
        );
        const gateway = gatewayView(join(root, `gw1-${home}/gateway.sqlite`));
        const asked = gateway.answers[waiting] === '';
        const { joins, inventories } = gatewayView(join(root, 'gw2/gateway.sqlite'));
        const pending = joins[waiting]?.state === 'pending' && Object.keys(inventories).length === 1;
        if (!asked || !pending) return false;
        const paths: Readonly<Record<FixtureFile, string>> = {
          server: 'server/server.db',
          gw1: `gw1-${home}/gateway.sqlite`,
          gw2: 'gw2/gateway.sqlite',
          pne: `pne-${home}/pne.sqlite`,
        };
        mkdirSync(directory, { recursive: true });
        for (const name of FIXTURE_FILES) {
          const path = join(root, paths[name]);
          writeFileSync(
            join(directory, `${name}.json`),
            `${JSON.stringify(openFixture[name](path), undefined, 2)}\n`,
          );
          writeFileSync(join(directory, `${name}.sql`), databaseText(path));
        }
        return true;
      });
      if (done) return;
    }
    throw new Error('the recorded flow had no such moment; run it again');
  } finally {
    recording.close();
  }
}

function check(): number {
  let faults = 0;
  const fault = (what: string): void => {
    console.error(what);
    faults++;
  };
  for (const name of FIXTURE_FILES)
    if (!existsSync(join(FIXTURES, version, `${name}.sql`)))
      fault(`no fixture of ${version} for ${name}: run npx tsx scripts/generate-store-fixtures.ts`);
  const known = existsSync(SCHEMAS) ? readFileSync(SCHEMAS, 'utf8') : '{}';
  if (JSON.stringify(JSON.parse(known)) !== JSON.stringify(fingerprints()))
    fault(
      'a schema is not what it was: a migration that was released stays, a new one goes behind it, with --fingerprints',
    );
  return faults;
}

if (process.argv.includes('--check')) process.exit(check() > 0 ? 1 : 0);
writeFingerprints();
if (!process.argv.includes('--fingerprints')) {
  const directory = join(FIXTURES, version);
  if (existsSync(directory)) throw new Error(`${directory} is there already: what a release wrote stays`);
  await writeFixture(directory);
}
