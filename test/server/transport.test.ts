/** The HTTPS front against hostile and broken clients: TLS misuse, bodies, headers, paths, the channel. */
import assert from 'node:assert/strict';
import { get } from 'node:http';
import { request as send } from 'node:https';
import { type ConnectionOptions, connect as connectTls, type TLSSocket } from 'node:tls';
import { after, before, describe, it } from 'mocha';
import { WebSocket } from 'ws';
import type { Bytes } from '../../src/base/bytes.ts';
import { CBOR_MEDIA_TYPE } from '../../src/https/server-routes.ts';
import { ChannelAck } from '../../src/messages/channel.ts';
import { EnrolmentBegin, GatewayEnrolRequest } from '../../src/messages/enrolment.ts';
import { PROBLEM_MEDIA_TYPE, ProblemDetails } from '../../src/messages/problem.ts';
import { generateKey, softwareSigner } from '../../src/security/keystore.ts';
import { createCa, derToPem, issueGatewayCertificate } from '../../src/security/x509.ts';
import { hex, joinOf, ServerKit, type TestGateway } from '../support/server-kit.ts';

interface Identity {
  readonly key?: string;
  readonly cert?: string;
}

interface Raw {
  readonly httpStatus: number;
  readonly mediaType: string | undefined;
  readonly body: Bytes;
}

describe('server: transport', () => {
  const kit = new ServerKit();
  let gateway: TestGateway;
  let caPem: string;
  let port: number;
  let mine: Identity;

  before(async () => {
    await kit.start({
      headersMs: 300,
      requestMs: 600,
      channel: { pingMs: 40, silenceMs: 150 },
      metricsPort: 0,
    });
    kit.addUser('bob');
    gateway = await kit.addGateway('bob', 'kitchen');
    mine = { key: gateway.tls.keyPem, cert: gateway.tls.certPem };
    caPem = kit.server.caPem;
    port = Number(new URL(kit.server.url).port);
  });
  after(() => kit.close());

  function call(
    method: string,
    path: string,
    body?: Bytes,
    identity: Identity = mine,
    headers: Record<string, string> = { 'content-type': CBOR_MEDIA_TYPE },
  ): Promise<Raw> {
    return new Promise((resolve, reject) => {
      const options = {
        host: '127.0.0.1',
        port,
        ca: caPem,
        agent: false,
        method,
        path,
        headers,
        ...identity,
      };
      const request = send(options, (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('error', reject);
        response.on('end', () =>
          resolve({
            httpStatus: response.statusCode ?? 0,
            mediaType: response.headers['content-type'],
            body: new Uint8Array(Buffer.concat(chunks)),
          }),
        );
      });
      request.on('error', reject);
      request.end(body);
    });
  }

  /** The status of a problem, whose form is checked on the way. */
  function problem({ httpStatus, mediaType, body }: Raw): string {
    assert.equal(mediaType, PROBLEM_MEDIA_TYPE);
    const details = ProblemDetails.decode(body);
    assert.equal(details.responseCode, httpStatus);
    return details.status.code;
  }

  const begin = (identity: Identity) =>
    call('POST', '/cpns/v1/enrolments', EnrolmentBegin.encode({}), identity);

  function rawTls(options: ConnectionOptions): Promise<TLSSocket> {
    return new Promise((resolve, reject) => {
      const socket = connectTls({ host: '127.0.0.1', port, ca: caPem, ...options }, () => resolve(socket));
      socket.on('error', reject);
    });
  }

  describe('TLS', () => {
    it('takes a gateway of its own CA', async () => {
      assert.equal((await begin(mine)).httpStatus, 201);
    });

    it('answers 401 to no certificate, wrong CA, expired, not yet valid', async () => {
      const signer = softwareSigner(generateKey());
      const key = signer.privateKey.export({ format: 'pem', type: 'pkcs8' }).toString();
      const caKey = softwareSigner(generateKey());
      const now = Math.floor(Date.now() / 1_000);
      const own = {
        certificate: createCa({ name: 'other', key: caKey, days: 30, now }),
        key: caKey,
      };
      const { publicKey } = signer;
      const foreign = derToPem(issueGatewayCertificate({ ca: own, publicKey, days: 5, now }));
      assert.equal(problem(await begin({})), 'not-authenticated');
      assert.equal(problem(await begin({ key, cert: foreign })), 'not-authenticated');
      const ca = kit.operatorCa();
      const issue = (from: number, days: number, of = publicKey) =>
        derToPem(issueGatewayCertificate({ ca, publicKey: of, days, now: from }));
      assert.equal(problem(await begin({ key, cert: issue(now - 10 * 86_400, 5) })), 'not-authenticated');
      assert.equal(problem(await begin({ key, cert: issue(now + 86_400, 5) })), 'not-authenticated');
      // Well issued, but of a key that no gateway enrolled with.
      assert.equal(problem(await begin({ key, cert: issue(now, 5) })), 'unknown-gateway');
    });

    it("does not complete a handshake with another gateway's certificate and no key of it", async () => {
      const key = softwareSigner(generateKey())
        .privateKey.export({ format: 'pem', type: 'pkcs8' })
        .toString();
      await assert.rejects(begin({ key, ...(mine.cert !== undefined && { cert: mine.cert }) }));
    });

    it('speaks nothing below TLS 1.3', async () => {
      await assert.rejects(
        rawTls({ minVersion: 'TLSv1.2', maxVersion: 'TLSv1.2', ...mine }),
        /protocol|alert/i,
      );
      const socket = await rawTls({ ...mine });
      assert.equal(socket.getProtocol(), 'TLSv1.3');
      socket.destroy();
    });

    it('sees a revocation at the next request of an open connection, and ends the channel', async () => {
      const victim = await kit.addGateway('bob', 'attic');
      await victim.client.enrolmentNonce();
      await victim.online(kit.server.url);
      const down = new Promise<void>((resolve) => {
        const watch = setInterval(() => {
          if (victim.channel?.isUp) return;
          clearInterval(watch);
          resolve();
        }, 5);
      });
      kit.admin.revokeGateway(hex(victim.gatewayId));
      await assert.rejects(victim.client.enrolmentNonce(), { status: 'revoked-gateway' });
      await down;
      await victim.offline();
    });

    it('sees that a user was revoked', async () => {
      kit.addUser('mallory');
      const theirs = await kit.addGateway('mallory', 'den');
      kit.admin.revokeUser('mallory');
      await assert.rejects(theirs.client.enrolmentNonce(), { status: 'revoked-user' });
    });
  });

  describe('requests', () => {
    const registration = () => {
      const pne = { signer: softwareSigner(generateKey()), homeAddress: gateway.homeAddress };
      return joinOf(gateway, { ...pne, thumbprint: new Uint8Array(32) as never });
    };

    it('refuses malformed CBOR, trailing bytes, no body, the wrong media type, and what is cut short', async () => {
      const { txn, body } = registration();
      const path = `/cpns/v1/registrations/${hex(txn)}`;
      const put = (bytes: Bytes, headers?: Record<string, string>) => call('PUT', path, bytes, mine, headers);
      assert.equal(problem(await put(Uint8Array.of(0xbf, 0xff))), 'malformed');
      assert.equal(problem(await put(Uint8Array.of(...body, 0))), 'malformed');
      assert.equal(problem(await put(new Uint8Array(0))), 'malformed');
      assert.equal(problem(await put(body, { 'content-type': 'application/json' })), 'malformed');
      assert.equal(problem(await put(body.slice(0, -1))), 'malformed');
    });

    it('refuses oversize bodies, declared or not', async () => {
      const big = new Uint8Array(65_537);
      assert.equal(problem(await call('POST', '/cpns/v1/freshness', big)), 'oversize');
      const chunked = { 'content-type': CBOR_MEDIA_TYPE, 'transfer-encoding': 'chunked' };
      assert.equal(problem(await call('POST', '/cpns/v1/freshness', big, mine, chunked)), 'oversize');
      const middle = new Uint8Array(9_000);
      assert.equal(problem(await call('POST', '/cpns/v1/freshness', middle)), 'oversize');
    });

    it('knows no other paths, methods or identifiers', async () => {
      for (const path of ['/', '/cpns/v1/', '/cpns/v1/nothing', '/cpns/v2/health', '/cpns/v1/health?x=1'])
        assert.equal(problem(await call('GET', path)), 'not-found');
      for (const id of ['00', 'x'.repeat(32), 'A'.repeat(32), '0'.repeat(34)])
        assert.equal(problem(await call('GET', `/cpns/v1/registrations/${id}`)), 'not-found');
      assert.equal(
        problem(await call('POST', `/cpns/v1/registrations/${'0'.repeat(32)}`)),
        'unexpected-message',
      );
      assert.equal(
        problem(await call('GET', `/cpns/v1/registrations/${'0'.repeat(32)}`)),
        'unknown-transaction',
      );
      assert.equal(problem(await call('GET', '/cpns/v1/channel')), 'unexpected-message');
    });

    it('gives up on slow headers and slow bodies, and goes on serving', async () => {
      const slow = async (text: string) => {
        const socket = await rawTls({ ...mine });
        const startedMs = performance.now();
        socket.write(text);
        const heard = await new Promise<string>((resolve) => {
          let all = '';
          socket.on('data', (chunk) => {
            all += String(chunk);
          });
          socket.on('close', () => resolve(all));
        });
        return { heard, tookMs: performance.now() - startedMs };
      };
      const [headers, body] = await Promise.all([
        slow('GET /cpns/v1/health HTTP/1.1\r\nHost: x\r\n'),
        slow(
          'POST /cpns/v1/freshness HTTP/1.1\r\nHost: x\r\nContent-Type: application/cbor\r\nContent-Length: 100\r\n\r\n\x00',
        ),
      ]);
      for (const { tookMs } of [headers, body]) assert.ok(tookMs < 3_000, String(tookMs));
      assert.equal((await begin(mine)).httpStatus, 201);
    });

    it('limits strangers by address, and them only', async () => {
      const request = GatewayEnrolRequest.encode({
        tokenId: new Uint8Array(8),
        tokenSecret: new Uint8Array(16),
        certificationRequest: Uint8Array.of(1),
      });
      const seen: string[] = [];
      for (let i = 0; i < 30; i++) seen.push(problem(await call('POST', '/cpns/v1/gateways', request, {})));
      assert.equal(seen[0], 'token-invalid');
      assert.equal(seen.at(-1), 'too-many-requests');
      assert.equal((await begin(mine)).httpStatus, 201);
    });

    it('answers health and readiness to anyone', async () => {
      assert.equal((await call('GET', '/cpns/v1/health', undefined, {})).httpStatus, 200);
      assert.equal((await call('GET', '/cpns/v1/ready', undefined, {})).httpStatus, 200);
      kit.clock.offsetSeconds -= 400;
      try {
        assert.equal(problem(await call('GET', '/cpns/v1/ready', undefined, {})), 'clock-implausible');
        assert.equal((await call('GET', '/cpns/v1/health', undefined, {})).httpStatus, 200);
      } finally {
        kit.clock.offsetSeconds += 400;
      }
    });

    it('tells its figures on the loopback port only', async () => {
      const text = await new Promise<string>((resolve, reject) => {
        get({ host: '127.0.0.1', port: kit.server.metricsPort, path: '/metrics' }, (response) => {
          let all = '';
          response.setEncoding('utf8');
          response.on('data', (chunk: string) => {
            all += chunk;
          });
          response.on('end', () => resolve(all));
        }).on('error', reject);
      });
      for (const name of [
        'cpns_registrations{state="registered"}',
        'cpns_channels',
        'cpns_signature_seconds_count',
      ])
        assert.ok(text.includes(name), name);
      assert.ok(!text.includes(hex(gateway.gatewayId)));
    });
  });

  describe('the channel', () => {
    const dial = (identity: Identity = mine, protocol: string | string[] = 'cpns1') =>
      new WebSocket(`wss://127.0.0.1:${port}/cpns/v1/channel`, protocol, { ca: caPem, ...identity });
    const opened = (socket: WebSocket) =>
      new Promise<WebSocket>((resolve, reject) => {
        socket.on('open', () => resolve(socket));
        socket.on('unexpected-response', (_request, response) =>
          reject(new Error(`HTTP ${response.statusCode}`)),
        );
        socket.on('error', reject);
      });
    const closed = (socket: WebSocket) =>
      new Promise<number>((resolve) => {
        socket.on('error', () => undefined);
        socket.on('close', (code) => resolve(code));
      });

    it('is refused without certificate and without subprotocol', async () => {
      await assert.rejects(opened(dial({})), /HTTP 401/);
      await assert.rejects(opened(dial(mine, [])), /HTTP 400/);
    });

    it('gives its place to a newer one', async () => {
      const first = await opened(dial());
      const end = closed(first);
      const second = await opened(dial());
      assert.equal(await end, 4000);
      assert.equal(second.readyState, WebSocket.OPEN);
      second.terminate();
      await closed(second);
    });

    it('ends on text, on nonsense, on a frame that is too long', async () => {
      for (const frame of ['text', Uint8Array.of(0xff), new Uint8Array(65_537)]) {
        const socket = await opened(dial());
        const end = closed(socket);
        socket.send(frame);
        assert.ok([1008, 1009, 1006].includes(await end));
      }
    });

    it('passes over an acknowledgement of what was never sent', async () => {
      const socket = await opened(dial());
      socket.send(ChannelAck.encode({ deliveryId: 12_345 }));
      const ponged = new Promise((resolve) => socket.on('pong', resolve));
      socket.ping();
      await ponged;
      assert.equal(socket.readyState, WebSocket.OPEN);
      socket.terminate();
    });

    it('ends when the gateway is silent', async () => {
      const socket = await opened(
        new WebSocket(`wss://127.0.0.1:${port}/cpns/v1/channel`, 'cpns1', {
          ca: caPem,
          autoPong: false,
          ...mine,
        }),
      );
      assert.equal(await closed(socket), 1006);
    });
  });
});
