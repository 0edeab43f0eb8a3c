/** Connections to a page's server: nobody holds one by leaving its answer unread. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect, type TLSSocket } from 'node:tls';
import { openPageHttps, type PageHttps } from '../../src/console/page-https.ts';
import { loadOrCreateKey } from '../../src/security/keystore.ts';
import { createSelfSignedCertificate, derToPem } from '../../src/security/x509.ts';

const WITHIN_MS = 300;
/** More than all buffers on the way hold. */
const LONG = Buffer.alloc(32 * 1024 * 1024);

describe('connections to a page’s server', function () {
  this.timeout(20_000);
  const dir = mkdtempSync(join(tmpdir(), 'cpns-page-https-'));
  let server: PageHttps;
  const clients = new Set<TLSSocket>();

  before(async () => {
    const key = loadOrCreateKey(join(dir, 'key.pem'));
    const now = Math.floor(Date.now() / 1000);
    const certPem = derToPem(createSelfSignedCertificate({ key, names: ['localhost'], days: 1, now }));
    const keyPem = key.privateKey.export({ format: 'pem', type: 'pkcs8' }).toString();
    const one = 1;
    server = await openPageHttps(
      { host: '127.0.0.1', port: 0 },
      { keyPem, certPem },
      one,
      async ({ url }, response) => {
        if (url === '/endless') response.write('data: here\n\n');
        else if (url === '/ends') {
          response.write(LONG);
          setTimeout(() => response.end(), 2.5 * WITHIN_MS);
        } else response.end(url === '/long' ? LONG : 'short');
      },
      WITHIN_MS,
    );
  });
  after(async () => {
    for (const client of clients) client.destroy();
    await server.close();
    rmSync(dir, { recursive: true, force: true });
  });

  function ask(path: string): TLSSocket {
    const client = connect({ host: '127.0.0.1', port: server.port, rejectUnauthorized: false });
    clients.add(client);
    client.on('error', () => {});
    client.write(`GET ${path} HTTP/1.1\r\nhost: localhost\r\n\r\n`);
    return client;
  }
  /** Whether a newcomer is answered. */
  const isFree = (): Promise<boolean> =>
    new Promise((resolve) => {
      const client = ask('/short');
      client.once('data', () => resolve(true));
      client.once('close', () => resolve(false));
    }).then((answered) => {
      for (const client of clients) if (!client.isPaused()) client.destroy();
      return answered as boolean;
    });

  it('who does not read its answer holds a place for a bounded time', async () => {
    const deaf = ask('/long').pause();
    await new Promise((resolve) => deaf.once('secureConnect', resolve));
    assert.equal(await isFree(), false);
    const startedAt = performance.now();
    while (!(await isFree())) assert.ok(performance.now() - startedAt < 20 * WITHIN_MS, 'held');
    deaf.destroy();
  });

  it('so does who does not read the end of an answer that went on', async () => {
    const deaf = ask('/ends').pause();
    await new Promise((resolve) => deaf.once('secureConnect', resolve));
    await new Promise((resolve) => setTimeout(resolve, 2 * WITHIN_MS));
    const startedAt = performance.now();
    while (!(await isFree())) assert.ok(performance.now() - startedAt < 20 * WITHIN_MS, 'held');
    deaf.destroy();
  });

  it('who says what it wants slowly, or nothing at all, is cut when its time is over and not much later', async () => {
    const drip = ['GET / HTTP/1.1\r\nhost: localhost\r\n', 'x-a: b\r\n'] as const;
    for (const [first, more] of [drip, ['', '']] as const) {
      const slow = connect({ host: '127.0.0.1', port: server.port, rejectUnauthorized: false });
      slow.on('error', () => {}).resume();
      slow.write(first);
      const startedAt = performance.now();
      const dripping = setInterval(() => slow.write(more), 1_000);
      await new Promise((resolve) => slow.once('close', resolve));
      clearInterval(dripping);
      // Ten seconds, as the operator's server has it; unless somebody looks, it is thirty.
      assert.ok(performance.now() - startedAt < 25_000);
    }
  }).timeout(80_000);

  it('an answer that goes on is left alone', async () => {
    const stream = ask('/endless');
    await new Promise((resolve) => stream.once('data', resolve));
    await new Promise((resolve) => setTimeout(resolve, 2 * WITHIN_MS));
    assert.equal(stream.destroyed || stream.readableEnded, false);
    stream.destroy();
  });
});
