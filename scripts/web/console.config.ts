/**
 * Builds the gateway's console into dist/web/console, which the gateway serves at /. No inline script, nothing from elsewhere.
 */
import { resolve } from 'node:path';
import { defineConfig } from 'vite';
import { COMMON_BUILD } from './common.ts';

const project = resolve(import.meta.dirname, '../..');
const root = resolve(project, 'src/web/console');

export default defineConfig({
  root,
  base: '/',
  publicDir: false,
  build: {
    ...COMMON_BUILD,
    outDir: resolve(project, 'dist/web/console'),
    rollupOptions: {
      input: { index: resolve(root, 'index.html'), 'service-worker': resolve(root, 'service-worker.ts') },
      output: {
        entryFileNames: ({ name }) =>
          name === 'service-worker' ? 'service-worker.js' : 'assets/[name]-[hash].js',
      },
    },
  },
});
