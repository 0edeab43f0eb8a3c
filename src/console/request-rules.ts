/**
 * Which requests are taken at all, before anybody asks who sends them: they mean this host, come from a page of this host,
 * and could not have been made by a form or a link elsewhere. Pure.
 */
import type { IncomingHttpHeaders } from 'node:http';
import { CpnsError } from '../base/errors.ts';

/** A page of another origin can set no such header without asking first, and the answer to that is no. */
const CONSOLE_HEADER = 'x-cpns-console';
const JSON_TYPE = /^application\/json(?:; ?charset=utf-8)?$/i;

export interface RequestHead {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
}

/**
 * @param isOwnHost whether a Host header names this host
 * @throws CpnsError not-found (another host's name), not-authenticated (another origin's page), malformed
 */
export function checkRequest(
  { method, path, headers }: RequestHead,
  isOwnHost: (host?: string) => boolean,
): void {
  const { host, origin } = headers;
  if (!isOwnHost(host)) throw new CpnsError('not-found', 'this host has another name');
  if (origin !== undefined && origin !== `https://${host}`)
    throw new CpnsError('not-authenticated', 'another origin');
  if (!path.startsWith('/api/')) {
    if (method !== 'GET' && method !== 'HEAD') throw new CpnsError('malformed', 'method');
    return;
  }
  const site = headers['sec-fetch-site'];
  // Browsers say where a request comes from; programs say nothing.
  if (site !== undefined && site !== 'same-origin') throw new CpnsError('not-authenticated', 'another site');
  if (method === 'GET') return;
  if (method !== 'POST') throw new CpnsError('malformed', 'method');
  if (origin === undefined) throw new CpnsError('not-authenticated', 'no origin');
  if (headers[CONSOLE_HEADER] !== '1') throw new CpnsError('not-authenticated', 'not by the page');
  if (!JSON_TYPE.test(headers['content-type'] ?? '')) throw new CpnsError('malformed', 'no JSON');
}

const COOKIE = '__Host-cpns-console';

/** The value of the session's cookie. */
export function sessionCookie(header: string | undefined): string | undefined {
  for (const part of (header ?? '').split(';')) {
    const at = part.indexOf('=');
    if (at > 0 && part.slice(0, at).trim() === COOKIE) return part.slice(at + 1).trim();
  }
  return undefined;
}

/** @param secret empty takes it away */
export function setCookie(secret: string, lifeMs: number): string {
  const maxAge = secret === '' ? 0 : Math.floor(lifeMs / 1_000);
  return `${COOKIE}=${secret}; Path=/; Max-Age=${maxAge}; Secure; HttpOnly; SameSite=Strict`;
}
