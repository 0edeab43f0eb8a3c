/** Passkeys against the console's server: who may add one, whom one lets in, and what is no login. */
import assert from 'node:assert/strict';
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { CHALLENGE_LIFE_MS } from '../../src/console/challenges.ts';
import { ALGORITHMS, type Algorithm } from '../../src/console/webauthn.ts';
import { BACKED_UP, PRESENT, type Said, SoftAuthenticator, VERIFIED } from './authenticator.ts';
import { type Answer, type ConsoleSite, cookieOf, openForEach } from './site.ts';

type Session = { readonly cookie: string };

describe('passkeys at the console’s server', function () {
  this.timeout(30_000);
  let site: ConsoleSite;
  openForEach((opened) => {
    site = opened;
  });

  const post = async (name: string, body: unknown, session?: Session) => site.post(name, body, session);
  const begin = async (): Promise<string> => (await post('passkey-challenge', {})).json.challenge;
  const said = (challenge: string, more: Partial<Said> = {}): Said => ({
    challenge,
    origin: site.origin,
    ...more,
  });

  async function add(
    passkey: SoftAuthenticator,
    session: Session,
    more: Partial<Said> = {},
  ): Promise<Answer> {
    const { challenge } = (await post('passkey-new', {}, session)).json;
    return post('passkey-add', { name: 'Phone', passkey: passkey.register(said(challenge, more)) }, session);
  }
  async function login(passkey: SoftAuthenticator, more: Partial<Said> = {}): Promise<Answer> {
    return post('login-passkey', passkey.login(said(await begin(), more)));
  }
  /** A minute later nobody waits for an earlier wrong try. */
  const later = () => {
    site.clock.aheadMs += 20 * 60_000;
  };
  const told = ({ http, json }: Answer) => [http, json.status];
  const NO = [401, 'not-authenticated'];

  it('one of each kind that browsers make is added and lets in, across a restart', async () => {
    const session = await site.login();
    const passkeys = ALGORITHMS.map((algorithm: Algorithm) => new SoftAuthenticator(algorithm));
    for (const passkey of passkeys) assert.equal((await add(passkey, session)).http, 200);
    const file = join(site.stateDir, 'console-passkeys.json');
    assert.equal(statSync(file).mode & 0o777, 0o600);
    await site.console.close();
    await site.openConsole();
    assert.deepEqual((await site.get('/api/greeting')).json.passkeyNames, ['localhost']);
    for (const passkey of passkeys) {
      passkey.count++;
      const answer = await login(passkey);
      assert.equal(answer.http, 200);
      const { access } = (await site.get('/api/state', cookieOf(answer))).json;
      assert.deepEqual(
        access.passkeys.map(({ name, rpId, wentBack }: Record<string, unknown>) => [name, rpId, wentBack]),
        Array(3).fill(['Phone', 'localhost', false]),
      );
    }
    const kept = JSON.parse(readFileSync(file, 'utf8'));
    assert.deepEqual(
      kept.passkeys.map(({ signCount }: { signCount: number }) => signCount),
      [2, 2, 2],
    );
  });

  it('only who is logged in may add one, with the challenge of this very session, once', async () => {
    const [mine, other] = [await site.login(), await site.login()];
    for (const name of ['passkey-new', 'passkey-add', 'passkey-remove'])
      assert.deepEqual(told(await post(name, {})), NO, name);
    const { challenge } = (await post('passkey-new', {}, mine)).json;
    const passkey = new SoftAuthenticator();
    const body = { name: 'Phone', passkey: passkey.register(said(challenge)) };
    assert.deepEqual(told(await post('passkey-add', body, other)), NO);
    assert.equal((await post('passkey-add', body, mine)).http, 200);
    assert.deepEqual(told(await post('passkey-add', body, mine)), NO);
    // A challenge for a login adds nothing, and one for adding logs nobody in.
    const wrong = passkey.register(said(await begin()));
    assert.deepEqual(told(await post('passkey-add', { name: 'A', passkey: wrong }, mine)), NO);
    const adding = (await post('passkey-new', {}, mine)).json.challenge;
    passkey.count++;
    assert.deepEqual(told(await post('login-passkey', passkey.login(said(adding)))), NO);
    assert.deepEqual(told(await add(passkey, mine)), [409, 'conflict']);
  });

  it('a login is good once, for two minutes, and for nobody’s challenge but ours', async () => {
    const passkey = new SoftAuthenticator(-7, 0);
    await add(passkey, await site.login());
    const assertion = passkey.login(said(await begin()));
    assert.equal((await post('login-passkey', assertion)).http, 200);
    assert.deepEqual(told(await post('login-passkey', assertion)), NO);
    const late = await begin();
    site.clock.aheadMs += CHALLENGE_LIFE_MS + 1_000;
    assert.deepEqual(told(await post('login-passkey', passkey.login(said(late)))), NO);
    const good = await begin();
    for (const challenge of [
      '',
      'AAAA',
      `${good}=`,
      good.slice(0, -2),
      good.replace(/^./, (c) => (c === 'A' ? 'B' : 'A')),
    ]) {
      later();
      assert.deepEqual(told(await post('login-passkey', passkey.login(said(challenge)))), NO, challenge);
    }
    // A flood of challenges pushes nobody's out.
    later();
    const mine = await begin();
    for (let i = 0; i < 50; i++) await begin();
    assert.equal((await post('login-passkey', passkey.login(said(mine)))).http, 200);
  });

  it('what a browser says has to fit in every part', async () => {
    const session = await site.login();
    const passkey = new SoftAuthenticator(-7, 0);
    const MALFORMED = [400, 'malformed'];
    const tries: Record<string, [Partial<Said>, unknown[]]> = {
      'another origin': [{ origin: 'https://evil.example', rpId: 'localhost' }, NO],
      'another port': [{ origin: 'https://localhost:1', rpId: 'localhost' }, NO],
      'plain http': [{ origin: `http://localhost:${site.console.port}`, rpId: 'localhost' }, NO],
      'another name': [{ rpId: 'evil.example' }, NO],
      'in a frame of another': [{ more: { crossOrigin: true } }, NO],
      'below another page': [{ more: { topOrigin: 'https://evil.example' } }, NO],
      'no user verified': [{ flags: PRESENT }, NO],
      'nobody there': [{ flags: VERIFIED }, NO],
      'a copy that can not be': [{ flags: PRESENT | VERIFIED | BACKED_UP }, MALFORMED],
      'another kind': [{ type: 'payment.get' }, MALFORMED],
    };
    for (const [what, [more, expected]] of Object.entries(tries))
      assert.deepEqual(told(await add(passkey, session, more)), expected, what);
    assert.equal((await add(passkey, session)).http, 200);
    for (const [what, [more, expected]] of Object.entries(tries)) {
      later();
      assert.deepEqual(told(await login(passkey, more)), expected, what);
    }
    later();
    const good = passkey.login(said(await begin()));
    const stranger = new SoftAuthenticator(-7, 0);
    const spoilt = {
      'another key': { ...stranger.login(said(await begin())), id: good.id },
      'an unknown one': stranger.login(said(await begin())),
      'no signature': { ...good, signature: 'AAAA' },
    };
    for (const [what, body] of Object.entries(spoilt)) {
      later();
      assert.deepEqual(told(await post('login-passkey', body)), NO, what);
    }
    for (const body of [
      {},
      { ...good, more: 1 },
      { ...good, clientData: 'A' },
      { ...good, authenticatorData: 'AAAA' },
    ]) {
      later();
      const answer = await post('login-passkey', body);
      assert.ok(answer.http === 400 || answer.http === 401, JSON.stringify(body));
    }
    later();
    assert.equal((await login(passkey)).http, 200);
  });

  it('what was signed for another service on the same host name logs nobody in here', async () => {
    const passkey = new SoftAuthenticator(-7, 0);
    await add(passkey, await site.login());
    for (const port of ['1', '443', '99999']) {
      const host = `localhost:${port}`;
      const there = { host, origin: `https://${host}` };
      const begun = await site.post('passkey-challenge', {}, there);
      const challenge = begun.json.challenge ?? (await begin());
      const assertion = passkey.login({ challenge, origin: there.origin, rpId: 'localhost' });
      assert.deepEqual([port, ...told(await site.post('login-passkey', assertion, there))], [port, ...NO]);
    }
    later();
    assert.equal((await login(passkey)).http, 200);
  });

  it('a key of another algorithm, a short one and none at all are no passkeys', async () => {
    const session = await site.login();
    const made = new SoftAuthenticator();
    const challenge = async () => (await post('passkey-new', {}, session)).json.challenge;
    const rsa = new SoftAuthenticator(-257).register(said(await challenge())).publicKey;
    for (const change of [
      { algorithm: -8 },
      { algorithm: -257 },
      { algorithm: -36 },
      { publicKey: rsa },
      { publicKey: 'AAAA' },
      { id: 'AAAA' },
    ]) {
      const passkey = { ...made.register(said(await challenge())), ...change };
      const answer = await post('passkey-add', { name: 'A', passkey }, session);
      assert.deepEqual(told(answer), [400, 'malformed'], JSON.stringify(change));
    }
    for (const name of ['', ' ', 'A'.repeat(65)]) {
      const passkey = made.register(said(await challenge()));
      assert.equal((await post('passkey-add', { name, passkey }, session)).json.status, 'malformed');
    }
  });

  it('a count that goes back is a copy: it is not let in, and is told', async () => {
    const session = await site.login();
    const passkey = new SoftAuthenticator(-7, 7);
    await add(passkey, session);
    passkey.count = 9;
    assert.equal((await login(passkey)).http, 200);
    for (const count of [9, 8, 0]) {
      later();
      passkey.count = count;
      assert.deepEqual(told(await login(passkey)), NO, String(count));
    }
    const back = await site.login();
    assert.equal((await site.get('/api/state', back)).json.access.passkeys[0].wentBack, true);
    passkey.count = 10;
    later();
    assert.equal((await login(passkey)).http, 200);
  });

  it('one that is removed lets nobody in, and ends what came in otherwise', async () => {
    const session = await site.login();
    const passkey = new SoftAuthenticator(-7, 0);
    await add(passkey, session);
    const byIt = cookieOf(await login(passkey));
    const id = passkey.id.toString('base64url');
    assert.equal((await post('passkey-remove', { id }, session)).http, 200);
    assert.equal((await site.get('/api/state', byIt)).http, 401);
    assert.equal((await site.get('/api/state', session)).http, 200);
    assert.deepEqual(told(await login(passkey)), NO);
    assert.deepEqual(told(await post('passkey-remove', { id }, session)), [404, 'not-found']);
    assert.deepEqual((await site.get('/api/greeting')).json.passkeyNames, []);
  });

  it('there are sixteen at most, and none for an address', async () => {
    const session = await site.login();
    for (let i = 0; i < 16; i++) assert.equal((await add(new SoftAuthenticator(), session)).http, 200);
    const full = await add(new SoftAuthenticator(), session);
    assert.deepEqual(
      [...told(full), full.json.sentence],
      [503, 'busy', 'There are 16 passkeys. Remove one first.'],
    );
    const host = `127.0.0.1:${site.console.port}`;
    const byAddress = { host, origin: `https://${host}` };
    assert.equal((await site.post('passkey-challenge', {}, byAddress)).json.status, 'malformed');
    assert.equal((await site.post('passkey-new', {}, { ...byAddress, ...session })).json.status, 'malformed');
  });

  it('guesses wait as those of passwords do, and keep nobody from a password', async () => {
    const session = await site.login();
    const PASSWORD = 'correct horse battery';
    await post('password', { password: PASSWORD }, session);
    const stranger = new SoftAuthenticator();
    for (let i = 0; i < 3; i++) assert.deepEqual(told(await login(stranger)), NO);
    const fourth = await login(stranger);
    assert.deepEqual(told(fourth), [429, 'too-many-requests']);
    assert.equal(fourth.headers['retry-after'], '1');
    assert.equal((await post('login-password', { password: PASSWORD })).http, 200);
  });

  it('whoever tries from many addresses keeps nobody else from a passkey', async () => {
    const mine = new SoftAuthenticator(-7, 0);
    await add(mine, await site.login());
    const headers = { origin: site.origin, 'content-type': 'application/json', 'x-cpns-console': '1' };
    const seen = new Set<number>();
    for (let i = 0; i < 15; i++) {
      const junk = JSON.stringify(new SoftAuthenticator().login(said('AAAA')));
      const localAddress = `127.0.0.${10 + Math.floor(i / 3)}`;
      const there = { headers, localAddress, agent: false } as const;
      seen.add((await site.send('POST', '/api/login-passkey', there, junk)).http);
    }
    assert.deepEqual([...seen], [401]);
    assert.equal((await login(mine)).http, 200);
  });

  it('a file that is something else is said at the start, with its name', async () => {
    await site.console.close();
    writeFileSync(join(site.stateDir, 'console-passkeys.json'), '{"passkeys":[]}');
    await assert.rejects(site.openConsole(), /console-passkeys\.json/);
    writeFileSync(join(site.stateDir, 'console-passkeys.json'), '{"handle":"AAAA","passkeys":[]}');
    await site.openConsole();
  });
});
