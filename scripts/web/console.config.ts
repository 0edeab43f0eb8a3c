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
  },
});
