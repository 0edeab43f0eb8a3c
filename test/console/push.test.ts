/** What the gateway sends to a push service: whether it may, what is in it, what it makes of the answer. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readFileSync, renameSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { encryptPush, isPoint, PLAIN_BYTES } from '../../src/console/push-crypto.ts';
import { isPublicAddress, publicLookup, pushTarget } from '../../src/console/push-hosts.ts';
import { PushService, readVapid, Subscriber } from './push-receiver.ts';
import { buildPages, ConsoleSite } from './site.ts';

const bytes = (text: string): Buffer => Buffer.from(text, 'base64url');

describe('the encryption of a push message', () => {
  /** RFC 8291, Appendix A. */
  const VECTOR = {
    text: 'When I grow up, I want to be a watermelon',
    receiverPrivate: 'q1dXpw3UpT5VOmu_cf_v6ih07Aems3njxI-JWgLcM94',
    auth: 'BTBZMqHH6r4Tts7J_aSIgg',
    senderPrivate: 'yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw',
    salt: 'DGv6ra1nlYgDCS1FRnbzlw',
    message:
      'DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A_yl95bQpu6cVPTpK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN',
  };
  const subscriber = new Subscriber(new Uint8Array(bytes(VECTOR.receiverPrivate)), bytes(VECTOR.auth));
  const receiver = { publicKey: Buffer.from(subscriber.publicKey), auth: bytes(VECTOR.auth) };

  it('has the bytes of the example of RFC 8291', () => {
    const text = Buffer.from(VECTOR.text);
    const chosen = {
      ...{ privateKey: bytes(VECTOR.senderPrivate), salt: bytes(VECTOR.salt) },
      plainBytes: text.length + 1,
    };
    assert.equal(encryptPush(text, receiver, chosen).toString('base64url'), VECTOR.message);
    assert.equal(subscriber.decrypt(bytes(VECTOR.message)).toString(), VECTOR.text);
  });

  it('has the same length whatever it says, another salt and key each time, and a bound', () => {
    const made = ['', 'A', 'A'.repeat(PLAIN_BYTES - 1)].map((text) =>
      encryptPush(Buffer.from(text), receiver),
    );
    assert.equal(new Set(made.map(({ length }) => length)).size, 1);
    assert.equal(new Set(made.map((body) => body.subarray(0, 86).toString('hex'))).size, 3);
    for (const [i, length] of [0, 1, PLAIN_BYTES - 1].entries())
      assert.equal(subscriber.decrypt(made[i] ?? assert.fail()).length, length);
    assert.throws(() => encryptPush(Buffer.alloc(PLAIN_BYTES), receiver), { status: 'oversize' });
  });

  it('is to points of the curve only', () => {
    const off = Buffer.from(subscriber.publicKey);
    off[64] = (off[64] ?? 0) ^ 1;
    const compressed = Buffer.concat([Buffer.of(2), subscriber.publicKey.subarray(1, 33)]);
    for (const key of [off, compressed, Buffer.alloc(65), Buffer.alloc(0), Buffer.alloc(65, 4)])
      assert.equal(isPoint(key), false);
    assert.equal(isPoint(Buffer.from(subscriber.publicKey)), true);
  });
});

describe('where a push message may go', () => {
  it('to push services that are known, or named, by HTTPS, and nowhere else', () => {
    for (const url of [
      'https://fcm.googleapis.com/fcm/send/abc',
      'https://updates.push.services.mozilla.com/wpush/v2/abc',
      'https://web.push.apple.com/abc',
      'https://wns2-by3p.notify.windows.com/w/?token=abc',
    ])
      assert.equal(pushTarget(url, [])?.isNamed, false, url);
    for (const url of [
      ...[
        'http://fcm.googleapis.com/',
        'https://fcm.googleapis.com:8443/',
        'https://user@fcm.googleapis.com/',
      ],
      ...[
        'https://fcm.googleapis.com.evil.example/',
        'https://evilfcm.googleapis.com/',
        'https://push.apple.com/',
      ],
      ...[
        'https://evil.example/fcm.googleapis.com',
        'https://127.0.0.1/',
        'https://[::1]/',
        'https://gateway.local/',
      ],
      ...['https://notify.windows.com.evil.example/', 'ftp://fcm.googleapis.com/', 'fcm.googleapis.com', ''],
      ...[
        `https://fcm.googleapis.com/${'a'.repeat(1_100)}`,
        'https://fcm.googleapis.com/#a',
        'file:///etc/passwd',
      ],
    ])
      assert.equal(pushTarget(url, []), undefined, url);
    const named = ['push.example.net', 'localhost:8443'];
    assert.equal(pushTarget('https://push.example.net/a', named)?.isNamed, true);
    assert.equal(pushTarget('https://localhost:8443/a', named)?.isNamed, true);
    for (const url of ['https://push.example.net:444/', 'https://localhost/', 'http://push.example.net/'])
      assert.equal(pushTarget(url, named), undefined, url);
  });

  it('to no private address, whatever DNS says', async () => {
    for (const address of [
      ...[
        '10.1.2.3',
        '127.0.0.1',
        '169.254.169.254',
        '172.16.0.1',
        '172.31.255.255',
        '192.168.1.1',
        '100.64.0.1',
      ],
      ...[
        '0.0.0.0',
        '224.0.0.1',
        '255.255.255.255',
        '::',
        '::1',
        'fe80::1',
        'fd00::1',
        'ff02::1',
        '::ffff:10.0.0.1',
      ],
      ...['::ffff:8.8.8.8', '64:ff9b::a00:1', '2002:a00:1::', '2001:db8::1', 'nothing', ''],
    ])
      assert.equal(isPublicAddress(address), false, address);
    for (const address of ['8.8.8.8', '142.250.185.74', '172.32.0.1', '2a00:1450:4001:82a::200a'])
      assert.equal(isPublicAddress(address), true, address);
    for (const all of [true, false]) {
      const found = new Promise((resolve, reject) =>
        publicLookup('localhost', { all }, (error, address) => (error ? reject(error) : resolve(address))),
      );
      await assert.rejects(found, /private address/);
    }
  });
});

describe('push messages of the console', function () {
  this.timeout(30_000);
  let site: ConsoleSite;
  let service: PushService;
  let session: { readonly cookie: string };
  before(async function () {
    this.timeout(300_000);
    await buildPages();
  });
  beforeEach(async () => {
    service = await PushService.open();
    site = await ConsoleSite.open();
    site.pushCa = service.ca;
    await reopen();
  });
  afterEach(async () => {
    await site.close();
    await service.close();
    assert.deepEqual(site.faults, []);
  });

  async function reopen(pushHosts = [service.host]): Promise<void> {
    await site.console.close();
    await site.openConsole({ pushHosts, pushContact: 'mailto:me@example.net' });
    session = await site.login();
  }
  async function subscribe(subscriber: Subscriber, more: object = {}): Promise<string> {
    const answer = await site.post('push-subscribe', subscriber.subscription(service.host, more), session);
    assert.deepEqual([answer.http, answer.json], [200, { isTaken: true }]);
    return (await browsers()).at(-1).id;
  }
  const browsers = async () => (await site.get('/api/state', session)).json.browsers;
  /** A PNE of Alice that Bob's gateway wants. */
  async function ask(): Promise<void> {
    const pne = await site.network.pne('Watch');
    const { code } = pne.startEnrolment();
    await site.gateway.pair(code);
    await site.network.gateway('Bob', 'Kitchen', { pn: { invite: true, name: 'Family' } });
    await site.network.until('a question', () => site.gateway.approvals().length === 1);
  }

  it('a question goes to each browser, encrypted, with who sends, for as long as it waits', async () => {
    const [phone, desk] = [new Subscriber(), new Subscriber()];
    const { publicKey } = (await site.post('push-key', {}, session)).json;
    await subscribe(phone);
    await subscribe(desk, { name: 'Desk', detail: false });
    // Nobody is contacted by adding.
    assert.equal(service.received.length, 0);
    await ask();
    await site.network.until('two messages', () => service.received.length === 2);
    const [question = assert.fail()] = site.gateway.approvals();
    const joinId = Buffer.from(question.joinId).toString('hex');
    const said = service.received.map(({ body }) => {
      const [mine] = [phone, desk].flatMap((each) => {
        try {
          return [JSON.parse(each.decrypt(body).toString('utf8'))];
        } catch {
          return [];
        }
      });
      return mine;
    });
    assert.deepEqual(
      said.sort((a, b) => b.body.length - a.body.length),
      [
        {
          title: 'Hall: a question for you',
          body: 'Bob’s gateway “Kitchen” wants your “Watch” to join “Family”; charges up to EUR 5.00 in 30 days.',
          joinId,
        },
        { title: 'Hall: a question for you', body: 'Open the page to read and answer it.', joinId },
      ],
    );
    for (const { method, headers, body } of service.received) {
      assert.equal(method, 'POST');
      assert.equal(headers['content-encoding'], 'aes128gcm');
      assert.equal(headers['urgency'], 'high');
      assert.match(String(headers['topic']), /^[\w-]{32}$/);
      assert.ok(!String(headers['topic']).includes(joinId.slice(0, 8)));
      const ttl = Number(headers['ttl']);
      assert.ok(ttl > 0 && Math.abs(ttl - (question.deadline - Date.now() / 1_000)) < 30, String(ttl));
      assert.ok(!body.includes('Kitchen') && !body.includes('Watch'));
      const vapid = readVapid(String(headers['authorization']));
      assert.equal(vapid.publicKey, publicKey);
      assert.equal(vapid.claims['aud'], `https://${service.host}`);
      assert.equal(vapid.claims['sub'], 'mailto:me@example.net');
      const left = Number(vapid.claims['exp']) - Date.now() / 1_000;
      assert.ok(left > 0 && left <= 24 * 3_600, String(left));
    }
    assert.equal(new Set(service.received.map(({ body }) => body.length)).size, 1);
    await site.network.until('told', () => site.console.view().browsers.every(({ last }) => last !== null));
    assert.deepEqual(
      (await browsers()).map(({ name, service: host, last }: Record<string, unknown>) => [name, host, last]),
      [
        ['My phone', service.host, 'the push service took it'],
        ['Desk', service.host, 'the push service took it'],
      ],
    );
  });

  it('is kept with its key across a restart, in a file of mode 0600, and never shown whole', async () => {
    const { publicKey } = (await site.post('push-key', {}, session)).json;
    const subscriber = new Subscriber();
    const id = await subscribe(subscriber);
    const file = join(site.stateDir, 'console-push.json');
    assert.equal(statSync(file).mode & 0o777, 0o600);
    const kept = JSON.parse(readFileSync(file, 'utf8'));
    const { endpoint, auth } = kept.subscriptions[0];
    await reopen();
    assert.equal((await site.post('push-key', {}, session)).json.publicKey, publicKey);
    const { text } = await site.get('/api/state', session);
    assert.ok(text.includes(id) && !text.includes(endpoint) && !text.includes(auth));
    const trial = await site.post('push-trial', { id }, session);
    assert.deepEqual(trial.json, { result: 'the push service took it' });
    const message = JSON.parse(subscriber.decrypt(service.received[0]?.body ?? assert.fail()).toString());
    assert.deepEqual(message, { title: 'Hall', body: 'Notifications arrive here.', joinId: null });
  });

  it('one that the push service calls gone is taken off; a refusal is told', async () => {
    for (const gone of [404, 410]) {
      service.answers = [gone];
      const id = await subscribe(new Subscriber());
      assert.equal((await site.post('push-trial', { id }, session)).json.result, 'gone');
      assert.deepEqual(await browsers(), []);
    }
    service.answers = [403];
    const id = await subscribe(new Subscriber());
    const refused = await site.post('push-trial', { id }, session);
    assert.equal(refused.json.result, 'the push service refused it (HTTP 403)');
    assert.equal((await browsers()).length, 1);
    // A service that sends elsewhere is not followed.
    service.answers = [307];
    assert.match((await site.post('push-trial', { id }, session)).json.result, /HTTP 307/);
    assert.equal(service.received.at(-1)?.path.startsWith('/push/'), true);
    // Nor is one that wants to speak something else.
    service.answers = [101];
    const other = await site.post('push-trial', { id }, session);
    assert.equal(other.json.result, 'the push service was not reached');
    await site.post('push-remove', { id }, session);
    assert.deepEqual(await browsers(), []);
    assert.equal((await site.post('push-trial', { id }, session)).http, 404);
  });

  it('how the last message went is forgotten with the browser that is taken off, and with one that is added anew', async () => {
    const given = new Subscriber().subscription(service.host);
    const last = async () => (await browsers()).map((each: { last: unknown }) => each.last);
    const add = () => site.post('push-subscribe', given, session);
    await add();
    const [{ id }] = await browsers();
    await site.post('push-trial', { id }, session);
    assert.deepEqual(await last(), ['the push service took it']);
    await add();
    assert.deepEqual(await last(), [null]);
    await site.post('push-trial', { id }, session);
    await site.post('push-remove', { id }, session);
    await add();
    assert.deepEqual(await last(), [null]);
    // One that the service calls gone at once is not what it was before.
    await site.post('push-trial', { id }, session);
    service.answers = [410];
    assert.equal((await site.post('push-trial', { id }, session)).json.result, 'gone');
  });

  it('a disk that takes nothing keeps what the push service calls gone, and is told of as a fault', async () => {
    await subscribe(new Subscriber());
    service.answers = [410];
    // What replaces a file needs its directory.
    renameSync(site.stateDir, `${site.stateDir}.gone`);
    try {
      await ask();
      await site.network.until('a fault', () => site.faults.length === 1);
    } finally {
      renameSync(`${site.stateDir}.gone`, site.stateDir);
    }
    assert.match(String(site.faults.pop()), /ENOENT/);
    assert.equal((await browsers()).length, 1);
  });

  it('is tried again when the service is in trouble, and not for ever', async () => {
    service.answers = [503, 201];
    await subscribe(new Subscriber());
    await ask();
    await site.network.until('again', () => service.received.length === 2, 8_000);
    await new Promise((resolve) => setTimeout(resolve, 300));
    assert.equal(service.received.length, 2);
    assert.equal((await browsers())[0].last, 'the push service took it');
  });

  it('a service with a certificate that nobody vouches for hears nothing', async () => {
    site.pushCa = undefined;
    await reopen();
    const id = await subscribe(new Subscriber());
    assert.equal(
      (await site.post('push-trial', { id }, session)).json.result,
      'the push service was not reached',
    );
    assert.equal(service.received.length, 0);
  });

  it('a service that the configuration no longer names hears nothing', async () => {
    const id = await subscribe(new Subscriber());
    await reopen([]);
    assert.equal(
      (await site.post('push-trial', { id }, session)).json.result,
      'the push service was not reached',
    );
    assert.equal(service.received.length, 0);
  });

  it('takes what is in bounds, from who is logged in', async () => {
    const subscriber = new Subscriber();
    const good = subscriber.subscription(service.host);
    for (const name of ['push-key', 'push-subscribe', 'push-trial', 'push-remove'])
      assert.deepEqual([(await site.post(name, {})).http, name], [401, name]);
    for (const endpoint of ['https://evil.example/a', 'https://127.0.0.1/a', `http://${service.host}/a`, ''])
      assert.deepEqual((await site.post('push-subscribe', { ...good, endpoint }, session)).json, {
        isTaken: false,
      });
    for (const change of [
      ...[
        { p256dh: 'AAAA' },
        { auth: 'AAAA' },
        { p256dh: '' },
        { auth: randomBytes(17).toString('base64url') },
      ],
      ...[{ name: '' }, { name: 'A'.repeat(65) }, { detail: 1 }, { more: 1 }, { endpoint: 1 }],
    ]) {
      const answer = await site.post('push-subscribe', { ...good, ...change }, session);
      assert.equal(answer.json.status, 'malformed', JSON.stringify(change));
    }
    for (const id of ['', '0'.repeat(31), 'g'.repeat(32)])
      assert.equal((await site.post('push-remove', { id }, session)).json.status, 'malformed');
    assert.deepEqual(await browsers(), []);
    // The same endpoint again is the same browser.
    for (let i = 0; i < 2; i++) await site.post('push-subscribe', good, session);
    assert.equal((await browsers()).length, 1);
    for (let i = 1; i < 16; i++) await subscribe(new Subscriber());
    const seventeenth = await site.post('push-subscribe', subscriber.subscription(service.host), session);
    assert.deepEqual([seventeenth.http, seventeenth.json.status], [503, 'busy']);
  });
});
