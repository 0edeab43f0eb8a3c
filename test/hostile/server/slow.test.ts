/**
 * Slow-loris on HTTPS, by strangers and by a gateway: headers and bodies that trickle, answers that nobody reads, upgrades
 * whose refusal is never closed, channels that never read and never acknowledge. Each is given up within its deadline and
 * keeps nothing; a hundred of them at once disturb nobody.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { WebSocket } from 'ws';
import { ChannelFrame } from '../../../src/messages/channel.ts';
import { sayYes } from '../../support/join.ts';
import { joinOf, type TestGateway } from '../../support/server-kit.ts';
import { channel, ended, readAnswers, request, Site } from './site.ts';

const [HEADERS_MS, REQUEST_MS, SILENCE_MS] = [1_000, 2_000, 800];
const AT_ONCE = 15;
/** What the server looks at its connections in between, and what a busy machine needs. */
const SLACK_MS = 5_000;

describe('a slow client', function () {
  this.timeout(30_000);
  let site: Site;
  let mallory: TestGateway;

  before(async () => {
    site = await Site.open({
      ...{ headersMs: HEADERS_MS, requestMs: REQUEST_MS },
      channel: { pingMs: 100, silenceMs: SILENCE_MS },
      // Its connections are not what this is about.
      transportLimits: { connectionsPerGateway: 4 * AT_ONCE },
    });
    mallory = await site.gateway('Mallory');
  });
  after(() => site.close());

  /** Sends a byte every 50 ms until it is cut off. @returns what it heard, and after how long */
  async function trickle(bytes: string, gateway?: TestGateway) {
    const socket = await site.dial(gateway);
    const startedMs = performance.now();
    const heard = ended(socket);
    let at = 0;
    const timer = setInterval(() => {
      if (at < bytes.length && socket.writable) socket.write(bytes[at++] ?? '');
    }, 50);
    const answers = readAnswers(await heard);
    clearInterval(timer);
    return { answers, tookMs: performance.now() - startedMs };
  }

  const HEAD = 'GET /cpns/v1/health HTTP/1.1\r\nHost: cpns\r\n';
  const LONG = `X: ${'x'.repeat(4_000)}\r\n`;
  const POST = 'POST /cpns/v1/freshness HTTP/1.1\r\nHost: cpns\r\nContent-Type: application/cbor\r\n';

  it('that trickles headers, or says nothing, is cut off in time, many at once, and nobody minds', async () => {
    await site.honest.during(async () => {
      const slow = await Promise.all([
        ...Array.from({ length: AT_ONCE }, () => trickle(HEAD + LONG)),
        ...Array.from({ length: AT_ONCE }, () => trickle(HEAD + LONG, mallory)),
        ...Array.from({ length: AT_ONCE }, () => trickle('', mallory)),
      ]);
      for (const { tookMs, answers } of slow) {
        assert.ok(tookMs < HEADERS_MS + SLACK_MS, `${tookMs} ms`);
        assert.ok(answers.every(({ httpStatus }) => httpStatus === 408 || httpStatus === 400));
      }
    });
  });

  it('that trickles a body, of a length or in chunks, is cut off in time', async () => {
    const slowBody = async (head: string, rest: string) => {
      const socket = await site.dial(mallory);
      const heard = ended(socket);
      const startedMs = performance.now();
      socket.write(head);
      const timer = setInterval(() => socket.writable && socket.write(rest), 50);
      await heard;
      clearInterval(timer);
      return performance.now() - startedMs;
    };
    await site.honest.during(async () => {
      const tookMs = await Promise.all([
        slowBody(`${POST}Content-Length: 60000\r\n\r\n`, 'x'),
        slowBody(`${POST}Transfer-Encoding: chunked\r\n\r\n`, '1\r\nx\r\n'),
        slowBody(`${POST}Transfer-Encoding: chunked\r\n\r\n1;`, 'e'),
      ]);
      for (const ms of tookMs) assert.ok(ms < REQUEST_MS + SLACK_MS, `${ms} ms`);
    });
  });

  it('whose upgrade is refused is let go, though it never closes', async () => {
    const upgrade =
      'GET /cpns/v1/channel HTTP/1.1\r\nHost: c\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n';
    const key = 'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n';
    for (const gateway of [undefined, mallory]) {
      const socket = await site.dial(gateway, { allowHalfOpen: true });
      const chunks: Buffer[] = [];
      socket.on('data', (chunk: Buffer) => chunks.push(chunk));
      const refused = once(socket, 'end');
      socket.write(upgrade + key);
      await refused;
      const [answer] = readAnswers(Buffer.concat(chunks));
      assert.equal(answer?.problem, gateway ? 'version-mismatch' : 'not-authenticated');
      // The server has ended its half. Only when it has let go of the whole is what we write thrown back.
      const closed = new Promise((resolve) => socket.once('close', resolve));
      const timer = setInterval(() => socket.write('x'), 20);
      await closed;
      clearInterval(timer);
    }
  });

  it('that reads no answer is let go', async () => {
    // One whose pace nothing else here depends on.
    const socket = await site.dial(await site.gateway('Trent', 'Shed'));
    const one = Buffer.from(request('GET', '/cpns/v1/health').slice())
      .toString('latin1')
      .replace('connection: close\r\n', '');
    const many = Buffer.from(one.repeat(100));
    let written = 0;
    let answered = 0;
    socket.on('data', (chunk: Buffer) => {
      answered += chunk.toString('latin1').split('HTTP/1.1 ').length - 1;
    });
    socket.pause();
    const closed = new Promise((resolve) => socket.once('error', resolve).once('close', resolve));
    await site.honest.during(async () => {
      while (socket.writable && written++ < 30) {
        socket.write(many);
        await new Promise((resolve) => setImmediate(resolve));
      }
    });
    socket.resume();
    // By its pace or by the time its answers take, whichever comes first on this machine.
    await closed;
    assert.ok(answered < 100 * written, `all ${answered} requests were served`);
  });

  it('that never reads its channel loses it, and what waits for it waits on disk', async () => {
    const home = await site.gateway('Mallory', 'Hall');
    const socket = await channel(site, home);
    const channels = await site.metric('cpns_channels');
    socket.pause();
    const closed = once(socket, 'close');
    const pne = await site.pne(home);
    await site.honest.during(async () => {
      // Every join of hers ends the one before: questions and outcomes without end for her own home gateway.
      for (let i = 0; i < 15; i++) {
        const join = joinOf(mallory, pne);
        const { challenge } = await mallory.client.registerPn(join.txn, join.body);
        await mallory.client.respond(join.txn, join.respond(challenge).response);
      }
      const endAt = performance.now() + SILENCE_MS + SLACK_MS;
      while ((await site.metric('cpns_channels')) >= channels) {
        assert.ok(performance.now() < endAt, 'the channel stays up');
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    });
    socket.resume();
    await closed;
    assert.ok(site.rows(home.gatewayId).outbox >= 15);
  });

  it('that never acknowledges gets sixteen deliveries, the same again on the next channel, and holds nobody up', async () => {
    const home = await site.gateway('Trudy', 'Hall');
    const initiating = await site.gateway('Trudy', 'Den');
    const pnes = await Promise.all(Array.from({ length: 9 }, () => site.pne(home)));
    for (const pne of pnes) {
      const join = joinOf(initiating, pne);
      const { challenge } = await initiating.client.registerPn(join.txn, join.body);
      const { response, joinId, th3 } = join.respond(challenge);
      await initiating.client.respond(join.txn, response);
      // Outcomes on top of questions: more than sixteen wait.
      await home.client.confirm(joinId, sayYes(home.signer, th3));
      const again = joinOf(initiating, pne, { pnId: join.pnId, setupType: 'join' });
      const refresh = await initiating.client.registerPn(again.txn, again.body);
      await initiating.client.respond(again.txn, again.respond(refresh.challenge).response);
    }
    const waiting = site.rows(initiating.gatewayId).outbox;
    assert.ok(waiting > 16, String(waiting));
    const take = async () => {
      const ids: number[] = [];
      const socket = new WebSocket(`${site.url.replace('https', 'wss')}/cpns/v1/channel`, 'cpns1', {
        ...{ ca: initiating.caPem, cert: initiating.tls.certPem, key: initiating.tls.keyPem },
        perMessageDeflate: false,
      });
      socket.on('message', (data: Buffer) => {
        const frame = ChannelFrame.decode(new Uint8Array(data));
        if ('deliveryId' in frame) ids.push(frame.deliveryId);
      });
      await once(socket, 'open');
      // Longer than a silence: it answers pings, so it stays.
      await new Promise((resolve) => setTimeout(resolve, 2 * SILENCE_MS));
      assert.equal(socket.readyState, WebSocket.OPEN);
      socket.terminate();
      return ids;
    };
    const first = await site.honest.during(take);
    assert.equal(first.length, 16);
    assert.deepEqual(await take(), first);
    assert.equal(site.rows(initiating.gatewayId).outbox, waiting);
  });
});
