/** What a report says of the adapters, and how they are named. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemIdentity } from '../../src/bluetooth/adapter-identity.ts';
import { chooseProfile } from '../../src/bluetooth/adapter-profile.ts';
import { monikerOf } from '../../src/hil/adapter-name.ts';
import { adapterRecord, programIdentity } from '../../src/hil/identity.ts';

describe('adapters of a hardware run', () => {
  it('are named as the kernel does, or by any moniker', () => {
    const named = ['hci0', 'hci12/user', 'hci1/raw', 'hci:3', 'virtual:/run/r.sock'].map(monikerOf);
    assert.deepEqual(named, ['hci:0', 'hci:12/user', 'hci:1/raw', 'hci:3', 'virtual:/run/r.sock']);
    for (const wrong of ['hci', 'hci-1', 'hci0/', 'usb0', '']) assert.throws(() => monikerOf(wrong));
  });

  it('are recorded with what kernel, controller and profile say', () => {
    const root = mkdtempSync(join(tmpdir(), 'cpns-sysfs-'));
    try {
      const usb = join(root, 'sys/devices/usb1/1-2');
      mkdirSync(join(usb, '1-2:1.0/bluetooth/hci1'), { recursive: true });
      for (const folder of ['sys/class/bluetooth', 'sys/bus/usb', 'sys/drivers/btusb'])
        mkdirSync(join(root, folder), { recursive: true });
      const put = (name: string, words: string) => writeFileSync(join(usb, name), `${words}\n`);
      put('idVendor', '0a12');
      put('idProduct', '0001');
      put('bcdDevice', '8891');
      put('product', 'CSR8510 A10');
      const device = join(usb, '1-2:1.0');
      const adapter = join(device, 'bluetooth/hci1');
      symlinkSync(device, join(adapter, 'device'));
      symlinkSync(join(root, 'sys/bus/usb'), join(device, 'subsystem'));
      symlinkSync(join(root, 'sys/drivers/btusb'), join(device, 'driver'));
      symlinkSync(adapter, join(root, 'sys/class/bluetooth/hci1'));
      const hci = { version: 6, revision: 0x22bb, lmpVersion: 6, manufacturer: 10, lmpSubversion: 0x22bb };
      const identity = systemIdentity({ kind: 'hci', index: 1, channel: 'user' }, { root });
      assert.deepEqual(adapterRecord('hci:1/user', chooseProfile({ ...identity, hci }), root), {
        ...{ moniker: 'hci:1/user', address: null, bus: 'usb', usb: '0a12:0001' },
        ...{ product: 'CSR8510 A10', driver: 'btusb', profile: 'csr8510', channel: 'user', controller: hci },
      });
    } finally {
      rmSync(root, { recursive: true, force: true });
    }
  });

  it('have the build of this program beside them', () => {
    const { name, version, build } = programIdentity();
    assert.equal(name, 'cpns-ble');
    assert.match(version, /^\d+\.\d+\.\d+$/);
    assert.match(build, /^[0-9a-f]{16}$/);
  });
});
