/**
 * The HTTPS server: TLS 1.3 only, bounded in every direction, requests matched to the table of routes, refusals as
 * problem details, the upgrade to a channel. Owns transport; must not know what a route does.
 * Source: docs/protocol.md §9.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { type WebSocket, WebSocketServer } from 'ws';
import type { Bytes } from '../base/bytes.ts';
import { CpnsError } from '../base/errors.ts';
import { closeServer } from './close-server.ts';
import { problemOf } from './problem.ts';
import { Admission, type AdmissionOptions } from './server-admission.ts';
import { CHANNEL_SUBPROTOCOL, MAX_CHUNKS, MAX_FRAGMENTS, MAX_FRAME_BYTES } from './server-channel.ts';
import { type Answer, API_PATH, CBOR_MEDIA_TYPE, matchRoute, type Route } from './server-routes.ts';

/** Longest body, bytes. */
export const MAX_BODY_BYTES = 65_536;
const MAX_HEADER_BYTES = 8_192;
const HEADERS_MS = 10_000;
const REQUEST_MS = 15_000;
const HANDSHAKE_MS = 10_000;
/** Longer than a gateway keeps an idle connection, so that it is the gateway that closes it. */
const KEEP_ALIVE_MS = 60_000;
/** HTTP status of what came too often; the connection that brought it ends. */
const TOO_MANY = 429;
const CONTINUE = '100-continue';
const CLOSE_GRACE_MS = 2_000;
/** For the last words on a connection; a peer that does not take them keeps it no longer. */
const LAST_WORDS_MS = 1_000;

export interface ServerTls {
  readonly keyPem: string;
  /** Leaf first, then the CA. */
  readonly certPem: string;
  /** The CA of the clients' certificates. */
  readonly caPem: string;
}

export interface HttpsServerOptions<Caller> extends AdmissionOptions {
  readonly host: string;
  /** 0 for any free port. */
  readonly port: number;
  readonly tls: ServerTls;
  readonly routes: readonly Route<Caller>[];
  /** Who calls, in good standing. @throws CpnsError not-authenticated, unknown-gateway, revoked-gateway, revoked-user */
  readonly callerOf: (request: IncomingMessage) => Caller;
  /** A stand-in for the caller where none is asked for. */
  readonly nobody: Caller;
  /** Takes over the channel of a caller. */
  readonly onChannel: (caller: Caller, channel: WebSocket) => void;
  readonly onRequest?: (seen: Seen) => void;
  /** Milliseconds for the TLS handshake, the headers, and the whole request; defaults 10 s, 10 s and 15 s. */
  readonly handshakeMs?: number;
  readonly headersMs?: number;
  readonly requestMs?: number;
}

/** One handled request, for log and metrics; holds nothing the peer chose but a path that matched. */
export interface Seen {
  readonly route: string;
  readonly httpStatus: number;
  readonly durationMs: number;
  readonly error?: unknown;
}

export interface HttpsServer {
  readonly url: string;
  readonly isListening: boolean;
  /** New connections get this certificate. */
  useTls(tls: ServerTls): void;
  close(): Promise<void>;
}

/** Listens; resolves when connections are taken. */
export async function openHttpsServer<Caller>(options: HttpsServerOptions<Caller>): Promise<HttpsServer> {
  const admission = new Admission(options);
  const front = new Front(options, admission);
  const server = createServer(
    {
      ...secureContext(options.tls),
      requestCert: true,
      // Checked for each request, so that a stranger hears a status and not only a TLS alert.
      rejectUnauthorized: false,
      handshakeTimeout: options.handshakeMs ?? HANDSHAKE_MS,
      maxHeaderSize: MAX_HEADER_BYTES,
      headersTimeout: options.headersMs ?? HEADERS_MS,
      requestTimeout: options.requestMs ?? REQUEST_MS,
      keepAliveTimeout: KEEP_ALIVE_MS,
      connectionsCheckingInterval: Math.min(1_000, options.headersMs ?? HEADERS_MS),
    },
    (request, response) => void front.answer(request, response),
  );
  admission.guard(server);
  // Any expectation but the usual one is refused as everything else is, and not by a bare 417.
  server.on('checkExpectation', (request, response) => void front.answer(request, response));
  server.on('upgrade', (request, socket, head) => front.upgrade(request, socket, head));
  // A handshake that fails, or bytes that are no HTTP, concern their connection only.
  server.on('tlsClientError', (_error, socket) => socket.destroy());
  server.on('clientError', (_error, socket) => endBadly(socket));
  await listen(server, options.host, options.port);
  const { port } = server.address() as AddressInfo;
  const host = options.host.includes(':') ? `[${options.host}]` : options.host;
  return {
    url: `https://${host}:${port}`,
    get isListening() {
      return server.listening;
    },
    useTls: (tls) => server.setSecureContext(secureContext(tls)),
    close: () => closeServer(server, CLOSE_GRACE_MS),
  };
}

function secureContext({ keyPem, certPem, caPem }: ServerTls) {
  return { key: keyPem, cert: certPem, ca: caPem, minVersion: 'TLSv1.3' } as const;
}

function listen(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, () => {
      server.off('error', reject);
      resolve();
    });
  });
}

function endBadly(socket: Duplex): void {
  if (socket.writable) endWith(socket, 'HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n');
  else socket.destroy();
}

/** Last words, and the end: sockets of an HTTP server stay half open for as long as the peer likes. */
function endWith(socket: Duplex, words: string | Bytes): void {
  const end = () => socket.destroy();
  socket.end(words, end);
  setTimeout(end, LAST_WORDS_MS).unref();
}

class Front<Caller> {
  readonly #options: HttpsServerOptions<Caller>;
  readonly #admission: Admission;
  readonly #sockets = new WebSocketServer({
    noServer: true,
    maxPayload: MAX_FRAME_BYTES,
    maxFragments: MAX_FRAGMENTS,
    maxBufferedChunks: MAX_CHUNKS,
    perMessageDeflate: false,
    clientTracking: false,
    handleProtocols: (offered) => (offered.has(CHANNEL_SUBPROTOCOL) ? CHANNEL_SUBPROTOCOL : false),
  });

  constructor(options: HttpsServerOptions<Caller>, admission: Admission) {
    this.#options = options;
    this.#admission = admission;
  }

  async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const startedMs = performance.now();
    let route = 'none';
    let failure: unknown;
    try {
      const answer = await this.#handle(request, (found) => {
        route = found;
      });
      respond(response, answer.httpStatus, { 'content-type': CBOR_MEDIA_TYPE }, answer.body);
    } catch (error) {
      failure = error;
      const { httpStatus, headers, body } = problemOf(error);
      // What was not read of the request is not read any more.
      if (!request.complete || httpStatus === TOO_MANY) response.setHeader('connection', 'close');
      respond(response, httpStatus, headers, body);
    }
    this.#options.onRequest?.({
      ...{ route, httpStatus: response.statusCode, durationMs: performance.now() - startedMs },
      ...(failure !== undefined && { error: failure }),
    });
  }

  async #handle(request: IncomingMessage, found: (route: string) => void): Promise<Answer> {
    const { method = '', url = '' } = request;
    this.#admission.request(request.socket);
    const { expect = CONTINUE } = request.headers;
    if (expect.toLowerCase() !== CONTINUE) throw new CpnsError('malformed', 'expectation');
    const { route, parameters } = matchRoute(this.#options.routes, method, url);
    found(`${route.method} ${route.pattern}`);
    const caller = this.#admit(request, route);
    const bytes = await readBody(request, route.body !== undefined);
    const body = route.body?.decode(bytes);
    return route.handle({ caller, parameters, body, bytes });
  }

  #admit(request: IncomingMessage, route: Route<Caller>): Caller {
    if (route.access === 'gateway') return this.#options.callerOf(request);
    if (route.method !== 'GET') this.#admission.token(request.socket);
    return this.#options.nobody;
  }

  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    socket.on('error', () => socket.destroy());
    try {
      this.#admission.request(request.socket);
      if (request.url !== `${API_PATH}channel`) throw new CpnsError('not-found');
      const caller = this.#options.callerOf(request);
      if (!offersProtocol(request)) throw new CpnsError('version-mismatch', 'subprotocol');
      this.#admission.dial(request.socket);
      this.#sockets.handleUpgrade(request, socket, head, (channel) =>
        this.#options.onChannel(caller, channel),
      );
    } catch (error) {
      refuseUpgrade(socket, error);
      this.#options.onRequest?.({
        route: 'GET channel',
        httpStatus: problemOf(error).httpStatus,
        durationMs: 0,
        error,
      });
    }
  }
}

function offersProtocol(request: IncomingMessage): boolean {
  const offered = request.headers['sec-websocket-protocol'] ?? '';
  return offered.split(',').some((name) => name.trim() === CHANNEL_SUBPROTOCOL);
}

function refuseUpgrade(socket: Duplex, error: unknown): void {
  const { httpStatus, headers, body } = problemOf(error);
  const lines = [`HTTP/1.1 ${httpStatus} Refused`, 'connection: close', `content-length: ${body.length}`];
  for (const [name, value] of Object.entries(headers)) lines.push(`${name}: ${value}`);
  socket.write(`${lines.join('\r\n')}\r\n\r\n`);
  endWith(socket, body);
}

function respond(
  response: ServerResponse,
  httpStatus: number,
  headers: Readonly<Record<string, string>>,
  body: Bytes,
): void {
  if (response.destroyed) return;
  response.writeHead(httpStatus, { ...headers, 'content-length': body.length, 'cache-control': 'no-store' });
  response.end(body);
}

/** @throws CpnsError oversize, malformed */
async function readBody(request: IncomingMessage, wanted: boolean): Promise<Bytes> {
  const declared = Number(request.headers['content-length'] ?? 0);
  if (declared > MAX_BODY_BYTES) throw new CpnsError('oversize', `body longer than ${MAX_BODY_BYTES} bytes`);
  if (wanted && mediaTypeOf(request) !== CBOR_MEDIA_TYPE)
    throw new CpnsError('malformed', 'body is not application/cbor');
  if (request.headers['content-encoding'] !== undefined)
    throw new CpnsError('malformed', 'a body has no content coding');
  const chunks: Buffer[] = [];
  let length = 0;
  try {
    for await (const chunk of request as AsyncIterable<Buffer>) {
      length += chunk.length;
      if (length > MAX_BODY_BYTES)
        throw new CpnsError('oversize', `body longer than ${MAX_BODY_BYTES} bytes`);
      chunks.push(chunk);
    }
  } catch (cause) {
    if (cause instanceof CpnsError) throw cause;
    throw new CpnsError('malformed', 'request cut short', { cause });
  }
  if (!wanted && length > 0) throw new CpnsError('malformed', 'no body belongs here');
  return new Uint8Array(Buffer.concat(chunks));
}

function mediaTypeOf(request: IncomingMessage): string {
  return (request.headers['content-type'] ?? '').split(';', 1)[0]?.trim().toLowerCase() ?? '';
}
