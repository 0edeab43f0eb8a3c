/** The two ports against each other over the virtual radio, with the real noble and bleno in between. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import type { CpnsError } from '../../src/base/errors.ts';
import { BluetoothUnavailableError, openCentral, openPeripheral } from '../../src/bluetooth/open.ts';
import type { GattLink } from '../../src/bluetooth/ports.ts';
import {
  cleanUp,
  closed,
  describeBackEnds,
  flood,
  newCentral,
  newPair,
  newPeripheral,
  newRadio,
  SEGMENT_BYTES,
  scratchFile,
  serviceData,
  sightingOf,
} from './support.ts';

async function statusOf(promise: Promise<unknown>): Promise<string> {
  return promise.then(
    () => 'ok',
    (error: CpnsError) => error.status,
  );
}

describeBackEnds('ports over the virtual radio', function () {
  this.timeout(15_000);
  afterEach(cleanUp);

  it('carries 2,000 segments of 244 bytes each way at once, in order, none lost', async () => {
    const { up, down } = await newPair();
    assert.deepEqual([up.maxSegmentBytes, down.maxSegmentBytes], [SEGMENT_BYTES, SEGMENT_BYTES]);
    assert.deepEqual([up.side, down.side], ['central', 'peripheral']);
    const expected = Array.from({ length: 2000 }, (_, i) => i);
    const [upward, downward] = await Promise.all([flood(up, down, 2000), flood(down, up, 2000)]);
    assert.deepEqual(upward, expected);
    assert.deepEqual(downward, expected);
  });

  it('shows what is advertised: service, 13 bytes of data, and the change of them', async () => {
    const radio = await newRadio();
    const peripheral = await newPeripheral(radio, 5);
    const central = await newCentral(radio);
    const first = await sightingOf(central, 5);
    assert.deepEqual(first.serviceUuids, ['c9a50001-5b1e-4c0e-9d2a-7e1f0b64c950']);
    assert.deepEqual(first.serviceData, serviceData(5));
    assert.equal(first.connectable, true);
    await peripheral.startAdvertising({ serviceData: serviceData(6) });
    assert.equal((await sightingOf(central, 6)).address, first.address);
    await assert.rejects(peripheral.startAdvertising({ serviceData: new Uint8Array(12) }), RangeError);
  });

  it('keeps segments that come before the owner listens', async () => {
    const radio = await newRadio();
    const peripheral = await newPeripheral(radio);
    peripheral.onLink = (link) => link.send(Uint8Array.of(1, 2, 3));
    const central = await newCentral(radio);
    const { address } = await sightingOf(central, 1);
    const link = await central.connect(address, { deadlineMs: 3000 });
    const segment = await new Promise((resolve) => {
      link.onSegment = resolve;
    });
    assert.deepEqual(Uint8Array.from(segment as Uint8Array), Uint8Array.of(1, 2, 3));
  });

  for (const side of ['central', 'peripheral'] as const) {
    it(`a close by the ${side} is seen on both sides, sends after it are dropped, and a second link follows`, async () => {
      const { central, peripheral, address, up, down } = await newPair();
      const ends = Promise.all([closed(up), closed(down)]);
      await (side === 'central' ? up : down).close();
      const reasons = await ends;
      assert.deepEqual(reasons, side === 'central' ? [0x16, 0x13] : [0x13, 0x16]);
      up.send(Uint8Array.of(1));
      down.send(Uint8Array.of(1));
      const [up2, down2] = await Promise.all([
        central.connect(address, { deadlineMs: 3000 }),
        peripheral.nextLink(),
      ]);
      assert.deepEqual(await flood(up2, down2, 10), [...Array(10).keys()]);
    });
  }

  it('connects to an address it has not seen yet by scanning for it', async () => {
    const radio = await newRadio();
    await newPeripheral(radio);
    const address = await sightingOf(await newCentral(radio), 1).then((sighting) => sighting.address);
    const link = await (await newCentral(radio)).connect(address, { deadlineMs: 3000 });
    assert.equal(link.peerAddress, address);
  });

  it('serves three peripherals from one central, and refuses a second attempt for the same one', async () => {
    const radio = await newRadio();
    const central = await newCentral(radio);
    const peripherals = [];
    for (const tag of [1, 2, 3]) peripherals.push(await newPeripheral(radio, tag));
    const addresses = [];
    for (const tag of [1, 2, 3]) addresses.push((await sightingOf(central, tag)).address);
    const links = addresses.map((address) => central.connect(address, { deadlineMs: 5000 }));
    assert.equal(await statusOf(central.connect(addresses[0] ?? '', { deadlineMs: 1000 })), 'busy');
    const ups = await Promise.all(links);
    const downs = await Promise.all(peripherals.map((peripheral) => peripheral.nextLink()));
    const floods = ups.map((up, i) => flood(up, downs[i] as GattLink, 300));
    for (const numbers of await Promise.all(floods)) assert.equal(numbers.length, 300);
  });

  it('one peripheral serves two centrals, one after the other', async () => {
    const { radio, peripheral, address, up } = await newPair();
    const second = await newCentral(radio);
    const waiting = second.connect(address, { deadlineMs: 5000 });
    await up.close();
    const [up2, down2] = await Promise.all([waiting, peripheral.nextLink()]);
    assert.deepEqual(await flood(down2, up2, 50), [...Array(50).keys()]);
  });

  it('a full controller says busy; no CPNS service and no such peer say so within the deadline', async () => {
    const radio = await newRadio({ maxLinks: 1 });
    await newPeripheral(radio, 1);
    await newPeripheral(radio, 2);
    const central = await newCentral(radio);
    const first = await sightingOf(central, 1);
    const second = await sightingOf(central, 2);
    const link = await central.connect(first.address, { deadlineMs: 3000 });
    assert.equal(await statusOf(central.connect(second.address, { deadlineMs: 3000 })), 'busy');
    // It has said how many it holds, whatever its profile knows, and one that ended is one that it has again.
    assert.equal(central.freeLinks, 0);
    await link.close();
    assert.ok(central.freeLinks > 0);
    const startedAt = performance.now();
    assert.equal(await statusOf(central.connect('00:00:00:00:00:01', { deadlineMs: 200 })), 'timeout');
    assert.ok(performance.now() - startedAt < 1000);
    await assert.rejects(central.connect(first.address, { deadlineMs: 10 }), RangeError);
  });

  it('after a sleep ends the links that controllers forgot, and no others', async () => {
    const { radio, central, peripheral, up, down } = await newPair();
    await Promise.all([central.afterSleep(), peripheral.afterSleep()]);
    assert.deepEqual(await flood(up, down, 5), [...Array(5).keys()]);
    radio.radio.forgetEverything();
    const ends = Promise.all([closed(up), closed(down)]);
    await Promise.all([central.afterSleep(), peripheral.afterSleep()]);
    assert.deepEqual(await ends, [0x08, 0x08]);
  });

  it('after a sleep begins a scan anew that the controller forgot', async () => {
    const radio = await newRadio();
    const peripheral = await newPeripheral(radio, 3);
    const central = await newCentral(radio, { scanSilenceMs: 600_000 });
    let onTag: (tag: number | undefined) => void = () => {};
    const hears = (wanted: number) =>
      new Promise<void>((resolve) => {
        onTag = (tag) => tag === wanted && resolve();
      });
    const first = hears(3);
    await central.startScan(({ serviceData: data }) => onTag(data?.[0]));
    await first;
    radio.radio.forgetEverything();
    await central.afterSleep();
    const second = hears(4);
    await peripheral.startAdvertising({ serviceData: serviceData(4) });
    await second;
  });

  it('works at the smallest ATT MTU, on 27-byte buffers and on a paced, lossy radio', async () => {
    const small = await newPair({ faults: { maxAttMtu: 23 } });
    assert.deepEqual([small.up.maxSegmentBytes, small.down.maxSegmentBytes], [20, 20]);
    const fragments = await newPair({ aclBufferBytes: 27, aclBufferCount: 2 });
    assert.equal((await flood(fragments.up, fragments.down, 100)).length, 100);
    assert.equal((await flood(fragments.down, fragments.up, 100)).length, 100);
    const paced = await newPair({ intervalMs: 7.5, faults: { advertLossProbability: 0.5 }, seed: 9 });
    assert.equal((await flood(paced.up, paced.down, 60)).length, 60);
  });

  it('a stall is ridden out; a stall past the supervision timeout ends the link on both sides', async () => {
    const { radio, up, down } = await newPair();
    radio.stallLink(up.peerAddress, down.peerAddress, 300);
    assert.equal((await flood(up, down, 5)).length, 5);
    const ends = Promise.all([closed(up), closed(down)]);
    radio.stallLink(up.peerAddress, down.peerAddress, 60_000);
    assert.deepEqual(await ends, [0x08, 0x08]);
  });

  it('a vanished controller closes the links on both sides and fails what comes later', async () => {
    const gone: string[] = [];
    const radio = await newRadio();
    const peripheral = await newPeripheral(radio, 1, { onGone: () => gone.push('peripheral') });
    const central = await newCentral(radio, { onGone: () => gone.push('central') });
    const { address } = await sightingOf(central, 1);
    const [up, down] = await Promise.all([
      central.connect(address, { deadlineMs: 3000 }),
      peripheral.nextLink(),
    ]);
    const ends = Promise.all([closed(up), closed(down)]);
    radio.unplugAll();
    assert.deepEqual(await ends, [0x08, 0x08]);
    assert.equal(await statusOf(central.connect(address, { deadlineMs: 1000 })), 'link-lost');
    assert.equal(await statusOf(peripheral.startAdvertising({ serviceData: serviceData(1) })), 'link-lost');
    assert.deepEqual(gone.toSorted(), ['central', 'peripheral']);
  });

  it('with a random address: static random on the air, and another one with other data', async () => {
    const radio = await newRadio();
    const peripheral = await newPeripheral(radio, 1, { randomAddress: true });
    const central = await newCentral(radio, { randomAddress: true });
    const first = (await sightingOf(central, 1)).address;
    assert.equal(Number.parseInt(first.slice(0, 2), 16) & 0xc0, 0xc0);
    const [up, down] = await Promise.all([
      central.connect(first, { deadlineMs: 3000 }),
      peripheral.nextLink(),
    ]);
    assert.equal(Number.parseInt(down.peerAddress.slice(0, 2), 16) & 0xc0, 0xc0);
    await up.close();
    await peripheral.startAdvertising({ serviceData: serviceData(2) });
    assert.notEqual((await sightingOf(central, 2)).address, first);
  });

  it('drops a central that connects and never subscribes', async () => {
    const radio = await newRadio();
    const peripheral = await newPeripheral(radio, 1, { subscribeDeadlineMs: 100 });
    const central = await newCentral(radio);
    const { address } = await sightingOf(central, 1);
    radio.setFaults({ extraLatencyMs: 300 });
    assert.equal(await statusOf(central.connect(address, { deadlineMs: 2000 })), 'link-lost');
    radio.setFaults({ extraLatencyMs: undefined });
    await Promise.all([central.connect(address, { deadlineMs: 2000 }), peripheral.nextLink()]);
  });

  it('captures both directions for Wireshark', async () => {
    const capture = scratchFile('central.btsnoop');
    const { central, up, down } = await newPair({}, { capture });
    await flood(up, down, 3);
    await central.close();
    const file = readFileSync(capture);
    assert.equal(file.toString('latin1', 0, 7), 'btsnoop');
    const directions = new Set<number>();
    for (let at = 16; at < file.length; at += 24 + file.readUInt32BE(at))
      directions.add(file.readUInt32BE(at + 8));
    assert.deepEqual([...directions].toSorted(), [0, 1, 2, 3]);
  });
});

describe('controllers that are not there', () => {
  it('names what mends it', async () => {
    const nobody = openCentral(`virtual:${scratchFile('nobody.sock')}`);
    await assert.rejects(nobody, (error: BluetoothUnavailableError) => {
      assert.ok(error instanceof BluetoothUnavailableError);
      assert.equal(error.code, 'ENOENT');
      assert.match(error.mend, /virtual radio/);
      return true;
    });
  });

  it('hci:0 without kernel Bluetooth gives the clear error', async () => {
    if (existsSync('/sys/class/bluetooth/hci0')) return;
    for (const open of [openCentral, openPeripheral]) {
      await assert.rejects(open('hci:0'), (error: BluetoothUnavailableError) => {
        assert.ok(error instanceof BluetoothUnavailableError);
        assert.match(error.code, /^E(AFNOSUPPORT|PERM|NODEV|NETDOWN|NOBINDING)$/);
        assert.match(error.message, /^hci:0\/user: /);
        assert.ok(error.mend.length > 20);
        return true;
      });
    }
  });
});
