/**
 * docs/raspberry-pi.md as somebody follows it: every `cpns` line parses against the real commands, and all of them run, in
 * order, each Pi a home directory of its own, adapters on the virtual radio. What needs systemd is a daemon of ours here.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { faultOf } from '../support/command-tree.ts';
import { Pis } from './pis.ts';

const TEXT = readFileSync(new URL('../../docs/raspberry-pi.md', import.meta.url), 'utf8');

interface Line {
  readonly host: string;
  readonly text: string;
}

/** The lines of the `sh` blocks, with the Pi that `# on NAME` puts them on. */
function linesOf(markdown: string): readonly Line[] {
  return [...markdown.matchAll(/^```sh\n(.*?)^```/gms)].flatMap(([, block = '']) => {
    const host = /^# on (\S+)$/m.exec(block)?.[1] ?? 'hub';
    const lines = block.split('\n').filter((line) => line.trim() !== '' && !line.startsWith('#'));
    return lines.map((text) => ({ host, text: text.replace(/^sudo /, '') }));
  });
}

const LINES = linesOf(TEXT);
const COMMANDS = LINES.filter(({ text }) => text.startsWith('cpns '));
/** What is a Pi's or Debian's own business. */
const OTHERS = [/^ssh /, /^apt-get /, /^timedatectl$/, /^dpkg -i cpns_\*\.deb$/];
const SERVICE = /^systemctl (enable --now|restart) cpns-(server|gateway|pne)$/;
const EDIT = /^sed -i '([^']+)' \/etc\/cpns\/(\w+)\.toml$/;

describe('docs/raspberry-pi.md', function () {
  this.timeout(300_000);

  it('has only commands that are known here', () => {
    for (const { text } of LINES) {
      const known = [/^cpns /, SERVICE, EDIT, ...OTHERS].some((form) => form.test(text));
      assert.ok(known, text);
    }
    assert.ok(COMMANDS.length > 40);
  });

  for (const text of new Set(COMMANDS.map(({ text }) => text))) {
    it(`is a command line: ${text}`, async () => assert.equal(await faultOf(text), undefined));
  }

  it('names in the text only commands that there are', async () => {
    for (const [, text = ''] of TEXT.replaceAll(/^```.*?^```/gms, '').matchAll(/`(cpns [^`]+)`/g)) {
      const complete = text.replace(/--capture$/, '--capture FILE');
      assert.equal(await faultOf(complete), undefined, text);
    }
  });

  it('leads to the networks it promises', async () => {
    const pis = await Pis.open();
    try {
      for (const { host, text } of LINES) {
        const [, action, role] = SERVICE.exec(text) ?? [];
        const [, script, edited] = EDIT.exec(text) ?? [];
        if (role !== undefined)
          await (action === 'restart' ? pis.restart(host, role) : pis.start(host, role));
        else if (script !== undefined && edited !== undefined) pis.edit(host, edited, script);
        else if (text.startsWith('cpns ')) await pis.run(host, text);
      }
      const networks = (host: string) => pis.json(host, 'cpns pn list');
      // Ann's, and Bob's with Ann's headset in it.
      assert.equal((await networks('hub')).length, 2);
      const [bobs] = await networks('bobs-pi');
      const { memberships, owner } = await pis.json('headset', 'cpns pne status');
      assert.equal(owner, 'ann');
      assert.deepEqual(
        memberships.map((membership: { pnId: string }) => membership.pnId),
        [bobs.pnId],
      );
      assert.equal((await networks('single')).length, 1);
    } finally {
      await pis.close();
    }
  });
});
