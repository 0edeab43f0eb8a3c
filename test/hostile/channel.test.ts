/** A gateway with a certificate that means harm, at the server's channel. */
import assert from 'node:assert/strict';
import { WebSocket } from 'ws';
import { ServerKit } from '../support/server-kit.ts';

const PINGS = 300_000;

describe('a hostile gateway on the channel', function () {
  this.timeout(30_000);
  let kit: ServerKit;
  before(async () => {
    kit = new ServerKit();
    await kit.start();
  });
  after(() => kit.close());

  it('is cut off when it pings and never reads the pongs', async () => {
    kit.addUser('Mallory');
    const gateway = await kit.addGateway('Mallory', 'Cellar');
    const socket = new WebSocket(`${kit.server.url.replace('https', 'wss')}/cpns/v1/channel`, 'cpns1', {
      ...{ ca: gateway.caPem, cert: gateway.tls.certPem, key: gateway.tls.keyPem },
      perMessageDeflate: false,
    });
    await new Promise((resolve) => socket.once('open', resolve));
    let pongs = 0;
    socket.on('pong', () => pongs++);
    const closed = new Promise((resolve) => socket.once('close', resolve));
    socket.on('error', () => {});
    socket.pause();
    const payload = Buffer.alloc(125);
    for (let sent = 0; sent < PINGS && socket.readyState === WebSocket.OPEN; sent++) {
      socket.ping(payload, true, () => {});
      if (sent % 1_000 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    await new Promise((resolve) => setTimeout(resolve, 1_500));
    socket.resume();
    const ended = await Promise.race([
      closed.then(() => true),
      new Promise((resolve) => setTimeout(resolve, 3_000)).then(() => false),
    ]);
    socket.terminate();
    assert.ok(ended, `the server held ${pongs} pongs for a peer that did not read`);
    assert.ok(pongs < PINGS);
  });
});
