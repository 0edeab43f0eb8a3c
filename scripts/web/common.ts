/** What every page of the project is built with. */
import type { UserConfig } from 'vite';

export const COMMON: UserConfig = {
  base: './',
  oxc: { jsx: { runtime: 'automatic', importSource: 'preact' } },
  resolve: {
    alias: {
      // The package's main half asks by eval whether it may eval, which a strict policy counts as a breach.
      'cbor-x/encode': 'cbor-x/index-no-eval',
    },
  },
};

/** No inline script, no polyfill that the policy would stop, nothing folded into another file. */
export const COMMON_BUILD = {
  emptyOutDir: true,
  target: 'es2022',
  modulePreload: false,
  assetsInlineLimit: 0,
  sourcemap: false,
  reportCompressedSize: false,
} as const;
