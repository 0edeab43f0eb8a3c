/**
 * Several centrals at one peripheral at once, on the back-end that can, with centrals of either; and what the other one
 * says when asked for it.
 */
import assert from 'node:assert/strict';
import type { BackEnd } from '../../src/bluetooth/back-end.ts';
import type { PeripheralOptions } from '../../src/bluetooth/open.ts';
import type { GattLink } from '../../src/bluetooth/ports.ts';
import type { VirtualRadio, VirtualRadioOptions } from '../../src/bluetooth/virtual-radio/server.ts';
import {
  cleanUp,
  closed,
  flood,
  newCentral,
  newPeripheral,
  newRadio,
  serviceData,
  settles,
  sightingOf,
  type TestPeripheral,
} from './support.ts';

const SHORT_MS = 300;
/** One of each back-end, so that neither depends on the other's ways. */
const CENTRALS: readonly BackEnd[] = ['abandonware', 'stoprocent'];

interface Ends {
  readonly up: GattLink;
  readonly down: GattLink;
}

async function join(radio: VirtualRadio, peripheral: TestPeripheral, tag: number, backEnd: BackEnd) {
  const central = await newCentral(radio, { backEnd });
  const { address } = await sightingOf(central, tag);
  const [up, down] = await Promise.all([
    central.connect(address, { deadlineMs: 5000 }),
    peripheral.nextLink(),
  ]);
  return { up, down, address };
}

/** A peripheral for `maxLinks` centrals with two of them. */
async function newTrio(options: PeripheralOptions = {}, radioOptions: VirtualRadioOptions = {}) {
  const radio = await newRadio(radioOptions);
  const peripheral = await newPeripheral(radio, 1, { backEnd: 'stoprocent', maxLinks: 2, ...options });
  const ends = [];
  for (const backEnd of CENTRALS) ends.push(await join(radio, peripheral, 1, backEnd));
  const [first, second] = ends as [Ends & { address: string }, Ends & { address: string }];
  return { radio, peripheral, first, second };
}

const numbers = (count: number) => Array.from({ length: count }, (_, i) => i);

async function allOrdered(count: number, ...ways: readonly (readonly [GattLink, GattLink])[]): Promise<void> {
  const floods = await Promise.all(ways.map(([from, to]) => flood(from, to, count)));
  for (const arrived of floods) assert.deepEqual(arrived, numbers(count));
}

const bothWays = ({ up, down }: Ends) =>
  [
    [up, down],
    [down, up],
  ] as const;

describe('several centrals at a peripheral', function () {
  this.timeout(20_000);
  afterEach(cleanUp);

  it('each has a link of its own, all four directions at once, nothing lost and nothing of one at the other', async () => {
    for (const [intervalMs, aclBufferCount, count] of [
      [0, 8, 500],
      [7.5, 8, 60],
      [7.5, 1, 20],
    ] as const) {
      const { peripheral, first, second } = await newTrio({}, { intervalMs, aclBufferCount });
      assert.equal(peripheral.maxLinks, 2);
      await allOrdered(count, ...bothWays(first), ...bothWays(second));
    }
  });

  it('of abandonware: it says that it has one link, and keeps to it', async () => {
    const radio = await newRadio();
    const peripheral = await newPeripheral(radio, 1, { backEnd: 'abandonware', maxLinks: 4 });
    assert.equal(peripheral.maxLinks, 1);
    await join(radio, peripheral, 1, 'abandonware');
    const other = await newCentral(radio);
    assert.equal(await settles(sightingOf(other, 1), SHORT_MS), 'pending');
  });

  it('one link where nobody asked for more; never more than there may be; no nonsense', async () => {
    const radio = await newRadio();
    assert.equal((await newPeripheral(radio, 1, { backEnd: 'stoprocent' })).maxLinks, 1);
    assert.equal((await newPeripheral(radio, 2, { backEnd: 'stoprocent', maxLinks: 400 })).maxLinks, 16);
    for (const maxLinks of [0, 1.5, Number.NaN])
      await assert.rejects(newPeripheral(radio, 3, { backEnd: 'stoprocent', maxLinks }), RangeError);
  });

  it('with as many as there may be it is not to be seen; with one fewer it is, and another joins', async () => {
    const { radio, peripheral, first, second } = await newTrio();
    const third = await newCentral(radio);
    assert.equal(await settles(sightingOf(third, 1), SHORT_MS), 'pending');
    const waiting = third.connect(first.address, { deadlineMs: 5000 });
    const ended = closed(first.down);
    await first.up.close();
    assert.equal(await ended, 0x13);
    const [up, down] = await Promise.all([waiting, peripheral.nextLink()]);
    await allOrdered(50, ...bothWays({ up, down }), ...bothWays(second));
  });

  it('a random address stays while centrals are linked and the data is the same, and goes with other data', async () => {
    const { radio, peripheral, first, second } = await newTrio({ randomAddress: true, maxLinks: 4 });
    assert.equal(second.address, first.address);
    await peripheral.startAdvertising({ serviceData: serviceData(7) });
    const third = await join(radio, peripheral, 7, 'stoprocent');
    assert.notEqual(third.address, first.address);
    await allOrdered(20, ...bothWays(first), ...bothWays(second), ...bothWays(third));
  });

  it('GUARD S2: one whose radio takes nothing does not keep the other waiting', async () => {
    const { radio, first, second } = await newTrio({}, { intervalMs: 7.5, aclBufferCount: 4 });
    assert.ok(radio.stallLink(first.up.peerAddress, first.down.peerAddress, 1500));
    for (let i = 0; i < 200; i++) first.down.send(new Uint8Array(244));
    const startedAt = performance.now();
    assert.deepEqual(await flood(second.down, second.up, 60), numbers(60));
    assert.ok(performance.now() - startedAt < 1000);
  });

  it('one that never subscribes, and one that ends, take nothing from the others', async () => {
    const { radio, peripheral, first } = await newTrio({ maxLinks: 3, subscribeDeadlineMs: 200 });
    const mute = await newCentral(radio);
    const { address } = await sightingOf(mute, 1);
    radio.setFaults({ extraLatencyMs: 300 });
    const refused = mute.connect(address, { deadlineMs: 3000 });
    await assert.rejects(refused, { status: 'link-lost' });
    radio.setFaults({ extraLatencyMs: undefined });
    await allOrdered(20, ...bothWays(first));
    await join(radio, peripheral, 1, 'abandonware');
  });

  it('GUARD B7: a central more than there may be is sent away', async () => {
    const { radio, peripheral, first, second } = await newTrio();
    // It advertises once more than it should: a controller that was told to stop too late.
    const [controller] = [...radio.radio.controllers];
    controller?.setAdvertising(true);
    const third = await newCentral(radio);
    await assert.rejects(third.connect(first.address, { deadlineMs: 2000 }), { status: 'link-lost' });
    await allOrdered(20, ...bothWays(first), ...bothWays(second));
    await first.up.close();
    await join(radio, peripheral, 1, 'stoprocent');
  });

  it('close ends all of them; a controller that is gone as well', async () => {
    const { peripheral, first, second } = await newTrio();
    const ends = Promise.all([first, second].flatMap(({ up, down }) => [closed(up), closed(down)]));
    await peripheral.close();
    assert.deepEqual(await ends, [0x13, 0x16, 0x13, 0x16]);
    const again = await newTrio();
    const lost = Promise.all([closed(again.first.down), closed(again.second.down)]);
    again.radio.unplugAll();
    assert.deepEqual(await lost, [0x08, 0x08]);
  });
});
