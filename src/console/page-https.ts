/**
 * HTTPS for pages: TLS 1.3, bounded in every direction. Owns connections, their limits and their end; must not know what is
 * asked over them.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import type { ListenAddress } from '../config/console-config.ts';
import { closeServer } from '../https/close-server.ts';
import { addressName, Buckets, Counts } from '../https/server-limits.ts';

const MAX_HEADER_BYTES = 8_192;
const HEADERS_MS = 10_000;
const REQUEST_MS = 15_000;
/** How late either may be noticed. */
const CHECKED_EVERY_MS = 1_000;
const KEEP_ALIVE_MS = 30_000;
/** An answer that is complete has to be read within this: a few files of a page over a bad radio. */
const READ_MS = 60_000;
/** A browser holds up to six to one host; two of them behind one address, and some room. */
const MAX_CONNECTIONS_PER_ADDRESS = 16;
const HANDSHAKES = { burst: 32, perSecond: 4 };
/** A page has ten files; what a person does comes one by one. */
export const REQUESTS = { burst: 80, perSecond: 10 };
const CLOSE_GRACE_MS = 1_000;

/** PEM. */
export interface PageTls {
  readonly keyPem: string;
  /** Leaf first. */
  readonly certPem: string;
}

export interface PageHttps {
  readonly port: number;
  /** New connections get this certificate. */
  useTls(tls: PageTls): void;
  close(): Promise<void>;
}

/**
 * Listens; resolves when connections are taken.
 * @param maxConnections of all addresses together
 * @param answer settles, whatever comes
 * @param readMs for tests
 * @throws Error of node:net when the address is taken
 */
export async function openPageHttps(
  { host, port }: ListenAddress,
  tls: PageTls,
  maxConnections: number,
  answer: (request: IncomingMessage, response: ServerResponse) => Promise<void>,
  readMs = READ_MS,
): Promise<PageHttps> {
  const taken = (request: IncomingMessage, response: ServerResponse): void => {
    cutUnread(response, readMs);
    void answer(request, response);
  };
  const server = createServer(
    {
      ...secureContext(tls),
      handshakeTimeout: HEADERS_MS,
      maxHeaderSize: MAX_HEADER_BYTES,
      headersTimeout: HEADERS_MS,
      requestTimeout: REQUEST_MS,
      connectionsCheckingInterval: CHECKED_EVERY_MS,
      keepAliveTimeout: KEEP_ALIVE_MS,
    },
    taken,
  );
  guard(server, maxConnections);
  server.on('checkExpectation', taken);
  server.on('tlsClientError', (_error, socket) => socket.destroy());
  server.on('clientError', (_error, socket) => socket.destroy());
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, resolve);
  });
  return {
    port: (server.address() as AddressInfo).port,
    useTls: (next) => server.setSecureContext(secureContext(next)),
    close: () => closeServer(server, CLOSE_GRACE_MS),
  };
}

function secureContext({ keyPem, certPem }: PageTls) {
  return { key: keyPem, cert: certPem, minVersion: 'TLSv1.3' } as const;
}

/**
 * Whoever does not read what it asked for would hold its connection for ever. An event stream is left alone while it goes on;
 * once it has ended it is an answer like any other.
 */
function cutUnread(response: ServerResponse, withinMs: number): void {
  const look = setInterval(() => {
    if (response.writableEnded) response.destroy();
  }, withinMs).unref();
  response.once('close', () => clearInterval(look));
}

/** Connections by address, before TLS has cost anything. */
function guard(server: Server, maxConnections: number): void {
  const held = new Counts();
  const handshakes = new Buckets(HANDSHAKES);
  server.maxConnections = maxConnections;
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
