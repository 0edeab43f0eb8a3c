/**
 * The back-ends mixed on the kernel's Bluetooth, on our controllers behind /dev/vhci: links of each with each, several
 * centrals at one peripheral, and the main job with the PNE on one and the gateway that invites it on the other.
 */
// guest: --timeout 600
import assert from 'node:assert/strict';
import { BACK_ENDS, type BackEnd, openCentral, openPeripheral } from '../../src/bluetooth/open.ts';
import type { Central, GattLink, Peripheral } from '../../src/bluetooth/ports.ts';
import { flood, serviceData, sightingOf } from '../bluetooth/support.ts';
import { FourProcesses } from '../e2e/four-processes.ts';
import { loadKernelBluetooth, settled, startRadio } from './kernel.ts';

/** Emulation makes everything ten times slower. */
const PATIENCE_MS = 120_000;
const CONNECT = { deadlineMs: 20_000 };
const COUNT = 30;

describe('both back-ends on the kernel of the guest', function () {
  this.timeout(300_000);
  let radio: Awaited<ReturnType<typeof startRadio>>;
  let adapters: readonly string[] = [];
  const open: (Central | Peripheral)[] = [];

  before(async () => {
    loadKernelBluetooth();
    radio = await startRadio(3, { intervalMs: 7.5 });
    await settled(radio.indices);
    adapters = radio.indices.map((index) => `hci:${index}/user`);
  });
  afterEach(async () => {
    for (const port of open.splice(0).reverse()) await port.close();
  });
  after(() => radio.close());

  async function newPeripheral(adapter: number, backEnd: BackEnd, maxLinks: number) {
    const peripheral = await openPeripheral(adapters[adapter] ?? '', { backEnd, maxLinks });
    open.push(peripheral);
    const downs: GattLink[] = [];
    peripheral.onLink = (link) => void downs.push(link);
    await peripheral.startAdvertising({ serviceData: serviceData(1) });
    return downs;
  }

  async function join(adapter: number, backEnd: BackEnd): Promise<GattLink> {
    const central = await openCentral(adapters[adapter] ?? '', { backEnd });
    open.push(central);
    const { address } = await sightingOf(central, 1);
    return central.connect(address, CONNECT);
  }

  async function intact(ends: readonly (readonly [GattLink, GattLink | undefined])[]): Promise<void> {
    const ways = ends.flatMap(([up, down]) => {
      assert.ok(down);
      return [flood(up, down, COUNT), flood(down, up, COUNT)];
    });
    const expected = Array.from({ length: COUNT }, (_, i) => i);
    for (const arrived of await Promise.all(ways)) assert.deepEqual(arrived, expected);
  }

  for (const below of BACK_ENDS) {
    for (const above of BACK_ENDS) {
      it(`a central of ${above} at a peripheral of ${below}`, async () => {
        const downs = await newPeripheral(0, below, 1);
        const up = await join(1, above);
        await intact([[up, downs[0]]]);
      });
    }
  }

  it('a central of each at once at a peripheral of stoprocent', async () => {
    const downs = await newPeripheral(0, 'stoprocent', 2);
    const first = await join(1, 'abandonware');
    const second = await join(2, 'stoprocent');
    await intact([
      [first, downs[0]],
      [second, downs[1]],
    ]);
  });

  it('enrol and establish: PNE and home gateway on stoprocent, the inviting gateway on abandonware', async () => {
    const [gw1 = '', gw2 = '', pne = ''] = adapters;
    const world = await FourProcesses.open({
      patienceMs: PATIENCE_MS,
      backEnds: { pne: 'stoprocent', gw1: 'stoprocent', gw2: 'abandonware' },
      air: { adapters: { gw1, gw2, pne }, dropLink: () => false, close: async () => {} },
    });
    try {
      await world.start('gw2');
      await world.until('the question', () => world.asked().length > 0);
      await world.allow();
      await world.untilOutcome('member');
      assert.deepEqual(world.violations, []);
      assert.deepEqual(world.deaths, []);
    } finally {
      await world.close();
    }
  });

  it('no command that our controllers lack, none beyond their buffers', () => {
    assert.deepEqual([...radio.counters().unknownCommands.keys()], []);
    assert.equal(radio.counters().overflows, 0);
  });
});
