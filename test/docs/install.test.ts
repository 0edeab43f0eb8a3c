/**
 * docs/install.md: every command in it is one that test/package/guest runs, as it stands there save `sudo`; and the drop-in
 * that makes the gateway's unit run a PNE fits that unit and the command.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

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

describe('docs/install.md: a gateway that is a PNE as well', function () {
  this.timeout(60_000);
  const unitOf = (role: string) => settings(read(`scripts/packaging/systemd/cpns-${role}.service`));
  const [dropIn = ''] = /(?<=```ini\n).*?(?=```)/s.exec(read('docs/install.md')) ?? [];
  const set = settings(dropIn);
  const [gateway, pne] = [unitOf('gateway'), unitOf('pne')];

  it('takes the place of the command, and runs what it ran with the PNE beside it', () => {
    const [reset, command, ...more] = set.get('ExecStart') ?? [];
    assert.deepEqual([reset, more], ['', []], 'a second ExecStart needs the first one taken away');
    const [before] = gateway.get('ExecStart') ?? [];
    const states = `--state /var/lib/${gateway.get('StateDirectory')} --with-pne /var/lib/${pne.get('StateDirectory')}`;
    assert.equal(command, `${before} ${states}`);
  });

  it('gives the gateway the place of the PNE, and nothing else that the unit of a PNE has', () => {
    // A list: what a drop-in says is added.
    assert.deepEqual(set.get('StateDirectory'), pne.get('StateDirectory'));
    assert.deepEqual([...set.keys()].sort(), ['ExecStart', 'StateDirectory']);
    const own = new Set(['Description', 'After', 'Wants', 'ExecStart', 'StateDirectory']);
    for (const [key, values] of pne)
      if (!own.has(key)) assert.deepEqual(gateway.get(key), values, `a PNE needs ${key}`);
  });

  it('is a command that there is', () => {
    const words = (set.get('ExecStart')?.at(-1) ?? '').split(' ').slice(1);
    const nowhere = words.map((word) => word.replace('/var/lib/', '/nonexistent/'));
    const main = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url));
    const env = { ...process.env, XDG_CONFIG_HOME: '/nonexistent' };
    const { status, stderr } = spawnSync(process.execPath, ['--import', 'tsx', main, ...nowhere], {
      ...{ encoding: 'utf8', env },
    });
    assert.equal(status, 2);
    assert.match(stderr, /no configuration|no state of a gateway/);
  });
});

/** Key → values in order, of a unit or a drop-in. */
function settings(text: string): ReadonlyMap<string, readonly string[]> {
  const found = new Map<string, string[]>();
  for (const [, key = '', value = ''] of text.matchAll(/^(\w+)=(.*)$/gm))
    found.set(key, [...(found.get(key) ?? []), value]);
  return found;
}
