/**
 * Builds the PNE's page into dist/web/pne: a folder that any static host can serve, at any path. No inline script, nothing
 * from elsewhere, and a service worker that knows every file.
 */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { defineConfig, type Plugin } from 'vite';
import { COMMON, COMMON_BUILD } from './common.ts';

const project = resolve(import.meta.dirname, '../..');
const root = resolve(project, 'src/web/pne');
const PUBLIC_FILES = ['manifest.webmanifest', 'icon.svg', 'icon-192.png', 'icon-512.png'];
const WORKER = 'service-worker.js';

/** Writes the list of files, and a version made of what is in them, into the service worker. */
function listFiles(): Plugin {
  return {
    name: 'cpns-service-worker-files',
    generateBundle: {
      order: 'post',
      handler(_options, bundle) {
        const hash = createHash('sha256');
        const files: string[] = [];
        for (const [name, file] of Object.entries(bundle)) {
          if (name === WORKER || name.endsWith('.map')) continue;
          files.push(name === 'index.html' ? './' : name);
          hash.update(name).update(file.type === 'chunk' ? file.code : file.source);
        }
        for (const name of PUBLIC_FILES) hash.update(readFileSync(resolve(root, 'public', name)));
        const worker = bundle[WORKER];
        if (worker?.type !== 'chunk' || !worker.code.includes('__FILES__'))
          this.error('the service worker has no place for its files');
        else
          worker.code = worker.code.replace(
            '__FILES__',
            [hash.digest('hex').slice(0, 16), ...files.sort(), ...PUBLIC_FILES].join(' '),
          );
      },
    },
  };
}

export default defineConfig({
  root,
  ...COMMON,
  publicDir: resolve(root, 'public'),
  plugins: [listFiles()],
  build: {
    ...COMMON_BUILD,
    outDir: resolve(project, 'dist/web/pne'),
    rollupOptions: {
      input: { index: resolve(root, 'index.html'), 'service-worker': resolve(root, 'service-worker.ts') },
      output: {
        entryFileNames: ({ name }) => (name === 'service-worker' ? WORKER : 'assets/[name]-[hash].js'),
      },
    },
  },
});
