/** The kernel takes our radio's controllers as adapters, and knows them as LE controllers that it can power. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import type { VirtualRadio } from '../../src/bluetooth/open.ts';
import { adapters, command, loadKernelBluetooth, settled, startRadio, until } from './kernel.ts';

describe('our radio behind /dev/vhci', function () {
  this.timeout(60_000);
  let radio: VirtualRadio & { readonly indices: readonly number[] };

  before(async () => {
    loadKernelBluetooth();
    radio = await startRadio(2, { intervalMs: 7.5 });
    await settled(radio.indices);
  });
  after(() => radio.close());

  it('shows as adapters with the addresses of its controllers', async () => {
    assert.deepEqual(adapters(), [0, 1]);
    assert.match(await command('hciconfig', 'hci0'), /BD Address: 00:50:4E:53:00:01/);
    assert.match(await command('hciconfig', 'hci1'), /BD Address: 00:50:4E:53:00:02/);
  });

  it('is powered and scanned with by the kernel, which sends no command that it lacks', async () => {
    await command('hciconfig', 'hci0', 'up');
    assert.match(await command('hciconfig', 'hci0'), /UP RUNNING/);
    await command('hciconfig', 'hci0', 'down');
    assert.deepEqual(
      [...radio.counters().unknownCommands.keys()].map((op) => op.toString(16)),
      [],
    );
  });

  it('vanishes with the program that has it, though that was killed', async () => {
    const main = join(import.meta.dirname, '../../src/cli/main.js');
    const before = adapters();
    const args = [main, 'radio', '--vhci', '1', '--socket', '/run/killed.sock'];
    const program = spawn(process.execPath, args, { stdio: 'ignore' });
    await until('its adapter', () => adapters().length === before.length + 1);
    program.kill('SIGKILL');
    await until('its end', () => adapters().length === before.length);
  });

  it('vanishes from the kernel when it is unplugged', async () => {
    const { index, unplug } = radio.plugIntoKernel();
    await until('the third adapter', () => adapters().includes(index));
    unplug();
    await until('its end', () => !adapters().includes(index));
  });
});
