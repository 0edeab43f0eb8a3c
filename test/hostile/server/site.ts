/**
 * Where attacks on the server happen: a real server with real nodes that go about their honest business
 * (test/hostile/honest.ts), and beside them gateways that speak the protocol by hand. Owns what attackers need: to enrol,
 * to write raw bytes over TLS, and to look at what the server keeps of them.
 */

import { once } from 'node:events';
import { get } from 'node:http';
import { join } from 'node:path';
import { type ConnectionOptions, connect as connectTls, type TLSSocket } from 'node:tls';
import { type ClientOptions, WebSocket } from 'ws';
import type { Bytes } from '../../../src/base/bytes.ts';
import type { GatewayId } from '../../../src/base/ids.ts';
import { CBOR_MEDIA_TYPE } from '../../../src/https/server-routes.ts';
import { PROBLEM_MEDIA_TYPE, ProblemDetails } from '../../../src/messages/problem.ts';
import { openServerAdmin, type ServerAdmin } from '../../../src/nodes/server/admin.ts';
import type { ServerOptions } from '../../../src/nodes/server/server.ts';
import { SERVER_MIGRATIONS } from '../../../src/store/server-schema.ts';
import { openDatabase } from '../../../src/store/sqlite.ts';
import { Statements } from '../../../src/store/statements.ts';
import {
  enrolTestGateway,
  enrolTestPne,
  ShiftedClock,
  type TestGateway,
  type TestPne,
} from '../../support/server-kit.ts';
import { Honest } from '../honest.ts';

/** Tables that name the gateway a row is about. What is counted for quotas is no state of an attack. */
const TABLES = ['registration', 'pn', 'evidence', 'backoff', 'outbox', 'enrolment'] as const;

export type Rows = Readonly<Record<(typeof TABLES)[number] | 'pne', number>>;

/** One HTTP answer as read off a socket. */
export interface RawAnswer {
  readonly httpStatus: number;
  /** Name of the status in the problem; undefined when the answer is none. */
  readonly problem: string | undefined;
  readonly retryAfter: string | undefined;
}

/** What node:net takes of a connection as well. */
export type DialOptions = ConnectionOptions & {
  readonly localAddress?: string;
  readonly allowHalfOpen?: boolean;
};

export class Site {
  readonly honest: Honest;
  readonly clock: ShiftedClock;
  readonly admin: ServerAdmin;
  readonly #sql: Statements;
  readonly #gateways: TestGateway[] = [];

  private constructor(honest: Honest, clock: ShiftedClock) {
    this.honest = honest;
    this.clock = clock;
    this.admin = openServerAdmin(honest.network.serverDir, clock);
    const file = join(honest.network.serverDir, 'server.db');
    this.#sql = new Statements(openDatabase(file, SERVER_MIGRATIONS, { skipIntegrityCheck: true }));
  }

  /** @param offsetSeconds of the server's clock against the host's; certificates have to hold by both */
  static async open(server: Partial<ServerOptions> = {}, offsetSeconds = 0): Promise<Site> {
    const clock = new ShiftedClock();
    clock.offsetSeconds = offsetSeconds;
    return new Site(await Honest.open({ server: { clock, metricsPort: 0, ...server } }), clock);
  }

  get url(): string {
    return this.honest.network.server.url;
  }

  get port(): number {
    return Number(new URL(this.url).port);
  }

  get caPem(): string {
    return this.honest.network.server.caPem;
  }

  /** A gateway of its own user, added when new. */
  async gateway(user: string, label = 'Cellar'): Promise<TestGateway> {
    if (!this.admin.users().some((known) => known.label === user)) this.admin.addUser(user);
    const gateway = await enrolTestGateway(this.url, this.admin, user, label);
    this.#gateways.push(gateway);
    return gateway;
  }

  pne(home: TestGateway): Promise<TestPne> {
    return enrolTestPne(home);
  }

  /** Channels stay down afterwards. */
  async restart(): Promise<void> {
    await this.honest.network.server.close();
    await this.honest.network.startServer();
    for (const gateway of this.#gateways) gateway.redial(this.url);
  }

  /** Rows that name this gateway as the one that brought them, and its user's PNEs. */
  rows(gatewayId: GatewayId): Rows {
    const count = (sql: string) => this.#sql.one<{ n: number }>(sql, gatewayId)?.n ?? 0;
    const counted = TABLES.map((table) => [
      table,
      count(`SELECT count(*) AS n FROM ${table} WHERE gateway_id = ?`),
    ]);
    const pne = `SELECT count(*) AS n FROM pne WHERE user_id = (SELECT user_id FROM gateway WHERE gateway_id = ?)`;
    return Object.fromEntries([...counted, ['pne', count(pne)]]) as Rows;
  }

  /** A figure of the server's own; 0 when there is none yet. @param name with its labels, as Prometheus writes it */
  async metric(name: string): Promise<number> {
    const port = this.honest.network.server.metricsPort;
    const text = await new Promise<string>((resolve, reject) => {
      get({ host: '127.0.0.1', port, path: '/metrics', agent: false }, (response) => {
        let all = '';
        response.setEncoding('utf8');
        response.on('data', (chunk: string) => {
          all += chunk;
        });
        response.on('end', () => resolve(all));
      }).on('error', reject);
    });
    const line = text.split('\n').find((candidate) => candidate.startsWith(`${name} `));
    return Number(line?.slice(name.length + 1) ?? 0);
  }

  /** A TLS connection; without a gateway, one of a stranger. */
  dial(gateway?: TestGateway, options: DialOptions = {}): Promise<TLSSocket> {
    return new Promise((resolve, reject) => {
      const identity = gateway && { cert: gateway.tls.certPem, key: gateway.tls.keyPem };
      const socket = connectTls(
        { host: '127.0.0.1', port: this.port, ca: this.caPem, ...identity, ...options },
        () => {
          socket.off('error', reject);
          socket.on('error', () => undefined);
          resolve(socket);
        },
      );
      socket.once('error', reject);
    });
  }

  /** Writes bytes on a connection of its own; settles when the server has ended it. */
  async write(bytes: string | Bytes, gateway?: TestGateway): Promise<readonly RawAnswer[]> {
    const socket = await this.dial(gateway);
    const heard = ended(socket);
    socket.write(bytes);
    return readAnswers(await heard);
  }

  async close(): Promise<void> {
    for (const gateway of this.#gateways) await gateway.close();
    this.#sql.database.close();
    this.admin.close();
    await this.honest.close();
  }
}

/** An open channel of a gateway, driven by hand. */
export async function channel(
  site: Site,
  gateway: TestGateway,
  options: ClientOptions = {},
): Promise<WebSocket> {
  const socket = new WebSocket(`${site.url.replace('https', 'wss')}/cpns/v1/channel`, 'cpns1', {
    ...{ ca: gateway.caPem, cert: gateway.tls.certPem, key: gateway.tls.keyPem },
    perMessageDeflate: false,
    ...options,
  });
  await once(socket, 'open');
  socket.on('error', () => undefined);
  return socket;
}

/** All that came until the end of a connection. */
export function ended(socket: TLSSocket): Promise<Buffer> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    socket.on('data', (chunk: Buffer) => chunks.push(chunk));
    socket.once('close', () => resolve(Buffer.concat(chunks)));
  });
}

/** A request with a body in CBOR, as text and bytes; the connection ends with the answer. */
export function request(
  method: string,
  path: string,
  body: Bytes = new Uint8Array(),
  headers: readonly string[] = [],
): Bytes {
  const head = [
    `${method} ${path} HTTP/1.1`,
    'host: cpns',
    'connection: close',
    `content-type: ${CBOR_MEDIA_TYPE}`,
    `content-length: ${body.length}`,
    ...headers,
  ].join('\r\n');
  return new Uint8Array(Buffer.concat([Buffer.from(`${head}\r\n\r\n`, 'latin1'), body]));
}

/** The answers in what a connection brought; a body is expected to be as long as it says. */
export function readAnswers(all: Buffer): readonly RawAnswer[] {
  const answers: RawAnswer[] = [];
  for (let rest = all; rest.length > 0; ) {
    const end = rest.indexOf('\r\n\r\n');
    if (end < 0) break;
    const head = rest.subarray(0, end).toString('latin1');
    const header = (name: string) => new RegExp(`^${name}: (.*)$`, 'im').exec(head)?.[1]?.trim();
    const length = Number(header('content-length') ?? 0);
    const body = rest.subarray(end + 4, end + 4 + length);
    answers.push({
      httpStatus: Number(/^HTTP\/1\.1 (\d{3})/.exec(head)?.[1] ?? 0),
      problem:
        header('content-type') === PROBLEM_MEDIA_TYPE
          ? ProblemDetails.decode(new Uint8Array(body)).status.code
          : undefined,
      retryAfter: header('retry-after'),
    });
    rest = rest.subarray(end + 4 + length);
  }
  return answers;
}
