/**
 * The built pages, read once at the start: the console's, and the PNE's below /pne/. Owns which paths there are, their types
 * and their policies. A path that is not in the map is nowhere: nothing of a request is ever put into a path of the disk.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, extname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';

export interface PageFile {
  readonly content: Buffer;
  /** Where it is shorter. */
  readonly gzipped: Buffer | undefined;
  readonly headers: Readonly<Record<string, string>>;
}

export interface Pages {
  readonly files: ReadonlyMap<string, PageFile>;
  readonly hasConsole: boolean;
  readonly hasPne: boolean;
}

const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.png': 'image/png',
  '.webmanifest': 'application/manifest+json',
};

/** No inline script, nothing from elsewhere, in nobody's frame, no text that becomes markup; of script only the worker's address. */
const CONSOLE_POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; worker-src 'self'; " +
  "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; " +
  'trusted-types cpns-worker';

/** What the page of the PNE says of itself, and that it is in nobody's frame, which only a header can say. */
const PNE_POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; manifest-src 'self'; " +
  "worker-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; " +
  "require-trusted-types-for 'script'; trusted-types cpns-worker";

/** For every answer. No Strict-Transport-Security: with it a browser lets nobody accept a certificate by its fingerprint. */
export const COMMON_HEADERS: Readonly<Record<string, string>> = {
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
  'referrer-policy': 'no-referrer',
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'content-security-policy': CONSOLE_POLICY,
};

/** Where `npm run build:web` puts them: beside the program, in a checkout as in an installation. */
function pagesFolder(): string {
  for (let at = dirname(fileURLToPath(import.meta.url)); ; at = dirname(at)) {
    if (existsSync(join(at, 'package.json'))) return join(at, 'dist', 'web');
    if (at === dirname(at)) return join(at, 'dist', 'web');
  }
}

/** The PNE's page and nothing else. */
export function readPnePage(folder = pagesFolder()): Pages {
  const files = new Map<string, PageFile>();
  const hasPne = addFolder(files, join(folder, 'pne'), '/pne/', PNE_POLICY, 'no-cache');
  return { files, hasConsole: false, hasPne };
}

export function readPages(folder = pagesFolder()): Pages {
  const files = new Map<string, PageFile>();
  const hasConsole = addFolder(files, join(folder, 'console'), '/', CONSOLE_POLICY, 'no-store');
  const hasPne = addFolder(files, join(folder, 'pne'), '/pne/', PNE_POLICY, 'no-cache');
  return { files, hasConsole, hasPne };
}

function addFolder(
  files: Map<string, PageFile>,
  folder: string,
  base: string,
  policy: string,
  cache: string,
): boolean {
  if (!existsSync(join(folder, 'index.html'))) return false;
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    const type = TYPES[extname(entry.name)];
    if (!entry.isFile() || type === undefined) continue;
    const path = join(entry.parentPath, entry.name);
    const name = relative(folder, path);
    // The names of these hold a hash of what is in them.
    const caching = name.startsWith('assets/') ? 'public, max-age=31536000, immutable' : cache;
    const headers = {
      'content-type': type,
      'cache-control': caching,
      'content-security-policy': policy,
      vary: 'accept-encoding',
    };
    const content = readFileSync(path);
    const short = gzipSync(content);
    const file = { content, gzipped: short.length < content.length ? short : undefined, headers };
    files.set(`${base}${name === 'index.html' ? '' : name}`, file);
  }
  return true;
}
