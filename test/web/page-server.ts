/** Serves the built page on localhost, as any static host would: no header that the page depends on. */

import { execFile } from 'node:child_process';
import { readFileSync, statSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { extname, join, normalize } from 'node:path';
import { promisify } from 'node:util';

const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript',
  '.css': 'text/css',
  '.svg': 'image/svg+xml',
  '.png': 'image/png',
  '.webmanifest': 'application/manifest+json',
};

export const PAGE_FOLDER = join(process.cwd(), 'dist/web/pne');

const built = new Map<string, Promise<unknown>>();

/** Builds with a configuration as anybody would, once a process. */
export function buildWith(config: string): Promise<unknown> {
  const done =
    built.get(config) ??
    promisify(execFile)('npx', ['vite', 'build', '--config', config, '--logLevel', 'warn']);
  built.set(config, done);
  return done;
}

export interface PageServer {
  readonly origin: string;
  /** Where the page is, below the origin: it has to work at any path. */
  readonly url: string;
  readonly requests: string[];
  close(): Promise<void>;
}

export async function servePage(): Promise<PageServer> {
  await buildWith('scripts/web/pne.config.ts');
  return serveFolder(PAGE_FOLDER);
}

/** Serves a folder below a path of its own. */
export async function serveFolder(folder: string): Promise<PageServer> {
  const requests: string[] = [];
  const server: Server = createServer((request, response) => {
    const { pathname } = new URL(request.url ?? '/', 'http://localhost');
    requests.push(request.url ?? '');
    const inside = pathname.startsWith('/some/path/') ? pathname.slice('/some/path'.length) : undefined;
    const file = inside && join(folder, normalize(inside.endsWith('/') ? `${inside}index.html` : inside));
    try {
      if (!file || !statSync(file).isFile()) throw new Error('not here');
      response.writeHead(200, { 'content-type': TYPES[extname(file)] ?? 'application/octet-stream' });
      response.end(readFileSync(file));
    } catch {
      response.writeHead(404).end();
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const origin = `http://localhost:${(server.address() as AddressInfo).port}`;
  return {
    origin,
    url: `${origin}/some/path/`,
    requests,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
