/** Somebody on the network guesses at the console's door: passwords, links, cookies. */
import assert from 'node:assert/strict';
import { LoginAttempts, PASSWORDS } from '../../src/console/attempts.ts';
import { ConsoleSite } from '../console/site.ts';

const PASSWORD = 'correct horse battery';
const DAY_MS = 86_400_000;

describe('guessing at the console’s door', function () {
  this.timeout(30_000);
  let site: ConsoleSite;
  beforeEach(async () => {
    site = await ConsoleSite.open();
    const session = await site.login();
    assert.equal((await site.post('password', { password: PASSWORD }, session)).http, 200);
  });
  afterEach(() => site.close());

  const guess = (password: string) => site.post('login-password', { password });

  it('a guesser waits longer and longer, the right password included; a link still opens', async () => {
    for (let i = 0; i < 3; i++) assert.equal((await guess(`wrong password ${i}`)).http, 401);
    const fourth = await guess(PASSWORD);
    assert.deepEqual([fourth.http, fourth.json.status], [429, 'too-many-requests']);
    assert.equal(fourth.headers['retry-after'], '1');
    const waits: number[] = [];
    for (let i = 0; i < 6; i++) {
      site.clock.aheadMs += 1_000 * 2 ** i;
      assert.equal((await guess('wrong again and again')).http, 401);
      waits.push(Number((await guess(PASSWORD)).headers['retry-after']));
    }
    assert.deepEqual(waits, [2, 4, 8, 16, 32, 64]);
    // The owner is not kept out by whoever guesses.
    assert.equal((await site.post('login-link', { token: site.token() })).http, 200);
    site.clock.aheadMs += 64_000;
    assert.equal((await guess(PASSWORD)).http, 200);
    // And is not punished for what others tried from the same address.
    assert.equal((await guess(PASSWORD)).http, 200);
  });

  it('a thousand addresses together try no more than some thousand passwords a day', () => {
    const attempts = new LoginAttempts(PASSWORDS);
    let tried = 0;
    for (let nowMs = 0; nowMs < DAY_MS; nowMs += 1_000) {
      for (let i = 0; i < 5; i++) {
        const name = `192.0.2.${(nowMs / 1_000 + i) % 1_000}`;
        if (attempts.begin(name, nowMs) > 0) continue;
        tried++;
        attempts.failed(name, nowMs);
      }
    }
    assert.ok(tried > 1_000 && tried < 6_000, String(tried));
  });

  it('guesses at once are checked one at a time', async () => {
    const answers = await Promise.all(Array.from({ length: 6 }, (_, i) => guess(`wrong password ${i}`)));
    const seen = answers.map(({ http }) => http);
    assert.ok(
      seen.filter((http) => http === 401).length >= 1 && seen.some((http) => http === 503 || http === 429),
      String(seen),
    );
    assert.ok(!seen.includes(200));
  });

  it('passwords of any length and kind are answered, and none is let in', async () => {
    for (const password of [
      '',
      '\0',
      'x'.repeat(512),
      PASSWORD.toUpperCase(),
      `${PASSWORD}\0`,
      ` ${PASSWORD}`,
    ]) {
      site.clock.aheadMs += DAY_MS / 20;
      assert.equal((await guess(password)).http, 401, JSON.stringify(password));
    }
    assert.equal((await guess('x'.repeat(513))).http, 400);
  });

  it('guessed links and cookies are nothing', async () => {
    for (const token of ['', 'A', 'A'.repeat(43), 'A'.repeat(64)])
      assert.equal((await site.post('login-link', { token })).json.status, 'token-invalid', token);
    for (const cookie of [
      '__Host-cpns-console=',
      '__Host-cpns-console=; __Host-cpns-console=',
      'cpns-console=1',
      '=;=',
      ';;;',
    ])
      assert.equal((await site.get('/api/state', { cookie })).http, 401, cookie);
  });
});
