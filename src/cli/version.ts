/**
 * The version of this program, from the package.json above it: one place in a checkout, in a build and where it is installed.
 */
import { readFileSync } from 'node:fs';

export function programVersion(): string {
  for (const above of ['../../package.json', '../../../package.json']) {
    try {
      const { name, version } = JSON.parse(readFileSync(new URL(above, import.meta.url), 'utf8'));
      if (name === 'cpns-ble') return String(version);
    } catch {
      // The other one then.
    }
  }
  return 'unknown';
}
