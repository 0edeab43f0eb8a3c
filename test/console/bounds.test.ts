/** What one address, one session and one page may take of the console's server. */
import assert from 'node:assert/strict';
import { request } from 'node:https';
import { connect } from 'node:tls';
import { SESSION_IDLE_MS } from '../../src/console/sessions.ts';
import { type ConsoleSite, openForEach } from './site.ts';

describe('the bounds of the console’s server', function () {
  this.timeout(30_000);
  let site: ConsoleSite;
  openForEach((opened) => {
    site = opened;
  });

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
        assert.equal((await site.post(name, { joinId, ...more }, { cookie })).json.status, 'malformed', name);
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
      for (const { http } of await Promise.all([0, 1, 2, 3, 4, 5, 6, 7].map(() => site.get('/api/greeting'))))
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
