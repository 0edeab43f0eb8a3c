/**
 * One HTTPS exchange with the CPNS server: TLS 1.3, a pool of kept connections, a deadline a call, a bound on answers,
 * and errors made into statuses. Knows no route and no message but the problem details (RFC 9290).
 * Source: docs/protocol.md §9.
 */

import type { IncomingMessage } from 'node:http';
import { Agent, type RequestOptions, request as send } from 'node:https';
import type { Bytes } from '../base/bytes.ts';
import { CpnsError } from '../base/errors.ts';
import type { Status } from '../base/statuses.ts';
import { PROBLEM_MEDIA_TYPE, ProblemDetails } from '../messages/problem.ts';
import { ServerProblem } from './server-client-retry.ts';

export const CBOR_MEDIA_TYPE = 'application/cbor';
export const API_PATH = '/cpns/v1/';
/** Longest body either way. */
export const MAX_BODY_BYTES = 65_536;
export const DEFAULT_DEADLINE_MS = 10_000;
const MAX_SOCKETS = 8;
/** Below the 60 s after which servers and NAT boxes forget an idle connection. */
const IDLE_SOCKET_MS = 45_000;

export interface TlsIdentity {
  /** The gateway's certificate, PEM. */
  readonly certPem: string;
  /** Its private key, PEM; never logged. */
  readonly keyPem: string;
}

export interface ServerAddress {
  /** `https://host[:port]`, without a path. */
  readonly baseUrl: string;
  /** The only CA the server is believed under, PEM. */
  readonly caPem: string;
  /** Absent only for the enrolment of the gateway itself. */
  readonly identity?: TlsIdentity;
}

export interface CallOptions {
  readonly signal?: AbortSignal | undefined;
  /** Milliseconds from the call to the end of the answer; default 10 s. */
  readonly deadlineMs?: number | undefined;
}

export interface Answer {
  readonly httpStatus: number;
  readonly body: Bytes;
}

export type Method = 'GET' | 'PUT' | 'POST';

/** The origin of a server's address. @throws TypeError when it is not `https://host[:port]` */
export function parseBaseUrl(text: string): URL {
  const url = new URL(text);
  const bare = url.pathname === '/' && !url.search && !url.hash && !url.username && !url.password;
  if (url.protocol !== 'https:' || !bare) throw new TypeError('server address is not https://host[:port]');
  return url;
}

/** TLS options that hold for every connection to the server, the channel included. */
export function tlsOptions({ caPem, identity }: Pick<ServerAddress, 'caPem' | 'identity'>) {
  return {
    minVersion: 'TLSv1.3',
    ca: caPem,
    rejectUnauthorized: true,
    ...(identity ? { cert: identity.certPem, key: identity.keyPem } : {}),
  } as const;
}

export class HttpsTransport {
  readonly #base: URL;
  readonly #caPem: string;
  #agent: Agent;

  constructor(address: ServerAddress) {
    this.#base = parseBaseUrl(address.baseUrl);
    this.#caPem = address.caPem;
    this.#agent = newAgent(address);
  }

  /** From now on calls are made with this certificate; those under way end with the old one. */
  useIdentity(identity: TlsIdentity): void {
    const old = this.#agent;
    this.#agent = newAgent({ caPem: this.#caPem, identity });
    // Only idle sockets: destroy() would cut calls that are under way. Those close by themselves when they become idle.
    for (const sockets of Object.values(old.freeSockets))
      for (const socket of sockets ?? []) socket.destroy();
    old.maxFreeSockets = 0;
  }

  /**
   * One request and its whole answer.
   * @throws CpnsError server-unreachable (network, TLS or a broken gateway in between), timeout (deadline),
   * shutting-down (called off), not-authenticated, malformed, oversize; ServerProblem with what the server says
   */
  exchange(method: Method, path: string, body?: Bytes, options: CallOptions = {}): Promise<Answer> {
    const { signal, deadlineMs = DEFAULT_DEADLINE_MS } = options;
    if (signal?.aborted) return Promise.reject(new CpnsError('shutting-down'));
    return new Promise((resolve, reject) => {
      const request = send(new URL(API_PATH + path, this.#base), this.#requestOptions(method, body));
      const fail = (error: Error) => {
        end();
        request.destroy();
        reject(error);
      };
      const callOff = () => fail(new CpnsError('shutting-down'));
      const timer = setTimeout(
        () => fail(new CpnsError('timeout', 'the server did not answer in time')),
        deadlineMs,
      );
      const end = () => {
        clearTimeout(timer);
        signal?.removeEventListener('abort', callOff);
      };
      signal?.addEventListener('abort', callOff);
      request.on('error', (error) => fail(networkError(error)));
      request.on('response', (response) => {
        readAnswer(response).then((answer) => {
          end();
          resolve(answer);
        }, fail);
      });
      request.end(body);
    });
  }

  close(): void {
    this.#agent.destroy();
  }

  #requestOptions(method: Method, body: Bytes | undefined): RequestOptions {
    return {
      method,
      agent: this.#agent,
      headers: {
        accept: `${CBOR_MEDIA_TYPE}, ${PROBLEM_MEDIA_TYPE}`,
        ...(body ? { 'content-type': CBOR_MEDIA_TYPE, 'content-length': body.length } : {}),
      },
    };
  }
}

function newAgent(address: Pick<ServerAddress, 'caPem' | 'identity'>): Agent {
  return new Agent({
    ...tlsOptions(address),
    keepAlive: true,
    maxSockets: MAX_SOCKETS,
    timeout: IDLE_SOCKET_MS,
  });
}

/** The whole answer when it is a success in CBOR. @throws CpnsError as {@link HttpsTransport.exchange} */
export async function readAnswer(response: IncomingMessage): Promise<Answer> {
  const httpStatus = response.statusCode ?? 0;
  const body = await readBody(response);
  const mediaType = (response.headers['content-type'] ?? '').split(';', 1)[0]?.trim().toLowerCase();
  if (httpStatus >= 400) throw problemOf(httpStatus, mediaType === PROBLEM_MEDIA_TYPE ? body : undefined);
  if (httpStatus < 200 || httpStatus >= 300) throw new CpnsError('malformed', `HTTP status ${httpStatus}`);
  if (mediaType !== CBOR_MEDIA_TYPE) throw new CpnsError('malformed', 'answer is not application/cbor');
  return { httpStatus, body };
}

async function readBody(response: IncomingMessage): Promise<Bytes> {
  const chunks: Buffer[] = [];
  let length = 0;
  try {
    for await (const chunk of response as AsyncIterable<Buffer>) {
      length += chunk.length;
      if (length > MAX_BODY_BYTES) throw new CpnsError('oversize', 'answer longer than 65,536 bytes');
      chunks.push(chunk);
    }
  } catch (error) {
    throw error instanceof CpnsError ? error : networkError(error);
  }
  return new Uint8Array(Buffer.concat(chunks));
}

/** Something between us and the server may answer in its place, so a bare HTTP status has to do as well. */
function problemOf(httpStatus: number, body: Bytes | undefined): CpnsError {
  if (body) {
    try {
      const { status } = ProblemDetails.decode(body);
      return new ServerProblem(status.code, status.retryAfterSeconds);
    } catch {
      // Fall through: the HTTP status still says something.
    }
  }
  return new CpnsError(statusOfHttp(httpStatus), `HTTP status ${httpStatus} without problem details`);
}

function statusOfHttp(httpStatus: number): Status {
  if (httpStatus >= 500) return 'server-unreachable';
  if (httpStatus === 401) return 'not-authenticated';
  if (httpStatus === 404) return 'not-found';
  if (httpStatus === 413) return 'oversize';
  if (httpStatus === 429) return 'too-many-requests';
  return 'malformed';
}

/**
 * What a failed connection means. A server certificate that does not verify counts as unreachable: whoever answered was
 * not the server, and the server may well be back later.
 */
export function networkError(cause: unknown): CpnsError {
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : 'unknown';
  // The server's alert about our certificate; in TLS 1.3 it comes after the handshake looked finished.
  if (/^ERR_SSL_.*ALERT_.*(CERTIFICATE|UNKNOWN_CA|ACCESS_DENIED)/.test(code))
    return new CpnsError('not-authenticated', code, { cause });
  return new CpnsError('server-unreachable', code, { cause });
}
