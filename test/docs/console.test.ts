/** docs/console.md as somebody follows it: all its commands, in order, in a shell, with the real program on the virtual radio. */
import assert from 'node:assert/strict';
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { request } from 'node:https';
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { gatewayExample } from '../../src/config/gateway-config.ts';
import { buildPages } from '../console/site.ts';
import { TestNetwork } from '../nodes/network.ts';
import { faultOf } from '../support/command-tree.ts';

const TEXT = readFileSync(new URL('../../docs/console.md', import.meta.url), 'utf8');
const MAIN = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url));
const LINES = [...TEXT.matchAll(/^```sh\n(.*?)^```/gms)].flatMap(([, block = '']) =>
  block.trim().split('\n'),
);
const run = promisify(execFile);

describe('docs/console.md', function () {
  this.timeout(120_000);

  for (const line of LINES.filter((each) => each.startsWith('cpns '))) {
    it(`is a command line: ${line}`, async () => assert.equal(await faultOf(line), undefined));
  }

  it('names in the text only commands that there are', async () => {
    for (const [, text = ''] of TEXT.replaceAll(/^```.*?^```/gms, '').matchAll(/`(cpns [^`]+)`/g))
      assert.equal(await faultOf(/ revoke$/.test(text) ? `${text} ID` : text), undefined, text);
  });

  it('leads to a page that lets in', async () => {
    await buildPages();
    const network = await TestNetwork.open();
    const home = mkdtempSync(join(tmpdir(), 'cpns-home-'));
    const stateDir = join(home, '.local/state/cpns/gateway');
    const configFile = join(home, '.config/cpns/gateway.toml');
    for (const folder of [stateDir, join(home, '.config/cpns'), join(home, 'bin')])
      mkdirSync(folder, { recursive: true, mode: 0o700 });
    await network.enrolGateway(stateDir, 'Alice', 'Hall');
    writeFileSync(configFile, gatewayExample(network.server.url, network.radio.moniker));
    writeFileSync(
      join(home, 'bin/cpns'),
      `#!/bin/sh\nexec "${process.execPath}" --import tsx "${MAIN}" "$@"\n`,
      { mode: 0o700 },
    );
    const env = { HOME: home, PATH: `${join(home, 'bin')}:${process.env['PATH']}`, NODE_PATH: '' };
    const shell = async (line: string) => (await run('sh', ['-c', line], { env })).stdout;
    let daemon: ChildProcess | undefined;
    const seen: Record<string, string> = {};
    try {
      for (const line of LINES) {
        if (line === 'cpns gateway run') {
          const port = await freePort();
          const text = readFileSync(configFile, 'utf8');
          assert.match(text, /^listen = "0\.0\.0\.0:8444"$/m);
          writeFileSync(configFile, text.replace('8444', String(port)));
          daemon = spawn(join(home, 'bin/cpns'), ['gateway', 'run', '--trace'], {
            env,
            stdio: ['ignore', 'pipe', 'inherit'],
          });
          await ready(daemon);
        } else if (line.startsWith('cpns gateway console')) {
          // No terminal: it says so, and what shows the link all the same.
          await assert.rejects(shell(line), { code: 2, stderr: /--print/ });
          seen[line] = await shell(`${line} --print`);
        } else seen[line] = await shell(line);
      }
      const linkIn = (text = '') => new URL(/https:\/\/localhost:\d+\/#login=[\w-]+/.exec(text)?.[0] ?? '');
      const before = linkIn(seen['cpns gateway console']);
      const shown = seen['cpns gateway console --reset'] ?? '';
      assert.match(
        shown,
        /^Removed: 0 passwords, 0 passkeys, 0 notified browsers\. Ended: 0 logins, and all/,
      );
      const fingerprint = /^ {2}((?:[0-9A-F]{2}:){31}[0-9A-F]{2})$/m.exec(shown)?.[1] ?? 'none';
      const byOpenssl = Object.entries(seen).find(([line]) => line.startsWith('openssl'))?.[1] ?? '';
      assert.ok(byOpenssl.includes(fingerprint), `${byOpenssl} is not ${fingerprint}`);
      const link = linkIn(shown);
      const certificate = readFileSync(join(stateDir, 'console-cert.pem'), 'utf8');
      assert.equal(await login(before, certificate), 403);
      assert.equal(await login(link, certificate), 200);
      assert.equal(await login(link, certificate), 403);
      const { urls, expiresInMs } = JSON.parse(await shell('cpns gateway console --json'));
      assert.equal(expiresInMs, 600_000);
      assert.equal(
        await login(new URL(urls.find((url: string) => url.includes('localhost'))), certificate),
        200,
      );
      assert.equal(statSync(join(stateDir, 'console-key.pem')).mode & 0o777, 0o600);
    } finally {
      if (daemon?.exitCode === null) {
        const ended = new Promise((resolve) => daemon?.once('close', resolve));
        daemon.kill('SIGTERM');
        await ended;
      }
      await network.close();
      rmSync(home, { recursive: true, force: true });
    }
    assert.equal(daemon?.exitCode, 0);
  });

  it('without a console the command says what is missing', async () => {
    const network = await TestNetwork.open();
    const stateDir = join(network.dir, 'plain');
    const configFile = join(network.dir, 'plain.toml');
    mkdirSync(stateDir, { mode: 0o700 });
    await network.enrolGateway(stateDir, 'Alice', 'Plain');
    writeFileSync(configFile, gatewayExample(network.server.url, network.radio.moniker));
    const cpns = (...words: string[]) =>
      [process.execPath, ['--import', 'tsx', MAIN, ...words, '--state', stateDir]] as const;
    const [node, words] = cpns('gateway', 'run', '--trace', '--config', configFile);
    const daemon = spawn(node, words, { stdio: ['ignore', 'pipe', 'ignore'] });
    try {
      await ready(daemon);
      await assert.rejects(run(...cpns('gateway', 'console', '--json')), {
        stderr: /\[console\] and listen/,
      });
    } finally {
      const ended = new Promise((resolve) => daemon.once('close', resolve));
      daemon.kill('SIGTERM');
      await ended;
      await network.close();
    }
  });
});

async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => probe.once('listening', resolve));
  const { port } = probe.address() as AddressInfo;
  await new Promise((resolve) => probe.close(resolve));
  return port;
}

function ready(daemon: ChildProcess): Promise<void> {
  return new Promise((resolve, reject) => {
    let out = '';
    daemon.stdout?.on('data', (chunk) => {
      out += chunk;
      if (/"event":"ready"/.test(out)) resolve();
    });
    daemon.once('close', () => reject(new Error(`it ended: ${out}`)));
  });
}

/** As the page does, trusting this one certificate. @returns the HTTP status */
function login(link: URL, ca: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const headers = { origin: link.origin, 'content-type': 'application/json', 'x-cpns-console': '1' };
    const sent = request(
      `${link.origin}/api/login-link`,
      { method: 'POST', ca, headers, agent: false },
      (response) => {
        response.resume();
        resolve(response.statusCode ?? 0);
      },
    );
    sent.on('error', reject);
    sent.end(JSON.stringify({ token: link.hash.slice('#login='.length) }));
  });
}
