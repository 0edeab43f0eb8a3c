/**
 * The server itself turned hostile, or whoever has stolen its TLS key and address, though not the keys it signs with:
 * frames that are none, forged and old inventories, other gateways' transactions, questions without evidence by the
 * hundred, one delivery for ever. Real gateways on the virtual radio live through it, keep what they knew, hold a bounded
 * amount, and go on with the honest server afterwards.
 */
import assert from 'node:assert/strict';
import { createServer, type Server } from 'node:https';
import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { type WebSocket, WebSocketServer } from 'ws';
import { type Bytes, fromHex, toHex } from '../../../src/base/bytes.ts';
import { PnId, TransactionId } from '../../../src/base/ids.ts';
import { ChannelAck, ChannelFrame } from '../../../src/messages/channel.ts';
import { InventoryPayload } from '../../../src/messages/inventory.ts';
import type { GatewayNode } from '../../../src/nodes/gateway/gateway.ts';
import { Operator } from '../../../src/nodes/server/identity.ts';
import { assembleSign1, parseSign1 } from '../../../src/security/cose.ts';
import { gatewayIdOf } from '../../../src/security/cose-key.ts';
import { coordinatesOf, generateKey, softwareSigner } from '../../../src/security/keystore.ts';
import { toBeSigned } from '../../../src/security/signed-message.ts';
import { confirmRequest } from '../../gateway/server-side/confirm-samples.ts';
import { primitives } from '../../support/join.ts';
import { Honest } from '../honest.ts';

const KEPT_QUESTIONS = 256;

/** Has the operator's address and certificate, answers every request with 503, and says on channels what it likes. */
class HostileServer {
  readonly #server: Server;
  readonly #channels = new Map<string, WebSocket>();
  readonly #connections = new Set<Socket>();
  readonly acknowledged = new Map<string, number[]>();
  /** Channels opened so far, by gateway. */
  readonly dials = new Map<string, number>();
  #changed: () => void = () => undefined;

  private constructor(server: Server) {
    this.#server = server;
    server.on('connection', (socket: Socket) => {
      this.#connections.add(socket);
      socket.once('close', () => this.#connections.delete(socket));
    });
    const sockets = new WebSocketServer({ server, handleProtocols: () => 'cpns1' });
    sockets.on('connection', (socket, request) => {
      const certificate = (request.socket as TLSSocket).getPeerX509Certificate();
      assert.ok(certificate);
      const name = toHex(gatewayIdOf(primitives, coordinatesOf(certificate.publicKey)));
      this.#channels.set(name, socket);
      this.dials.set(name, (this.dials.get(name) ?? 0) + 1);
      socket.on('error', () => undefined);
      socket.on('close', () => {
        if (this.#channels.get(name) === socket) this.#channels.delete(name);
        this.#changed();
      });
      socket.on('message', (data: Buffer) => {
        const { deliveryId } = ChannelAck.decode(new Uint8Array(data));
        this.acknowledged.set(name, [...(this.acknowledged.get(name) ?? []), deliveryId]);
        this.#changed();
      });
      this.#changed();
    });
  }

  static async open(stateDir: string, port: number): Promise<HostileServer> {
    const now = Math.floor(Date.now() / 1_000);
    const { keyPem, certPem, caPem } = new Operator(stateDir, primitives).tls(
      ['localhost', '127.0.0.1'],
      now,
    );
    const server = createServer(
      { key: keyPem, cert: certPem, ca: caPem, requestCert: true, minVersion: 'TLSv1.3' },
      (request, response) => {
        request.resume();
        response.writeHead(503).end();
      },
    );
    const hostile = new HostileServer(server);
    await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
    return hostile;
  }

  /** Settles when the condition holds, looked at whenever something has happened. */
  until(holds: () => boolean): Promise<void> {
    return new Promise((resolve) => {
      this.#changed = () => {
        if (holds()) resolve();
      };
      this.#changed();
    });
  }

  /** The present channel of a gateway. */
  async channel(gateway: GatewayNode): Promise<WebSocket> {
    const name = gateway.status().gatewayId;
    await this.until(() => this.#channels.has(name));
    const socket = this.#channels.get(name);
    assert.ok(socket);
    return socket;
  }

  acknowledgedBy(gateway: GatewayNode): readonly number[] {
    return this.acknowledged.get(gateway.status().gatewayId) ?? [];
  }

  /** Says frames that a gateway must take and settles when the last was acknowledged. */
  async tell(gateway: GatewayNode, frames: readonly ChannelFrame[]): Promise<void> {
    const socket = await this.channel(gateway);
    const ids = frames.flatMap((frame) => ('deliveryId' in frame ? [frame.deliveryId] : []));
    const before = this.acknowledgedBy(gateway).length;
    for (const frame of frames) socket.send(ChannelFrame.encode(frame));
    await this.until(() => this.acknowledgedBy(gateway).length >= before + ids.length);
  }

  close(): Promise<void> {
    return new Promise((resolve) => {
      this.#server.close(() => resolve());
      for (const socket of this.#connections) socket.destroy();
    });
  }
}

describe('gateways whose server is hostile', function () {
  this.timeout(100_000);
  let honest: Honest;
  let hostile: HostileServer;
  let pnId: string;
  /** Exact bytes, as the honest server said them. */
  let [older, newest]: [Bytes, Bytes] = [new Uint8Array(), new Uint8Array()];
  let delivery = 1_000_000;

  const inventory = () => honest.initiating.inventory(pnId);

  before(async () => {
    honest = await Honest.open();
    await honest.establish();
    pnId = honest.initiating.pns()[0]?.pnId ?? '';
    older = inventory() ?? older;
    await honest.establish();
    newest = inventory() ?? newest;
    assert.notDeepEqual(older, newest);
    const port = Number(new URL(honest.network.server.url).port);
    await honest.network.server.close();
    hostile = await HostileServer.open(honest.network.serverDir, port);
  });
  after(async () => {
    await hostile.close();
    await honest.close();
  });

  const update = (bytes: Bytes): ChannelFrame => ({
    kind: 'inventory-update',
    deliveryId: delivery++,
    body: { pnId: PnId(fromHex(pnId)), inventory: bytes },
  });

  it('take no inventory but a later one that the operator signed', async () => {
    const { payload, kid } = parseSign1(newest);
    const later = InventoryPayload.encode({ ...InventoryPayload.decode(payload), version: 99 });
    const thief = softwareSigner(generateKey());
    const signed = thief.sign(toBeSigned(InventoryPayload, new Uint8Array(), later));
    assert.ok(kid);
    const forged = assembleSign1(later, signed, kid);
    const unsigned = assembleSign1(later, parseSign1(newest).signature, kid);
    await hostile.tell(honest.initiating, [update(forged), update(unsigned), update(older), update(newest)]);
    assert.deepEqual(inventory(), newest);
    // Nor for the transaction of somebody else, nor one that never was, under whatever name.
    const txn = TransactionId(primitives.randomBytes(16));
    const response = (bytes: Bytes): ChannelFrame => ({
      kind: 'pn-registration-response',
      deliveryId: delivery++,
      body: { txn, status: 'ok', inventory: bytes },
    });
    await hostile.tell(honest.initiating, [response(newest), response(forged)]);
    await hostile.tell(honest.home, [update(newest), response(newest)]);
    assert.deepEqual(inventory(), newest);
    assert.deepEqual(
      honest.home.pns().filter(({ version }) => version > 0),
      [],
    );
  });

  it('take one delivery a thousand times, and hold nothing more', async () => {
    const once = update(older);
    await hostile.tell(
      honest.initiating,
      Array.from({ length: 1_000 }, () => once),
    );
    assert.deepEqual(inventory(), newest);
  });

  it('end a channel that speaks nonsense, and dial again at a pace of their own', async () => {
    const nonsense: readonly (string | Uint8Array)[] = [
      'text',
      new Uint8Array(70_000),
      Uint8Array.of(0xbf, 0xff),
      Uint8Array.of(0xa3, 0x01, 0x01, 0x02, 0x18, 0x63, 0x03, 0xa0),
      new Uint8Array(60_000).fill(0x81),
    ];
    const name = honest.initiating.status().gatewayId;
    const before = hostile.dials.get(name) ?? 0;
    for (const bytes of nonsense) {
      const socket = await hostile.channel(honest.initiating);
      const closed = new Promise((resolve) => socket.once('close', resolve));
      socket.send(bytes);
      await closed;
    }
    assert.ok((hostile.dials.get(name) ?? 0) <= before + nonsense.length);
    assert.deepEqual(inventory(), newest);
  });

  it('ask their owner nothing without evidence, and keep a bounded number of such questions', async () => {
    const asked = honest.network.events.filter(({ kind }) => kind === 'asked').length;
    const answered = honest.home.confirmations().length;
    const socket = await hostile.channel(honest.home);
    const before = hostile.acknowledgedBy(honest.home).length;
    const ended = new Promise<'ended'>((resolve) => socket.once('close', () => resolve('ended')));
    const deadline = Math.floor(Date.now() / 1_000) + 86_400;
    // Under a kid that is the operator's: for another one the gateway would ask the server first, and take nothing.
    const sample = confirmRequest();
    const { payload, signature } = parseSign1(sample.evidence.challenge);
    const challenge = assembleSign1(payload, signature, parseSign1(newest).kid);
    const evidence = { ...sample.evidence, challenge };
    for (let i = 0; i < KEPT_QUESTIONS + 20; i++) {
      const body = { ...sample, evidence, th3: primitives.randomBytes(32), deadline };
      socket.send(ChannelFrame.encode({ kind: 'pne-confirm-request', deliveryId: delivery++, body }));
    }
    assert.equal(await ended, 'ended');
    // Nothing is acknowledged that is not kept; the end of the channel may overtake acknowledgements.
    assert.ok(hostile.acknowledgedBy(honest.home).length - before <= KEPT_QUESTIONS);
    assert.equal(honest.network.events.filter(({ kind }) => kind === 'asked').length, asked);
    assert.deepEqual(honest.home.approvals(), []);
    assert.equal(honest.home.confirmations().length, answered + KEPT_QUESTIONS);
  });

  it('go on with the honest server when it is back', async () => {
    await hostile.close();
    await honest.network.startServer();
    const back = () => [honest.home, honest.initiating].every((gateway) => gateway.status().channel === 'up');
    await honest.network.until('channels up', back, 35_000);
    // The answers that the hostile one would not take are at an end with this one: there is room for questions again.
    const settled = () => honest.network.events.filter(({ kind }) => kind === 'settled').length;
    await honest.network.until('forged questions settled', () => settled() > KEPT_QUESTIONS / 2, 35_000);
    await honest.establish();
  });
});
