/** What the compiler does not know of: styles as imports, and Trusted Types, as far as they are used here. */

declare module '*.css';

interface Window {
  readonly trustedTypes?: {
    createPolicy(
      name: string,
      rules: { readonly createScriptURL: (url: string) => string },
    ): { createScriptURL(url: string): unknown };
  };
}
