/** The virtual radio by itself, seen from hosts without a stack: commands, credits, bad clients, pacing, faults. */
import assert from 'node:assert/strict';
import { statSync } from 'node:fs';
import { openVirtualRadio } from '../../src/bluetooth/open.ts';
import { BareHost, cleanUp, newPair, newRadio, settles } from './support.ts';

const SCAN_ON = '01 00';
const ADVERTISING = '200020000000000000000000000700';

const isMeta =
  (sub: number) =>
  (packet: Buffer): boolean =>
    packet[1] === 0x3e && packet[3] === sub;
const isAcl = (packet: Buffer): boolean => packet[0] === 2;

/** Two bare hosts with a link between them. @returns their handles */
async function link(
  central: BareHost,
  peripheral: BareHost,
): Promise<{ central: number; peripheral: number }> {
  const address = await peripheral.command(0x1009);
  await peripheral.command(0x2006, ADVERTISING);
  await peripheral.command(0x200a, '01');
  const wanted = Buffer.concat([
    Buffer.from('6000300000 00'.replaceAll(' ', ''), 'hex'),
    address.subarray(1),
    Buffer.from('00 0600 0c00 0000 c800 0000 0000'.replaceAll(' ', ''), 'hex'),
  ]);
  await central.command(0x200d, wanted.toString('hex'));
  const [a, b] = await Promise.all([central.take(isMeta(1)), peripheral.take(isMeta(1))]);
  return { central: a.readUInt16LE(5), peripheral: b.readUInt16LE(5) };
}

function acl(handle: number, payload: Buffer): Buffer {
  const header = Buffer.from([2, handle & 0xff, handle >> 8, payload.length & 0xff, payload.length >> 8]);
  return Buffer.concat([header, payload]);
}

describe('virtual radio', () => {
  afterEach(cleanUp);

  it('answers what noble, bleno and the Linux kernel send, and 0x01 to what it lacks', async () => {
    const radio = await newRadio();
    const host = await BareHost.open(radio.path);
    const zeros = '00'.repeat(40);
    const known = [
      0x0c01, 0x0c03, 0x0c14, 0x0c63, 0x0c6c, 0x0c6d, 0x1001, 0x1002, 0x1003, 0x1005, 0x1009, 0x2001, 0x2002,
      0x2003, 0x2005, 0x2006, 0x2007, 0x2008, 0x2009, 0x200b, 0x200c, 0x200f, 0x2010, 0x2011, 0x2012, 0x2017,
      0x2018, 0x201c, 0x2023, 0x2024, 0x202f, 0x2031,
    ];
    for (const opcode of known) assert.equal((await host.command(opcode, zeros))[0], 0, opcode.toString(16));
    for (const opcode of [0x0406, 0x1405, 0x2013, 0x2015, 0x2016, 0x2019, 0x201a, 0x2022, 0x041d]) {
      assert.equal((await host.command(opcode, zeros))[0], 0x02, opcode.toString(16));
    }
    assert.equal((await host.command(0x2041))[0], 0x01);
    assert.equal((await host.command(0x2006, '00'))[0], 0x12);
    assert.deepEqual([...radio.counters().unknownCommands], [[0x2041, 1]]);
  });

  it('LE Encrypt agrees with FIPS 197', async () => {
    const host = await BareHost.open((await newRadio()).path);
    const little = (hex: string): string => Buffer.from(hex, 'hex').reverse().toString('hex');
    const key = little('000102030405060708090a0b0c0d0e0f');
    const answer = await host.command(0x2017, key + little('00112233445566778899aabbccddeeff'));
    assert.equal(
      Buffer.from(answer.subarray(1)).reverse().toString('hex'),
      '69c4e0d86a7b0430d8cdb78070b4c55a',
    );
  });

  it('gives a buffer back only when its packet has crossed, and refuses what is over the credits', async () => {
    const radio = await newRadio({ aclBufferCount: 2 });
    const [a, b] = [await BareHost.open(radio.path), await BareHost.open(radio.path)];
    const handles = await link(a, b);
    radio.stallLink('00:50:4e:53:00:01', '00:50:4e:53:00:02', 100);
    for (let i = 0; i < 3; i++) a.send(acl(handles.central, Buffer.from([1, 0, 4, 0, i])));
    await a.take((packet) => packet[1] === 0x1a);
    assert.equal(radio.counters().overflows, 1);
    assert.equal(a.packets.filter((packet) => packet[1] === 0x13).length, 0);
    let returned = 0;
    while (returned < 2) returned += (await a.take((packet) => packet[1] === 0x13)).readUInt16LE(6);
    const arrived = [await b.take(isAcl), await b.take(isAcl)];
    assert.deepEqual(
      arrived.map((packet) => packet[9]),
      [0, 1],
    );
    assert.equal((arrived[0]?.readUInt16LE(1) ?? 0) >> 12, 0b10);
    assert.equal((arrived[0]?.readUInt16LE(1) ?? 0) & 0xfff, handles.peripheral);
  });

  it('a client that floods is cut off; bytes that are not H4 close that client only', async () => {
    const radio = await newRadio({ aclBufferCount: 2 });
    const [a, b, c] = [
      await BareHost.open(radio.path),
      await BareHost.open(radio.path),
      await BareHost.open(radio.path),
    ];
    const handles = await link(a, b);
    radio.stallLink('00:50:4e:53:00:01', '00:50:4e:53:00:02', 1000);
    for (let i = 0; i < 200; i++) a.send(acl(handles.central, Buffer.alloc(251)));
    await a.ended;
    c.send('ff ff ff');
    await c.ended;
    assert.equal((await b.command(0x1009))[0], 0);
  });

  it('a client that does not read holds its peer back by credits, and loses nothing', async () => {
    const radio = await newRadio();
    const [a, b] = [await BareHost.open(radio.path), await BareHost.open(radio.path)];
    const handles = await link(a, b);
    b.pause();
    let sent = 0;
    const fill = async (): Promise<void> => {
      for (; sent < 8; sent++) a.send(acl(handles.central, numbered(sent)));
      for (;;) {
        const credits = (await a.take((packet) => packet[1] === 0x13)).readUInt16LE(6);
        for (let i = 0; i < credits; i++) a.send(acl(handles.central, numbered(sent++)));
      }
    };
    void fill();
    let before = -1;
    while (before !== sent) {
      before = sent;
      await settles(new Promise(() => {}), 50);
    }
    assert.ok(sent > 8 && sent < 20_000);
    b.resume();
    for (let i = 0; i < before; i++) assert.equal((await b.take(isAcl)).readUInt32LE(9), i);
  });

  it('carries n packets per event at intervals that do not drift, and counts the events', async () => {
    const { radio, up, down } = await newPair({ intervalMs: 7.5, packetsPerEvent: 4 });
    const count = 200;
    const before = radio.counters().links[0];
    const all = new Promise<void>((resolve) => {
      let n = 0;
      down.onSegment = () => {
        if (++n === count) resolve();
      };
    });
    const startedAt = performance.now();
    for (let i = 0; i < count; i++) up.send(new Uint8Array(244));
    await all;
    const ms = performance.now() - startedAt;
    const after = radio.counters().links[0];
    assert.ok(before && after);
    const used = after.toPeripheral.eventsUsed - before.toPeripheral.eventsUsed;
    assert.ok(used >= 50 && used <= 52 + after.eventsMissed, `${used} events`);
    assert.ok(ms > 49 * 7.5 - 1 && ms < (54 + after.eventsMissed) * 7.5 + 20, `${ms} ms`);
    assert.equal(after.toPeripheral.packets - before.toPeripheral.packets, count);
    assert.equal(after.toPeripheral.bytes - before.toPeripheral.bytes, count * 251);
    assert.equal(after.intervalMs, 7.5);
    assert.ok(Math.abs(after.eventsElapsed - after.ageMs / 7.5) <= 1);
  });

  it('equal seeds lose equal adverts and links; other seeds others', async () => {
    const fates = async (seed: number): Promise<string> => {
      const radio = await newRadio({ seed, faults: { advertLossProbability: 0.5 } });
      const { dice } = radio.radio;
      return Array.from({ length: 64 }, () => (dice.losesAdvert() ? 'x' : '.')).join('');
    };
    const [one, again, other] = [await fates(7), await fates(7), await fates(8)];
    assert.equal(one, again);
    assert.notEqual(one, other);
    assert.match(one, /x/);
  });

  it('drops a link at its n-th packet, and slows a receiver down', async () => {
    const radio = await newRadio({ faults: { dropLinkAtPacket: 4 } });
    const [a, b] = [await BareHost.open(radio.path), await BareHost.open(radio.path)];
    const handles = await link(a, b);
    for (let i = 0; i < 5; i++) a.send(acl(handles.central, numbered(i)));
    const [atA, atB] = await Promise.all([a, b].map((host) => host.take((packet) => packet[1] === 0x05)));
    assert.deepEqual([atA?.[6], atB?.[6]], [0x08, 0x08]);
    assert.equal(b.packets.filter(isAcl).length, 3);
    const slow = await newPair({ faults: { slowPeerPacketsPerSecond: 100 } });
    const startedAt = performance.now();
    const tenth = new Promise<void>((resolve) => {
      let n = 0;
      slow.down.onSegment = () => {
        if (++n === 20) resolve();
      };
    });
    for (let i = 0; i < 20; i++) slow.up.send(Uint8Array.of(i));
    await tenth;
    assert.ok(performance.now() - startedAt > 180);
  });

  it('reports of a scan: duplicates filtered when asked, scan response when active', async () => {
    const radio = await newRadio({ advertisingIntervalMs: 5 });
    const [scanner, advertiser] = [await BareHost.open(radio.path), await BareHost.open(radio.path)];
    await advertiser.command(0x2006, ADVERTISING);
    await advertiser.command(0x2008, `03 020106${'00'.repeat(28)}`);
    await advertiser.command(0x200a, '01');
    await scanner.command(0x200c, '01 01');
    await scanner.take(isMeta(2));
    await scanner.take((packet) => isMeta(2)(packet) && packet[5] === 4);
    assert.equal(await settles(scanner.take(isMeta(2)), 50), 'pending');
    await scanner.command(0x200c, '00 00');
    await scanner.command(0x200c, SCAN_ON);
    for (let i = 0; i < 3; i++) await scanner.take((packet) => isMeta(2)(packet) && packet[5] === 0);
  });

  it('listens where only its user can connect, refuses a second radio there, and replaces a stale socket', async () => {
    const radio = await newRadio();
    assert.equal(statSync(radio.path).mode & 0o777, 0o600);
    await assert.rejects(openVirtualRadio({ path: radio.path }), { code: 'EADDRINUSE' });
    await radio.close();
    const again = await openVirtualRadio({ path: radio.path });
    await again.close();
    await assert.rejects(openVirtualRadio({ path: radio.path, intervalMs: -1 }), RangeError);
  });
});

function numbered(n: number): Buffer {
  const payload = Buffer.alloc(251);
  payload.writeUInt16LE(247, 0);
  payload.writeUInt16LE(4, 2);
  payload.writeUInt32LE(n, 4);
  return payload;
}
