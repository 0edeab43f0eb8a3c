/** Event streams to pages that read slowly, or not at all. */
import assert from 'node:assert/strict';
import { createServer, get, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Sessions } from '../../src/console/sessions.ts';
import { Streams } from '../../src/console/streams.ts';

/** More than all buffers on the way hold. */
const LONG = 'x'.repeat(16 * 1024 * 1024);

describe('an event stream of the console', function () {
  this.timeout(30_000);
  let server: Server;
  let streams: Streams;
  let version: number;
  let text: string;

  beforeEach(() => {
    version = 0;
    text = LONG;
  });

  async function open(beatMs?: number): Promise<IncomingMessage> {
    streams = new Streams(
      () => ({ version, text }),
      (error) => assert.fail(String(error)),
      beatMs,
    );
    const sessions = new Sessions();
    const session = sessions.use(sessions.open(0), 0) ?? assert.fail();
    server = createServer((_request, response) => streams.add(response, session, undefined, {}));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    const stream = await new Promise<IncomingMessage>((resolve, reject) =>
      get({ port, agent: false }, resolve).on('error', reject),
    );
    return stream.on('error', () => {}).setEncoding('utf8');
  }
  afterEach(() => {
    streams.close();
    server.closeAllConnections();
    server.close();
  });

  it('has the newest view for who was slow, none in between, and is not cut', async () => {
    const slow = await open();
    for (version = 1; version < 6; version++) {
      streams.changed();
      await new Promise((resolve) => setTimeout(resolve, 250));
    }
    assert.equal(streams.count, 1);
    const seen: number[] = [];
    let tail = '';
    slow.on('data', (chunk: string) => {
      tail += chunk;
      for (const [, found] of tail.matchAll(/"version":(\d+)/g)) seen.push(Number(found));
      tail = tail.slice(-20).replace(/"version":\d+/, '');
    });
    const endAt = performance.now() + 15_000;
    while (!seen.includes(6)) {
      assert.ok(performance.now() < endAt, String(seen));
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    assert.deepEqual(seen, [0, 6]);
  });

  it('ends for who reads nothing any more, and goes on for who has nothing to read', async () => {
    const deaf = await open(50);
    const endAt = performance.now() + 10_000;
    while (streams.count > 0) {
      assert.ok(performance.now() < endAt, 'held');
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    deaf.destroy();
    streams.close();
    server.close();
    text = '';
    const good = await open(50);
    good.resume();
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    assert.equal(streams.count, 1);
    good.destroy();
  });
});
