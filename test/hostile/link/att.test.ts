/** ATT requests that no lawful central sends, at a PNE: each is refused or ends the link, none is taken for a segment. */
import assert from 'node:assert/strict';
import { AttClient, openService } from '../../../src/bluetooth/att.ts';
import { CPNS_DOWN_UUID, CPNS_SERVICE_UUID, CPNS_UP_UUID } from '../../../src/bluetooth/gatt-service.ts';
import { RawHost } from './raw-host.ts';
import { Stage, sleep, type Victim } from './stage.ts';

const ERROR = 0x01;
const UUIDS = { service: CPNS_SERVICE_UUID, up: CPNS_UP_UUID, down: CPNS_DOWN_UUID };

describe('hostile on the air: ATT', function () {
  this.timeout(60_000);
  let stage: Stage;
  let x: Victim;
  let up = 0;
  let down = 0;

  before(async () => {
    stage = await Stage.open();
    x = await stage.victim('X');
  });
  after(() => stage.close());

  /** A host that is connected and has not subscribed. */
  async function connected(): Promise<RawHost> {
    const host = new RawHost(stage.network.radio);
    host.connect(x.address);
    await host.connected();
    return host;
  }

  async function subscribed(): Promise<RawHost> {
    x.rest();
    const host = await connected();
    const att = new AttClient((pdu) => host.att(...pdu));
    host.onPdu = (pdu) => void att.take(pdu);
    const { upValue, downValue } = await openService(att, UUIDS);
    up = upValue;
    down = downValue;
    return host;
  }

  async function gone(host: RawHost): Promise<void> {
    const ended = host.disconnected();
    host.disconnect();
    await ended;
    host.close();
    await stage.network.until('no link', () => x.pne.status().link === 'none');
  }

  const le = (handle: number) => [handle & 0xff, handle >> 8];

  it('reads, writes with response, long writes, other handles: an ATT error each, and the link lives', async () => {
    await stage.during(async () => {
      await gone(await subscribed());
      const refused: Readonly<Record<string, readonly number[]>> = {
        'read of the upward value': [0x0a, ...le(up)],
        'read of the downward value': [0x0a, ...le(down)],
        'long read': [0x0c, ...le(up), 0, 0],
        'read of handle 0': [0x0a, 0, 0],
        'read of a handle that is not there': [0x0a, 0xff, 0xff],
        'write with response': [0x12, ...le(up), 0xc0, 0, 1, 2, 3],
        'write to the downward value': [0x12, ...le(down), 1],
        'prepared write': [0x16, ...le(up), 0, 0, 1, 2, 3],
        'prepared write at an offset': [0x16, ...le(up), 0xff, 0xff, 1],
        'prepared write of the configuration': [0x16, ...le(down + 1), 0, 0, 1, 0],
        'execution of nothing': [0x18, 1],
        'an opcode that is none': [0x3e, 1, 2],
      };
      const host = await connected();
      for (const [name, pdu] of Object.entries(refused)) {
        const answer = await host.ask(...pdu);
        assert.equal(answer[0], ERROR, `${name}: ${answer.toString('hex')}`);
        assert.equal(x.pne.status().link, 'none', `${name} opened no link`);
      }
      await gone(host);
    });
    stage.assertNothingLeft(x);
  });

  it('MTU 0, 5, 65,535, again and after the subscription: segments stay as they were agreed', async () => {
    await stage.during(async () => {
      const host = await connected();
      for (const mtu of [0, 5, 22, 23, 65_535, 24]) {
        const answer = await host.ask(0x02, ...le(mtu));
        assert.equal(answer[0], 0x03);
        assert.ok(answer.readUInt16LE(1) >= 23 && answer.readUInt16LE(1) <= 247);
      }
      await gone(host);
      const late = await subscribed();
      await late.ask(0x02, 0, 0);
      assert.equal(x.pne.status().link, 'open');
      await gone(late);
    });
  });

  it('a configuration of one byte, of three, of indications, twice, and taken back', async () => {
    await stage.during(async () => {
      for (const value of [[1], [1, 0, 0], [2, 0], [3, 0], [0xff, 0xff], []]) {
        const host = await connected();
        const answered = Promise.race([
          host.ask(0x12, ...le(down + 1), ...value),
          host.disconnected(),
          sleep(200),
        ]);
        await answered;
        if (host.connection) await gone(host);
        else host.close();
        x.rest();
      }
      const twice = await subscribed();
      await twice.ask(0x12, ...le(down + 1), 1, 0);
      assert.equal(x.pne.status().link, 'open');
      const ended = twice.disconnected();
      twice.att(0x12, ...le(down + 1), 0, 0);
      await ended;
      twice.close();
      await stage.network.until('no link', () => x.pne.status().link === 'none');
    });
    stage.assertNothingLeft(x);
  });

  it('and a lawful gateway is served after all of it', async () => {
    x.rest();
    const mallory = await stage.mallory();
    const { dialogue } = await mallory.invite(x.address);
    await dialogue.close();
  });
});
