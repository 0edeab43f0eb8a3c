/**
 * The console's requests: the pages, what the page asks for, its event stream. Owns the order of the checks: this host, this
 * origin, how often, who, what. Must not know what a method does.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { CpnsError } from '../base/errors.ts';
import type { ListenAddress } from '../config/console-config.ts';
import { RefusedError } from '../https/problem.ts';
import { addressName, Buckets } from '../https/server-limits.ts';
import type { Api } from './api.ts';
import type { Download } from './api-types.ts';
import type { ConsoleCertificate } from './certificate.ts';
import { COMMON_HEADERS, type Pages } from './files.ts';
import { refuse, sendJson, sendText, serveFile } from './page-answers.ts';
import { openPageHttps, type PageHttps, REQUESTS } from './page-https.ts';
import { checkRequest, sessionCookie, setCookie } from './request-rules.ts';
import { SESSION_LIFE_MS, type Sessions } from './sessions.ts';
import type { Streams } from './streams.ts';

const MAX_BODY_BYTES = 4_096;
const MAX_CONNECTIONS = 64;
const MAX_PAGE_CHARS = 64;

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

/** @throws Error of node:net when the address is taken */
export function openConsoleServer(options: ConsoleServerOptions): Promise<PageHttps> {
  const front = new Front(options);
  return openPageHttps(options.listen, options.certificate, MAX_CONNECTIONS, (request, response) =>
    front.answer(request, response),
  );
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
      refuse(request, response, error, this.#options.onFault);
    }
  }

  async #route(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { isOwnHost, pages, sessions, streams, api, view, nowMs } = this.#options;
    const method = request.method ?? '';
    const [path = '', query] = (request.url ?? '').split('?');
    const address = addressName(request.socket.remoteAddress);
    const waitSeconds = this.#requests.take(address, performance.now());
    if (waitSeconds > 0) throw new RefusedError('too-many-requests', waitSeconds);
    checkRequest({ method, path, headers: request.headers }, isOwnHost);
    if (!path.startsWith('/api/')) return serveFile(pages, request, path, response);
    const name = path.slice('/api/'.length);
    const who = () => sessions.use(sessionCookie(request.headers.cookie), nowMs());
    if (method === 'GET') {
      const session = who();
      if (name === 'greeting') return sendJson(response, 200, api.greeting());
      if (!session) throw new CpnsError('not-authenticated');
      if (name === 'events') return streams.add(response, session, pageOf(query), COMMON_HEADERS);
      if (name === 'state') return sendJson(response, 200, view());
      const download = api.download(name);
      if (download) return sendDownload(response, download);
      throw new CpnsError('not-found');
    }
    const body = await readJson(request);
    const origin = `https://${request.headers.host}`;
    const { localPort: port = 0 } = request.socket;
    // Asked when all of it is there: a body that comes slowly outlives no session.
    const { value, cookie } = await api.post(name, { body, origin, port, address }, who());
    const setting = cookie === undefined ? {} : { 'set-cookie': setCookie(cookie, SESSION_LIFE_MS) };
    sendJson(response, 200, value, setting);
  }
}

/** How a page names itself when it asks for its stream once more. */
function pageOf(query: string | undefined): string | undefined {
  return new URLSearchParams(query).get('page')?.slice(0, MAX_PAGE_CHARS);
}

function sendDownload(response: ServerResponse, { fileName, text }: Download): void {
  const disposition = `attachment; filename="${fileName}"`;
  sendText(response, 200, text, { 'content-disposition': disposition });
}

/** @throws CpnsError oversize, malformed */
async function readJson(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = [];
  let length = 0;
  try {
    for await (const chunk of request as AsyncIterable<Buffer>) {
      length += chunk.length;
      if (length > MAX_BODY_BYTES) throw new CpnsError('oversize');
      chunks.push(chunk);
    }
    return JSON.parse(Buffer.concat(chunks).toString('utf8'));
  } catch (error) {
    // No JSON, or whoever sent it went away halfway, which is no failure of ours.
    throw error instanceof CpnsError ? error : new CpnsError('malformed');
  }
}
