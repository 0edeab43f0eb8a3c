/** An HTTPS server that answers as a test says and remembers what it was asked; no part of the real one. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, type Server, type ServerOptions } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { STATUSES, type Status } from '../../../src/base/statuses.ts';
import { PROBLEM_MEDIA_TYPE, ProblemDetails } from '../../../src/messages/problem.ts';

export interface Asked {
  readonly method: string;
  readonly path: string;
  readonly contentType: string | undefined;
  readonly body: Uint8Array;
  /** Common name of the client's certificate, when it showed one. */
  readonly client: string | undefined;
}

export interface StubServer {
  readonly baseUrl: string;
  readonly server: Server;
  readonly asked: readonly Asked[];
  /** TCP connections so far. */
  readonly connections: number;
  /** Bytes of application data received so far, of any request. */
  readonly receivedBytes: number;
  answer: (response: ServerResponse, asked: Asked) => void;
  close(): Promise<void>;
}

export async function stubServer(options: ServerOptions, host = 'localhost', port = 0): Promise<StubServer> {
  const asked: Asked[] = [];
  let connections = 0;
  let receivedBytes = 0;
  const server = createServer({ requestCert: true, rejectUnauthorized: false, ...options });
  server.on('connection', () => connections++);
  server.on('request', (request: IncomingMessage, response: ServerResponse) => {
    const chunks: Buffer[] = [];
    receivedBytes += request.url?.length ?? 0;
    request.on('data', (chunk: Buffer) => {
      receivedBytes += chunk.length;
      chunks.push(chunk);
    });
    request.on('end', () => {
      const seen: Asked = {
        method: request.method ?? '',
        path: request.url ?? '',
        contentType: request.headers['content-type'],
        body: new Uint8Array(Buffer.concat(chunks)),
        client: [(request.socket as TLSSocket).getPeerCertificate()?.subject?.CN].flat()[0],
      };
      asked.push(seen);
      stub.answer(response, seen);
    });
  });
  server.on('tlsClientError', () => undefined);
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  const stub: StubServer = {
    baseUrl: `https://${host}:${(server.address() as AddressInfo).port}`,
    server,
    asked,
    get connections() {
      return connections;
    },
    get receivedBytes() {
      return receivedBytes;
    },
    answer: (response) => problem(response, 'not-found'),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
  return stub;
}

export function cbor(response: ServerResponse, body: Uint8Array, httpStatus = 200): void {
  response.writeHead(httpStatus, { 'content-type': 'application/cbor' }).end(body);
}

export function problem(
  response: ServerResponse,
  status: Exclude<Status, 'ok'>,
  retryAfterSeconds?: number,
): void {
  const responseCode = Math.max(400, STATUSES[status].http);
  const body = ProblemDetails.encode({
    title: status,
    detail: '',
    responseCode,
    status: {
      code: status,
      name: status,
      ...(retryAfterSeconds === undefined ? {} : { retryAfterSeconds }),
    },
  });
  response.writeHead(responseCode, { 'content-type': PROBLEM_MEDIA_TYPE }).end(body);
}
