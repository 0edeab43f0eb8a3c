/**
 * The PNE's page as an operator's server serves it, by `cpns server run` and in Chromium: the same files and headers as at a
 * gateway's console, nothing of the console, and a certificate that can be renewed under it.
 */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { Agent, request } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { openPnePage } from '../../src/console/pne-page.ts';
import { loadOrCreateKey } from '../../src/security/keystore.ts';
import { createSelfSignedCertificate, derToPem } from '../../src/security/x509.ts';
import { launchChromium, PHONE, watch } from '../web/chromium.ts';
import { buildPages } from './site.ts';

const MAIN = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url));

describe('the PNE’s page at a server', function () {
  this.timeout(120_000);
  const dir = mkdtempSync(join(tmpdir(), 'cpns-page-'));
  const [certFile, keyFile] = [join(dir, 'page-cert.pem'), join(dir, 'page-key.pem')];
  const config = { listen: { host: '127.0.0.1', port: 0 }, cert: certFile, key: keyFile };

  /** Puts a new certificate where the configuration has it. */
  function certify(): void {
    const key = loadOrCreateKey(keyFile);
    const now = Math.floor(Date.now() / 1000);
    const der = createSelfSignedCertificate({ key, names: ['localhost'], days: 1, now });
    writeFileSync(certFile, derToPem(der));
  }

  before(async () => {
    await buildPages();
    certify();
  });
  after(() => rmSync(dir, { recursive: true, force: true }));

  /** The certificate is looked at by the test of its renewal; nobody vouches for it. */
  function ask(port: number, path: string, method = 'GET') {
    type Asked = { http: number; headers: Record<string, unknown>; text: string; serial: string };
    return new Promise<Asked>((resolve, reject) => {
      const agent = new Agent({ maxCachedSessions: 0 });
      const asked = request(
        { host: '127.0.0.1', servername: 'localhost', port, path, method, agent, rejectUnauthorized: false },
        (response) => {
          const { statusCode: http = 0, headers, socket } = response;
          const serial = (socket as import('node:tls').TLSSocket).getPeerCertificate().serialNumber;
          let text = '';
          response.setEncoding('utf8').on('data', (chunk) => (text += chunk));
          response.on('end', () => resolve({ http, headers, text, serial }));
        },
      );
      asked.on('error', reject);
      asked.end();
    });
  }

  it('serves the page with its policy, and nothing else', async () => {
    const faults: unknown[] = [];
    const page = await openPnePage({ config, onFault: (error) => faults.push(error) });
    try {
      assert.equal(page.hasPage, true);
      for (const path of ['/', '/pne']) {
        const { http, headers } = await ask(page.port, path);
        assert.deepEqual([http, headers['location']], [308, '/pne/']);
      }
      const { http, headers, text } = await ask(page.port, '/pne/');
      assert.equal(http, 200);
      assert.match(text, /<title>/);
      assert.match(String(headers['content-security-policy']), /script-src 'self'.*frame-ancestors 'none'/);
      assert.equal(headers['x-content-type-options'], 'nosniff');
      assert.equal(headers['cache-control'], 'no-cache');
      const script = /src="\.?\/?(assets\/[^"]+\.js)"/.exec(text)?.[1];
      assert.match(String((await ask(page.port, `/pne/${script}`)).headers['cache-control']), /immutable/);
      assert.equal((await ask(page.port, '/pne/', 'HEAD')).text, '');
      assert.equal((await ask(page.port, '/pne/', 'POST')).http, 400);
      for (const path of ['/api/greeting', '/index.html', '/pne/../../package.json', '/assets/'])
        assert.equal((await ask(page.port, path)).http, 404, path);
      assert.deepEqual(faults, []);
    } finally {
      await page.close();
    }
  });

  it('takes a renewed certificate, and keeps the one it has while the files are none', async () => {
    const faults: unknown[] = [];
    const page = await openPnePage({ config, onFault: (error) => faults.push(error) });
    try {
      const { serial } = await ask(page.port, '/pne/');
      certify();
      page.renew();
      const renewed = await ask(page.port, '/pne/');
      assert.notEqual(renewed.serial, serial);
      writeFileSync(certFile, 'half of a certificate');
      page.renew();
      assert.equal(faults.length, 1);
      assert.equal((await ask(page.port, '/pne/')).serial, renewed.serial);
    } finally {
      certify();
      await page.close();
    }
  });

  it('runs in a browser from `cpns server run`', async () => {
    const state = ['--state', join(dir, 'server'), '--config', join(dir, 'server.toml')];
    const cpns = (...words: string[]) => [process.execPath, ['--import', 'tsx', MAIN, ...words]] as const;
    const init = spawnSync(...cpns('server', 'init', '--realm', 'op.example', ...state), {
      encoding: 'utf8',
    });
    assert.equal(init.status, 0, init.stderr);
    const served = `[page]\nlisten = "127.0.0.1:0"\ncert = "${certFile}"\nkey = "${keyFile}"\n`;
    writeFileSync(join(dir, 'server.toml'), `port = 0\n${served}`);
    const server: ChildProcess = spawn(...cpns('server', 'run', '--trace', ...state));
    const browser = await launchChromium();
    try {
      const port = await portOf(server);
      const context = await browser.newContext({ viewport: PHONE, ignoreHTTPSErrors: true });
      const complaints = await watch(context, `https://localhost:${port}`);
      const page = await context.newPage();
      await page.goto(`https://localhost:${port}/`);
      await page.getByLabel('Code of your home gateway').waitFor();
      assert.equal(page.url(), `https://localhost:${port}/pne/`);
      assert.equal(await page.evaluate('isSecureContext && "bluetooth" in navigator'), true);
      // Nobody vouches for this certificate, and under such a one a browser takes no service worker.
      const errors = complaints.errors.filter((text) => !/certificate/i.test(text));
      assert.deepEqual({ ...complaints, errors }, { breaches: [], foreign: [], errors: [] });
    } finally {
      await browser.close();
      server.kill('SIGTERM');
    }
    assert.equal(await new Promise((resolve) => server.on('close', resolve)), 0);
  });
});

function portOf(server: ChildProcess): Promise<number> {
  return new Promise((resolve, reject) => {
    let said = '';
    const take = (chunk: Buffer): void => {
      said += chunk;
      const port = /"pagePort":(\d+)/.exec(said)?.[1];
      if (port !== undefined) resolve(Number(port));
    };
    server.stdout?.on('data', take);
    server.stderr?.on('data', take);
    server.on('close', () => reject(new Error(`it ended: ${said}`)));
  });
}
