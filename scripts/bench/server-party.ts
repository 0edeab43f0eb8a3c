/**
 * The server's end of the CPU benchmark, a process of its own: the real server, or a bare node:https and ws server that
 * answers with as many bytes and does nothing else. Reports its own CPU time.
 */
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { WebSocketServer } from 'ws';
import type { ServerTls } from '../../src/https/server.ts';
import { type CpnsServer, openServer } from '../../src/nodes/server/server.ts';
import { generateKey, softwareSigner } from '../../src/security/keystore.ts';
import { nodePrimitives } from '../../src/security/primitives-node.ts';
import { takeOrders } from './child.ts';

/** What the bare server answers to a request, and the frames it sends right after. */
export interface BareAnswer {
  /** Last part of the path. */
  readonly path: string;
  readonly bytes: number;
  /** Bytes of frames, each to the channel of this number. */
  readonly frames: readonly { readonly channel: number; readonly bytes: number }[];
}

interface BareOrder {
  readonly tls: ServerTls;
  readonly answers: readonly BareAnswer[];
  readonly withFrames: boolean;
}

let server: CpnsServer | undefined;
let bare: Server | undefined;

function listenBare({ tls, answers, withFrames }: BareOrder): Promise<string> {
  const known = answers.map(({ path, bytes, frames }) => ({
    ...{ path, body: Buffer.alloc(bytes), frames: withFrames ? frames : [] },
  }));
  const frame = Buffer.alloc(65_536);
  const https = createServer(
    {
      ...{ key: tls.keyPem, cert: tls.certPem, ca: tls.caPem, minVersion: 'TLSv1.3' },
      ...{ requestCert: true, rejectUnauthorized: true, keepAliveTimeout: 60_000 },
    },
    (request, response) => {
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('end', () => {
        const answer = known.find(({ path }) => request.url?.endsWith(path));
        const body = answer?.body ?? Buffer.alloc(0);
        response.writeHead(200, { 'content-type': 'application/cbor', 'content-length': body.length });
        response.end(body);
        for (const { channel, bytes } of answer?.frames ?? [])
          [...channels.clients][channel]?.send(frame.subarray(0, bytes));
      });
    },
  );
  bare = https;
  const channels = new WebSocketServer({ server: https });
  channels.on('connection', (channel) => channel.on('message', () => {}));
  return new Promise((resolve) => {
    https.listen(0, '127.0.0.1', () => resolve(`https://127.0.0.1:${(https.address() as AddressInfo).port}`));
  });
}

const orders = {
  async start({ stateDir }: { stateDir: string }): Promise<string> {
    server = await openServer({ stateDir, port: 0 });
    return server.url;
  },

  startBare: (order: BareOrder): Promise<string> => listenBare(order),

  /** CPU time of this process so far, µs. */
  cpu(): number {
    const { user, system } = process.cpuUsage();
    return user + system;
  },

  /** CPU of so many ES256 signatures and as many verifications, µs each. */
  es256({ rounds }: { rounds: number }): { readonly signUs: number; readonly verifyUs: number } {
    const signer = softwareSigner(generateKey());
    const primitives = nodePrimitives();
    const message = new Uint8Array(200);
    const signature = signer.sign(message);
    const each = (work: () => void): number => {
      for (let i = 0; i < rounds / 4; i++) work();
      const before = process.cpuUsage();
      for (let i = 0; i < rounds; i++) work();
      const { user, system } = process.cpuUsage(before);
      return (user + system) / rounds;
    };
    return {
      signUs: each(() => signer.sign(message)),
      verifyUs: each(() => primitives.verifyEs256(signer.publicKey, message, signature)),
    };
  },
};

export type ServerOrders = typeof orders;

takeOrders(orders, async () => {
  bare?.closeAllConnections();
  await server?.close();
});
