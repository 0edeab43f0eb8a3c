/**
 * How an answer of a page's server is written: a file, JSON, a refusal, each with the headers that every answer has. Owns the
 * writing; who is to have what is decided before.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { CpnsError, statusOfError } from '../base/errors.ts';
import { STATUSES } from '../base/statuses.ts';
import { RefusedError } from '../https/problem.ts';
import { COMMON_HEADERS, type Pages } from './files.ts';
import { LoginTooOld } from './recent-login.ts';
import type { RefusalView } from './view.ts';

/** @throws CpnsError not-found */
export function serveFile(
  { files }: Pages,
  request: IncomingMessage,
  path: string,
  response: ServerResponse,
): void {
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

/** @param onFault told of a failure that is no refusal */
export function refuse(
  request: IncomingMessage,
  response: ServerResponse,
  error: unknown,
  onFault: (error: unknown) => void,
): void {
  const known = statusOfError(error);
  const status = known === 'ok' ? 'internal' : known;
  if (status === 'internal') onFault(error);
  if (response.headersSent) {
    response.destroy();
    return;
  }
  const retryAfterSeconds = error instanceof RefusedError ? error.retryAfterSeconds : undefined;
  const refusal: RefusalView = {
    status,
    sentence: STATUSES[status].sentence,
    ...(retryAfterSeconds !== undefined && { retryAfterSeconds }),
    ...(error instanceof LoginTooOld && { loginTooOld: true }),
  };
  // What of a body was not read is not waited for.
  const headers = {
    ...(request.complete ? {} : { connection: 'close' }),
    ...(retryAfterSeconds !== undefined && { 'retry-after': String(retryAfterSeconds) }),
  };
  sendJson(response, Math.max(400, STATUSES[status].http), refusal, headers);
}

export function sendJson(
  response: ServerResponse,
  httpStatus: number,
  value: unknown,
  headers: Readonly<Record<string, string>> = {},
): void {
  sendText(response, httpStatus, JSON.stringify(value), headers);
}

/** @param text JSON */
export function sendText(
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
