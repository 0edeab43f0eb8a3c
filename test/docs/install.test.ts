/** docs/install.md: every command in it is one that test/package/guest runs, as it stands there save `sudo`. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';

const read = (path: string) => readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8');
const PLACEHOLDERS: Readonly<Record<string, string>> = {
  'cpns_*.deb': '"$old"',
  'cpns-*-linux-*': 'cpns-0.1.99-linux-amd64',
  ID: '"$join"',
};

const commands = [...read('docs/install.md').matchAll(/```sh\n(.*?)```/gs)]
  .flatMap(([, block]) => (block ?? '').trim().split('\n'))
  .map((line) =>
    Object.entries(PLACEHOLDERS).reduce(
      (text, [shown, real]) => text.replace(shown, real),
      line.replace(/^sudo /, ''),
    ),
  );

describe('docs/install.md', () => {
  const guest = read('test/package/guest');

  it('has commands', () => assert.ok(commands.length > 20));
  for (const command of commands) {
    it(`is run: ${command}`, () => assert.ok(guest.includes(command), command));
  }
});
