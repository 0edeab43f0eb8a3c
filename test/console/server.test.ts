/** The console's server, asked by an HTTPS client that says what it likes: a real gateway behind it. */
import assert from 'node:assert/strict';
import { readFileSync, statSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
import { join } from 'node:path';
import { LINK_LIFE_MS, SESSION_IDLE_MS, SESSION_LIFE_MS } from '../../src/console/sessions.ts';
import { type ConsoleSite, cookieOf, openForEach } from './site.ts';

const PASSWORD = 'correct horse battery';
const WEAK = ['short', '123456789'];

describe('the console’s server', function () {
  this.timeout(30_000);
  let site: ConsoleSite;
  openForEach((opened) => {
    site = opened;
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
});
