/** Whoever takes links as a peripheral: what goes wrong with one link costs that link, and members are no strangers. */
import assert from 'node:assert/strict';
import { CpnsError } from '../../src/base/errors.ts';
import type { Status } from '../../src/base/statuses.ts';
import { openPeripheral } from '../../src/bluetooth/open.ts';
import type { GattLink } from '../../src/bluetooth/ports.ts';
import { LinkTaker } from '../../src/nodes/link-taker.ts';
import { systemClock } from '../../src/nodes/system-clock.ts';
import { nodePrimitives } from '../../src/security/primitives-node.ts';
import { cleanUp, closed, closeLater, newCentral, newRadio } from '../bluetooth/support.ts';
import { TestNetwork } from './network.ts';

describe('a peripheral that takes links', function () {
  this.timeout(60_000);

  it('hangs up where it can not serve, says why, and takes the next link', async () => {
    const radio = await newRadio();
    const peripheral = await openPeripheral(radio.moniker);
    const problems: Status[] = [];
    const taken: GattLink[] = [];
    const taker = new LinkTaker({
      peripheral,
      primitives: nodePrimitives(),
      clock: systemClock,
      content: () => ({ mode: 'gateway', join: true, enrolSecret: undefined, secrets: [] }),
      take: async (gatt) => {
        taken.push(gatt);
        throw new CpnsError('cannot-persist');
      },
      onProblem: (status) => problems.push(status),
    });
    closeLater(() => {
      taker.stop();
      return peripheral.close();
    });
    await taker.announce();
    const central = await newCentral(radio);
    for (const times of [1, 2]) {
      const { address } = await new Promise<{ address: string }>((resolve, reject) => {
        central.startScan((seen) => seen.serviceData && resolve(seen)).catch(reject);
      });
      await central.stopScan();
      const link = await central.connect(address, { deadlineMs: 5000 });
      await closed(link);
      assert.equal(taken.length, times);
      assert.deepEqual(problems, Array(times).fill('cannot-persist'));
    }
    await cleanUp();
  });

  it('does not count a member that resumes among strangers', async () => {
    const network = await TestNetwork.open();
    try {
      const home = await network.gateway('Alice', 'Hall', { bluetooth: { as: 'peripheral' } });
      const pne = await network.pne('Phone', { bluetooth: { as: 'central' } });
      const { code, used } = network.showCode(home);
      pne.useCode(code);
      await used;
      await network.gateway('Bob', 'Kitchen', { bluetooth: { as: 'peripheral' }, pn: { invite: true } });
      await network.until('membership', () => pne.status().memberships.length === 1);
      const resumed = () => network.events.filter(({ kind }) => kind === 'resumed').length;
      // More than strangers may in ten seconds.
      const startedAt = performance.now();
      for (let times = 1; times <= 12; times++) {
        const link = network.radio.counters().links.find(({ open }) => open);
        assert.ok(link && network.radio.dropLink(link.central, link.peripheral));
        await network.until(`resumption ${times}`, () => resumed() >= times);
      }
      assert.ok(performance.now() - startedAt < 10_000, 'as quickly as links are made');
    } finally {
      await network.close();
    }
  });
});
