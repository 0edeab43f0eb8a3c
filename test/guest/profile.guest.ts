/** Firmware profiles on the kernel's own adapters: recognised before and after opening, and the channel they are opened in. */
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { identifyAdapter, openCentral, openPeripheral } from '../../src/bluetooth/open.ts';
import type { Central } from '../../src/bluetooth/ports.ts';
import { command, loadKernelBluetooth, settled, startBtvirt, startRadio, until } from './kernel.ts';

/** The kernel's own first set-up of an adapter may still be under way, and then it is busy. */
async function openedSoon(moniker: string): Promise<Central> {
  for (let tries = 1; ; tries++) {
    try {
      return await openCentral(moniker);
    } catch (error) {
      if (tries === 20 || !/EBUSY|EUNFINISHED|EUSERS/.test(String(error))) throw error;
      await new Promise((resolve) => setTimeout(resolve, 500));
    }
  }
}

const CLI = 'dist/src/cli/main.js';

describe('the profile of an adapter of the kernel', function () {
  this.timeout(120_000);
  before(loadKernelBluetooth);

  /** What both kinds of virtual adapter have in common. */
  async function examine(index: number, name: string): Promise<void> {
    await settled([index]);
    const moniker = `hci:${index}`;
    const outside = await identifyAdapter(moniker);
    assert.deepEqual(
      [outside.detection.profile.name, outside.identity.bus, outside.identity.hci],
      ['generic', 'virtual', null],
    );
    assert.deepEqual(outside.detection.possible.find((each) => each.name === 'btvirt')?.unknown, [
      'HCI version (the adapter was not opened)',
    ]);
    const central = await openedSoon(moniker);
    const { detection, settings } = central.adapter;
    assert.deepEqual(
      [detection.profile.name, detection.how, settings.channel.use],
      [name, 'matched', 'user'],
    );
    // The user channel is exclusive: nobody else gets in, and the management interface does not list the adapter.
    await assert.rejects(openPeripheral(moniker), /hci:\d+\/user: .* \((EBUSY|EUSERS)\)/);
    assert.doesNotMatch(await command('btmgmt', 'info'), new RegExp(`^hci${index}:`, 'm'));
    await central.close();
    assert.equal((await identifyAdapter(moniker, { open: true })).detection.profile.name, name);
  }

  it('btvirt: told by what its controller says, opened in the user channel, one link', async () => {
    const btvirt = await startBtvirt(1);
    try {
      await examine(0, 'btvirt');
      const central = await openedSoon('hci:0');
      assert.equal(central.freeLinks, 1);
      assert.match(central.adapter.settings.channel.why, /6\.1/);
      await central.close();
    } finally {
      await btvirt.stop();
    }
  });

  it('our own radio behind /dev/vhci: the profile of the virtual radio', async () => {
    const radio = await startRadio(1);
    try {
      await examine(radio.indices[0] ?? -1, 'virtual-radio');
    } finally {
      await radio.close();
    }
  });

  it('/raw forces raw mode: shared with others, and the controller is asked all the same', async () => {
    const radio = await startRadio(1);
    const [index] = radio.indices;
    try {
      await settled(radio.indices);
      const descriptors = () => readdirSync('/proc/self/fd').length;
      const before = descriptors();
      await assert.rejects(openPeripheral(`hci:${index}/raw`), /\/raw: the adapter is down \(ENETDOWN\)/);
      await command('hciconfig', `hci${index}`, 'up');
      const first = await openPeripheral(`hci:${index}/raw`);
      const second = await identifyAdapter(`hci:${index}/raw`, { open: true });
      for (const { detection } of [first.adapter, second])
        assert.equal(detection.profile.name, 'virtual-radio');
      await first.close();
      await until('no descriptor is left', () => descriptors() === before);
      await command('hciconfig', `hci${index}`, 'down');
    } finally {
      await radio.close();
    }
  });

  it('cpns profile detect says so, without opening and with --open', async () => {
    const radio = await startRadio(1);
    const [index] = radio.indices;
    try {
      await settled(radio.indices);
      const detect = async (...more: readonly string[]) => {
        const args = [CLI, 'profile', 'detect', '--adapter', `hci:${index}`, ...more];
        return command(process.execPath, ...args);
      };
      assert.match(await detect(), /^generic: .*\n[\s\S]*could be btvirt; not known: HCI version/);
      assert.match(await detect('--open'), /^virtual-radio: [\s\S]*opens the user channel: .*6\.1/);
    } finally {
      await radio.close();
    }
  });
});
