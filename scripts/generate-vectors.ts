/**
 * Writes test/vectors/*.json from the generators in test/vectors-src. `--check` writes nothing and exits 1 when a
 * committed file differs from what its generator makes now.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { announcementVectors } from '../test/vectors-src/announcements.ts';
import { enrolmentVectors, mirroredVectors } from '../test/vectors-src/enrolment.ts';
import { establishmentVectors } from '../test/vectors-src/establishment.ts';
import { linkVectors } from '../test/vectors-src/link-vectors.ts';
import { partyVectors } from '../test/vectors-src/parties.ts';
import { rejectVectors } from '../test/vectors-src/reject.ts';
import { toJson } from '../test/vectors-src/values.ts';

const GENERATORS = {
  'link.json': linkVectors,
  'parties.json': partyVectors,
  'establishment.json': establishmentVectors,
  'enrolment.json': enrolmentVectors,
  'mirrored.json': mirroredVectors,
  'announcements.json': announcementVectors,
  'reject.json': rejectVectors,
};

const check = process.argv.includes('--check');
let stale = 0;
for (const [name, generate] of Object.entries(GENERATORS)) {
  const path = fileURLToPath(new URL(`../test/vectors/${name}`, import.meta.url));
  const text = `${JSON.stringify(toJson(generate()), undefined, 2)}\n`;
  if (!check) writeFileSync(path, text);
  else if (readFileSync(path, 'utf8') !== text) {
    console.error(`${name} is not what its generator makes: run npx tsx scripts/generate-vectors.ts`);
    stale++;
  }
}
process.exit(stale > 0 ? 1 : 0);
