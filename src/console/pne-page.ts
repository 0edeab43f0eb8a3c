/**
 * The PNE's page alone, as an operator's server has it: the same files, headers and bounds as at a gateway's console, and
 * nothing else. Owns its certificate, which somebody renews while the server runs.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { CpnsError } from '../base/errors.ts';
import type { PageConfig } from '../config/page-config.ts';
import { RefusedError } from '../https/problem.ts';
import { addressName, Buckets } from '../https/server-limits.ts';
import { ownFiles } from './certificate.ts';
import { COMMON_HEADERS, readPnePage } from './files.ts';
import { refuse, serveFile } from './page-answers.ts';
import { openPageHttps, REQUESTS } from './page-https.ts';

const MAX_CONNECTIONS = 512;
const RENEWED_EVERY_MS = 3_600_000;
const HOME = '/pne/';

export interface PnePageOptions {
  readonly config: PageConfig;
  /** Where the built pages are; those beside the program by default. */
  readonly pages?: string | undefined;
  /** A failure that is no refusal; a renewed certificate that is none. */
  readonly onFault: (error: unknown) => void;
}

export interface PnePage {
  readonly port: number;
  /** Whether there is a page to serve. */
  readonly hasPage: boolean;
  /** Takes the certificate as it is on disk now, for new connections; done every hour by itself. */
  renew(): void;
  close(): Promise<void>;
}

/** @throws ConfigError when the files are no certificate with its key; Error of node:net */
export async function openPnePage({ config, pages, onFault }: PnePageOptions): Promise<PnePage> {
  const read = () => ownFiles(config.cert, config.key, 'page');
  const built = readPnePage(pages);
  const requests = new Buckets(REQUESTS);
  const route = (request: IncomingMessage, response: ServerResponse): void => {
    const waitSeconds = requests.take(addressName(request.socket.remoteAddress), performance.now());
    if (waitSeconds > 0) throw new RefusedError('too-many-requests', waitSeconds);
    if (request.method !== 'GET' && request.method !== 'HEAD') throw new CpnsError('malformed', 'method');
    const [path = ''] = (request.url ?? '').split('?');
    if (path === '/') response.writeHead(308, { ...COMMON_HEADERS, location: HOME }).end();
    else serveFile(built, request, path, response);
  };
  const https = await openPageHttps(config.listen, read(), MAX_CONNECTIONS, async (request, response) => {
    response.on('error', () => {});
    try {
      route(request, response);
    } catch (error) {
      refuse(request, response, error, onFault);
    }
  });
  const renew = (): void => {
    try {
      https.useTls(read());
    } catch (error) {
      // The one before serves on.
      onFault(error);
    }
  };
  const timer = setInterval(renew, RENEWED_EVERY_MS).unref();
  return {
    port: https.port,
    hasPage: built.hasPne,
    renew,
    close: () => {
      clearInterval(timer);
      return https.close();
    },
  };
}
