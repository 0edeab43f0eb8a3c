/**
 * A peer whose radio acknowledges nothing and goes on asking: every answer to it waits in the controller and behind it. At a
 * gateway the controller's buffers are everybody's.
 */
import assert from 'node:assert/strict';
import { AttClient, openService } from '../../../src/bluetooth/att.ts';
import { CPNS_DOWN_UUID, CPNS_SERVICE_UUID, CPNS_UP_UUID } from '../../../src/bluetooth/gatt-service.ts';
import { RawHost } from './raw-host.ts';
import { RogueGatt } from './rogue-gatt.ts';
import { Stage } from './stage.ts';

const READ_REQUEST = 0x0a;
const REQUESTS = 12_000;
const QUEUE_PACKETS = 4_096;

const turn = () => new Promise((resolve) => setImmediate(resolve));

/** Asks without ever taking an answer, until the link is down. @returns requests sent */
async function flood(host: RawHost): Promise<number> {
  host.deaf = true;
  for (let sent = 0; sent < REQUESTS; sent++) {
    if (!host.connection) return sent;
    host.att(READ_REQUEST, 3, 0);
    if (sent % 4 === 3) await turn();
  }
  return REQUESTS;
}

describe('hostile on the air: a peer that asks and takes no answer', function () {
  this.timeout(60_000);
  let stage: Stage;
  before(async () => {
    stage = await Stage.open();
  });
  after(() => stage.close());

  it('is dropped by a PNE when 4,096 packets wait for it', async () => {
    const x = await stage.victim('X');
    const host = new RawHost(stage.network.radio);
    const sent = await stage.during(async () => {
      host.connect(x.address);
      await host.connected();
      const att = new AttClient((pdu) => host.att(...pdu));
      host.onPdu = (pdu) => void att.take(pdu);
      await openService(att, { service: CPNS_SERVICE_UUID, up: CPNS_UP_UUID, down: CPNS_DOWN_UUID });
      return flood(host);
    });
    assert.ok(sent < QUEUE_PACKETS + 1_500, `${sent} requests were taken`);
    await stage.network.until('the link is down', () => x.pne.status().link === 'none');
    host.close();
    const mallory = await stage.mallory();
    const { dialogue } = await mallory.invite(x.address);
    await dialogue.close();
  });

  it("does not take a gateway's buffers from its other links", async () => {
    const rogue = new RogueGatt(stage.network.radio, 1);
    const { host } = rogue;
    await stage.network.until('subscribed', () => host.pdus.some(([opcode]) => opcode === 0x12), 15_000);
    await turn();
    // Eight answers are enough to fill the controller; the link itself is not over yet, its OPEN is due in 2 s.
    host.deaf = true;
    for (let i = 0; i < 40; i++) {
      host.att(READ_REQUEST, 3, 0);
      await turn();
    }
    assert.ok(host.connection);
    await stage.join();
    assert.ok(host.connection, 'the honest one joined while the deaf one was there');
    await flood(host);
    rogue.close();
  });
});
