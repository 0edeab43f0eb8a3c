/**
 * Takes out of a staged node_modules what only building it needed: whatever cannot be reached from package.json once the
 * edges to build tools are cut, sources, and what compilers leave. Owns the list of those edges; the tree runs afterwards, or
 * scripts/package-release says that it does not.
 */
import { existsSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';

/** Package → dependencies that it names for its installation only. */
const BUILD_ONLY = {
  '@abandonware/bluetooth-hci-socket': ['@mapbox/node-pre-gyp', 'node-gyp', 'nan'],
  '@abandonware/noble': ['node-addon-api'],
  '@abandonware/bleno': ['napi-thread-safe-callback', 'node-addon-api'],
  'better-sqlite3': ['prebuild-install'],
};

const root = process.argv[2];
const modules = join(root, 'node_modules');
const manifest = (folder) => JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));

/** As Node.js looks a package up. */
function find(name, from) {
  for (let folder = from; folder.startsWith(root); folder = dirname(folder)) {
    const candidate = join(folder, 'node_modules', name);
    if (existsSync(join(candidate, 'package.json'))) return candidate;
  }
  return undefined;
}

const kept = new Set();
function keep(folder) {
  if (kept.has(folder)) return;
  kept.add(folder);
  const { name, dependencies = {} } = manifest(folder);
  for (const wanted of Object.keys(dependencies)) {
    if (BUILD_ONLY[name]?.includes(wanted)) continue;
    const found = find(wanted, folder);
    if (found) keep(found);
    else if (folder !== root) throw new Error(`${name} needs ${wanted}, which is not installed`);
  }
}

/** Every package folder under a node_modules, nested ones too. */
function packages(folder) {
  if (!existsSync(folder)) return [];
  return readdirSync(folder).flatMap((name) => {
    const path = join(folder, name);
    if (name.startsWith('.') || !statSync(path).isDirectory()) return [];
    if (name.startsWith('@')) return packages(path);
    return [path, ...packages(join(path, 'node_modules'))];
  });
}

// Where Node.js has SQLite of its own nothing was compiled for better-sqlite3, and it stays behind.
const sqlite = join(modules, 'better-sqlite3');
if (!existsSync(join(sqlite, 'build'))) rmSync(sqlite, { recursive: true, force: true });

keep(root);
const all = packages(modules);
for (const folder of all) {
  const inside = [...kept].some((other) => other.startsWith(`${folder}/`));
  if (!kept.has(folder) && !inside) rmSync(folder, { recursive: true, force: true });
}
rmSync(join(modules, '.bin'), { recursive: true, force: true });
rmSync(join(modules, '.package-lock.json'), { force: true });

/** What a package was compiled from, and what the compiler left beside the result. */
const drop = (...path) => rmSync(join(...path), { recursive: true, force: true });
for (const folder of kept) {
  const build = join(folder, 'build');
  const release = join(build, 'Release');
  if (folder === root || !existsSync(release)) continue;
  for (const name of ['src', 'deps', 'examples', 'lib/binding']) drop(folder, name);
  for (const name of readdirSync(build)) if (name !== 'Release') drop(build, name);
  for (const name of readdirSync(release)) if (!name.endsWith('.node')) drop(release, name);
}

process.stderr.write(
  `runtime packages: ${[...kept].length - 1} of ${all.length}: ${[...kept]
    .filter((folder) => folder !== root)
    .map((folder) => relative(modules, folder))
    .sort()
    .join(', ')}\n`,
);
