/**
 * docs/interop.md beside the programs: its command lines parse against the real commands, and what it says of the virtual
 * radio's socket holds for a client that knows nothing else: bytes on a UNIX socket.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { BareHost, cleanUp, newRadio } from '../bluetooth/support.ts';
import { faultOf } from '../support/command-tree.ts';

const TEXT = readFileSync(new URL('../../docs/interop.md', import.meta.url), 'utf8');
const LINES = [...TEXT.matchAll(/^```sh\n(.*?)^```/gms)].flatMap(([, block = '']) =>
  block.trim().split('\n'),
);
const [, TABLE = ''] = /<!-- commands:begin .*?-->\n(.*?)<!-- commands:end -->/s.exec(TEXT) ?? [];
const COMMANDS = [...TABLE.matchAll(/`([0-9a-f]{4})` \| ([^|]+) \|/g)];
const UNKNOWN_COMMAND = 0x01;
const LONGER_THAN_ANY = '00'.repeat(64);

describe('docs/interop.md', () => {
  afterEach(cleanUp);

  for (const line of new Set(LINES.filter((each) => each.startsWith('cpns ')))) {
    it(`is a command line: ${line}`, async () => assert.equal(await faultOf(line), undefined));
  }

  it('names in the text only commands that there are', async () => {
    for (const [, text = ''] of TEXT.replaceAll(/^```.*?^```/gms, '').matchAll(/`(cpns [^`]+)`/g)) {
      const complete = text.replace(/token create$/, 'token create ann phone');
      assert.equal(await faultOf(complete), undefined, text);
    }
  });

  it('has a radio that knows the commands it lists, and no extended advertising', async () => {
    const host = await BareHost.open((await newRadio()).path);
    assert.ok(COMMANDS.length > 20);
    for (const [, opcode = '', name = ''] of COMMANDS) {
      const [status] = await host.command(Number.parseInt(opcode, 16), LONGER_THAN_ANY);
      assert.notEqual(status, UNKNOWN_COMMAND, name);
    }
    assert.deepEqual([...(await host.command(0x2036, LONGER_THAN_ANY))], [UNKNOWN_COMMAND]);
  });

  it('has a radio on which one connection hears what another advertises', async () => {
    const { path } = await newRadio();
    const [advertiser, scanner] = [await BareHost.open(path), await BareHost.open(path)];
    const packet = (text: string) => `0${text.length}${Buffer.from(text.padEnd(31, '\0')).toString('hex')}`;
    const succeed = async (host: BareHost, opcode: number, parameters: string) =>
      assert.equal((await host.command(opcode, parameters))[0], 0, opcode.toString(16));
    await succeed(advertiser, 0x2008, packet('first'));
    await succeed(advertiser, 0x2009, packet('second'));
    await succeed(advertiser, 0x200a, '01');
    await succeed(scanner, 0x200b, '01 1000 1000 00 00');
    await succeed(scanner, 0x200c, '01 00');
    for (const text of ['first', 'second'])
      await scanner.take((report) => report[1] === 0x3e && report[3] === 2 && report.includes(text));
  });
});
