/** Builds the test's gallery of the PNE's views (test/web/gallery). */
import { resolve } from 'node:path';
import { defineConfig } from 'vite';
import { COMMON, COMMON_BUILD } from './common.ts';

const project = resolve(import.meta.dirname, '../..');

export default defineConfig({
  ...COMMON,
  root: resolve(project, 'test/web/gallery'),
  build: { ...COMMON_BUILD, outDir: resolve(project, 'test/output/web/gallery') },
});
