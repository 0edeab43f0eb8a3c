/**
 * A system that goes to sleep and wakes up, with daemons that have a live link: adapters are told and programs stand still, as
 * far as the kernel tests it (pm_test: freezer). Devices keep their power; hardware that loses it shows an adapter that was
 * pulled out and put back (unplug.guest.ts).
 */
// guest: --memory 1536 --timeout 600
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { dropOpenLink, FourProcesses } from '../e2e/four-processes.ts';
import { assertSound } from '../e2e/sound.ts';
import {
  adapters,
  command,
  kernelComplaints,
  loadKernelBluetooth,
  powerUp,
  settled,
  startRadio,
  until,
} from './kernel.ts';

/** Emulation makes everything ten times slower. */
const PATIENCE_MS = 120_000;
/** Longer than a silent peer is waited for. */
const ASLEEP_SECONDS = 40;

/** A peer is held to be lost after 30 s, and the guest is slow. */
const BACK_WITHIN_MS = 60_000;

/** The kernel waits so long before it wakes up. */
async function sleepOnce(): Promise<void> {
  writeFileSync('/sys/module/suspend/parameters/pm_test_delay', `${ASLEEP_SECONDS}`);
  writeFileSync('/sys/power/pm_test', 'freezer');
  // It waits on its processor, which the kernel else takes for a defect of its own.
  writeFileSync('/proc/sys/kernel/watchdog_thresh', '60');
  // Not by us: the adapters are told before we stand still, and ask our controllers.
  await command('sh', '-c', 'echo mem >/sys/power/state').catch((error: { killed?: boolean }) => {
    // Its time limit went by while it slept.
    if (error.killed !== true) throw error;
  });
}

describe('a system that sleeps', function () {
  this.timeout(300_000);
  let world: FourProcesses | undefined;

  before(loadKernelBluetooth);
  afterEach(async function () {
    await world?.close();
    if (world) assertSound(world, this.currentTest);
    world = undefined;
    await until('no adapter', () => adapters().length === 0);
    assert.deepEqual(kernelComplaints(), []);
  });

  /** @returns a network with a live link */
  const establish = async (channel: 'user' | 'raw') => {
    const radio = await startRadio(3, { intervalMs: 7.5 });
    await (channel === 'raw' ? powerUp : settled)(radio.indices);
    const [gw1 = '', gw2 = '', pne = ''] = radio.indices.map((index) => `hci:${index}/${channel}`);
    const air = { dropLink: () => dropOpenLink(radio), close: () => radio.close() };
    const four = await FourProcesses.open({
      patienceMs: PATIENCE_MS,
      air: { ...air, adapters: { gw1, gw2, pne } },
    });
    world = four;
    await four.start('gw2');
    await four.until('the question', () => four.asked().length > 0);
    await four.allow();
    await four.untilOutcome('member');
    return { four, radio };
  };

  for (const channel of ['user', 'raw'] as const)
    it(`finds its network again, ${channel} channel`, async () => {
      const { four, radio } = await establish(channel);
      const packets = (way: 'toCentral' | 'toPeripheral') =>
        radio.counters().links.reduce((sum, link) => sum + link[way].packets, 0);
      await sleepOnce();
      const [up, down] = [packets('toCentral'), packets('toPeripheral')];
      // Whether its link survived or was resumed: both sides speak on one, if only to keep it.
      await four.until(
        'its network',
        () =>
          packets('toCentral') > up &&
          packets('toPeripheral') > down &&
          radio.counters().links.some(({ open }) => open),
        BACK_WITHIN_MS,
      );
      assert.equal(four.said('gw2', ({ name }) => name === 'PnSetupRequest').length, 1);
    });
});
