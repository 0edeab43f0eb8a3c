/** The channel client against a WebSocket server that misbehaves on demand: order, acknowledgement, redial, silence. */
import assert from 'node:assert/strict';
import { type WebSocket, WebSocketServer } from 'ws';
import { CpnsError } from '../../../src/base/errors.ts';
import { TransactionId } from '../../../src/base/ids.ts';
import {
  type ChannelClient,
  type ChannelEvent,
  type ChannelState,
  openChannelClient,
} from '../../../src/https/channel-client.ts';
import { ChannelAck, ChannelFrame } from '../../../src/messages/channel.ts';
import { problem, type StubServer, stubServer } from './stub-server.ts';
import { type Issued, type TestCa, testCa } from './tls-samples.ts';

const registered = (deliveryId: number): ChannelFrame => ({
  deliveryId,
  kind: 'pn-registration-response',
  body: {
    txn: TransactionId(new Uint8Array(16).fill(deliveryId)),
    status: 'ok',
    inventory: new Uint8Array(9),
  },
});

describe('channel client', () => {
  let ca: TestCa;
  let tls: Issued;
  let gateway: Issued;
  let stub: StubServer;
  let sockets: WebSocketServer;
  let channel: ChannelClient | undefined;
  let dialled: WebSocket[];
  let acks: number[];
  let handled: number[];
  let events: ChannelEvent[];
  let onFrame: (frame: ChannelFrame) => Promise<void>;
  const waiting: { readonly test: () => boolean; readonly resolve: () => void }[] = [];

  /** Resolves as soon as something that happened made it true. */
  const until = (test: () => boolean): Promise<void> =>
    test() ? Promise.resolve() : new Promise((resolve) => waiting.push({ test, resolve }));
  const happened = () => {
    for (const one of waiting.splice(0))
      if (one.test()) one.resolve();
      else waiting.push(one);
  };

  before(() => {
    ca = testCa('operator');
    tls = ca.issue('server');
    gateway = ca.issue('gateway');
  });
  beforeEach(async () => {
    [dialled, acks, handled, events] = [[], [], [], []];
    onFrame = async () => undefined;
    stub = await stubServer({ cert: tls.certPem, key: tls.keyPem, ca: ca.certPem });
    sockets = new WebSocketServer({ server: stub.server, path: '/cpns/v1/channel' });
    sockets.on('connection', (socket) => {
      dialled.push(socket);
      socket.on('message', (data: Buffer) => {
        acks.push(ChannelAck.decode(new Uint8Array(data)).deliveryId);
        happened();
      });
      happened();
    });
  });
  afterEach(async () => {
    await channel?.close();
    sockets.close();
    await stub.close();
  });

  const open = (options: { silenceMs?: number; caPem?: string } = {}) => {
    channel = openChannelClient({
      baseUrl: stub.baseUrl,
      caPem: options.caPem ?? ca.certPem,
      identity: gateway,
      redial: { firstMs: 10, maxMs: 40 },
      ...(options.silenceMs === undefined ? {} : { silenceMs: options.silenceMs }),
      onFrame: async (frame) => {
        await onFrame(frame);
        if ('deliveryId' in frame) handled.push(frame.deliveryId);
        happened();
      },
      onEvent: (event) => {
        events.push(event);
        happened();
      },
    });
    return channel;
  };
  const send = (socket: WebSocket | undefined, ...frames: readonly ChannelFrame[]) => {
    for (const frame of frames) socket?.send(ChannelFrame.encode(frame));
  };
  const downs = () => events.flatMap((event) => (event.kind === 'down' ? [event.error.status] : []));

  it('acknowledges each frame after its handler, in order', async () => {
    const order: string[] = [];
    onFrame = async (frame) => {
      await new Promise((resolve) => setImmediate(resolve));
      order.push(`${'deliveryId' in frame && frame.deliveryId} handled, ${acks.length} acknowledged`);
    };
    const it = open();
    await until(() => dialled.length === 1);
    send(dialled[0], registered(1), registered(2), registered(3));
    await until(() => acks.length === 3);
    assert.deepEqual(acks, [1, 2, 3]);
    assert.match(order[0] ?? '', /^1 handled, 0 /);
    assert.ok(it.isUp);
  });

  it('acknowledges nothing for a frame without a delivery id', async () => {
    open();
    await until(() => dialled.length === 1);
    const txn = TransactionId(new Uint8Array(16));
    send(dialled[0], { kind: 'transaction-waiting', body: { txn, status: 'awaiting-user' } }, registered(1));
    await until(() => acks.length === 1);
    assert.deepEqual(acks, [1]);
  });

  it('dials again and takes a repetition without handling it twice', async () => {
    open();
    await until(() => dialled.length === 1);
    send(dialled[0], registered(1));
    await until(() => acks.length === 1);
    dialled[0]?.terminate();
    await until(() => dialled.length === 2);
    send(dialled[1], registered(1), registered(2));
    await until(() => acks.length === 3);
    assert.deepEqual(
      [handled, acks],
      [
        [1, 2],
        [1, 1, 2],
      ],
    );
    assert.deepEqual(downs(), ['server-unreachable']);
  });

  it('handles an id anew when it stands for something else', async () => {
    open();
    await until(() => dialled.length === 1);
    const other = { ...registered(1), body: { ...registered(2).body } } as ChannelFrame;
    send(dialled[0], registered(1), other);
    await until(() => acks.length === 2);
    assert.deepEqual(handled, [1, 1]);
  });

  it('goes down when a handler fails, and acknowledges neither that frame nor those behind it', async () => {
    let failures = 1;
    onFrame = async (frame) => {
      if ('deliveryId' in frame && frame.deliveryId === 2 && failures-- > 0)
        throw new CpnsError('cannot-persist');
    };
    open();
    await until(() => dialled.length === 1);
    send(dialled[0], registered(1), registered(2), registered(3));
    await until(() => dialled.length === 2);
    assert.deepEqual(handled, [1]);
    assert.deepEqual(downs(), ['cannot-persist']);
    send(dialled[1], registered(2), registered(3));
    await until(() => acks.length >= 3);
    assert.deepEqual(handled, [1, 2, 3]);
  });

  it('is bounded: it stops reading while too much waits, and goes on after', async () => {
    let release: () => void = () => undefined;
    const gate = new Promise<void>((resolve) => {
      release = resolve;
    });
    onFrame = () => gate;
    open({ silenceMs: 100 });
    await until(() => dialled.length === 1);
    send(dialled[0], ...Array.from({ length: 200 }, (_, n) => registered(n + 1)));
    // Longer than the silence that would end a channel whose server is gone.
    await new Promise((resolve) => setTimeout(resolve, 250));
    assert.deepEqual([acks.length, downs()], [0, []]);
    release();
    await until(() => acks.length === 200);
  });

  it('gives a silent server up, and not one that pings', async () => {
    open({ silenceMs: 120 });
    await until(() => dialled.length === 1);
    const pings = setInterval(() => dialled[0]?.ping(), 30);
    await new Promise((resolve) => setTimeout(resolve, 300));
    assert.deepEqual(downs(), []);
    clearInterval(pings);
    await until(() => downs().length === 1);
    assert.deepEqual(downs(), ['peer-lost']);
  });

  for (const [name, data] of [
    ['bytes that are no frame', new Uint8Array([1, 2, 3])],
    ['text', 'hello'],
  ] as const) {
    it(`ends the channel at ${name}`, async () => {
      open();
      await until(() => dialled.length === 1);
      dialled[0]?.send(data);
      await until(() => dialled.length === 2);
      assert.deepEqual(downs(), ['malformed']);
    });
  }

  it('ends the channel at a frame longer than 65,536 bytes', async () => {
    open();
    await until(() => dialled.length === 1);
    dialled[0]?.send(new Uint8Array(65_537));
    await until(() => downs().length === 1);
    assert.equal(handled.length, 0);
  });

  it("says the server's status when it is refused, and goes on trying", async () => {
    sockets.close();
    stub.server.removeAllListeners('upgrade');
    stub.answer = (response) => problem(response, 'revoked-gateway');
    open();
    await until(() => downs().length === 2);
    assert.deepEqual(downs(), ['revoked-gateway', 'revoked-gateway']);
  });

  it('believes no other CA', async () => {
    open({ caPem: testCa('other').certPem });
    await until(() => downs().length === 1);
    assert.deepEqual([downs(), dialled.length], [['server-unreachable'], 0]);
  });

  it('comes back with a renewed certificate', async () => {
    const it = open();
    await until(() => dialled.length === 1);
    it.useIdentity(ca.issue('renewed'));
    await until(() => dialled.length === 2);
    assert.equal(downs().length, 1);
  });

  it('says where it stands: dialling, up, waiting for its next dial, and overdue behind a handler that hangs', async () => {
    let release = () => {};
    onFrame = () =>
      new Promise((resolve) => {
        release = resolve;
      });
    const it = open();
    const stateNow = (): ChannelState => it.state;
    assert.equal(stateNow().kind, 'dialling');
    await until(() => events.some(({ kind }) => kind === 'up'));
    assert.deepEqual(stateNow(), { kind: 'up' });
    send(dialled[0], registered(1));
    await new Promise((resolve) => setTimeout(resolve, 50));
    dialled[0]?.terminate();
    await until(() => downs().length === 1);
    const state = stateNow();
    assert.ok(state.kind === 'waiting' && state.dueInMs > 0 && state.dueInMs <= 40, JSON.stringify(state));
    await new Promise((resolve) => setTimeout(resolve, 150));
    const later = stateNow();
    assert.ok(later.kind === 'waiting' && later.dueInMs < -50, JSON.stringify(later));
    release();
    await until(() => dialled.length === 2);
  });

  it('closes: finishes the frame at hand, dials no more', async () => {
    let release: () => void = () => undefined;
    const gate = new Promise<void>((resolve) => {
      release = resolve;
    });
    let started = false;
    onFrame = () => {
      started = true;
      happened();
      return gate;
    };
    const it = open();
    await until(() => dialled.length === 1);
    send(dialled[0], registered(1));
    await until(() => started);
    const closed = it.close();
    release();
    await closed;
    assert.deepEqual([handled, it.isUp, downs()], [[1], false, ['shutting-down']]);
  });
});
