/**
 * A gateway that abuses its channel: frames compressed, unmasked, in a thousand fragments or longer than there is room;
 * pings, pongs and acknowledgements that nobody asked for; channels dialled without end. Its channel ends, or is not
 * opened, and that is all that happens.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { TLSSocket } from 'node:tls';
import { WebSocket } from 'ws';
import { ChannelAck } from '../../../src/messages/channel.ts';
import type { TestGateway } from '../../support/server-kit.ts';
import { channel, ended, readAnswers, request, Site } from './site.ts';

const UPGRADE = [
  'connection: Upgrade',
  'upgrade: websocket',
  'sec-websocket-version: 13',
  'sec-websocket-protocol: cpns1',
  'sec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==',
];
const MASK = [0, 0, 0, 0];
const frame = (first: number, ...rest: readonly number[]) => Buffer.from([first, ...rest]);
/** A masked frame with a short payload; the mask is zero. */
const masked = (first: number, payload: readonly number[] = []) =>
  frame(first, 0x80 | payload.length, ...MASK, ...payload);

const [BINARY, CONTINUATION, FIN, RSV1] = [0x02, 0x00, 0x80, 0x40];
/** What is written, and the close code that is heard; 1006 stands for none. */
const FRAMES: readonly [string, Buffer, readonly number[]][] = [
  ['compressed', masked(FIN | RSV1 | BINARY, [1]), [1002]],
  ['with reserved bits', masked(FIN | 0x30 | BINARY, [1]), [1002]],
  ['unmasked', frame(FIN | BINARY, 1, 0xa0), [1002]],
  ['of a reserved kind', masked(FIN | 0x03, [1]), [1002]],
  ['of 2^63 bytes', frame(FIN | BINARY, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0, ...MASK), [1009]],
  ['of 65,537 bytes', frame(FIN | BINARY, 0xff, 0, 0, 0, 0, 0, 1, 0, 1, ...MASK), [1009]],
  ['as text', masked(FIN | 0x01, [0x61]), [1008]],
  ['of nonsense', masked(FIN | BINARY, [0xff]), [1008]],
  ['that is empty', masked(FIN | BINARY), [1008]],
  ['that goes on with nothing', masked(FIN | CONTINUATION, [1]), [1002]],
  ['as a ping in pieces', masked(0x09, [1]), [1002]],
  ['as a ping of 126 bytes', frame(FIN | 0x09, 0xfe, 0, 126, ...MASK, ...Array<number>(126).fill(0)), [1002]],
  [
    'in a thousand pieces',
    Buffer.concat([masked(BINARY, [1]), ...Array.from({ length: 1_000 }, () => masked(CONTINUATION, [1]))]),
    [1008],
  ],
  [
    'in pieces of nothing',
    Buffer.concat([masked(BINARY), ...Array.from({ length: 1_000 }, () => masked(CONTINUATION))]),
    [1008],
  ],
];

describe('a gateway that abuses its channel', function () {
  this.timeout(60_000);
  let site: Site;
  let mallory: TestGateway;

  before(async () => {
    site = await Site.open();
    mallory = await site.gateway('Mallory');
  });
  after(() => site.close());

  /** A connection that was upgraded by hand. */
  async function upgraded(gateway: TestGateway): Promise<TLSSocket> {
    const socket = await site.dial(gateway);
    const text = Buffer.from(request('GET', '/cpns/v1/channel', new Uint8Array(), UPGRADE)).toString(
      'latin1',
    );
    socket.write(text.replace('connection: close\r\n', ''));
    const [head] = (await once(socket, 'data')) as [Buffer];
    assert.match(head.toString('latin1'), /^HTTP\/1\.1 101 /);
    return socket;
  }

  /** The code of the close frame that comes. */
  async function closeCode(socket: TLSSocket): Promise<number> {
    let all = Buffer.alloc(0);
    socket.on('data', (chunk: Buffer) => {
      all = Buffer.concat([all, chunk]);
    });
    await new Promise((resolve) => socket.once('close', resolve));
    const at = all.indexOf(Buffer.from([0x88, 0x02]));
    return at < 0 ? 1006 : all.readUInt16BE(at + 2);
  }

  it('loses it at a frame that is none of ours', async () => {
    const gateways = await Promise.all(FRAMES.map((_, i) => site.gateway('Mallory', `Cellar ${i}`)));
    await site.honest.during(() =>
      Promise.all(
        FRAMES.map(async ([what, bytes, codes], i) => {
          const gateway = gateways[i];
          assert.ok(gateway);
          const socket = await upgraded(gateway);
          const code = closeCode(socket);
          socket.write(bytes);
          assert.ok(codes.includes(await code), `a frame ${what}: ${await code}`);
        }),
      ),
    );
  });

  /** What is sent, and how many at a time: many pings in one packet end a channel before they are counted. */
  const NOISE: readonly [string, number, (socket: WebSocket) => void][] = [
    ['pings', 2, (socket) => socket.ping()],
    ['pongs', 100, (socket) => socket.pong()],
    ['acknowledgements of nothing', 100, (socket) => socket.send(ChannelAck.encode({ deliveryId: 77 }))],
  ];
  for (const [what, atOnce, send] of NOISE)
    it(`loses it after some hundreds of ${what}, and is not forgiven by dialling again`, async () => {
      const noisy = await site.gateway('Mallory', what.slice(0, 16));
      const flood = async () => {
        const socket = await channel(site, noisy);
        const closed = once(socket, 'close') as Promise<[number]>;
        let sent = 0;
        while (socket.readyState === WebSocket.OPEN && sent < 20_000) {
          send(socket);
          if (++sent % atOnce === 0) await new Promise((resolve) => setTimeout(resolve, 2));
        }
        const [code] = await closed;
        return { code, sent };
      };
      const before = await site.metric('cpns_limited_total{limit="noise-per-gateway"}');
      await site.honest.during(async () => {
        const [first, second] = [await flood(), await flood()];
        for (const { code, sent } of [first, second])
          assert.ok([1008, 1006].includes(code) && sent < 20_000, `${code} after ${sent}`);
      });
      assert.equal(await site.metric('cpns_limited_total{limit="noise-per-gateway"}'), before + 2);
    });

  it('is told to wait when it dials without end, and keeps the channel it has', async () => {
    let answers = 0;
    await site.honest.during(async () => {
      for (;;) {
        const socket = await site.dial(mallory);
        const text = Buffer.from(request('GET', '/cpns/v1/channel', new Uint8Array(), UPGRADE)).toString(
          'latin1',
        );
        socket.write(text.replace('connection: close\r\n', ''));
        const all = ended(socket);
        const [head] = (await once(socket, 'data')) as [Buffer];
        if (!head.toString('latin1').startsWith('HTTP/1.1 101 ')) {
          const [answer] = readAnswers(await all);
          assert.deepEqual([answer?.httpStatus, answer?.problem], [429, 'too-many-requests']);
          assert.ok(Number(answer?.retryAfter) >= 1);
          break;
        }
        assert.ok(++answers < 100, 'no end of channels');
      }
    });
    assert.ok(answers >= 30);
    assert.equal(await site.metric('cpns_limited_total{limit="dials-per-gateway"}'), 1);
  });
});
