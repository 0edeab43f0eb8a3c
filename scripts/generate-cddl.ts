/**
 * Writes docs/cpns.cddl from the declarations in src/messages: `npx tsx scripts/generate-cddl.ts`.
 * With --check it writes nothing and exits 1 when the file is not what the declarations say.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { CATALOGUE } from '../src/messages/catalogue.ts';
import { renderCddl } from '../src/messages/cddl.ts';

const file = new URL('../docs/cpns.cddl', import.meta.url);
const wanted = renderCddl(CATALOGUE);

function current(): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}

if (!process.argv.includes('--check')) writeFileSync(file, wanted);
else if (current() !== wanted) {
  console.error('docs/cpns.cddl is not up to date: run npx tsx scripts/generate-cddl.ts');
  process.exitCode = 1;
}
