/**
 * Adapters that are taken from the kernel (user channel) and pulled out, on our radio behind /dev/vhci: noticed in time, and
 * waited for by ports and by daemons; with both roles on one; and beside a bluetoothd that comes later.
 */
// guest: --timeout 540
import assert from 'node:assert/strict';
import type { KernelAdapter } from '../../src/bluetooth/open.ts';
import { openReturningCentral } from '../../src/bluetooth/returning.ts';
import { callControl } from '../../src/nodes/control-socket.ts';
import { closed, flood, settles, sightingOf } from '../bluetooth/support.ts';
import { FourProcesses } from '../e2e/four-processes.ts';
import { bothOn, centralOn, closePorts, gone, kept, linked, peripheralOn, timed } from './adapter-ports.ts';
import {
  adapters,
  command,
  kernelComplaints,
  loadKernelBluetooth,
  settled,
  startBluetoothd,
  startRadio,
  until,
} from './kernel.ts';

/** The watch looks twice a second; the guest is slow. */
const NOTICED_MS = 2_000;
const PATIENCE_MS = 120_000;

describe('adapters taken from the kernel and pulled out', function () {
  this.timeout(120_000);
  let radio: Awaited<ReturnType<typeof startRadio>>;
  let plugged: KernelAdapter[];
  const user = (n: number) => `hci:${plugged[n]?.index}/user`;

  /** Pulls out the n-th adapter, and gives back what plugs one in again: the kernel gives it the number that is free. */
  const pullOut = (n: number) => {
    const index = plugged[n]?.index ?? assert.fail();
    plugged[n]?.unplug();
    return async () => {
      await until('its end', () => !adapters().includes(index));
      const again = radio.plugIntoKernel();
      assert.equal(again.index, index);
      plugged[n] = again;
      await until('its return', () => adapters().includes(index));
    };
  };

  beforeEach(async () => {
    loadKernelBluetooth();
    radio = await startRadio(3, { intervalMs: 7.5 });
    plugged = [...radio.plugged];
    await settled(radio.indices);
  });
  afterEach(async () => {
    await closePorts();
    await radio.close();
    await until('no adapter', () => adapters().length === 0);
    assert.deepEqual(kernelComplaints(), []);
  });

  it('are noticed within 2 s: scanning, advertising, connecting, and with a link, which ends', async () => {
    const lost = [gone(), gone()] as const;
    const central = await centralOn(user(0), { onGone: lost[0].onGone });
    const peripheral = await peripheralOn(user(1), 1, { onGone: lost[1].onGone });
    const third = await peripheralOn(user(2), 3);
    const vanished = await sightingOf(central, 3);
    const { address } = await sightingOf(central, 1);
    const [up, down] = await linked(central, peripheral, address);
    await third.stopAdvertising();
    await central.startScan(() => {});
    const pending = central.connect(vanished.address, { deadlineMs: 60_000 });
    const ends = Promise.all([closed(up), closed(down)]);
    const noticed = timed(Promise.all([lost[0].came, pending.catch(({ status }) => status)]));
    pullOut(0);
    const { ms, value } = await noticed;
    assert.match(value[0], /vanished/);
    assert.equal(value[1], 'link-lost');
    assert.ok(ms < NOTICED_MS, `${ms} ms`);
    // Ours at once, the other side's by its supervision timeout.
    assert.deepEqual(await ends, [0x08, 0x08]);
    await assert.rejects(
      central.startScan(() => {}),
      { status: 'link-lost' },
    );

    const advertising = timed(lost[1].came);
    pullOut(1);
    assert.ok((await advertising).ms < NOTICED_MS);
    await assert.rejects(peripheral.startAdvertising({ serviceData: new Uint8Array(13) }), {
      status: 'link-lost',
    });
  });

  it('are opened again when they are back under their number; the scan goes on', async () => {
    const peripheral = await peripheralOn(user(1), 1);
    const central = kept(await openReturningCentral(user(0), { waitMs: PATIENCE_MS }));
    let heard = 0;
    await central.startScan(() => heard++);
    const plugIn = pullOut(0);
    await until('waiting', () => central.radio.state === 'waiting');
    await plugIn();
    await until('ready', () => central.radio.state === 'ready');
    const before = heard;
    await until('sightings', () => heard > before);
    const [up, down] = await linked(central, peripheral, (await sightingOf(central, 1)).address);
    assert.equal((await flood(up, down, 20)).length, 20);
  });

  it('come back although a bluetoothd powers whatever is plugged in', async () => {
    const peripheral = await peripheralOn(user(1), 1);
    const central = kept(await openReturningCentral(user(0), { waitMs: PATIENCE_MS }));
    const bluetoothd = await startBluetoothd();
    try {
      const plugIn = pullOut(0);
      await until('waiting', () => central.radio.state === 'waiting');
      await plugIn();
      await until('ready', () => central.radio.state === 'ready');
      await linked(central, peripheral, (await sightingOf(central, 1)).address);
    } finally {
      await bluetoothd.stop();
    }
  });

  it('carry both roles at once, each link by itself', async () => {
    const host = await bothOn(user(0), 1, { randomAddress: true });
    const pne = await peripheralOn(user(1), 2);
    const gateway = await centralOn(user(2));
    const [toPne, atPne] = await linked(host.central, pne, (await sightingOf(host.central, 2)).address);
    const [toHost, atHost] = await linked(gateway, host.peripheral, (await sightingOf(gateway, 1)).address);
    const ways = [
      [toPne, atPne],
      [atPne, toPne],
      [toHost, atHost],
      [atHost, toHost],
    ] as const;
    for (const numbers of await Promise.all(ways.map(([from, to]) => flood(from, to, 50))))
      assert.deepEqual(
        numbers,
        Array.from({ length: 50 }, (_, i) => i),
      );
    await toHost.close();
    assert.equal((await flood(toPne, atPne, 10)).length, 10);
    await linked(gateway, host.peripheral, (await sightingOf(gateway, 1)).address);
    assert.deepEqual([...radio.counters().unknownCommands.keys()], []);
    assert.equal(radio.counters().overflows, 0);
  });

  it('are no concern of a bluetoothd that comes later, and say what to do when somebody else has them up', async () => {
    await command('hciconfig', `hci${plugged[2]?.index}`, 'up');
    await assert.rejects(centralOn(user(2)), { code: 'EBUSY', mend: /hciconfig hci\d+ down/ });
    await command('hciconfig', `hci${plugged[2]?.index}`, 'down');
    const central = await centralOn(user(2));
    const peripheral = await peripheralOn(user(1), 1);
    const [up, down] = await linked(central, peripheral, (await sightingOf(central, 1)).address);
    const ends = Promise.race([closed(up), closed(down)]);
    const bluetoothd = await startBluetoothd();
    try {
      assert.equal(await settles(ends, 5_000), 'pending');
      assert.equal((await flood(up, down, 20)).length, 20);
    } finally {
      await bluetoothd.stop();
    }
  });

  it('are waited for by gateway and PNE, which resume their network by themselves', async function () {
    this.timeout(300_000);
    const air = { dropLink: () => false, close: async () => {} };
    const world = await FourProcesses.open({
      patienceMs: PATIENCE_MS,
      air: { ...air, adapters: { gw1: user(0), gw2: user(1), pne: user(2) } },
    });
    try {
      await world.start('gw2');
      await world.until('the question', () => world.asked().length > 0);
      await world.allow();
      await world.untilOutcome('member');
      const live = () => world.said('gw2', ({ event }) => event === 'member').length;
      const requests = () => world.said('gw2', ({ name }) => name === 'PnSetupRequest').length;
      for (const [party, n] of [
        ['gw2', 1],
        ['pne', 2],
      ] as const) {
        const before = live();
        const plugIn = pullOut(n);
        await world.until(
          `${party} waits`,
          () => world.said(party, ({ event }) => event === 'radio').length > 0,
        );
        const { radio } = (await callControl(world.stateDir(party), 'status')) as {
          radio: { state: string };
        };
        assert.equal(radio.state, 'waiting');
        await plugIn();
        await world.until('resumption', () => live() > before);
      }
      assert.equal(requests(), 1);
      assert.deepEqual(world.violations, []);
      assert.deepEqual(world.deaths, []);
    } finally {
      await world.close();
    }
  });
});
