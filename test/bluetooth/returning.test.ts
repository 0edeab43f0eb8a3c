/** Ports whose controller goes and comes back, on a virtual radio that is closed and opened again at the same place. */
import assert from 'node:assert/strict';
import { openVirtualRadio } from '../../src/bluetooth/open.ts';
import type { GattLink } from '../../src/bluetooth/ports.ts';
import {
  openReturningBoth,
  openReturningCentral,
  openReturningPeripheral,
  type RadioState,
} from '../../src/bluetooth/returning.ts';
import { btsnoopPackets } from './btsnoop-packets.ts';
import { closed, describeBackEnds, flood, scratchFile, serviceData, sightingOf } from './support.ts';

async function leaves(port: { readonly radio: RadioState }, state: RadioState['state']): Promise<void> {
  while (port.radio.state === state) await new Promise((resolve) => setTimeout(resolve, 10));
}

type Radio = Awaited<ReturnType<typeof openVirtualRadio>>;

describeBackEnds('ports that outlive their controller', function (backEnd) {
  this.timeout(30_000);
  const toClose: (() => Promise<void>)[] = [];
  afterEach(async () => {
    for (const close of toClose.splice(0).reverse()) await close();
  });

  const openRadio = async (path: string): Promise<Radio> => {
    const radio = await openVirtualRadio({ path });
    toClose.push(() => radio.close());
    return radio;
  };

  async function world(waitMs: number, capture?: string) {
    const path = scratchFile('radio.sock');
    const radio = await openRadio(path);
    const given: string[] = [];
    const options = (role: string) => ({ backEnd, waitMs, capture, onGone: () => given.push(role) });
    const central = await openReturningCentral(radio.moniker, options('central'));
    const peripheral = await openReturningPeripheral(radio.moniker, {
      ...options('peripheral'),
      capture: undefined,
    });
    toClose.push(
      () => central.close(),
      () => peripheral.close(),
    );
    const said: RadioState[] = [];
    central.onRadio = (state) => said.push(state);
    peripheral.onRadio = (state) => {
      // Announcing is left to the owner, who has a new pseudonym to go with the new address.
      if (state.state === 'ready') void peripheral.startAdvertising({ serviceData: serviceData(2) });
    };
    await peripheral.startAdvertising({ serviceData: serviceData(1) });
    const link = async (tag: number): Promise<readonly [GattLink, GattLink]> => {
      const { address } = await sightingOf(central, tag);
      const down = new Promise<GattLink>((resolve) => {
        peripheral.onLink = resolve;
      });
      return Promise.all([central.connect(address, { deadlineMs: 5000 }), down]);
    };
    return { path, radio, central, peripheral, said, given, link };
  }

  it('end their links, wait, say so, and link again when it is back; a scan goes on by itself', async () => {
    const { path, radio, central, peripheral, said, given, link } = await world(60_000);
    const [up, down] = await link(1);
    const ends = Promise.all([closed(up), closed(down)]);
    let heard = 0;
    await central.startScan(({ serviceData: data }) => {
      if (data?.[0] === 2) heard++;
    });
    await radio.close();
    assert.deepEqual(await ends, [0x08, 0x08]);
    assert.equal(central.radio.state, 'waiting');
    assert.equal(peripheral.radio.state, 'waiting');
    await assert.rejects(central.connect(down.peerAddress, { deadlineMs: 1000 }), { status: 'link-lost' });
    await peripheral.startAdvertising({ serviceData: serviceData(1) });
    while (said.length < 2) await new Promise((resolve) => setTimeout(resolve, 20));
    assert.match(said[1]?.state === 'waiting' ? said[1].why : '', /ENOENT/);
    await openRadio(path);
    while (heard === 0) await new Promise((resolve) => setTimeout(resolve, 20));
    assert.deepEqual(said.at(-1), { state: 'ready' });
    const [up2, down2] = await link(2);
    assert.equal((await flood(up2, down2, 20)).length, 20);
    assert.deepEqual(given, []);
  });

  it('give up after their limit, once, and at once without one', async () => {
    for (const waitMs of [0, 700]) {
      const { radio, central, given } = await world(waitMs);
      const startedAt = performance.now();
      await radio.close();
      while (given.length < 2) await new Promise((resolve) => setTimeout(resolve, 20));
      const ms = performance.now() - startedAt;
      assert.ok(ms >= waitMs && ms < waitMs + 2500, `${ms} ms`);
      assert.deepEqual(given.toSorted(), ['central', 'peripheral']);
      await assert.rejects(central.connect('00:00:00:00:00:01', { deadlineMs: 500 }), {
        status: 'link-lost',
      });
    }
  });

  it('closed while they wait, they come to nothing', async () => {
    const { path, radio, central, peripheral } = await world(60_000);
    await radio.close();
    while (central.radio.state === 'ready' || peripheral.radio.state === 'ready')
      await new Promise((resolve) => setTimeout(resolve, 10));
    await Promise.all([central.close(), peripheral.close()]);
    const again = await openRadio(path);
    await new Promise((resolve) => setTimeout(resolve, 1500));
    assert.equal(again.counters().controllers, 0);
  });

  it('both roles on one controller come back together, and one that was closed meanwhile does not', async () => {
    const path = scratchFile('radio.sock');
    const radio = await openRadio(path);
    const { central, peripheral } = await openReturningBoth(radio.moniker, { waitMs: 60_000 });
    toClose.push(
      () => central.close(),
      () => peripheral.close(),
    );
    let heard = 0;
    await central.startScan(() => heard++);
    const ready = new Promise<void>((resolve) => {
      peripheral.onRadio = ({ state }) => {
        if (state === 'ready') resolve(peripheral.startAdvertising({ serviceData: serviceData(4) }));
      };
    });
    await radio.close();
    await leaves(central, 'ready');
    const again = await openRadio(path);
    await ready;
    const other = await openReturningBoth(again.moniker, { waitMs: 60_000 });
    toClose.push(
      () => other.central.close(),
      () => other.peripheral.close(),
    );
    await other.peripheral.startAdvertising({ serviceData: serviceData(5) });
    const { address } = await sightingOf(other.central, 4);
    const down = new Promise<GattLink>((resolve) => {
      peripheral.onLink = resolve;
    });
    const [up] = await Promise.all([other.central.connect(address, { deadlineMs: 5000 }), down]);
    assert.equal((await flood(up, await down, 20)).length, 20);
    while (heard === 0) await new Promise((resolve) => setTimeout(resolve, 10));

    await again.close();
    await leaves(central, 'ready');
    await central.close();
    await openRadio(path);
    await leaves(peripheral, 'waiting');
    await assert.rejects(
      central.startScan(() => {}),
      { status: 'shutting-down' },
    );
    await peripheral.startAdvertising({ serviceData: serviceData(4) });
    await leaves(other.peripheral, 'waiting');
    assert.equal((await sightingOf(other.central, 4)).connectable, true);
  });

  it('go on in one capture', async () => {
    const capture = scratchFile('returning.btsnoop');
    const { path, radio, central, said } = await world(60_000, capture);
    await radio.close();
    await openRadio(path);
    while (said.at(-1)?.state !== 'ready') await new Promise((resolve) => setTimeout(resolve, 20));
    await central.close();
    const resets = btsnoopPackets(capture).filter((packet) => packet.readUInt32LE(0) === 0x000c0301);
    assert.equal(resets.length, 2);
  });
});
