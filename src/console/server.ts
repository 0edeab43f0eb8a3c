/**
 * The console's HTTPS: TLS 1.3, bounded in every direction, the pages, the page's requests, its event stream. Owns transport
 * and the order of the checks: this host, this origin, how often, who, what. Must not know what a method does.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { CpnsError, statusOfError } from '../base/errors.ts';
import { STATUSES } from '../base/statuses.ts';
import type { ListenAddress } from '../config/console-config.ts';
import { RefusedError } from '../https/problem.ts';
import { addressName, Buckets, Counts } from '../https/server-limits.ts';
import type { Api } from './api.ts';
import type { Download } from './api-types.ts';
import type { ConsoleCertificate } from './certificate.ts';
import { COMMON_HEADERS, type Pages } from './files.ts';
import { checkRequest, sessionCookie, setCookie } from './request-rules.ts';
import { SESSION_LIFE_MS, type Sessions } from './sessions.ts';
import type { Streams } from './streams.ts';
import type { RefusalView } from './view.ts';

const MAX_BODY_BYTES = 4_096;
const MAX_HEADER_BYTES = 8_192;
const HEADERS_MS = 10_000;
const REQUEST_MS = 15_000;
const KEEP_ALIVE_MS = 30_000;
const MAX_CONNECTIONS = 64;
/** A browser holds up to six to one host; two of them behind one address, and some room. */
const MAX_CONNECTIONS_PER_ADDRESS = 16;
const HANDSHAKES = { burst: 32, perSecond: 4 };
/** A page has ten files; what a person does comes one by one. */
const REQUESTS = { burst: 80, perSecond: 10 };
const CLOSE_GRACE_MS = 1_000;

export interface ConsoleServerOptions {
  readonly listen: ListenAddress;
  readonly certificate: ConsoleCertificate;
  readonly pages: Pages;
  readonly isOwnHost: (host?: string) => boolean;
  readonly api: Api;
  readonly sessions: Sessions;
  readonly streams: Streams;
  readonly view: () => unknown;
  readonly nowMs: () => number;
  /** A failure that is no refusal. */
  readonly onFault: (error: unknown) => void;
}

export interface ConsoleServer {
  readonly port: number;
  close(): Promise<void>;
}

/** @throws Error of node:net when the address is taken */
export async function openConsoleServer(options: ConsoleServerOptions): Promise<ConsoleServer> {
  const { keyPem, certPem } = options.certificate;
  const front = new Front(options);
  const server = createServer(
    {
      key: keyPem,
      cert: certPem,
      minVersion: 'TLSv1.3',
      handshakeTimeout: HEADERS_MS,
      maxHeaderSize: MAX_HEADER_BYTES,
      headersTimeout: HEADERS_MS,
      requestTimeout: REQUEST_MS,
      keepAliveTimeout: KEEP_ALIVE_MS,
    },
    (request, response) => void front.answer(request, response),
  );
  guard(server);
  server.on('checkExpectation', (request, response) => void front.answer(request, response));
  server.on('tlsClientError', (_error, socket) => socket.destroy());
  server.on('clientError', (_error, socket) => socket.destroy());
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.listen.port, options.listen.host, resolve);
  });
  const { port } = server.address() as AddressInfo;
  return { port, close: () => close(server) };
}

/** Connections by address, before TLS has cost anything. */
function guard(server: Server): void {
  const held = new Counts();
  const handshakes = new Buckets(HANDSHAKES);
  server.maxConnections = MAX_CONNECTIONS;
  const begin = server.listeners('connection');
  server.removeAllListeners('connection');
  server.on('connection', (socket: Socket) => {
    const name = addressName(socket.remoteAddress);
    if (held.of(name) >= MAX_CONNECTIONS_PER_ADDRESS || handshakes.take(name, performance.now()) > 0) {
      socket.destroy();
      return;
    }
    held.add(name);
    socket.once('close', () => held.remove(name));
    for (const each of begin) each.call(server, socket);
  });
}

function close(server: Server): Promise<void> {
  return new Promise((resolve) => {
    const cut = setTimeout(() => server.closeAllConnections(), CLOSE_GRACE_MS);
    server.close(() => {
      clearTimeout(cut);
      resolve();
    });
    server.closeIdleConnections();
  });
}

class Front {
  readonly #options: ConsoleServerOptions;
  readonly #requests = new Buckets(REQUESTS);

  constructor(options: ConsoleServerOptions) {
    this.#options = options;
  }

  async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    response.on('error', () => {});
    try {
      await this.#route(request, response);
    } catch (error) {
      this.#refuse(request, response, error);
    }
  }

  async #route(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { isOwnHost, pages, sessions, streams, api, view, nowMs } = this.#options;
    const method = request.method ?? '';
    const [path = ''] = (request.url ?? '').split('?');
    const address = addressName(request.socket.remoteAddress);
    const waitSeconds = this.#requests.take(address, performance.now());
    if (waitSeconds > 0) throw new RefusedError('too-many-requests', waitSeconds);
    checkRequest({ method, path, headers: request.headers }, isOwnHost);
    if (!path.startsWith('/api/')) return serveFile(pages, request, path, response);
    const name = path.slice('/api/'.length);
    const session = sessions.use(sessionCookie(request.headers.cookie), nowMs());
    if (method === 'GET') {
      if (name === 'greeting') return sendJson(response, 200, api.greeting());
      if (!session) throw new CpnsError('not-authenticated');
      if (name === 'events') return streams.add(response, session, COMMON_HEADERS);
      if (name === 'state') return sendJson(response, 200, view());
      const download = api.download(name);
      if (download) return sendDownload(response, download);
      throw new CpnsError('not-found');
    }
    const body = await readJson(request);
    const origin = `https://${request.headers.host}`;
    const { value, cookie } = await api.post(name, { body, origin, address }, session);
    const setting = cookie === undefined ? {} : { 'set-cookie': setCookie(cookie, SESSION_LIFE_MS) };
    sendJson(response, 200, value, setting);
  }

  #refuse(request: IncomingMessage, response: ServerResponse, error: unknown): void {
    const known = statusOfError(error);
    const status = known === 'ok' ? 'internal' : known;
    if (status === 'internal') this.#options.onFault(error);
    if (response.headersSent) {
      response.destroy();
      return;
    }
    const retryAfterSeconds = error instanceof RefusedError ? error.retryAfterSeconds : undefined;
    const refusal: RefusalView = {
      status,
      sentence: STATUSES[status].sentence,
      ...(retryAfterSeconds !== undefined && { retryAfterSeconds }),
    };
    // What of a body was not read is not waited for.
    const headers = {
      ...(request.complete ? {} : { connection: 'close' }),
      ...(retryAfterSeconds !== undefined && { 'retry-after': String(retryAfterSeconds) }),
    };
    sendJson(response, Math.max(400, STATUSES[status].http), refusal, headers);
  }
}

function serveFile({ files }: Pages, request: IncomingMessage, path: string, response: ServerResponse): void {
  if (path === '/pne') {
    response.writeHead(308, { ...COMMON_HEADERS, location: '/pne/' }).end();
    return;
  }
  const file = files.get(path);
  if (!file) throw new CpnsError('not-found');
  const takesGzip = /\bgzip\b(?!\s*;\s*q=0)/.test(String(request.headers['accept-encoding'] ?? ''));
  const gzipped = takesGzip ? file.gzipped : undefined;
  const content = gzipped ?? file.content;
  response.writeHead(200, {
    ...COMMON_HEADERS,
    ...file.headers,
    ...(gzipped && { 'content-encoding': 'gzip' }),
    'content-length': content.length,
  });
  response.end(request.method === 'HEAD' ? undefined : content);
}

function sendDownload(response: ServerResponse, { fileName, text }: Download): void {
  const disposition = `attachment; filename="${fileName}"`;
  sendText(response, 200, text, { 'content-disposition': disposition });
}

function sendJson(
  response: ServerResponse,
  httpStatus: number,
  value: unknown,
  headers: Readonly<Record<string, string>> = {},
): void {
  sendText(response, httpStatus, JSON.stringify(value), headers);
}

/** @param text JSON */
function sendText(
  response: ServerResponse,
  httpStatus: number,
  text: string,
  headers: Readonly<Record<string, string>>,
): void {
  response.writeHead(httpStatus, {
    ...COMMON_HEADERS,
    'content-type': 'application/json; charset=utf-8',
    'cache-control': 'no-store',
    ...headers,
  });
  response.end(text);
}

/** @throws CpnsError oversize, malformed */
async function readJson(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length > MAX_BODY_BYTES) throw new CpnsError('oversize');
    chunks.push(chunk);
  }
  try {
    return JSON.parse(Buffer.concat(chunks).toString('utf8'));
  } catch {
    throw new CpnsError('malformed');
  }
}
