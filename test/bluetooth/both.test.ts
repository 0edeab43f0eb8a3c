/** Central and peripheral on one controller, with the real noble and bleno, beside others on the virtual radio. */
import assert from 'node:assert/strict';
import type { BothOptions } from '../../src/bluetooth/open-both.ts';
import type { GattLink } from '../../src/bluetooth/ports.ts';
import type { VirtualRadioOptions } from '../../src/bluetooth/virtual-radio/server.ts';
import { btsnoopPackets } from './btsnoop-packets.ts';
import {
  cleanUp,
  closed,
  describeBackEnds,
  flood,
  newBoth,
  newCentral,
  newPeripheral,
  newRadio,
  scratchFile,
  serviceData,
  settles,
  sightingOf,
} from './support.ts';

/** A host of both roles, linked as a central to one neighbour and as a peripheral to another. */
async function newWorld(radioOptions: VirtualRadioOptions = {}, options: BothOptions = {}) {
  const radio = await newRadio(radioOptions);
  const host = await newBoth(radio, 1, options);
  const pne = await newPeripheral(radio, 2);
  const gateway = await newCentral(radio);
  const [hostSeen, pneSeen] = [await sightingOf(gateway, 1), await sightingOf(host.central, 2)];
  const [upToPne, downAtPne, upToHost, downAtHost] = await Promise.all([
    host.central.connect(pneSeen.address, { deadlineMs: 5000 }),
    pne.nextLink(),
    gateway.connect(hostSeen.address, { deadlineMs: 5000 }),
    host.peripheral.nextLink(),
  ]);
  return { radio, host, pne, gateway, pneSeen, upToPne, downAtPne, upToHost, downAtHost };
}

const numbers = (count: number) => Array.from({ length: count }, (_, i) => i);

async function allOrdered(count: number, ...ways: readonly (readonly [GattLink, GattLink])[]): Promise<void> {
  const floods = await Promise.all(ways.map(([from, to]) => flood(from, to, count)));
  for (const arrived of floods) assert.deepEqual(arrived, numbers(count));
}

describeBackEnds('both roles on one controller', function () {
  this.timeout(20_000);
  afterEach(cleanUp);

  it('advertises while it scans, and has a link in each role, all four directions at once, within its buffers', async () => {
    for (const [aclBufferCount, intervalMs, count] of [
      [8, 0, 500],
      [8, 7.5, 60],
      [1, 7.5, 20],
    ] as const) {
      const world = await newWorld({ aclBufferCount, intervalMs });
      const { radio, upToPne, downAtPne, upToHost, downAtHost } = world;
      await allOrdered(
        count,
        [upToPne, downAtPne],
        [downAtPne, upToPne],
        [upToHost, downAtHost],
        [downAtHost, upToHost],
      );
      assert.equal(radio.counters().overflows, 0);
      assert.deepEqual([...radio.counters().unknownCommands], []);
    }
  });

  it('a link whose peer takes nothing does not hold up the other', async () => {
    const { radio, upToPne, downAtPne, upToHost, downAtHost } = await newWorld({ aclBufferCount: 4 });
    radio.stallLink(upToPne.peerAddress, downAtPne.peerAddress, 1500);
    const stalled = flood(upToPne, downAtPne, 50);
    await allOrdered(50, [downAtHost, upToHost]);
    assert.equal(await settles(stalled, 10), 'pending');
    assert.deepEqual(await stalled, numbers(50));
  });

  it('the end of one link leaves the other; it advertises again, and connects again', async () => {
    const world = await newWorld();
    const { host, gateway, pne, upToHost, downAtHost, upToPne, downAtPne } = world;
    const ended = closed(downAtHost);
    await upToHost.close();
    assert.equal(await ended, 0x13);
    await allOrdered(20, [upToPne, downAtPne], [downAtPne, upToPne]);
    const again = await sightingOf(gateway, 1);
    const [up, down] = await Promise.all([
      gateway.connect(again.address, { deadlineMs: 5000 }),
      host.peripheral.nextLink(),
    ]);
    const atPne = closed(downAtPne);
    await upToPne.close();
    assert.equal(await atPne, 0x13);
    await allOrdered(20, [up, down], [down, up]);
    const pneAgain = await sightingOf(host.central, 2);
    await Promise.all([host.central.connect(pneAgain.address, { deadlineMs: 5000 }), pne.nextLink()]);
    await allOrdered(20, [up, down], [down, up]);
  });

  it('takes a new random address for a new announcement while it scans, and while it tries to connect', async () => {
    const radio = await newRadio();
    const host = await newBoth(radio, 1, { randomAddress: true });
    const pne = await newPeripheral(radio, 2);
    const gateway = await newCentral(radio);
    const first = await sightingOf(gateway, 1);
    let heard = 0;
    await host.central.startScan(() => heard++);
    await host.peripheral.startAdvertising({ serviceData: serviceData(3) });
    const second = await sightingOf(gateway, 3);
    assert.notEqual(second.address, first.address);
    const before = heard;
    const limit = performance.now() + 2000;
    while (heard === before && performance.now() < limit)
      await new Promise((resolve) => setTimeout(resolve, 10));
    assert.ok(heard > before, 'the scan goes on');
    const { address } = await sightingOf(host.central, 2);
    await pne.stopAdvertising();
    const vain = host.central.connect(address, { deadlineMs: 1000 }).catch(({ status }) => status);
    await new Promise((resolve) => setTimeout(resolve, 200));
    await host.peripheral.startAdvertising({ serviceData: serviceData(4) });
    const third = await sightingOf(gateway, 4);
    assert.notEqual(third.address, second.address);
    assert.equal(await vain, 'timeout');
  });

  it('each role is closed by itself, with its links and no others', async () => {
    for (const first of ['central', 'peripheral'] as const) {
      const { host, downAtPne, upToPne, upToHost, downAtHost } = await newWorld();
      const [gone, theirs, stays] =
        first === 'central'
          ? [downAtPne, upToPne, [upToHost, downAtHost] as const]
          : [upToHost, downAtHost, [upToPne, downAtPne] as const];
      const ends = Promise.all([closed(gone), closed(theirs)]);
      await host[first].close();
      await ends;
      await allOrdered(20, stays, [stays[1], stays[0]]);
      const rest = Promise.all(stays.map(closed));
      await host[first === 'central' ? 'peripheral' : 'central'].close();
      await rest;
    }
  });

  it('a controller that vanishes ends the links of both, says so once, and fails what comes later', async () => {
    let gone = 0;
    const { radio, host, upToPne, downAtHost } = await newWorld({}, { onGone: () => gone++ });
    const ends = Promise.all([closed(upToPne), closed(downAtHost)]);
    radio.unplugAll();
    assert.deepEqual(await ends, [0x08, 0x08]);
    assert.equal(gone, 1);
    const { central, peripheral } = host;
    const status = (promise: Promise<unknown>) =>
      promise.then(
        () => 'ok',
        (error) => error.status,
      );
    assert.equal(await status(central.connect('00:00:00:00:00:09', { deadlineMs: 500 })), 'link-lost');
    assert.equal(await status(peripheral.startAdvertising({ serviceData: serviceData(1) })), 'link-lost');
  });

  it('captures both roles in one file; the controller is reset once', async () => {
    const capture = scratchFile('both.btsnoop');
    const { host } = await newWorld({}, { capture });
    await Promise.all([host.central.close(), host.peripheral.close()]);
    const commands = btsnoopPackets(capture)
      .filter(([type]) => type === 1)
      .map((packet) => packet.readUInt16LE(1));
    for (const opcode of [0x200a, 0x200c, 0x200d]) assert.ok(commands.includes(opcode), opcode.toString(16));
    assert.equal(commands.filter((opcode) => opcode === 0x0c03).length, 1);
  });

  it('frees the controller with the second close', async () => {
    const { radio, host } = await newWorld();
    const before = radio.counters().controllers;
    await Promise.all([host.central.close(), host.peripheral.close()]);
    const limit = performance.now() + 2000;
    while (radio.counters().controllers === before && performance.now() < limit)
      await new Promise((resolve) => setTimeout(resolve, 10));
    assert.equal(radio.counters().controllers, before - 1);
  });
});
