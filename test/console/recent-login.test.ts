/** What outlasts a login wants a recent one; and what is left when its owner wants everybody out. */
import assert from 'node:assert/strict';
import { request } from 'node:https';
import { Password } from '../../src/console/password.ts';
import { RECENT_MS } from '../../src/console/recent-login.ts';
import { SoftAuthenticator } from './authenticator.ts';
import { Subscriber } from './push-receiver.ts';
import { buildPages, ConsoleSite, cookieOf } from './site.ts';

type Session = { readonly cookie: string };

const PASSWORD = 'correct horse battery';
const ANOTHER = 'another horse battery';

describe('a recent login at the console', function () {
  this.timeout(30_000);
  let site: ConsoleSite;
  before(async function () {
    this.timeout(300_000);
    await buildPages();
  });
  beforeEach(async () => {
    site = await ConsoleSite.open({ config: { pushHosts: ['push.example.net'] } });
  });
  afterEach(async () => {
    await site.close();
    assert.deepEqual(site.faults, []);
  });

  const setPassword = (password: string | null, session: Session, alone = false) =>
    site.post('password', { password, alone }, session);
  async function addPasskey(session: Session, passkey = new SoftAuthenticator()) {
    const begun = await site.post('passkey-new', {}, session);
    if (begun.http !== 200) return begun;
    const { challenge } = begun.json;
    const made = passkey.register({ challenge, origin: site.origin });
    return site.post('passkey-add', { name: 'Phone', passkey: made }, session);
  }
  const notify = (session: Session) => {
    const given = new Subscriber().subscription('push.example.net');
    return site.post('push-subscribe', given, session);
  };
  const access = async (session: Session) => {
    const { json } = await site.get('/api/state', session);
    return [json.access.hasPassword, json.access.passkeys.length, json.browsers.length];
  };
  const isIn = async (session: Session) => (await site.get('/api/state', session)).http === 200;

  it('an older one adds nothing that outlasts it, and takes away what it likes', async () => {
    const session = await site.login();
    for (const add of [
      () => setPassword(PASSWORD, session),
      () => addPasskey(session),
      () => notify(session),
    ])
      assert.equal((await add()).http, 200);
    site.clock.aheadMs += RECENT_MS + 1_000;
    for (const [what, answer] of Object.entries({
      password: await setPassword(ANOTHER, session),
      passkey: await addPasskey(session),
      'key of notifications': await site.post('push-key', {}, session),
      browser: await notify(session),
    }))
      assert.deepEqual([answer.http, answer.json.loginTooOld], [401, true], what);
    assert.deepEqual(await access(session), [true, 1, 1]);
    assert.equal((await site.post('login-password', { password: ANOTHER })).http, 401);
    const { json } = await site.get('/api/state', session);
    const [{ id }] = json.access.passkeys;
    assert.equal((await site.post('passkey-remove', { id }, session)).http, 200);
    assert.equal((await site.post('push-remove', { id: json.browsers[0].id }, session)).http, 200);
    assert.equal((await setPassword(null, session)).http, 200);
    assert.deepEqual(await access(session), [false, 0, 0]);
  });

  it('is made by each way in, takes the place of the older one, and leaves its cookie worth nothing', async () => {
    const passkey = new SoftAuthenticator(-7, 0);
    const first = await site.login();
    await setPassword(PASSWORD, first);
    await addPasskey(first, passkey);
    const ways = {
      link: (session: Session) => site.post('login-link', { token: site.token() }, session),
      password: (session: Session) => site.post('login-password', { password: PASSWORD }, session),
      passkey: async (session: Session) => {
        const { challenge } = (await site.post('passkey-challenge', {})).json;
        return site.post('login-passkey', passkey.login({ challenge, origin: site.origin }), session);
      },
    };
    let session = first;
    for (const [what, way] of Object.entries(ways)) {
      site.clock.aheadMs += RECENT_MS + 1_000;
      assert.equal((await addPasskey(session)).http, 401, what);
      const stream = site.get('/api/events', session);
      const next = cookieOf(await way(session));
      assert.equal(await isIn(session), false, what);
      assert.equal((await stream).http, 200, what);
      assert.equal((await site.get('/api/state', next)).json.access.sessions, 1, what);
      assert.equal((await addPasskey(next)).http, 200, what);
      session = next;
    }
  });

  it('a new password leaves the rest, or takes all of it away', async () => {
    const [mine, other] = [await site.login(), await site.login()];
    await addPasskey(other);
    await notify(other);
    assert.equal((await setPassword(PASSWORD, mine)).http, 200);
    assert.deepEqual([await isIn(other), await access(mine)], [false, [true, 1, 1]]);
    assert.equal((await setPassword(ANOTHER, mine, true)).http, 200);
    assert.deepEqual(await access(mine), [true, 0, 0]);
    // And so after a restart.
    await site.console.close();
    await site.openConsole();
    const again = cookieOf(await site.post('login-password', { password: ANOTHER }));
    assert.deepEqual(await access(again), [true, 0, 0]);
  });

  it('the shell takes every way in away, earlier links as well', async () => {
    const session = await site.login();
    await setPassword(PASSWORD, session);
    await addPasskey(session);
    await notify(session);
    const token = site.token();
    assert.deepEqual(site.console.reset(), { passwords: 1, passkeys: 1, browsers: 1, logins: 1 });
    assert.equal(await isIn(session), false);
    assert.equal((await site.post('login-link', { token })).json.status, 'token-invalid');
    assert.equal((await site.post('login-password', { password: PASSWORD })).http, 401);
    assert.deepEqual(await access(await site.login()), [false, 0, 0]);
    assert.deepEqual(site.console.reset(), { passwords: 0, passkeys: 0, browsers: 0, logins: 1 });
  });

  it('a request that comes slowly outlives no session', async () => {
    const session = await site.login();
    const body = JSON.stringify({ password: null });
    const answer = new Promise<number>((resolve, reject) => {
      const sent = request(
        `${site.origin}/api/password`,
        {
          ...{ method: 'POST', agent: false, rejectUnauthorized: false },
          headers: {
            ...{ origin: site.origin, 'x-cpns-console': '1', 'content-type': 'application/json' },
            ...{ cookie: session.cookie, 'content-length': body.length },
          },
        },
        (response) => resolve(response.resume().statusCode ?? 0),
      );
      sent.on('error', reject);
      sent.write(body.slice(0, 4));
      const after = async () => {
        // Its head is there by now.
        while (site.console.view().access.sessions > 0)
          await site.post('logout', { everywhere: true }, session);
        sent.end(body.slice(4));
      };
      sent.once('socket', (socket) =>
        socket.once('secureConnect', () => setTimeout(() => after().catch(reject), 200)),
      );
    });
    assert.equal(await answer, 401);
  });

  it('whoever is thrown out while a password is made gets none, and an older one is no good when it was checked', async () => {
    const password = new Password(site.stateDir);
    const ended = new AbortController();
    const setting = password.set(ANOTHER, ended.signal);
    ended.abort();
    await assert.rejects(setting, { status: 'not-authenticated' });
    assert.equal(password.isSet, false);
    await password.set(PASSWORD, new AbortController().signal);
    const checking = password.verify(PASSWORD);
    password.remove();
    assert.equal(await checking, false);
  });
});
