/**
 * Holds the folder rules: which folder may import which, no cycles between files, the pure folders without Node's I/O, and
 * each outside library that is to be replaceable imported in exactly one file. Run by `npm run check` and the tests.
 */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = resolve(dirname(fileURLToPath(import.meta.url)), '..');
const src = join(root, 'src');

/** Each folder may import those before it, and itself. */
const ORDER = [
  'base',
  'messages',
  'security',
  'network',
  'link',
  'establishment',
  'enrolment',
  'store',
  'profiles',
  'bluetooth',
  'https',
  'config',
  'nodes',
  'hil',
  'doctor',
  'console',
  'cli',
  'web',
];

/** Folders whose code also runs in a browser, save the files that are the Node side of a port. */
const PURE = ['base', 'messages', 'security', 'network', 'link', 'establishment', 'enrolment', 'profiles'];
const NODE_SIDE = new Set([
  'security/primitives-node.ts',
  'security/keystore.ts',
  'security/durable-file.ts',
  'security/x509.ts',
  'profiles/load.ts',
]);

/** Folders whose code only ever runs in a browser: nothing that they load, at any depth, may be Node's. */
const BROWSER = ['web'];

/** Library → the one file that may import it. */
const SINGLE = {
  '@abandonware/noble': 'bluetooth/central-abandonware.ts',
  '@abandonware/bleno': 'bluetooth/peripheral-abandonware.ts',
  '@abandonware/bluetooth-hci-socket': undefined,
  '@stoprocent/noble': 'bluetooth/central-stoprocent.ts',
  '@stoprocent/bleno': 'bluetooth/peripheral-stoprocent.ts',
  'cbor-x': 'messages/cbor.ts',
  'node-forge': undefined,
  'better-sqlite3': 'store/sqlite-driver.ts',
};

function files(folder) {
  return readdirSync(folder).flatMap((name) => {
    const path = join(folder, name);
    if (statSync(path).isDirectory()) return files(path);
    return /\.tsx?$/.test(path) ? [path] : [];
  });
}

const IMPORT =
  /(?:^|\n)\s*(?:import|export)\s+(?:type\s+)?(?:[^'";]*?\sfrom\s+)?'([^']+)'|import\('([^']+)'\)/g;
const LOAD = /(?:require|loadPrivately|requireFile|\(import\.meta\.url\))\(\s*'((?:@[a-z]+\/)?[^'/]+)/g;

const faults = [];
const imports = new Map();
/** What is still imported once the types are gone, packages and Node's own modules included. */
const loaded = new Map();
const users = new Map(Object.keys(SINGLE).map((name) => [name, new Set()]));

for (const path of files(src)) {
  const name = relative(src, path);
  const text = readFileSync(path, 'utf8');
  const folder = name.split('/')[0];
  if (!ORDER.includes(folder)) faults.push(`${name}: folder ${folder} has no place in the order`);
  const local = [];
  loaded.set(name, []);
  for (const match of text.matchAll(IMPORT)) {
    const specifier = match[1] ?? match[2];
    const isLocal = specifier.startsWith('.');
    if (!/^\s*(?:import|export)\s+type\s/.test(match[0]))
      loaded.get(name).push(isLocal ? relative(src, resolve(dirname(path), specifier)) : specifier);
    if (isLocal) {
      const target = relative(src, resolve(dirname(path), specifier));
      local.push(target);
      const to = target.split('/')[0];
      if (ORDER.indexOf(to) > ORDER.indexOf(folder))
        faults.push(`${name} imports ${target}: against the direction`);
    } else if (PURE.includes(folder) && specifier.startsWith('node:') && !isNodeSide(name)) {
      faults.push(`${name} imports ${specifier}: its folder is pure`);
    }
    for (const library of users.keys()) {
      if (specifier === library || specifier.startsWith(`${library}/`)) users.get(library).add(name);
    }
  }
  for (const match of text.matchAll(LOAD)) users.get(match[1])?.add(name);
  imports.set(name, local);
}

function isNodeSide(name) {
  return NODE_SIDE.has(name) || name.startsWith('security/x509') || name.startsWith('security/certificate');
}

/** The way from a file to something of Node's, if there is one. */
function wayToNode(name, seen = new Set()) {
  if (name.startsWith('node:')) return [name];
  if (seen.has(name)) return undefined;
  seen.add(name);
  for (const next of loaded.get(name) ?? []) {
    const way = wayToNode(next, seen);
    if (way) return [name, ...way];
  }
  return undefined;
}

for (const name of loaded.keys()) {
  const way = BROWSER.includes(name.split('/')[0]) ? wayToNode(name) : undefined;
  if (way) faults.push(`${way.join(' → ')}: this runs in a browser`);
}

for (const [library, owner] of Object.entries(SINGLE)) {
  const found = [...users.get(library)];
  if (found.length > 1) faults.push(`${library} is imported in ${found.length} files: ${found.join(', ')}`);
  if (owner && found[0] && found[0] !== owner)
    faults.push(`${library} is imported in ${found[0]}, not ${owner}`);
}

/** Cycles that hold at run time matter; those of types only vanish, but hide the direction all the same. */
function findCycle() {
  const state = new Map();
  const path = [];
  const visit = (name) => {
    if (state.get(name) === 'done' || !imports.has(name)) return undefined;
    if (state.get(name) === 'open') return [...path.slice(path.indexOf(name)), name];
    state.set(name, 'open');
    path.push(name);
    for (const next of imports.get(name)) {
      const cycle = visit(next);
      if (cycle) return cycle;
    }
    path.pop();
    state.set(name, 'done');
    return undefined;
  };
  for (const name of imports.keys()) {
    const cycle = visit(name);
    if (cycle) return cycle;
  }
  return undefined;
}

const cycle = findCycle();
if (cycle) faults.push(`import cycle: ${cycle.join(' → ')}`);

for (const fault of faults) console.error(fault);
console.log(`layout: ${imports.size} files, ${faults.length} faults`);
process.exit(faults.length > 0 ? 1 : 0);
