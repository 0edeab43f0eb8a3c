/** The gateway's HTTPS client: routes, errors, TLS, deadlines, retries. Against a stub, so that faults can be chosen. */
import assert from 'node:assert/strict';
import type { ServerResponse } from 'node:http';
import { fromHex } from '../../../src/base/bytes.ts';
import { CpnsError } from '../../../src/base/errors.ts';
import { JoinId, PnId, TransactionId } from '../../../src/base/ids.ts';
import { openServerClient, type ServerClient, withRetry } from '../../../src/https/server-client.ts';
import { Backoff, ServerProblem } from '../../../src/https/server-client-retry.ts';
import { StatusBody } from '../../../src/messages/common.ts';
import { ConfirmationBody } from '../../../src/messages/confirmation.ts';
import { EnrolmentNonce, EnrolmentReceipt } from '../../../src/messages/enrolment.ts';
import {
  AuthenticationRelay,
  PnRegistrationChallenge,
  TransactionState,
} from '../../../src/messages/registration.ts';
import { FreshnessAnswer, FreshnessRequest } from '../../../src/messages/resumption.ts';
import { cbor, problem, type StubServer, stubServer } from './stub-server.ts';
import { type Issued, type TestCa, testCa } from './tls-samples.ts';

const TXN = TransactionId(fromHex('00112233445566778899aabbccddeeff'));
const JOIN = JoinId(fromHex('ffeeddccbbaa99887766554433221100'));
const HEX = { txn: '00112233445566778899aabbccddeeff', join: 'ffeeddccbbaa99887766554433221100' };
const some = (length: number) => new Uint8Array(length).fill(7);

const rejectsWith = (call: Promise<unknown>, status: string) =>
  assert.rejects(call, (error: unknown) => {
    assert.ok(error instanceof CpnsError, `${error}`);
    assert.equal(error.status, status);
    return true;
  });

describe('server client', () => {
  let ca: TestCa;
  let tls: Issued;
  let gateway: Issued;
  let stub: StubServer;
  let client: ServerClient;

  before(() => {
    ca = testCa('operator');
    tls = ca.issue('server');
    gateway = ca.issue('gateway');
  });
  beforeEach(async () => {
    stub = await stubServer({ cert: tls.certPem, key: tls.keyPem, ca: ca.certPem, minVersion: 'TLSv1.3' });
    client = openServerClient({ baseUrl: stub.baseUrl, caPem: ca.certPem, identity: gateway });
  });
  afterEach(async () => {
    client.close();
    await stub.close();
  });
  const answerWith = (answer: (response: ServerResponse) => void) => {
    stub.answer = answer;
  };

  describe('routes', () => {
    const state = TransactionState.encode({ state: 'verified', status: 'ok' });
    const ok = StatusBody.encode({ status: 'ok' });
    const routes: readonly {
      readonly name: string;
      readonly call: (client: ServerClient) => Promise<unknown>;
      readonly asks: readonly [method: string, path: string, body: Uint8Array];
      readonly answer: Uint8Array;
      readonly gives: unknown;
    }[] = [
      {
        name: 'step 3',
        call: (it) => it.registerPn(TXN, some(9)),
        asks: ['PUT', `registrations/${HEX.txn}`, some(9)],
        answer: PnRegistrationChallenge.encode({ challenge: some(100), pnId: PnId(some(8)) }),
        gives: { challenge: some(100), pnId: some(8) },
      },
      {
        name: 'step 7',
        call: (it) => it.respond(TXN, some(80)),
        asks: [
          'PUT',
          `registrations/${HEX.txn}/response`,
          AuthenticationRelay.encode({ response: some(80) }),
        ],
        answer: state,
        gives: { state: 'verified', status: 'ok' },
      },
      {
        name: 'a transaction',
        call: (it) => it.transaction(TXN),
        asks: ['GET', `registrations/${HEX.txn}`, some(0)],
        answer: state,
        gives: { state: 'verified', status: 'ok' },
      },
      {
        name: 'step 9',
        call: (it) => it.confirm(JOIN, some(140)),
        asks: ['PUT', `confirmations/${HEX.join}`, ConfirmationBody.encode({ answer: some(140) })],
        answer: ok,
        gives: 'ok',
      },
      {
        name: 'freshness',
        call: (it) => it.freshness(some(32), JOIN),
        asks: ['POST', 'freshness', FreshnessRequest.encode({ th1: some(32), joinId: JOIN })],
        answer: FreshnessAnswer.encode({ freshness: some(90) }),
        gives: some(90),
      },
      {
        name: 'an enrolment nonce',
        call: (it) => it.enrolmentNonce(),
        asks: ['POST', 'enrolments', fromHex('a0')],
        answer: EnrolmentNonce.encode({ nonce: some(16), serverTime: 5 }),
        gives: { nonce: some(16), serverTime: 5 },
      },
      {
        name: 'the enrolment of a PNE',
        call: (it) =>
          it.enrolPne(some(16), { openG: some(50), openP: some(50), offer: some(300), claim: some(190) }),
        asks: [
          'PUT',
          `enrolments/${'07'.repeat(16)}`,
          fromHex(
            `a4015832${'07'.repeat(50)}025832${'07'.repeat(50)}0359012c${'07'.repeat(300)}0458be${'07'.repeat(190)}`,
          ),
        ],
        answer: EnrolmentReceipt.encode({ receipt: some(147) }),
        gives: some(147),
      },
      {
        name: "the PNE's acknowledgement",
        call: (it) => it.ackEnrolment(some(16), 'ok'),
        asks: ['PUT', `enrolments/${'07'.repeat(16)}/ack`, ok],
        answer: ok,
        gives: 'ok',
      },
    ];
    for (const { name, call, asks, answer, gives } of routes) {
      it(name, async () => {
        answerWith((response) => cbor(response, answer));
        assert.deepEqual(await call(client), gives);
        const [asked] = stub.asked;
        assert.deepEqual(
          [asked?.method, asked?.path, asked?.body],
          [asks[0], `/cpns/v1/${asks[1]}`, asks[2]],
        );
        assert.equal(asked?.contentType, asks[0] === 'GET' ? undefined : 'application/cbor');
        assert.equal(asked?.client, 'gateway');
      });
    }

    it('keeps its connection', async () => {
      answerWith((response) => cbor(response, state));
      for (let i = 0; i < 5; i++) await client.transaction(TXN);
      assert.equal(stub.connections, 1);
    });
  });

  describe('errors', () => {
    const answers: readonly (readonly [name: string, status: string, (response: ServerResponse) => void])[] =
      [
        ["the server's own status", 'pn-id-collision', (r) => problem(r, 'pn-id-collision')],
        ['a page of something in between', 'server-unreachable', (r) => r.writeHead(502).end('<html>')],
        ['401 without details', 'not-authenticated', (r) => r.writeHead(401).end()],
        [
          'a problem that is no CBOR',
          'malformed',
          (r) =>
            r.writeHead(400, { 'content-type': 'application/concise-problem-details+cbor' }).end('nonsense'),
        ],
        ['a redirect', 'malformed', (r) => r.writeHead(302, { location: 'https://example.org/' }).end()],
        [
          'another content type',
          'malformed',
          (r) => r.writeHead(200, { 'content-type': 'text/html' }).end('hi'),
        ],
        ['an empty answer', 'malformed', (r) => cbor(r, new Uint8Array())],
        ['an answer of another message', 'malformed', (r) => cbor(r, fromHex('a101f4'))],
        ['an answer that is too long', 'oversize', (r) => cbor(r, new Uint8Array(65_537))],
        [
          'an answer cut short',
          'server-unreachable',
          (r) => {
            r.writeHead(200, { 'content-type': 'application/cbor', 'content-length': 100 });
            r.write('x');
            r.destroy();
          },
        ],
      ];
    for (const [name, status, answer] of answers) {
      it(`${name} is ${status}`, async () => {
        answerWith(answer);
        await rejectsWith(client.transaction(TXN), status);
      });
    }

    it('says how long the server wants to be left alone', async () => {
      answerWith((response) => problem(response, 'backing-off', 120));
      await assert.rejects(client.transaction(TXN), (error) => {
        assert.ok(error instanceof ServerProblem);
        assert.equal(error.retryAfterMs, 120_000);
        return error.retryable;
      });
    });

    it('is server-unreachable, and retryable, when nobody listens', async () => {
      await stub.close();
      await assert.rejects(client.transaction(TXN), { status: 'server-unreachable', retryable: true });
    });

    it('is timeout after the deadline of the call', async () => {
      answerWith(() => undefined);
      await rejectsWith(client.transaction(TXN, { deadlineMs: 50 }), 'timeout');
    });

    it('is timeout also when the answer only trickles', async () => {
      answerWith((response) => {
        response.writeHead(200, { 'content-type': 'application/cbor' });
        const timer = setInterval(() => response.write('x'), 10);
        response.on('close', () => clearInterval(timer));
      });
      await rejectsWith(client.transaction(TXN, { deadlineMs: 100 }), 'timeout');
    });

    it('is shutting-down when called off, before and during', async () => {
      const off = new AbortController();
      answerWith(() => off.abort());
      await rejectsWith(client.transaction(TXN, { signal: off.signal }), 'shutting-down');
      await rejectsWith(client.transaction(TXN, { signal: off.signal }), 'shutting-down');
      assert.equal(stub.asked.length, 1);
    });
  });

  describe('TLS', () => {
    it('believes no other CA, and sends it nothing', async () => {
      const other = openServerClient({
        baseUrl: stub.baseUrl,
        caPem: testCa('other').certPem,
        identity: gateway,
      });
      await rejectsWith(other.respond(TXN, some(80)), 'server-unreachable');
      other.close();
      assert.equal(stub.receivedBytes, 0);
    });

    it('believes no other name, and sends it nothing', async () => {
      const { certPem, keyPem } = ca.issue('server', 'DNS:elsewhere.example');
      const elsewhere = await stubServer({ cert: certPem, key: keyPem });
      const lost = openServerClient({ baseUrl: elsewhere.baseUrl, caPem: ca.certPem, identity: gateway });
      await rejectsWith(lost.respond(TXN, some(80)), 'server-unreachable');
      lost.close();
      await elsewhere.close();
      assert.equal(elsewhere.receivedBytes, 0);
    });

    it('speaks TLS 1.3 only', async () => {
      const old = await stubServer({ cert: tls.certPem, key: tls.keyPem, maxVersion: 'TLSv1.2' });
      const lost = openServerClient({ baseUrl: old.baseUrl, caPem: ca.certPem, identity: gateway });
      await rejectsWith(lost.transaction(TXN), 'server-unreachable');
      lost.close();
      await old.close();
    });

    it('takes a renewed certificate without losing a call', async () => {
      const state = TransactionState.encode({ state: 'verified', status: 'ok' });
      let release: () => void = () => undefined;
      stub.answer = (response, asked) => {
        if (asked.client === 'gateway') release = () => cbor(response, state);
        else cbor(response, state);
      };
      const before = client.transaction(TXN);
      while (stub.asked.length === 0) await new Promise((resolve) => setImmediate(resolve));
      client.useIdentity(ca.issue('renewed'));
      await client.transaction(TXN);
      release();
      await before;
      assert.deepEqual(
        stub.asked.map((asked) => asked.client),
        ['gateway', 'renewed'],
      );
    });

    for (const url of [
      'http://localhost:1',
      'https://localhost/path',
      'https://u:p@localhost',
      'https://h/?q',
    ]) {
      it(`takes no ${url}`, () => {
        assert.throws(() => openServerClient({ baseUrl: url, caPem: ca.certPem }), TypeError);
      });
    }
  });
});

describe('trying again', () => {
  const quick = { firstMs: 2, maxMs: 8, random: () => 0 };
  const failing = (...errors: readonly Error[]) => {
    let calls = 0;
    const call = async () => {
      const error = errors[calls++];
      if (error) throw error;
      return calls;
    };
    return call;
  };

  it('goes on while the failure may pass', async () => {
    const gone = new CpnsError('server-unreachable');
    assert.equal(await withRetry(failing(gone, gone), quick), 3);
  });

  it('stops at a failure that stays', async () => {
    await rejectsWith(withRetry(failing(new CpnsError('not-owned')), quick), 'not-owned');
    await assert.rejects(withRetry(failing(new TypeError('ours')), quick), TypeError);
  });

  for (const status of ['challenge-stale', 'pn-id-collision'] as const) {
    it(`does not repeat a request after ${status}, which wants another join`, async () => {
      const call = failing(new ServerProblem(status));
      await rejectsWith(withRetry(call, quick), status);
      assert.equal(await call(), 2);
    });
  }

  it('stops after its attempts', async () => {
    const gone = new CpnsError('timeout');
    await rejectsWith(withRetry(failing(gone, gone, gone), { ...quick, attempts: 2 }), 'timeout');
  });

  it('stops when called off, also while it waits', async () => {
    const off = new AbortController();
    const waiting = withRetry(
      failing(new CpnsError('timeout')),
      { firstMs: 60_000, maxMs: 60_000 },
      off.signal,
    );
    off.abort();
    await rejectsWith(waiting, 'shutting-down');
  });

  it('waits as long as the server asked', async () => {
    const startedAt = performance.now();
    await withRetry(failing(new ServerProblem('backing-off', 0.05)), quick);
    assert.ok(performance.now() - startedAt >= 49);
  });

  it('doubles its delays up to the bound, between half and whole', () => {
    const low = new Backoff({ firstMs: 200, maxMs: 30_000, random: () => 0 });
    const high = new Backoff({ firstMs: 200, maxMs: 30_000, random: () => 0.999 });
    const delays = Array.from({ length: 10 }, () => [low.nextMs(), Math.round(high.nextMs())]);
    assert.deepEqual(delays.slice(0, 3), [
      [100, 200],
      [200, 400],
      [400, 800],
    ]);
    assert.equal(delays.at(-1)?.[0], 15_000);
    low.reset();
    assert.equal(low.nextMs(), 100);
  });
});
