/**
 * The channel, both ways: a gateway that sends the real server any frames or raw bytes behind the upgrade, and a server
 * that does the same to the real client and answers its calls with anything. Only that channel suffers: an honest
 * gateway beside it is still served, the client hears of errors by their status, dials again and can be closed.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { TLSSocket } from 'node:tls';
import { type WebSocket as Socket, WebSocket, WebSocketServer } from 'ws';
import { CpnsError } from '../../../src/base/errors.ts';
import { TransactionId } from '../../../src/base/ids.ts';
import { STATUSES } from '../../../src/base/statuses.ts';
import { type ChannelClient, openChannelClient } from '../../../src/https/channel-client.ts';
import { openServerClient, type ServerClient } from '../../../src/https/server-client.ts';
import { ChannelAck, ChannelFrame } from '../../../src/messages/channel.ts';
import { PROBLEM_MEDIA_TYPE } from '../../../src/messages/problem.ts';
import { type StubServer, stubServer } from '../../gateway/server-side/stub-server.ts';
import { testCa } from '../../gateway/server-side/tls-samples.ts';
import { SAMPLES } from '../../messages/samples.ts';
import { ServerKit, type TestGateway } from '../../support/server-kit.ts';
import { type Bench, byteAt, type Input, part, pick, type Target } from '../target.ts';
import { NO_HURRY } from './https.ts';

const MAX_STEPS = 12;
/** A gateway may dial 30 times and then once in two seconds, so there are several. */
const GATEWAYS = 12;

/** First byte of a part: 0 binary, 1 text, 2 ping, 3 pong, 4 close, 5 bytes past the WebSocket, 6 a frame of its own making. */
function say(socket: Socket, step: Uint8Array): void {
  if (socket.readyState !== WebSocket.OPEN) return;
  const data = step.subarray(1);
  const raw = (socket as unknown as { _socket: TLSSocket })._socket;
  const kind = byteAt(step, 0) % 7;
  if (kind < 2) socket.send(data, { binary: kind === 0 });
  if (kind === 2) socket.ping(data.subarray(0, 125));
  if (kind === 3) socket.pong(data.subarray(0, 125));
  if (kind === 4) socket.close(pick([1000, 1001, 1008, 4000, 4999], byteAt(data, 0)));
  if (kind === 5) raw.write(data);
  if (kind === 6)
    raw.write(Uint8Array.from([0x80 | byteAt(data, 0), byteAt(data, 1) & 0x7f, ...data.subarray(2)]));
}

const turn = () => new Promise((resolve) => setImmediate(resolve));

class ServerChannelBench implements Bench {
  readonly seeds: readonly Input[] = [
    [part(0, ...ChannelAck.encode({ deliveryId: 1 })), part(2, 1), part(3)],
    [part(1, 0x61), part(0)],
    [part(0, ...new Uint8Array(65_537))],
    [part(4, 0)],
    [part(5, 0x81, 0xfe, 0xff, 0xff, 1, 2, 3, 4)],
    [part(6, 2, 0x7f, ...new Uint8Array(8).fill(0xff))],
  ];
  readonly #kit = new ServerKit();
  readonly #gateways: TestGateway[] = [];
  #next = 0;
  #honest: TestGateway | undefined;

  static async open(): Promise<ServerChannelBench> {
    const bench = new ServerChannelBench();
    const kit = bench.#kit;
    await kit.start({ transportLimits: NO_HURRY });
    kit.addUser('bob');
    for (let i = 0; i < GATEWAYS; i++) bench.#gateways.push(await kit.addGateway('bob', `van ${i}`));
    bench.#honest = await kit.addGateway('bob', 'hall');
    await bench.#honest.online(kit.server.url);
    return bench;
  }

  async run(steps: Input): Promise<void> {
    const socket = await this.#dial();
    if (!socket) return;
    const closed = once(socket, 'close');
    for (const step of steps.slice(0, MAX_STEPS)) {
      say(socket, step);
      await turn();
    }
    socket.close();
    socket.terminate();
    await closed;
  }

  /** Nothing when this gateway has dialled more often than it may: the server says so, and another takes its turn. */
  async #dial(): Promise<WebSocket | undefined> {
    const { server } = this.#kit;
    const { tls } = pick(this.#gateways, this.#next++);
    const socket = new WebSocket(`${server.url.replace('https', 'wss')}/cpns/v1/channel`, 'cpns1', {
      ...{ ca: server.caPem, cert: tls.certPem, key: tls.keyPem, perMessageDeflate: false },
    });
    const refused = new Promise<number>((resolve) => {
      socket.on('unexpected-response', (request, response) => {
        request.destroy();
        resolve(response.statusCode ?? 0);
      });
    });
    const opened = new Promise<'open'>((resolve, reject) => {
      socket.on('open', () => resolve('open'));
      socket.on('error', reject);
    });
    const outcome = await Promise.race([opened, refused]);
    if (outcome === 'open') return socket;
    opened.catch(() => {});
    assert.equal(outcome, 429, 'refused, and not for the number of dials');
    await new Promise((resolve) => setTimeout(resolve, 20));
    return undefined;
  }

  async audit(): Promise<void> {
    assert.ok(this.#honest?.channel?.isUp, 'the channel of an honest gateway went down');
    // Not one of the things that are counted by the day: a long run would use them up.
    const asked = this.#honest.client.transaction(TransactionId(new Uint8Array(16)));
    await assert.rejects(asked, { status: 'unknown-transaction' });
  }

  close(): Promise<void> {
    return this.#kit.close();
  }
}

const codes = new Set(Object.values(STATUSES).map(({ code }) => code));

class ClientBench implements Bench {
  readonly seeds: readonly Input[] = clientSeeds();
  readonly #stub: StubServer;
  readonly #sockets: WebSocketServer;
  readonly #channel: ChannelClient;
  readonly #client: ServerClient;
  #socket: Socket | undefined;
  #wake: (() => void) | undefined;
  #answer: Input = [];

  private constructor(stub: StubServer, caPem: string) {
    this.#stub = stub;
    stub.answer = (response) => {
      const [head, body = part()] = this.#answer;
      response.writeHead(200 + ((byteAt(head, 1) << 1) % 400), {
        'content-type': pick([PROBLEM_MEDIA_TYPE, 'application/cbor', 'x'], byteAt(head, 2)),
      });
      response.end(body);
    };
    this.#sockets = new WebSocketServer({ server: stub.server, path: '/cpns/v1/channel' });
    this.#sockets.on('connection', (socket) => {
      socket.on('error', () => {});
      this.#socket = socket;
      this.#wake?.();
    });
    const address = { baseUrl: stub.baseUrl, caPem };
    this.#client = openServerClient(address);
    this.#channel = openChannelClient({
      ...address,
      redial: { firstMs: 1, maxMs: 2 },
      onFrame: async (frame) => {
        ChannelFrame.encode(frame);
      },
      onEvent: (event) => {
        if (event.kind === 'down')
          assert.ok(codes.has(STATUSES[event.error.status].code) && event.error.status !== 'internal');
        if (event.kind === 'handler-failed') throw event.error;
      },
    });
  }

  static async open(): Promise<ClientBench> {
    const ca = testCa('operator');
    const tls = ca.issue('server');
    return new ClientBench(
      await stubServer({ cert: tls.certPem, key: tls.keyPem, ca: ca.certPem }),
      ca.certPem,
    );
  }

  /** The first part says whether a call is answered, with what head; its answer is the second. The rest goes down the channel. */
  async run([head, ...steps]: Input): Promise<void> {
    if (byteAt(head, 0) & 1) return this.#call([head ?? part(), ...steps]);
    const socket = await this.#connected();
    for (const step of steps.slice(0, MAX_STEPS)) {
      say(socket, step);
      await turn();
    }
    await turn();
  }

  async close(): Promise<void> {
    await this.#channel.close();
    this.#client.close();
    for (const socket of this.#sockets.clients) socket.terminate();
    this.#sockets.close();
    await this.#stub.close();
  }

  async #call(answer: Input): Promise<void> {
    this.#answer = answer;
    try {
      await this.#client.enrolmentNonce({ deadlineMs: 500 });
    } catch (error) {
      if (!(error instanceof CpnsError)) throw error;
      assert.notEqual(error.status, 'ok');
    }
  }

  async #connected(): Promise<Socket> {
    for (;;) {
      if (this.#socket?.readyState === WebSocket.OPEN && this.#channel.isUp) return this.#socket;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
        setTimeout(resolve, 5);
      });
    }
  }
}

function clientSeeds(): Input[] {
  const frames = SAMPLES.find(({ message }) => message.name === 'ChannelFrame');
  const problem = SAMPLES.find(({ message }) => message.name === 'ProblemDetails');
  const nonce = SAMPLES.find(({ message }) => message.name === 'EnrolmentNonce');
  if (!frames || !problem || !nonce) throw new TypeError('no samples');
  const encoded = [frames.minimal, frames.maximal].map((value) => frames.message.encode(value));
  return [
    ...encoded.map((frame): Input => [part(0), part(0, ...frame), part(2, 7), part(0, ...frame)]),
    [part(0), part(1, 0x61)],
    [part(0), part(4, 2)],
    [part(0), part(5, 0x82, 0x7f, 0, 0, 0, 1, 0, 0, 0, 0)],
    [part(0), part(6, 0x0f, 3, 1, 2, 3)],
    [part(1, 100, 0), problem.message.encode(problem.maximal)],
    [part(1, 0, 1), nonce.message.encode(nonce.minimal)],
    [part(1, 0, 1), new Uint8Array(65_537)],
  ];
}

export const channelTarget: Target = {
  name: 'channel',
  about: 'any frames and bytes of a gateway on the channel of the real server',
  sources: ['https/server-channel', 'messages/channel'],
  cpuMs: 250,
  allocBytes: 32 * 1024 * 1024,
  open: () => ServerChannelBench.open(),
};

export const clientTarget: Target = {
  name: 'client',
  about: 'a server that answers anything, on the channel and to calls, before the real client',
  sources: ['https/channel-client', 'https/server-client'],
  cpuMs: 250,
  allocBytes: 32 * 1024 * 1024,
  open: () => ClientBench.open(),
};
