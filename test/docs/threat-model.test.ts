/** docs/threat-model.md names a test for each defence: they have to be there. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
/** Sections whose tests are named without their folder. */
const FOLDERS: ReadonlyMap<string, string> = new Map([
  ['On the radio', 'test/hostile/link'],
  ['At the server and its clients', 'test/hostile/server'],
]);

describe('docs/threat-model.md', () => {
  const [, ...sections] = readFileSync(join(ROOT, 'docs/threat-model.md'), 'utf8').split(/^## /m);

  it('names only tests that exist', () => {
    let named = 0;
    for (const section of sections) {
      const folder = FOLDERS.get(section.split('\n', 1)[0] ?? '');
      for (const [, name = ''] of section.matchAll(/`([a-z/-]+\.test\.ts)`/g)) {
        const path = name.startsWith('test/') ? name : join(folder ?? assert.fail(name), name);
        assert.ok(existsSync(join(ROOT, path)), path);
        named++;
      }
    }
    assert.ok(named > 50, `only ${named} tests named`);
  });

  it('leaves no attacker out', () => {
    const text = sections.join('');
    for (const folder of FOLDERS.values()) {
      const files = readdirSync(join(ROOT, folder)).filter((name) => name.endsWith('.test.ts'));
      for (const name of files) assert.ok(text.includes(name), `${folder}/${name} is not named`);
    }
  });
});
