/** The console's certificate: made once, made anew, or the owner's own. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ConfigError } from '../../src/config/config-error.ts';
import { type ConsoleSite, openForEach } from './site.ts';

describe('the console’s certificate', function () {
  this.timeout(30_000);
  let site: ConsoleSite;
  openForEach((opened) => {
    site = opened;
  });

  const certificate = () => readFileSync(join(site.stateDir, 'console-cert.pem'), 'utf8');

  it('is made once, keeps its fingerprint, is good to openssl, and its key is the owner’s alone', async () => {
    const pem = certificate();
    const leaf = new X509Certificate(pem);
    assert.equal(site.console.link().fingerprint, leaf.fingerprint256);
    assert.equal(leaf.checkHost('localhost'), 'localhost');
    assert.equal(leaf.checkIP('127.0.0.1'), '127.0.0.1');
    assert.equal(leaf.ca, false);
    assert.equal(statSync(join(site.stateDir, 'console-key.pem')).mode & 0o777, 0o600);
    const file = join(site.stateDir, 'console-cert.pem');
    assert.match(
      execFileSync('openssl', ['verify', '-purpose', 'sslserver', '-CAfile', file, file], {
        encoding: 'utf8',
      }),
      /OK/,
    );
    // A client that was told to trust this one certificate asks no more.
    const trusted = { agent: false as const, rejectUnauthorized: true, ca: pem, servername: 'localhost' };
    assert.equal((await site.send('GET', '/api/greeting', trusted)).http, 200);
    await site.console.close();
    await site.openConsole();
    assert.equal(certificate(), pem);
  });

  it('is made anew for a new name, and before it runs out', async () => {
    const first = certificate();
    await site.console.close();
    await site.openConsole({ names: ['gateway.local', '192.0.2.7'] });
    const second = new X509Certificate(certificate());
    assert.notEqual(second.toString(), first);
    assert.equal(second.checkHost('gateway.local'), 'gateway.local');
    assert.equal(second.checkIP('192.0.2.7'), '192.0.2.7');
    assert.match(site.link(), /^https:\/\/(gateway\.local|127)/);
    site.clock.aheadMs = 780 * 86_400_000;
    await site.console.close();
    await site.openConsole({ names: ['gateway.local', '192.0.2.7'] });
    assert.notEqual(certificate(), second.toString());
  });

  it('may be the owner’s own; a key of another one is refused with its file named', async () => {
    const [cert, key, other] = ['own.pem', 'own.key', 'other.key'].map((name) =>
      join(site.network.dir, name),
    ) as [string, string, string];
    for (const file of [key, other])
      execFileSync(
        'openssl',
        ['genpkey', '-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-256', '-out', file],
        { stdio: 'pipe' },
      );
    execFileSync(
      'openssl',
      ['req', '-new', '-x509', '-key', key, '-subj', '/CN=mine', '-days', '3', '-out', cert],
      { stdio: 'pipe' },
    );
    await site.console.close();
    await site.openConsole({ cert, key });
    const { fingerprint, selfSigned } = site.console.link();
    assert.deepEqual(
      [fingerprint, selfSigned],
      [new X509Certificate(readFileSync(cert)).fingerprint256, false],
    );
    const named = (file: string) => (error: unknown) =>
      error instanceof ConfigError && error.message.includes(file);
    await site.console.close();
    await assert.rejects(site.openConsole({ cert, key: other }), named(other));
    writeFileSync(other, 'nothing');
    await assert.rejects(site.openConsole({ cert: other, key }), named(other));
    await site.openConsole();
  });
});
