/**
 * A client that lives at the level of TCP and TLS: connections without number that say nothing, handshakes in a row, old
 * protocol versions, renegotiation, a gateway that takes more connections than it needs. Its address is its own, as an
 * attacker's is: 127.0.0.2 and up, the honest ones having 127.0.0.1.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { DEFAULT_TRANSPORT_LIMITS } from '../../../src/https/server-limits.ts';
import type { TestGateway } from '../../support/server-kit.ts';
import { ended, readAnswers, request, Site } from './site.ts';

const { connectionsPerGateway } = DEFAULT_TRANSPORT_LIMITS;
/** Fewer than by default, and a slower pace, so that the test is short. */
const connectionsPerAddress = 80;
const HANDSHAKE_MS = 1_500;
const HEALTH = request('GET', '/cpns/v1/health');

describe('a client that takes connections', function () {
  this.timeout(30_000);
  let site: Site;
  let mallory: TestGateway;

  before(async () => {
    site = await Site.open({
      handshakeMs: HANDSHAKE_MS,
      transportLimits: { connectionsPerAddress, handshakesPerAddressPerSecond: 1 },
    });
    mallory = await site.gateway('Mallory');
  });
  after(() => site.close());

  /** A TCP connection from an address of ours that says nothing by itself. */
  async function tcp(localAddress: string): Promise<Socket> {
    const socket = connect({ host: '127.0.0.1', port: site.port, localAddress });
    socket.on('error', () => undefined);
    await once(socket, 'connect');
    return socket;
  }
  const closed = (socket: Socket) => (socket.destroyed ? Promise.resolve() : once(socket.resume(), 'close'));

  it('that never begins the handshake holds no more than its share, and that only for a while', async () => {
    const localAddress = '127.0.0.2';
    const silent = await Promise.all(Array.from({ length: connectionsPerAddress }, () => tcp(localAddress)));
    const startedMs = performance.now();
    await site.honest.during(async () => {
      for (let i = 0; i < 20; i++) await closed(await tcp(localAddress));
      await Promise.all(silent.map(closed));
    });
    const tookMs = performance.now() - startedMs;
    assert.ok(tookMs < HANDSHAKE_MS + 6_000, `${tookMs} ms`);
    assert.equal(await site.metric('cpns_limited_total{limit="connections-per-address"}'), 20);
  });

  it('that shakes hands without end is cut off before it costs anything; the honest are not', async () => {
    const localAddress = '127.0.0.3';
    const startedMs = performance.now();
    let served = 0;
    await site.honest.during(async () => {
      for (let turn = 0; turn < connectionsPerAddress + 60; turn += 20)
        await Promise.all(
          Array.from({ length: 20 }, async () => {
            const socket = await site.dial(undefined, { localAddress }).catch(() => undefined);
            if (socket) served++;
            socket?.destroy();
          }),
        );
    });
    const most = connectionsPerAddress + (performance.now() - startedMs) / 1_000 + 1;
    assert.ok(served >= connectionsPerAddress && served <= most, `${served} handshakes, ${most} at most`);
    assert.ok((await site.metric('cpns_limited_total{limit="handshakes-per-address"}')) > 0);
    const other = await site.dial(undefined, { localAddress: '127.0.0.4' });
    other.destroy();
  });

  it('that speaks no TLS, or an old one, gets not a byte of HTTP', async () => {
    const hello = (major: number, minor: number) => Buffer.from([0x16, major, minor, 0, 5, 1, 0, 0, 1, 3]);
    for (const bytes of [
      Buffer.from(HEALTH),
      Buffer.alloc(5_000, 0xff),
      hello(3, 0),
      hello(2, 0),
      Buffer.from([0x80, 0x2e, 1, 0, 2]),
    ]) {
      const socket = await tcp('127.0.0.5');
      const heard: Buffer[] = [];
      socket.on('data', (chunk) => heard.push(chunk));
      socket.write(bytes);
      await closed(socket);
      assert.ok(!Buffer.concat(heard).includes('HTTP'), 'an alert at the most');
    }
    for (const version of ['TLSv1', 'TLSv1.1', 'TLSv1.2'] as const)
      await assert.rejects(
        site.dial(mallory, { minVersion: version, maxVersion: version, ciphers: 'ALL:@SECLEVEL=0' }),
        { code: /SSL|ECONNRESET/ },
      );
  });

  it('that renegotiates is let go, and one that asks for new keys a thousand times is no burden', async () => {
    const socket = await site.dial(mallory);
    const outcome = await new Promise<unknown>((resolve) => {
      if (socket.renegotiate({}, resolve) === false) resolve(new Error('not begun'));
    });
    assert.ok(outcome instanceof Error, 'there is no renegotiation in TLS 1.3');
    socket.destroy();
    // openssl's client sends a KeyUpdate that asks for one in return at each line "K".
    const openssl = spawn(
      'openssl',
      ['s_client', '-connect', `127.0.0.1:${site.port}`, '-tls1_3', '-quiet', '-no_ign_eof'].filter(
        (word) => word !== '-quiet',
      ),
      {
        stdio: ['pipe', 'ignore', 'ignore'],
      },
    );
    const exited = once(openssl, 'exit');
    openssl.stdin.on('error', () => undefined);
    await site.honest.during(async () => {
      for (let i = 0; i < 1_000 && openssl.exitCode === null; i++) {
        if (!openssl.stdin.write('K\n')) await Promise.race([once(openssl.stdin, 'drain'), exited]);
      }
    });
    assert.equal(openssl.exitCode, null, 'the connection held');
    openssl.kill();
    await exited;
  });

  it('that is a gateway and takes more than it needs is told so on those that are too many', async () => {
    const sockets: TLSSocket[] = [];
    for (let i = 0; i < connectionsPerGateway; i++) sockets.push(await site.dial(mallory));
    const [surplus] = await site.write(HEALTH, mallory);
    assert.deepEqual(surplus, { httpStatus: 429, problem: 'quota-exceeded', retryAfter: '5' });
    await site.honest.establish();
    const first = sockets[0];
    assert.ok(first);
    const heard = ended(first);
    first.write(HEALTH);
    assert.equal(readAnswers(await heard)[0]?.httpStatus, 200);
    for (const socket of sockets) socket.destroy();
    for (;;) {
      const [answer] = await site.write(HEALTH, mallory);
      if (answer?.httpStatus === 200) break;
    }
  });
});
