/** An adapter that was closed can be opened again at once, by the same process, as often as one likes. */
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { openCentral, openPeripheral } from '../../src/bluetooth/open.ts';
import { loadKernelBluetooth, settled, startRadio } from './kernel.ts';

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
});
