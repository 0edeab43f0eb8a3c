/** An adapter that was closed can be opened again at once, by the same process, as often as one likes. */
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { openCentral, openPeripheral } from '../../src/bluetooth/open.ts';
import { command, loadKernelBluetooth, settled, startRadio } from './kernel.ts';

describe('an adapter of the kernel', function () {
  this.timeout(120_000);

  for (const [role, open] of [
    ['central', openCentral],
    ['peripheral', openPeripheral],
  ] as const) {
    it(`is given back by a ${role} that closes, and no descriptor is left`, async () => {
      loadKernelBluetooth();
      const radio = await startRadio(1);
      await settled(radio.indices);
      const descriptors = () => readdirSync('/proc/self/fd').length;
      try {
        const before = descriptors();
        for (let round = 0; round < 5; round++) await (await open(`hci:${radio.indices[0]}/user`)).close();
        assert.equal(descriptors(), before);
      } finally {
        await radio.close();
      }
    });
  }

  it('that was silent when the kernel set it up is said to be just that, and is well once it is replugged', async () => {
    loadKernelBluetooth();
    const radio = await startRadio(1);
    const [index] = radio.indices;
    const user = `hci:${index}/user`;
    try {
      // Its controller is this process: the kernel waits 2 s for an answer, once.
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 6_000);
      await assert.rejects(openCentral(user), { code: 'EUNFINISHED', mend: /replug/ });
      await command('hciconfig', `hci${index}`, 'up');
      await command('hciconfig', `hci${index}`, 'down');
      await assert.rejects(openCentral(user), { code: 'EUNFINISHED' });
      radio.plugged[0]?.unplug();
      const { index: again } = radio.plugIntoKernel();
      await settled([again]);
      await (await openCentral(`hci:${again}/user`)).close();
    } finally {
      await radio.close();
    }
  });
});
