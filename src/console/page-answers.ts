/**
 * How an answer of a page's server is written: a file, JSON, a refusal, each with the headers that every answer has. Owns the
 * writing; who is to have what is decided before.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { CpnsError, statusOfError } from '../base/errors.ts';
import { STATUSES, type Status } from '../base/statuses.ts';
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

/** To the person before a page, where the protocol's sentence speaks of its own parties. */
const SENTENCES: Readonly<Partial<Record<Status, string>>> = {
  'not-authenticated': 'You are logged out, or what you showed is not accepted.',
  'token-invalid': 'This link was used already, or its ten minutes are over.',
  malformed: 'The gateway can not read what this page sent. Load the page again.',
  oversize: 'That is too long.',
  'not-found': 'That is not there, or not any more.',
  'unknown-transaction': 'This waits no more: it was answered elsewhere, or its time is over.',
  busy: 'The gateway is busy with something else; try again in a moment.',
};

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
  const mend = error instanceof CpnsError ? error.mend : undefined;
  const refusal: RefusalView = {
    status,
    sentence: mend ?? SENTENCES[status] ?? STATUSES[status].sentence,
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
