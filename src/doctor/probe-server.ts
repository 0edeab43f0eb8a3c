/**
 * Asks the server of a gateway for nothing in particular: can it be reached, is it believed, what time has it? Sends no
 * certificate of the gateway and nothing else that is anybody's.
 */
import { request } from 'node:https';
import { API_PATH, tlsOptions } from '../https/server-client-transport.ts';
import { type ServerFacts, seen, unseen } from './facts.ts';
import { codeOf } from './files.ts';

const LIMIT_MS = 5_000;

/** @param caPem the CA that the gateway believes; without one nobody can be believed, and reaching it is all */
export function probeServer(url: string, caPem: string | undefined): Promise<ServerFacts> {
  return new Promise((resolve) => {
    const end = (fault: string | undefined, date?: string) => {
      clearTimeout(timer);
      asked.destroy();
      const stated = Date.parse(date ?? '');
      resolve({
        url,
        fault,
        aheadSeconds: Number.isNaN(stated)
          ? unseen(fault === undefined ? 'the server states no date' : 'the server gave no answer')
          : seen(Math.round((Date.now() - stated) / 1000)),
      });
    };
    const timer = setTimeout(() => end('ETIMEDOUT'), LIMIT_MS);
    const trust = caPem === undefined ? { rejectUnauthorized: false } : tlsOptions({ caPem });
    const asked = request(new URL(API_PATH, url), { method: 'GET', agent: false, ...trust });
    asked.on('error', (error) => end(codeOf(error)));
    asked.on('response', (response) => end(undefined, response.headers.date));
    asked.end();
  });
}
