/** What the system says of an adapter, read from trees as the kernel makes them: on a Pi, on USB, virtual, and broken ones. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { isPresent, parseHciVersion, systemIdentity } from '../../src/bluetooth/adapter-identity.ts';
import { chooseProfile } from '../../src/bluetooth/adapter-profile.ts';
import { parseMoniker } from '../../src/bluetooth/hci/moniker.ts';

const kernel = '6.12.47+rpt-rpi-v8';
const HCI0 = parseMoniker('hci:0');
const made: string[] = [];
after(() => {
  for (const root of made) rmSync(root, { recursive: true, force: true });
});

/** A root with these files; a value that begins with `->` is a symlink within it. */
function tree(files: Readonly<Record<string, string | Buffer>>): string {
  const root = mkdtempSync(join(tmpdir(), 'cpns-sys-'));
  made.push(root);
  for (const [name, content] of Object.entries(files)) {
    const path = join(root, name);
    mkdirSync(dirname(path), { recursive: true });
    if (typeof content === 'string' && content.startsWith('->')) {
      const target = join(root, content.slice(2));
      mkdirSync(target, { recursive: true });
      symlinkSync(target, path);
    } else writeFileSync(path, content);
  }
  return root;
}

const UART = 'sys/devices/platform/soc/fe201000.serial/serial0/serial0-0';
const USB = 'sys/devices/pci0000:00/usb1/1-1';

describe('the identity of an adapter, from the system', () => {
  it('of a Raspberry Pi: model without its NUL, UART, driver', () => {
    const root = tree({
      'proc/device-tree/model': 'Raspberry Pi 4 Model B Rev 1.4\0',
      [`${UART}/subsystem`]: '->sys/bus/serial',
      [`${UART}/driver`]: '->sys/bus/serial/drivers/hci_uart_bcm',
      [`${UART}/bluetooth/hci0/device`]: `->${UART}`,
      'sys/class/bluetooth/hci0': `->${UART}/bluetooth/hci0`,
    });
    const identity = systemIdentity(HCI0, { root, kernel });
    assert.deepEqual(identity, {
      ...{ deviceTreeModel: 'Raspberry Pi 4 Model B Rev 1.4', bus: 'uart', usb: null, hci: null },
      ...{ driver: 'hci_uart_bcm', kernel },
    });
    const { detection, settings } = chooseProfile(identity);
    assert.equal(detection.profile.name, 'raspberry-pi-4b');
    assert.deepEqual([settings.channel.use, settings.waitAfterResetMs], ['user', 100]);
  });

  it('of a USB adapter: the ids of the device above its interface', () => {
    const root = tree({
      [`${USB}/idVendor`]: '0a12\n',
      [`${USB}/idProduct`]: '0001\n',
      [`${USB}/bcdDevice`]: '8891\n',
      [`${USB}/1-1:1.0/subsystem`]: '->sys/bus/usb',
      [`${USB}/1-1:1.0/driver`]: '->sys/bus/usb/drivers/btusb',
      [`${USB}/1-1:1.0/bluetooth/hci0/device`]: `->${USB}/1-1:1.0`,
      'sys/class/bluetooth/hci0': `->${USB}/1-1:1.0/bluetooth/hci0`,
    });
    const { bus, usb, driver } = systemIdentity(HCI0, { root, kernel });
    assert.deepEqual(
      { bus, usb, driver },
      { bus: 'usb', usb: { vendor: 0x0a12, product: 1, bcdDevice: 0x8891 }, driver: 'btusb' },
    );
  });

  it('of a virtual adapter: no device, in devices/virtual', () => {
    const root = tree({ 'sys/class/bluetooth/hci0': '->sys/devices/virtual/bluetooth/hci0' });
    assert.equal(systemIdentity(HCI0, { root, kernel }).bus, 'virtual');
    assert.equal(isPresent(HCI0, { root }), true);
  });

  it('of none, and of a controller behind a socket', () => {
    const root = tree({});
    assert.equal(systemIdentity(HCI0, { root, kernel }).bus, null);
    assert.equal(isPresent(HCI0, { root }), false);
    assert.equal(systemIdentity(parseMoniker('h4:tcp:pi:1'), { root, kernel }).bus, 'socket');
  });

  it('of files that hold anything: what is no id is not known, and a text has an end', () => {
    const root = tree({
      'proc/device-tree/model': Buffer.alloc(100_000, 'x'),
      [`${USB}/idVendor`]: 'zzzz\n',
      [`${USB}/idProduct`]: Buffer.from([0xff, 0xfe, 0x00]),
      [`${USB}/1-1:1.0/subsystem`]: '->sys/bus/usb',
      [`${USB}/1-1:1.0/bluetooth/hci0/device`]: `->${USB}/1-1:1.0`,
      'sys/class/bluetooth/hci0': `->${USB}/1-1:1.0/bluetooth/hci0`,
    });
    const { bus, usb, driver, deviceTreeModel } = systemIdentity(HCI0, { root, kernel });
    assert.deepEqual({ bus, usb, driver }, { bus: 'usb', usb: null, driver: null });
    assert.equal(deviceTreeModel?.length, 128);
  });

  it('of the controller: HCI Read Local Version, or nothing when it is not that', () => {
    assert.deepEqual(parseHciVersion(Buffer.from('00 06 bb22 06 0a00 bb22'.replaceAll(' ', ''), 'hex')), {
      ...{ version: 6, revision: 0x22bb, lmpVersion: 6, manufacturer: 10, lmpSubversion: 0x22bb },
    });
    for (const answer of ['', '01', '00', '0006bb22060a00bb', '0106bb22060a00bb22']) {
      assert.equal(parseHciVersion(Buffer.from(answer, 'hex')), undefined);
    }
  });
});
