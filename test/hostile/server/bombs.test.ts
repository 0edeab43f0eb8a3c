/**
 * A gateway that sends what is costly to read: CBOR that nests, declares lengths it never brings, or has keys without
 * number, on every route and inside every byte string that holds CBOR; and bodies of 64 KiB by the thousand, against a
 * server in a process of its own whose memory is watched.
 */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join as joinPath } from 'node:path';
import { connect as connectTls } from 'node:tls';
import type { Bytes } from '../../../src/base/bytes.ts';
import { statusOfError } from '../../../src/base/errors.ts';
import { TransactionId } from '../../../src/base/ids.ts';
import { MAX_BODY_BYTES } from '../../../src/https/server.ts';
import { HttpsTransport } from '../../../src/https/server-client-transport.ts';
import { PnRegistrationRequest } from '../../../src/messages/registration.ts';
import { initServer, openServerAdmin } from '../../../src/nodes/server/admin.ts';
import { type ApiPorts, serverRoutes } from '../../../src/nodes/server/api.ts';
import { sayYes } from '../../support/join.ts';
import { enrolTestGateway, enrolTestPne, hex, joinOf, type TestGateway } from '../../support/server-kit.ts';
import { ended, readAnswers, request, Site } from './site.ts';

const bytes = (...parts: readonly (readonly number[] | Bytes)[]) =>
  new Uint8Array(Buffer.concat(parts.map((part) => Uint8Array.from(part))));
const times = (count: number, ...item: readonly number[]) =>
  new Uint8Array(Buffer.concat(Array.from({ length: count }, () => Uint8Array.from(item))));
const FULL = MAX_BODY_BYTES;

/** What fits into a body, each with the bytes it takes. */
const BOMBS: readonly [string, Bytes][] = [
  ['arrays in arrays', times(FULL, 0x81)],
  ['maps in maps', times(FULL / 2, 0xa1, 0x01)],
  ['tags on tags', times(FULL, 0xc1)],
  ['an array of 2^64 − 1', bytes([0x9b, ...times(8, 0xff)])],
  ['an array of 2^32 − 1', bytes([0x9a, ...times(4, 0xff)])],
  ['a map of 2^64 − 1', bytes([0xbb, ...times(8, 0xff)])],
  ['a byte string of 2^64 − 1', bytes([0x5b, ...times(8, 0xff)])],
  ['a text of 2^31', bytes([0x7a, 0x80, 0, 0, 0])],
  [
    '30,000 keys',
    bytes([0xb9, 0x75, 0x30], ...Array.from({ length: 15_000 }, (_, i) => [0x19, i >> 8, i & 255, 0])),
  ],
  ['the same key 30,000 times', bytes([0xb9, 0x75, 0x30], times(30_000, 0x01, 0x00))],
  ['an endless array', bytes([0x9f], times(FULL - 1, 0x00))],
  ['an endless text in pieces', bytes([0x7f], times(FULL / 2 - 1, 0x61, 0x61))],
  [
    'arrays that declare more than there is, in each other',
    times(FULL / 9 - 1, 0x9b, 0, 0, 0, 0, 0, 0, 0xff, 0xff),
  ],
  ['a full text of nothing', bytes([0x79, 0xff, 0xf0], times(0xfff0, 0xe2))],
];

/** Longer than the message may be, or none. */
const REFUSED: ReadonlySet<string | undefined> = new Set(['malformed', 'oversize']);

describe('a gateway that sends bombs', function () {
  this.timeout(60_000);
  let site: Site;
  let mallory: TestGateway;

  before(async () => {
    site = await Site.open({ transportLimits: { requestsPerGatewayPerSecond: 1_000 } });
    mallory = await site.gateway('Mallory');
  });
  after(() => site.close());

  it('is refused on every route, quickly, and leaves nothing', async () => {
    const routes = serverRoutes({} as ApiPorts).filter(({ body, access }) => body && access === 'gateway');
    assert.ok(routes.length >= 8);
    const transport = new HttpsTransport({ baseUrl: site.url, caPem: mallory.caPem, identity: mallory.tls });
    let slowest = 0;
    await site.honest.during(async () => {
      for (const { method, pattern } of routes)
        for (const [what, bomb] of BOMBS.flatMap(
          ([name, full]) =>
            [
              [name, full],
              [`${name}, cut`, full.slice(0, 500)],
            ] as const,
        )) {
          const path = pattern.replace(/\{\w+\}/g, '0'.repeat(32));
          const startedMs = performance.now();
          const refusal = await transport.exchange(method, path, bomb).catch(statusOfError);
          slowest = Math.max(slowest, performance.now() - startedMs);
          assert.ok(REFUSED.has(String(refusal)), `${method} ${pattern}: ${what}: ${String(refusal)}`);
        }
    });
    transport.close();
    assert.ok(slowest < 2_000, `${slowest} ms for one, with all that ran beside it`);
    assert.deepEqual(Object.values(site.rows(mallory.gatewayId)), [0, 0, 0, 0, 0, 0, 0]);
  });

  it('is refused as a stranger with a token, too', async () => {
    for (const [what, bomb] of BOMBS) {
      const [answer] = await site.write(request('POST', '/cpns/v1/gateways', bomb));
      assert.ok(REFUSED.has(answer?.problem), what);
    }
  });

  it('is refused when the bomb is inside what is carried on', async () => {
    const pne = await site.pne(mallory);
    const before = site.rows(mallory.gatewayId);
    const honest = joinOf(mallory, pne);
    const txn = TransactionId(new Uint8Array(16));
    const small = BOMBS.map(([what, bomb]) => [what, bomb.slice(0, 128)] as const);
    for (const [what, bomb] of small)
      for (const field of ['openG', 'openP', 'm1', 'm2'] as const) {
        const body = PnRegistrationRequest.encode({ ...honest.request, [field]: bomb });
        const refusal = await mallory.client.registerPn(txn, body).catch(statusOfError);
        assert.ok(REFUSED.has(String(refusal)), `${what} in ${field}: ${String(refusal)}`);
      }
    const { challenge } = await mallory.client.registerPn(honest.txn, honest.body);
    const [first] = small;
    assert.ok(challenge && first);
    // Step 6 is the PNE's: a bomb there ends the join.
    assert.equal((await mallory.client.respond(honest.txn, first[1])).status, 'malformed');
    assert.equal(site.rows(mallory.gatewayId).registration, before.registration + 1);
  });
});

describe('a gateway that sends full bodies by the thousand', function () {
  this.timeout(60_000);
  const CONNECTIONS = 16;
  const BODIES = 500;
  const dir = mkdtempSync(joinPath(tmpdir(), 'cpns-bombs-'));
  let child: ChildProcess | undefined;
  after(async () => {
    if (child?.exitCode === null) {
      child.kill();
      await once(child, 'exit');
    }
    rmSync(dir, { recursive: true, force: true });
  });

  it('does not make the server grow, and others establish meanwhile', async () => {
    initServer({ stateDir: dir, realm: 'op.example' });
    const program = new URL('../../server/server-child.ts', import.meta.url).pathname;
    child = spawn(process.execPath, ['--import=tsx', program, dir], { stdio: ['ignore', 'pipe', 'inherit'] });
    assert.ok(child.stdout);
    const url = String(((await once(child.stdout, 'data')) as [Buffer])[0]).trim();
    const admin = openServerAdmin(dir);
    for (const user of ['Alice', 'Bob', 'Mallory']) admin.addUser(user);
    const [home, bob, mallory] = await Promise.all(
      ['Alice', 'Bob', 'Mallory'].map((user) => enrolTestGateway(url, admin, user, 'Hall')),
    );
    assert.ok(home && bob && mallory);
    const residentMiB = () =>
      Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${child?.pid}/status`, 'utf8'))?.[1]) / 1_024;
    const full = Buffer.from(request('POST', '/cpns/v1/freshness', times(FULL, 0x81)));
    const one = Buffer.from(full.toString('latin1').replace('connection: close\r\n', ''), 'latin1');
    // Ten a connection: the first refusal for being too many ends it.
    const ten = Buffer.concat([...Array.from({ length: 9 }, () => one), full]);
    const heard = new Map<string, number>();
    let left = BODIES / 10;
    const sender = async () => {
      while (left-- > 0) {
        const socket = connectTls({
          ...{ host: '127.0.0.1', port: Number(new URL(url).port), ca: mallory.caPem },
          ...{ cert: mallory.tls.certPem, key: mallory.tls.keyPem },
        });
        socket.on('error', () => undefined);
        const all = ended(socket);
        socket.write(ten);
        for (const { problem = 'ok' } of readAnswers(await all))
          heard.set(problem, (heard.get(problem) ?? 0) + 1);
      }
    };
    const before = residentMiB();
    let most = before;
    const watch = setInterval(() => {
      most = Math.max(most, residentMiB());
    }, 20);
    let joins = 0;
    try {
      const flood = Promise.all(Array.from({ length: CONNECTIONS }, sender));
      let flooding = true;
      void flood.finally(() => {
        flooding = false;
      });
      while (flooding || joins === 0) {
        const pne = await enrolTestPne(home);
        const join = joinOf(bob, pne);
        const { challenge } = await bob.client.registerPn(join.txn, join.body);
        const { response, joinId, th3 } = join.respond(challenge);
        await bob.client.respond(join.txn, response);
        await home.client.confirm(joinId, sayYes(home.signer, th3));
        assert.ok(admin.audit(hex(join.pnId)).passed);
        joins++;
      }
      await flood;
    } finally {
      clearInterval(watch);
      for (const gateway of [home, bob, mallory]) await gateway.close();
      admin.close();
    }
    assert.ok((heard.get('oversize') ?? 0) > BODIES / 2, JSON.stringify([...heard]));
    // Each connection may hold one body; the rest is what a heap takes before it is swept.
    assert.ok(
      most - before < 150,
      `${Math.round(before)} MiB before, ${Math.round(most)} MiB at the most, ${joins} joins`,
    );
  });
});
