/** The console's server, asked by an HTTPS client that says what it likes: a real gateway behind it. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { request } from 'node:https';
import { networkInterfaces } from 'node:os';
import { join } from 'node:path';
import { connect } from 'node:tls';
import { ConfigError } from '../../src/config/config-error.ts';
import { LINK_LIFE_MS, SESSION_IDLE_MS, SESSION_LIFE_MS } from '../../src/console/sessions.ts';
import { buildPages, ConsoleSite, cookieOf } from './site.ts';

const PASSWORD = 'correct horse battery';
const WEAK = ['short', '123456789'];

describe('the console’s server', function () {
  this.timeout(30_000);
  let site: ConsoleSite;
  before(async function () {
    this.timeout(300_000);
    await buildPages();
  });
  beforeEach(async () => {
    site = await ConsoleSite.open();
  });
  afterEach(async () => {
    await site.close();
    assert.deepEqual(site.faults, []);
  });

  describe('links and sessions', () => {
    it('a link logs in once, and its cookie is one that no script and no other host gets', async () => {
      const token = site.token();
      const answer = await site.post('login-link', { token });
      assert.equal(answer.http, 200);
      const [cookie = ''] = [answer.headers['set-cookie'] ?? ''].flat();
      assert.match(
        cookie,
        /^__Host-cpns-console=[\w-]{43}; Path=\/; Max-Age=\d+; Secure; HttpOnly; SameSite=Strict$/,
      );
      assert.equal((await site.get('/api/state', cookieOf(answer))).json.gateway.label, 'Hall');
      const again = await site.post('login-link', { token });
      assert.deepEqual([again.http, again.json.status], [403, 'token-invalid']);
    });

    it('a link is void after ten minutes, and when four newer ones were made', async () => {
      const late = site.token();
      site.clock.aheadMs += LINK_LIFE_MS + 1;
      assert.equal((await site.post('login-link', { token: late })).json.status, 'token-invalid');
      const first = site.token();
      for (let i = 0; i < 4; i++) site.token();
      assert.equal((await site.post('login-link', { token: first })).json.status, 'token-invalid');
    });

    it('a refusal is in words for the person before the page, not for a party of the protocol', async () => {
      const sentence = async (name: string, body: unknown) => (await site.post(name, body)).json.sentence;
      assert.equal(await sentence('decide', {}), 'You are logged out, or what you showed is not accepted.');
      assert.match(await sentence('login-link', { token: 'A' }), /^This link was used already, or its ten/);
      const session = await site.login();
      const gone = await site.post('compared', { digits: '123456', same: true }, session);
      assert.match(gone.json.sentence, /^This waits no more: /);
    });

    it('without a session nothing is told or done', async () => {
      for (const path of ['/api/state', '/api/events', `/api/report/${'0'.repeat(32)}`])
        assert.equal((await site.get(path)).json.status, 'not-authenticated', path);
      for (const name of [
        'decide',
        'report',
        'withdraw-report',
        'pair',
        'show-code',
        'compared',
        'revoke',
        'password',
        'logout',
        'hide-code',
        'constructor',
      ]) {
        const answer = await site.post(name, {});
        assert.deepEqual([answer.http, answer.json.status], [401, 'not-authenticated'], name);
      }
      const { json } = await site.get('/api/greeting');
      assert.deepEqual(Object.keys(json).sort(), ['fingerprint', 'hasPassword', 'passkeyNames']);
      const forged = { cookie: `__Host-cpns-console=${'A'.repeat(43)}` };
      assert.equal((await site.get('/api/state', forged)).http, 401);
    });

    it('a session ends when it is idle, when it is old, and by logging out', async () => {
      const idle = await site.login();
      site.clock.aheadMs += SESSION_IDLE_MS + 1;
      assert.equal((await site.get('/api/state', idle)).http, 401);
      const old = await site.login();
      for (let ms = 0; ms <= SESSION_LIFE_MS; ms += SESSION_IDLE_MS / 2) {
        await site.get('/api/state', old);
        site.clock.aheadMs += SESSION_IDLE_MS / 2;
      }
      assert.equal((await site.get('/api/state', old)).http, 401);
      const [one, other] = [await site.login(), await site.login()];
      await site.post('logout', { everywhere: false }, one);
      assert.equal((await site.get('/api/state', one)).http, 401);
      assert.equal((await site.get('/api/state', other)).http, 200);
      const third = await site.login();
      await site.post('logout', { everywhere: true }, other);
      assert.equal((await site.get('/api/state', third)).http, 401);
    });

    it('sessions are bounded: the one that was used least goes', async () => {
      const sessions: { readonly cookie: string }[] = [];
      for (let i = 0; i < 17; i++) {
        sessions.push(await site.login());
        site.clock.aheadMs += 1_000;
      }
      const seen: number[] = [];
      for (const session of sessions) seen.push((await site.get('/api/state', session)).http);
      assert.deepEqual(seen, [401, ...Array(16).fill(200)]);
    });
  });

  describe('the password', () => {
    it('is kept as a hash of mode 0600, lets in, and ends the other sessions', async () => {
      const [mine, other] = [await site.login(), await site.login()];
      for (const weak of WEAK)
        assert.deepEqual(
          [weak, (await site.post('password', { password: weak }, mine)).json],
          [weak, { status: 'malformed', sentence: 'A password has 10 to 128 characters.' }],
        );
      assert.equal((await site.post('password', { password: PASSWORD }, mine)).http, 200);
      const file = join(site.stateDir, 'console-password.json');
      assert.equal(statSync(file).mode & 0o777, 0o600);
      assert.ok(!readFileSync(file, 'utf8').includes(PASSWORD));
      assert.equal((await site.get('/api/state', other)).http, 401);
      assert.equal((await site.get('/api/state', mine)).http, 200);
      const wrong = await site.post('login-password', { password: `${PASSWORD}!` });
      assert.deepEqual([wrong.http, wrong.json.status], [401, 'not-authenticated']);
      const right = await site.post('login-password', { password: PASSWORD });
      assert.equal((await site.get('/api/state', cookieOf(right))).http, 200);
      // It is there after a restart; sessions are not.
      await site.console.close();
      await site.openConsole();
      assert.equal((await site.get('/api/state', mine)).http, 401);
      assert.equal((await site.post('login-password', { password: PASSWORD })).http, 200);
      const last = await site.login();
      await site.post('password', { password: null }, last);
      assert.equal((await site.post('login-password', { password: PASSWORD })).http, 401);
    });
  });

  describe('requests that a page of another origin makes', () => {
    it('a host of another name is nobody here: DNS rebinding', async () => {
      const { cookie } = await site.login();
      const foreign = [
        'evil.example',
        `evil.example:${site.console.port}`,
        'localhost.evil.example',
        '[::2]',
        '198.51.100.7',
      ];
      for (const host of foreign) {
        const answer = await site.get('/api/state', { host, cookie });
        assert.equal(answer.http, 404, host);
        assert.ok(!answer.text.includes('Hall'), host);
        assert.equal((await site.get('/', { host })).http, 404, host);
      }
      const lan = Object.values(networkInterfaces()).flatMap((each) =>
        (each ?? []).map(({ address, family }) => (family === 'IPv6' ? `[${address}]` : address)),
      );
      for (const host of ['localhost', '127.0.0.1', ...lan])
        assert.equal(
          (await site.get('/api/state', { host: `${host}:${site.console.port}`, cookie })).http,
          200,
          host,
        );
    });

    it('is refused by Origin, by Sec-Fetch-Site, without the header of the page, and as a form', async () => {
      const { cookie } = await site.login();
      const decide = { joinId: '0'.repeat(32), allow: true, always: true };
      const tries: Record<string, Record<string, string | undefined>> = {
        'another origin': { origin: 'https://evil.example' },
        'another port': { origin: 'https://localhost:1' },
        'plain http': { origin: `http://localhost:${site.console.port}` },
        'origin null': { origin: 'null' },
        'no origin': { origin: undefined },
        'another site': { 'sec-fetch-site': 'cross-site' },
        'the same site, another port': { 'sec-fetch-site': 'same-site' },
        'no header': { 'x-cpns-console': undefined },
      };
      for (const [what, headers] of Object.entries(tries)) {
        const answer = await site.post('decide', decide, { cookie, ...headers });
        assert.deepEqual([answer.http, answer.json.status], [401, 'not-authenticated'], what);
      }
      for (const type of [
        'text/plain',
        'application/x-www-form-urlencoded',
        'multipart/form-data',
        undefined,
      ]) {
        const answer = await site.post('decide', decide, { cookie, 'content-type': type });
        assert.equal(answer.json.status, 'malformed', type);
      }
      assert.equal((await site.get('/api/state', { cookie, 'sec-fetch-site': 'cross-site' })).http, 401);
      assert.equal((await site.get('/api/events', { cookie, origin: 'https://evil.example' })).http, 401);
      // The same as the page says it arrives: nothing of this join waits.
      const meant = await site.post('decide', decide, { cookie, 'sec-fetch-site': 'same-origin' });
      assert.equal(meant.json.status, 'unknown-transaction');
      for (const method of ['PUT', 'DELETE', 'OPTIONS', 'PATCH', 'TRACE'])
        assert.equal((await site.send(method, '/api/decide', { headers: { cookie } })).http, 400, method);
    });
  });

  describe('what it says of itself', () => {
    const POLICY = [
      "default-src 'none'",
      "script-src 'self'",
      "style-src 'self'",
      "frame-ancestors 'none'",
      "base-uri 'none'",
      "form-action 'none'",
      "require-trusted-types-for 'script'",
    ];

    it('has the policy on every answer, and no inline script', async () => {
      for (const path of ['/', '/pne/', '/api/greeting', '/api/state', '/nowhere']) {
        const { headers, text } = await site.get(path);
        const policy = String(headers['content-security-policy']).split('; ');
        for (const part of POLICY) assert.ok(policy.includes(part), `${path}: ${part}`);
        assert.ok(!/unsafe|https?:|\*|data:/.test(String(headers['content-security-policy'])), path);
        assert.equal(headers['x-content-type-options'], 'nosniff', path);
        assert.equal(headers['x-frame-options'], 'DENY', path);
        assert.equal(headers['referrer-policy'], 'no-referrer', path);
        assert.equal(headers['access-control-allow-origin'], undefined, path);
        assert.ok(!/<script(?![^>]* src=)[^>]*>/.test(text), path);
        // With it nobody could accept a certificate by its fingerprint.
        assert.equal(headers['strict-transport-security'], undefined, path);
      }
    });

    it('comes shorter to a browser that takes it so, and whole to everybody', async () => {
      const script = /\/assets\/index-[\w-]+\.js/.exec((await site.get('/')).text)?.[0] ?? 'none';
      const whole = await site.get(script);
      const short = await site.get(script, { 'accept-encoding': 'gzip, deflate, br' });
      assert.equal(whole.headers['content-encoding'], undefined);
      assert.equal(short.headers['content-encoding'], 'gzip');
      assert.ok(Number(short.headers['content-length']) < Number(whole.headers['content-length']) / 2);
      assert.match(String(whole.headers['cache-control']), /immutable/);
    });

    it('serves what was built and nothing else, whatever the path', async () => {
      assert.match((await site.get('/')).text, /<div id="app">/);
      assert.match((await site.get('/pne/')).text, /manifest\.webmanifest/);
      assert.equal((await site.get('/pne')).headers['location'], '/pne/');
      for (const path of [
        '/../package.json',
        '/pne/../../../package.json',
        '/%2e%2e/package.json',
        '/pne/..%2f..%2fpackage.json',
        '/assets/',
        '//etc/passwd',
        '/index.html/..',
        '/__proto__',
        '/api/__proto__',
      ])
        assert.ok((await site.get(path)).http >= 400, path);
    });
  });

  describe('bounds', () => {
    it('a body is at most 4 kB, and JSON of the right shape', async () => {
      const { cookie } = await site.login();
      const long = await site.post('pair', { code: 'A'.repeat(5_000) }, { cookie });
      assert.deepEqual([long.http, long.json.status], [413, 'oversize']);
      for (const body of [
        '',
        '{',
        'null',
        '[]',
        '{"code":1}',
        '{"code":"A","more":1}',
        '"code"',
        '{"__proto__":{"code":"A"}}',
      ])
        assert.equal((await site.post('pair', body, { cookie })).json.status, 'malformed', body);
      for (const joinId of ['', '5f1c', '0'.repeat(31), 'G'.repeat(32)])
        for (const [name, more] of [
          ['decide', { allow: true, always: false }],
          ['report', {}],
          ['withdraw-report', {}],
        ] as const)
          assert.equal(
            (await site.post(name, { joinId, ...more }, { cookie })).json.status,
            'malformed',
            name,
          );
      for (const name of ['report', 'withdraw-report'])
        assert.equal(
          (await site.post(name, { joinId: '0'.repeat(32) }, { cookie })).json.status,
          'unknown-transaction',
        );
      for (const path of ['report/', `report/${'0'.repeat(32)}`, 'report/../state'])
        assert.equal((await site.get(`/api/${path}`, { cookie })).http, 404, path);
      assert.equal(
        (await site.post('pair', { code: 'no code at all' }, { cookie })).json.status,
        'enrolment-code-wrong',
      );
      assert.equal(
        (await site.post('revoke', { thumbprint: '0'.repeat(64) }, { cookie })).json.status,
        'unknown-pne',
      );
      assert.equal((await site.post('show-code', {}, { cookie })).json.status, 'conflict');
    });

    it('one address asks eighty times at once, and then has to wait', async () => {
      const seen: number[] = [];
      for (let i = 0; i < 15; i++)
        for (const { http } of await Promise.all(
          [0, 1, 2, 3, 4, 5, 6, 7].map(() => site.get('/api/greeting')),
        ))
          seen.push(http);
      const good = seen.filter((http) => http === 200).length;
      assert.ok(good >= 80 && good < 115, String(good));
      assert.equal(seen.filter((http) => http === 429).length, 120 - good);
    });

    it('one address makes 32 connections at once; further ones are dropped before TLS has cost anything', async () => {
      const connection = () =>
        site.send('GET', '/api/greeting', { agent: false }).then(
          ({ http }) => http,
          () => 0,
        );
      const seen: number[] = [];
      // Eight at a time: fewer than one address may hold, and quick enough for the bucket not to fill again.
      for (let i = 0; i < 7; i++) seen.push(...(await Promise.all(Array.from({ length: 8 }, connection))));
      const dropped = seen.filter((http) => http === 0).length;
      assert.ok(dropped > 5 && dropped <= 24, String(dropped));
      assert.deepEqual(seen.slice(0, 32), Array(32).fill(200));
    });

    it('one address holds sixteen connections', async () => {
      const sockets = Array.from({ length: 24 }, () =>
        connect({ host: '127.0.0.1', port: site.console.port, rejectUnauthorized: false }),
      );
      const ends = await Promise.all(
        sockets.map(
          (socket) =>
            new Promise<'open' | 'cut'>((resolve) => {
              socket.on('secureConnect', () => resolve('open'));
              socket.on('error', () => resolve('cut'));
              socket.on('close', () => resolve('cut'));
            }),
        ),
      );
      for (const socket of sockets) socket.destroy();
      assert.deepEqual(
        [ends.filter((end) => end === 'open').length, ends.filter((end) => end === 'cut').length],
        [16, 8],
      );
    });

    it('one session has four event streams, which end with it', async () => {
      const session = await site.login();
      const other = await site.login();
      const streams = Array.from({ length: 4 }, () => site.get('/api/events', session));
      await new Promise((resolve) => setTimeout(resolve, 300));
      const fifth = await site.get('/api/events', session);
      assert.deepEqual([fifth.http, fifth.json.status], [503, 'busy']);
      await site.post('logout', { everywhere: true }, other);
      for (const { http, text } of await Promise.all(streams)) {
        assert.equal(http, 200);
        assert.match(text, /^retry: 2000\n\ndata: \{"gateway":/);
      }
    });

    it('a page that comes back has its stream in the place of the one that was lost', async () => {
      const session = await site.login();
      /** @returns the status, and when an answer that goes on is cut */
      const stream = (page: number, { cookie } = session) =>
        new Promise<{ readonly http: number; readonly cut: Promise<unknown> }>((resolve, reject) => {
          const headers = { host: `localhost:${site.console.port}`, cookie };
          const options = { rejectUnauthorized: false, agent: false, headers } as const;
          const path = `https://127.0.0.1:${site.console.port}/api/events?page=${page}`;
          const asked = request(path, options, (response) => {
            const cut = new Promise((done) => response.resume().on('error', () => done('cut')));
            resolve({ http: response.statusCode ?? 0, cut });
          });
          asked.on('error', reject).end();
        });
      const lost = await stream(0);
      for (const page of [1, 2, 3]) assert.equal((await stream(page)).http, 200);
      assert.equal((await stream(4)).http, 503);
      for (let i = 0; i < 3; i++) assert.equal((await stream(0)).http, 200);
      assert.equal(await lost.cut, 'cut');
      // Another one's page of that name is another page.
      const theirs = await stream(0, await site.login());
      const late = new Promise((resolve) => setTimeout(resolve, 300, 'open'));
      assert.equal((await stream(0)).http, 200);
      assert.equal(await Promise.race([theirs.cut, late]), 'open');
    });

    it('who goes away halfway through a request is no failure of the gateway', async () => {
      const { port } = site.console;
      const gone = connect({ host: '127.0.0.1', port, rejectUnauthorized: false }).on('error', () => {});
      const head = ['POST /api/login-link HTTP/1.1', `host: localhost:${port}`, `origin: ${site.origin}`];
      const rest = ['x-cpns-console: 1', 'content-type: application/json', 'content-length: 100'];
      gone.write([...head, ...rest, '', '{'].join('\r\n'));
      await new Promise((resolve) => setTimeout(resolve, 300));
      gone.destroy();
      assert.equal((await site.get('/api/greeting')).http, 200);
    });

    it('an event stream ends when its session is idle, and says nothing more to it', async () => {
      const stream = site.get('/api/events', await site.login());
      await new Promise((resolve) => setTimeout(resolve, 300));
      site.clock.aheadMs += SESSION_IDLE_MS + 1;
      site.console.trace({
        name: 'AfterTheEnd',
        from: 'gateway',
        to: 'gateway',
        via: 'local',
        bytes: 0,
        atMs: 0,
      });
      const { text } = await stream;
      assert.ok(!text.includes('AfterTheEnd'));
    });

    it('TLS 1.2 is refused', async () => {
      await assert.rejects(
        site.send('GET', '/', { maxVersion: 'TLSv1.2', agent: false }),
        /protocol version|EPROTO/i,
      );
    });
  });

  describe('the certificate', () => {
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
});
