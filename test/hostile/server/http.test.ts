/**
 * A client that speaks HTTP crookedly: requests that two parsers would cut differently, paths that name another route
 * after somebody's normalisation, media types and encodings that don't belong, headers beyond all bounds. One request gets
 * one refusal; nothing behind it on the same connection is ever answered as a request of its own.
 */
import assert from 'node:assert/strict';
import { EnrolmentBegin } from '../../../src/messages/enrolment.ts';
import type { TestGateway } from '../../support/server-kit.ts';
import { request, Site } from './site.ts';

const CBOR = 'Content-Type: application/cbor';
/** A request that would be seen in the database. */
const HIDDEN = `POST /cpns/v1/enrolments HTTP/1.1\r\nHost: c\r\n${CBOR}\r\nContent-Length: 1\r\n\r\n\xa0`;
const post = (headers: readonly string[], body: string) =>
  `POST /cpns/v1/freshness HTTP/1.1\r\nHost: c\r\n${[CBOR, ...headers].join('\r\n')}\r\n\r\n${body}`;
const chunk = (text: string) => `${text.length.toString(16)}\r\n${text}\r\n`;

/** What is written on one connection, and what its one answer may be. */
const SMUGGLED: readonly [string, string, readonly number[]][] = [
  [
    'length and chunks',
    post(['Content-Length: 4', 'Transfer-Encoding: chunked'], `0\r\n\r\n${HIDDEN}`),
    [400],
  ],
  [
    'chunks and length',
    post(['Transfer-Encoding: chunked', 'Content-Length: 6'], `0\r\n\r\n${HIDDEN}`),
    [400],
  ],
  [
    'two lengths',
    post(['Content-Length: 1', `Content-Length: ${HIDDEN.length + 1}`], `\xa0${HIDDEN}`),
    [400],
  ],
  ['a list of lengths', post([`Content-Length: 1, ${HIDDEN.length + 1}`], `\xa0${HIDDEN}`), [400]],
  ['a length with a sign', post(['Content-Length: +1'], `\xa0${HIDDEN}`), [400]],
  ['a length in hex', post(['Content-Length: 0x1'], `\xa0${HIDDEN}`), [400]],
  ['an obscured coding', post(['Transfer-Encoding: xchunked'], `0\r\n\r\n${HIDDEN}`), [400]],
  ['two codings', post(['Transfer-Encoding: chunked, identity'], `0\r\n\r\n${HIDDEN}`), [400]],
  ['a space before the colon', post(['Transfer-Encoding : chunked'], `0\r\n\r\n${HIDDEN}`), [400]],
  ['a folded header', post(['Transfer-Encoding:', '\tchunked'], `0\r\n\r\n${HIDDEN}`), [400]],
  ['bare line feeds', post(['X: y\nTransfer-Encoding: chunked'], `0\n\n${HIDDEN}`), [400]],
  [
    'a chunk longer than it says',
    post(['Transfer-Encoding: chunked'], `1\r\n\xa0\xa0\xa0\r\n0\r\n\r\n${HIDDEN}`),
    [400],
  ],
  ['a chunk of 2^64', post(['Transfer-Encoding: chunked'], `10000000000000000\r\n${HIDDEN}`), [400]],
  ['a chunk size with a sign', post(['Transfer-Encoding: chunked'], `-1\r\n${HIDDEN}`), [400]],
  ['a nul in a header', post(['X: a\0b'], HIDDEN), [400]],
  ['HTTP/0.9', `GET /cpns/v1/health\r\n\r\n${HIDDEN}`, [400]],
  ['HTTP/2 in clear', `PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n${HIDDEN}`, [400]],
  [
    'a body for GET',
    `GET /cpns/v1/health HTTP/1.1\r\nHost: c\r\nConnection: close\r\nContent-Length: ${HIDDEN.length}\r\n\r\n${HIDDEN}`,
    [400],
  ],
  ['CONNECT', `CONNECT other:443 HTTP/1.1\r\nHost: c\r\n\r\n${HIDDEN}`, [400, 404, 405]],
  [
    'an upgrade to h2c',
    `GET /cpns/v1/health HTTP/1.1\r\nHost: c\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n${HIDDEN}`,
    [404],
  ],
  [
    'an upgrade of a POST',
    `POST /cpns/v1/channel HTTP/1.1\r\nHost: c\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: cpns1\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n${HIDDEN}`,
    [400, 404, 405, 409],
  ],
  ['9 kB of path', `GET /cpns/v1/${'a'.repeat(9_000)} HTTP/1.1\r\nHost: c\r\n\r\n${HIDDEN}`, [400]],
  ['9 kB of headers', post([`X: ${'y'.repeat(9_000)}`], HIDDEN), [400]],
  ['3,000 headers', post(['Connection: close', ...Array.from({ length: 3_000 }, () => 'a:')], HIDDEN), [400]],
  [
    '20 kB of chunk extensions',
    post(['Transfer-Encoding: chunked'], `1;${'e'.repeat(20_000)}\r\n\xa0\r\n0\r\n\r\n${HIDDEN}`),
    [400, 413],
  ],
  [
    '20 kB of trailers',
    post(['Transfer-Encoding: chunked'], `${chunk('\xa0')}0\r\nX: ${'y'.repeat(20_000)}\r\n\r\n${HIDDEN}`),
    [400],
  ],
  [
    'an expectation',
    post(['Connection: close', 'Expect: the-impossible', 'Content-Length: 1'], '\xa0'),
    [400],
  ],
];

/** Method and target, and the one answer. */
const PATHS: readonly [string, string, number, string][] = [
  ['GET', '//cpns/v1/health', 404, 'not-found'],
  ['GET', '/cpns/v1//health', 404, 'not-found'],
  ['GET', '/cpns/v1/health/', 404, 'not-found'],
  ['GET', '/cpns/v1/./health', 404, 'not-found'],
  ['GET', '/cpns/v1/x/../health', 404, 'not-found'],
  ['GET', '/cpns/v1/%68ealth', 404, 'not-found'],
  ['GET', '/cpns/v1/health%00', 404, 'not-found'],
  ['GET', '/cpns/v1/health;x', 404, 'not-found'],
  ['GET', '/cpns/v1/health?', 404, 'not-found'],
  ['GET', '\\cpns\\v1\\health', 400, ''],
  ['GET', 'https://cpns/cpns/v1/health', 404, 'not-found'],
  ['GET', '/CPNS/v1/health', 404, 'not-found'],
  ['GET', `/cpns/v1/registrations/${'0'.repeat(32)}/../../health`, 404, 'not-found'],
  ['GET', `/cpns/v1/registrations/${'%30'.repeat(32)}`, 404, 'not-found'],
  ['GET', '/cpns/v1/registrations/{txn}', 404, 'not-found'],
  ['GET', '/cpns/v1/__proto__', 404, 'not-found'],
  ['PUT', `/cpns/v1/registrations/${'0'.repeat(32)}/constructor`, 404, 'not-found'],
  ['DELETE', `/cpns/v1/registrations/${'0'.repeat(32)}`, 409, 'unexpected-message'],
  ['TRACE', '/cpns/v1/health', 409, 'unexpected-message'],
  ['OPTIONS', '*', 404, 'not-found'],
];

describe('a client that speaks HTTP crookedly', function () {
  this.timeout(30_000);
  let site: Site;
  let mallory: TestGateway;

  before(async () => {
    site = await Site.open({ headersMs: 1_000, requestMs: 1_500 });
    mallory = await site.gateway('Mallory');
  });
  after(() => site.close());

  it('gets one answer a connection, and smuggles nothing past it', async () => {
    await site.honest.during(() =>
      Promise.all(
        SMUGGLED.map(async ([what, text, allowed]) => {
          const bytes = new Uint8Array(Buffer.from(text, 'latin1'));
          const late = new Promise<never>((_, reject) => {
            setTimeout(() => reject(new Error(`${what}: the connection stays`)), 15_000).unref();
          });
          const answers = await Promise.race([site.write(bytes, mallory), late]);
          assert.ok(answers.length <= 1, `${what}: ${answers.length} answers`);
          const [answer] = answers;
          // Some are not worth an answer: the connection just ends.
          if (answer) assert.ok(allowed.includes(answer.httpStatus), `${what}: ${answer.httpStatus}`);
        }),
      ),
    );
    assert.equal(site.rows(mallory.gatewayId).enrolment, 0, 'a hidden request was served');
    // The same one in the open is.
    const [begun] = await site.write(
      request('POST', '/cpns/v1/enrolments', EnrolmentBegin.encode({})),
      mallory,
    );
    assert.equal(begun?.httpStatus, 201);
    assert.equal(site.rows(mallory.gatewayId).enrolment, 1);
  });

  it('finds no other way to a route than its own path', async () => {
    for (const [method, path, httpStatus, problem] of PATHS) {
      const text = `${method} ${path} HTTP/1.1\r\nHost: c\r\nConnection: close\r\n\r\n`;
      const [answer] = await site.write(text, mallory);
      assert.equal(answer?.httpStatus, httpStatus, path);
      assert.equal(answer.problem ?? '', problem, path);
    }
  });

  it('has no body taken under another media type or in another coding', async () => {
    const begin = (type: string, more: readonly string[] = []) => {
      const text = `POST /cpns/v1/enrolments HTTP/1.1\r\nHost: c\r\nConnection: close\r\n${[`Content-Type: ${type}`, 'Content-Length: 1', ...more].join('\r\n')}\r\n\r\n\xa0`;
      return site.write(new Uint8Array(Buffer.from(text, 'latin1')), mallory);
    };
    const before = site.rows(mallory.gatewayId).enrolment;
    for (const type of [
      'application/json',
      'text/html',
      'application/cbor-seq',
      'multipart/form-data; boundary=application/cbor',
      '',
    ])
      assert.equal((await begin(type))[0]?.problem, 'malformed', type);
    for (const coding of ['gzip', 'br', 'deflate', 'x'])
      assert.equal(
        (await begin('application/cbor', [`Content-Encoding: ${coding}`]))[0]?.problem,
        'malformed',
        coding,
      );
    assert.equal(site.rows(mallory.gatewayId).enrolment, before);
    assert.equal((await begin('Application/CBOR; x=y'))[0]?.httpStatus, 201);
  });
});
