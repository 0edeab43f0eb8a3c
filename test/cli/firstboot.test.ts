/** `cpns firstboot`: a device from one file, cut off and repeated, against a real server; and files that are wrong. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { firstboot } from '../../src/cli/actions/firstboot.ts';
import { TestNetwork } from '../nodes/network.ts';

const MAIN = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url));

describe('cpns firstboot', function () {
  this.timeout(60_000);
  let network: TestNetwork;
  let home: string;
  let before: NodeJS.ProcessEnv;

  beforeEach(async () => {
    network = await TestNetwork.open();
    home = mkdtempSync(join(tmpdir(), 'cpns-firstboot-'));
    mkdirSync(join(home, 'run'));
    before = { ...process.env };
    Object.assign(process.env, {
      XDG_STATE_HOME: join(home, 'state'),
      XDG_CONFIG_HOME: join(home, 'config'),
      RUNTIME_DIRECTORY: join(home, 'run'),
    });
  });
  afterEach(async () => {
    process.env = before;
    await network.close();
    rmSync(home, { recursive: true, force: true });
  });

  const file = (...lines: string[]) => {
    const path = join(home, 'cpns.toml');
    writeFileSync(path, `${lines.join('\n')}\n`);
    return path;
  };
  const gatewayFile = (server: string, token: string) =>
    file('role = "gateway"', `server = "${server}"`, `token = "${token}"`, 'adapter = "hci:1/user"');
  const role = () => readFileSync(join(home, 'run', 'role'), 'utf8');

  it('makes a gateway: configuration, keys, the word of the server; again with the spent token as well', async () => {
    const token = network.token('ann', 'home');
    const path = gatewayFile(network.server.url, token);
    await firstboot(path, { json: true });
    const config = readFileSync(join(home, 'config', 'cpns', 'gateway.toml'), 'utf8');
    assert.match(config, new RegExp(`url = "${network.server.url}"`));
    assert.match(config, /adapter = "hci:1\/user"/);
    assert.equal(role(), 'gateway\n');
    const key = readFileSync(join(home, 'state', 'cpns', 'gateway', 'identity.pem'), 'utf8');
    rmSync(join(home, 'run', 'role'));
    await firstboot(path, { json: true });
    assert.equal(readFileSync(join(home, 'state', 'cpns', 'gateway', 'identity.pem'), 'utf8'), key);
    assert.equal(role(), 'gateway\n');
    // Neither the token nor anything of it is kept.
    assert.ok(!readFileSync(join(home, 'config', 'cpns', 'gateway.toml'), 'utf8').includes('CPNSGW'));
  });

  it('leaves no role behind when the server does not take the token, and gets there with a good one', async () => {
    const token = network.token('ann', 'home');
    const spent = `${token.slice(0, -4)}${token.endsWith('AAAA') ? 'BBBB' : 'AAAA'}`;
    await assert.rejects(firstboot(gatewayFile(network.server.url, spent), { json: true }));
    assert.ok(!existsSync(join(home, 'run', 'role')));
    await firstboot(gatewayFile(network.server.url, token), { json: true });
    assert.equal(role(), 'gateway\n');
  });

  it('does not move an enrolled gateway to another server', async () => {
    await firstboot(gatewayFile(network.server.url, network.token('ann', 'home')), { json: true });
    const other = gatewayFile('https://other.example.net:8443', network.token('ann', 'home'));
    await assert.rejects(firstboot(other, { json: true }), /is enrolled at .* already/);
  });

  it('makes a PNE', async () => {
    await firstboot(file('role = "pne"'), { json: true });
    assert.ok(existsSync(join(home, 'state', 'cpns', 'pne', 'identity.pem')));
    assert.ok(existsSync(join(home, 'config', 'cpns', 'pne.toml')));
    assert.equal(role(), 'pne\n');
  });

  const WRONG: readonly (readonly [string, readonly string[], RegExp])[] = [
    ['no role', [], /role/],
    ['a role that needs more than a file', ['role = "server"'], /role/],
    [
      'a gateway without a token',
      ['role = "gateway"', 'server = "https://a.example"'],
      /needs server and token/,
    ],
    ['a server that is none', ['role = "gateway"', 'server = "http://a"', 'token = "x"'], /server/],
    ['a PNE with a token', ['role = "pne"', 'token = "x"'], /belong to role = "gateway"/],
    ['an unknown key', ['role = "pne"', 'password = "x"'], /password/],
    ['no TOML', ['role = '], /not TOML/],
  ];
  for (const [what, lines, problem] of WRONG) {
    it(`refuses ${what} with exit code 2 and does nothing`, () => {
      const { status, stderr } = spawnSync(
        process.execPath,
        ['--import', 'tsx', MAIN, 'firstboot', file(...lines)],
        { encoding: 'utf8' },
      );
      assert.equal(status, 2, stderr);
      assert.match(stderr, problem);
      assert.ok(!existsSync(join(home, 'config')));
      assert.ok(!existsSync(join(home, 'state')));
    });
  }
});
