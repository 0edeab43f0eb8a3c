/**
 * A real CPNS server on the loopback interface, with TLS, a valid gateway's identity and real enrolments, given every
 * path and body. Each answer comes in time, has a status that the table names and never `internal`, is the message the
 * route declares or problem details, and what is stored stays within the documented bounds (docs/protocol.md §9–§11).
 */
import assert from 'node:assert/strict';
import { Agent, request as send } from 'node:https';
import { join } from 'node:path';
import { toHex } from '../../../src/base/bytes.ts';
import { STATUSES } from '../../../src/base/statuses.ts';
import { LINK_KINDS } from '../../../src/messages/link.ts';
import { ProblemDetails } from '../../../src/messages/problem.ts';
import { PnRegistrationRequest } from '../../../src/messages/registration.ts';
import { transcript1, transcript2 } from '../../../src/security/key-schedule.ts';
import { createCertificateRequest } from '../../../src/security/x509.ts';
import { connectDatabase } from '../../../src/store/sqlite-driver.ts';
import { SAMPLES } from '../../messages/samples.ts';
import { primitives } from '../../support/join.ts';
import {
  buildEnrolment,
  joinOf,
  ServerKit,
  type TestGateway,
  type TestPne,
} from '../../support/server-kit.ts';
import {
  type Bench,
  byteAt,
  documented,
  type Input,
  part,
  pick,
  type Target,
  UNREADABLE,
} from '../target.ts';

const METHODS = ['PUT', 'POST', 'GET', 'DELETE', 'PATCH', 'HEAD', 'OPTIONS'];
/** `:txn` is computed from the body, `:id` are 16 bytes of the input. */
const PATHS = [
  ...[
    'registrations/:txn',
    'registrations/:txn/response',
    'confirmations/:id',
    'enrolments/:id',
    'enrolments/:id/ack',
  ],
  ...[
    'enrolments',
    'gateways',
    'credential',
    'freshness',
    'channel',
    'health',
    'ready',
    'registrations/:id',
    '',
  ],
];
const TYPES = ['application/cbor', 'application/cbor; charset=x', 'text/plain', ''];
/** Rows that one gateway may make for each request at most; a registration needs a signature of its own. */
const TABLES = [
  'registration',
  'pn',
  'member',
  'evidence',
  'outbox',
  'backoff',
  'pne',
  'gateway',
  'enrolment',
];
const MAX_ROWS = 4_096;
/** Statuses that no request of a client may cause while the server is sound. */
const NEVER = ['internal', 'cannot-persist', 'clock-implausible', 'shutting-down'];

/** The limits of the load are held by test/hostile; here they would only hide what is behind them. */
export const NO_HURRY = { requestsPerGatewayPerSecond: 10_000, handshakesPerAddressPerSecond: 1_000 };

interface Answer {
  readonly httpStatus: number;
  readonly mediaType: string;
  readonly body: Uint8Array;
}

class HttpsBench implements Bench {
  readonly seeds: readonly Input[];
  readonly #kit: ServerKit;
  readonly #agents: readonly Agent[];

  private constructor(kit: ServerKit, gateway: TestGateway, seeds: readonly Input[]) {
    this.#kit = kit;
    this.seeds = seeds;
    const ca = kit.server.caPem;
    const common = { keepAlive: true, maxSockets: 2, ca } as const;
    this.#agents = [
      new Agent({ ...common, cert: gateway.tls.certPem, key: gateway.tls.keyPem }),
      new Agent(common),
    ];
  }

  static async open(): Promise<HttpsBench> {
    const kit = new ServerKit();
    await kit.start({ transportLimits: NO_HURRY });
    for (const user of ['alice', 'bob']) kit.addUser(user);
    const home = await kit.addGateway('alice', 'hall');
    const gateway = await kit.addGateway('bob', 'van');
    return new HttpsBench(kit, gateway, await httpsSeeds(gateway, await kit.addPne(home)));
  }

  /** Parts: [method, path, media type, 1 for no certificate], 16 bytes of an identifier or raw path, body. */
  async run([head, id = part(), body = part()]: Input): Promise<void> {
    const path = this.#path(byteAt(head, 1), id, body);
    const method = pick(METHODS, byteAt(head, 0));
    const stranger = byteAt(head, 3) === 1;
    const answer = await this.#ask(method, path, pick(TYPES, byteAt(head, 2)), body, stranger);
    if (answer) judge(answer, method);
  }

  /** The store keeps within bounds, and an honest request is still served. */
  async audit(): Promise<void> {
    const database = connectDatabase(join(this.#kit.stateDir, 'server.db'));
    try {
      for (const table of TABLES) {
        const { rows } = database.prepare(`SELECT count(*) AS rows FROM ${table}`).get() as { rows: number };
        assert.ok(rows <= MAX_ROWS, `${rows} rows in ${table}`);
      }
    } finally {
      database.close();
    }
    const ready = await this.#ask('GET', '/cpns/v1/ready', '', part(), false);
    assert.equal(ready?.httpStatus, 200, 'the server is not ready any more');
  }

  async close(): Promise<void> {
    for (const agent of this.#agents) agent.destroy();
    await this.#kit.close();
  }

  #path(which: number, id: Uint8Array, body: Uint8Array): string {
    if (which === 255) return `/${Buffer.from(id).toString('latin1')}`;
    const path = pick(PATHS, which);
    const sixteen = new Uint8Array(16);
    sixteen.set(id.subarray(0, 16));
    return `/cpns/v1/${path.replace(':txn', toHex(path.endsWith('response') ? sixteen : (txnOf(body) ?? sixteen))).replace(':id', toHex(sixteen))}`;
  }

  #ask(
    method: string,
    path: string,
    type: string,
    body: Uint8Array,
    stranger: boolean,
  ): Promise<Answer | undefined> {
    return new Promise((resolve, reject) => {
      const { port } = new URL(this.#kit.server.url);
      const headers = { ...(type !== '' && { 'content-type': type }), 'content-length': body.length };
      let request: ReturnType<typeof send>;
      try {
        request = send({
          host: '127.0.0.1',
          servername: 'localhost',
          port,
          method,
          path,
          headers,
          agent: this.#agents[stranger ? 1 : 0],
        });
      } catch {
        // Node's own client refuses such a path.
        return resolve(undefined);
      }
      request.on('error', (error: Error & { code?: string }) => {
        // The server may close on a body that it does not want to read.
        if (error.code === 'EPIPE' || error.code === 'ECONNRESET') resolve(undefined);
        else reject(error);
      });
      request.on('upgrade', (_response, socket) => {
        socket.destroy();
        resolve(undefined);
      });
      request.on('response', (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('error', reject);
        response.on('end', () =>
          resolve({
            httpStatus: response.statusCode ?? 0,
            mediaType: response.headers['content-type'] ?? '',
            body: new Uint8Array(Buffer.concat(chunks)),
          }),
        );
      });
      request.end(body);
    });
  }
}

function judge({ httpStatus, mediaType, body }: Answer, method: string): void {
  if (httpStatus < 300 || method === 'HEAD') return;
  // Node's own parser, before any of ours: no HTTP, or headers too long.
  if (body.length === 0 && [400, 408, 431].includes(httpStatus)) return;
  assert.equal(
    mediaType,
    'application/concise-problem-details+cbor',
    `${httpStatus} without problem details`,
  );
  const { status } = ProblemDetails.decode(body);
  assert.ok(status.name in STATUSES, `unknown status ${status.name}`);
  assert.ok(!NEVER.includes(status.name), `answered ${status.name}`);
  assert.equal(
    httpStatus,
    STATUSES[status.name as keyof typeof STATUSES].http,
    'HTTP status of another status',
  );
}

function txnOf(body: Uint8Array): Uint8Array | undefined {
  const request = documented(UNREADABLE, () => PnRegistrationRequest.decode(body));
  if (!request) return undefined;
  const th1 = transcript1(primitives, LINK_KINDS.establish, request.openG, request.openP);
  return transcript2(primitives, th1, request.m1, request.m2).slice(0, 16);
}

async function httpsSeeds(gateway: TestGateway, pne: TestPne): Promise<Input[]> {
  const of = (method: string, path: string, id: Uint8Array, body: Uint8Array, stranger = 0): Input => [
    part(METHODS.indexOf(method), PATHS.indexOf(path), 0, stranger),
    id,
    body,
  ];
  const join = joinOf(gateway, pne);
  const { nonce, request } = await buildEnrolment(gateway, gateway.signer);
  const sample = (name: string) => {
    const found = SAMPLES.find(({ message }) => message.name === name);
    if (!found) throw new TypeError(`no sample of ${name}`);
    return found;
  };
  const encoded = (name: string) => [
    sample(name).message.encode(sample(name).minimal),
    sample(name).message.encode(sample(name).maximal),
  ];
  const csr = createCertificateRequest(gateway.signer, 'van');
  const credential = sample('CredentialRequest').message.encode({ certificationRequest: csr });
  const id = new Uint8Array(16);
  return [
    of('PUT', 'registrations/:txn', id, join.body),
    ...encoded('PnRegistrationRequest').map((body) => of('PUT', 'registrations/:txn', id, body)),
    ...encoded('AuthenticationRelay').map((body) => of('PUT', 'registrations/:txn/response', join.txn, body)),
    of('GET', 'registrations/:id', join.txn, part()),
    ...encoded('ConfirmationBody').map((body) => of('PUT', 'confirmations/:id', id, body)),
    of('POST', 'enrolments', id, part(0xa0)),
    of('PUT', 'enrolments/:id', nonce, sample('EnrolmentRequest').message.encode(request)),
    of('PUT', 'enrolments/:id/ack', nonce, part(0xa1, 1, 0)),
    ...encoded('FreshnessRequest').map((body) => of('POST', 'freshness', id, body)),
    ...encoded('GatewayEnrolRequest').map((body) => of('POST', 'gateways', id, body, 1)),
    of('POST', 'credential', id, credential),
    ...['channel', 'health', 'ready', ''].map((path) => of('GET', path, id, part())),
    of('POST', 'freshness', id, new Uint8Array(65_537)),
    [part(2, 255, 0, 0), new Uint8Array(Buffer.from('cpns/v1/registrations/../ready?x=%00'))],
  ];
}

export const httpsTarget: Target = {
  name: 'https',
  about: 'every path and body against the real server, as a gateway and as a stranger',
  sources: ['https/server', 'https/problem', 'nodes/server', 'establishment/server'],
  cpuMs: 250,
  waitMs: 2_000,
  allocBytes: 32 * 1024 * 1024,
  weight: 2,
  open: () => HttpsBench.open(),
};
