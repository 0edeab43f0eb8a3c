/** The server's end of the channels, on a real WebSocket. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { WebSocket, WebSocketServer } from 'ws';
import { GatewayId } from '../../src/base/ids.ts';
import { ChannelHub } from '../../src/https/server-channel.ts';

const GATEWAY = GatewayId(new Uint8Array(8));
const NOTHING = { next: () => [], acknowledge: () => {}, inGoodStanding: () => true };

describe('channel hub', () => {
  it('ends a channel that comes in after it was closed', async () => {
    const server = new WebSocketServer({ port: 0, host: '127.0.0.1' });
    await once(server, 'listening');
    const arrived = once(server, 'connection') as Promise<[WebSocket]>;
    const client = new WebSocket(`ws://127.0.0.1:${(server.address() as AddressInfo).port}`);
    try {
      const [socket] = await arrived;
      const hub = new ChannelHub(NOTHING);
      hub.close();
      const closed = once(client, 'close') as Promise<[number]>;
      hub.attach(GATEWAY, socket);
      assert.equal(hub.count, 0);
      const [code] = await closed;
      assert.equal(code, 1001);
    } finally {
      client.terminate();
      server.close();
    }
  });
});
