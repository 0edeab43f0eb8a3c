/** Which profile an adapter gets: the identities that were looked up, clones by the kernel's rule, and what is not known. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { detectProfile, ProfileError } from '../../src/profiles/detect.ts';
import {
  type AdapterIdentity,
  csrFirmware,
  type HciVersion,
  UNKNOWN_ADAPTER,
} from '../../src/profiles/identity.ts';
import { findProfile, shippedProfiles } from '../../src/profiles/load.ts';
import { settingsOf } from '../../src/profiles/settings.ts';

const profiles = shippedProfiles();

const hci = (
  manufacturer: number,
  lmpSubversion: number,
  version = 6,
  revision = lmpSubversion,
): HciVersion => ({
  ...{ version, revision, lmpVersion: version, manufacturer, lmpSubversion },
});
const onPi = (deviceTreeModel: string): Partial<AdapterIdentity> => ({
  ...{ deviceTreeModel, bus: 'uart', driver: 'hci_uart_bcm', kernel: '6.12.47+rpt-rpi-v8' },
});
const onUsb = (
  id: string,
  version: HciVersion | null = null,
  bcdDevice = 0x8891,
): Partial<AdapterIdentity> => {
  const [vendor = 0, product = 0] = id.split(':').map((each) => Number.parseInt(each, 16));
  return { bus: 'usb', usb: { vendor, product, bcdDevice }, hci: version, driver: 'btusb' };
};
const detect = (identity: Partial<AdapterIdentity>) =>
  detectProfile(profiles, { ...UNKNOWN_ADAPTER, ...identity });

describe('detection of a firmware profile', () => {
  const cases: readonly (readonly [string, Partial<AdapterIdentity>])[] = [
    ['raspberry-pi-zero-w', onPi('Raspberry Pi Zero W Rev 1.1')],
    ['raspberry-pi-zero-2-w', onPi('Raspberry Pi Zero 2 W Rev 1.0')],
    ['raspberry-pi-3b', onPi('Raspberry Pi 3 Model B Rev 1.2')],
    ['raspberry-pi-3b-plus', onPi('Raspberry Pi 3 Model B Plus Rev 1.3')],
    ['raspberry-pi-3b-plus', onPi('Raspberry Pi 3 Model B+')],
    ['raspberry-pi-4b', onPi('Raspberry Pi 4 Model B Rev 1.4')],
    ['raspberry-pi-5', onPi('Raspberry Pi 5 Model B Rev 1.0')],
    ['raspberry-pi-cm4', onPi('Raspberry Pi Compute Module 4 Rev 1.1')],
    ['generic', onPi('Raspberry Pi 2 Model B Rev 1.1')],
    ['csr8510', onUsb('0a12:0001', hci(10, 0x22bb))],
    ['csr-clone', onUsb('0a12:0001', hci(10, 0x22bb, 6, 0x3120))],
    ['csr-clone', onUsb('0a12:0001', hci(2279, 0x22bb))],
    ['bcm20702', onUsb('0a5c:21e8')],
    ['bcm20702', onUsb('1234:5678', hci(15, 0x220e))],
    ['rtl8761b', onUsb('2357:0604')],
    ['intel-ax2xx', onUsb('8087:0032')],
    ['nrf52840-zephyr', onUsb('2fe3:000b', hci(0x05f1, 0xffff, 13))],
    ['virtual-radio', { bus: 'socket', hci: hci(0xffff, 0x6370, 11) }],
    ['virtual-radio', { bus: 'virtual', hci: hci(0xffff, 0x6370, 11) }],
    ['btvirt', { bus: 'virtual', hci: hci(0x05f1, 0, 9) }],
    ['btvirt', { bus: 'virtual', hci: hci(63, 0) }],
    ['generic', { bus: 'socket', hci: hci(0x05f1, 0, 9) }],
    ['generic', {}],
  ];
  for (const [name, identity] of cases) {
    it(`${name}: ${identity.deviceTreeModel ?? JSON.stringify(identity)}`, () => {
      const { profile, how, because } = detect(identity);
      assert.equal(profile.name, name);
      assert.equal(how, name === 'generic' ? 'nothing-matched' : 'matched');
      assert.ok(because.length > 0);
    });
  }

  it('an adapter in a USB port of a Pi is not the radio of the Pi', () => {
    const usb = onUsb('0a12:0001', hci(10, 0x22bb));
    assert.equal(
      detect({ ...usb, deviceTreeModel: 'Raspberry Pi 4 Model B Rev 1.4' }).profile.name,
      'csr8510',
    );
    const unknownBus = { deviceTreeModel: 'Raspberry Pi 4 Model B Rev 1.4' };
    assert.equal(detect(unknownBus).profile.name, 'generic');
    assert.deepEqual(detect(unknownBus).possible, [{ name: 'raspberry-pi-4b', unknown: ['bus'] }]);
  });

  it('0a12:0001 that was not opened may be either, and is told neither', () => {
    const { profile, possible } = detect(onUsb('0a12:0001'));
    assert.equal(profile.name, 'generic');
    const [first, second] = possible.map(({ name }) => name);
    assert.deepEqual([first, second], ['csr-clone', 'csr8510']);
    for (const { unknown } of possible) assert.match(unknown.join(), /not opened/);
  });

  it('the one that the configuration names is taken whatever the adapter is', () => {
    const found = detectProfile(
      profiles,
      { ...UNKNOWN_ADAPTER, ...onPi('Raspberry Pi 4 Model B') },
      findProfile('btvirt'),
    );
    assert.deepEqual([found.profile.name, found.how], ['btvirt', 'configured']);
    assert.throws(
      () => findProfile('nothing'),
      (error: Error) => {
        assert.ok(error instanceof ProfileError);
        assert.match(error.message, /raspberry-pi-4b/);
        return true;
      },
    );
  });

  it('takes any identity, and the order of the profiles does not matter', () => {
    const text = fc.option(fc.string({ maxLength: 40 }), { nil: null });
    const number = fc.nat(0xffff);
    const anyIdentity = fc.record({
      deviceTreeModel: fc.oneof(text, fc.constant('Raspberry Pi 5 Model B Rev 1.0')),
      bus: fc.constantFrom('usb' as const, 'uart' as const, 'virtual' as const, 'socket' as const, null),
      usb: fc.option(
        fc.record({
          vendor: fc.constantFrom(0x0a12, 0x0a5c, 7),
          product: fc.constantFrom(1, 0x21e8),
          bcdDevice: number,
        }),
        { nil: null },
      ),
      hci: fc.option(
        fc.record({
          ...{ version: fc.nat(15), revision: number, lmpVersion: fc.nat(15) },
          ...{
            manufacturer: fc.constantFrom(10, 15, 63, 0xffff),
            lmpSubversion: fc.constantFrom(0, 0x22bb, 0x220e, 0x6370),
          },
        }),
        { nil: null },
      ),
      ...{ driver: text, kernel: text },
    });
    fc.assert(
      fc.property(
        anyIdentity,
        fc.shuffledSubarray([...profiles], { minLength: profiles.length }),
        (identity, shuffled) => {
          const found = detectProfile(profiles, identity);
          assert.equal(detectProfile(shuffled, identity).profile.name, found.profile.name);
          settingsOf(found.profile, findProfile('generic'), identity.kernel);
        },
      ),
    );
  });
});

describe('CSR firmware, by the rule of btusb', () => {
  const kind = (version: HciVersion, bcdDevice: number | null = 0x8891) =>
    csrFirmware(version, bcdDevice).kind;

  it('is real when the maker is CSR, both numbers agree and the version is no newer than the firmware', () => {
    for (const [subversion, version] of [
      [0x034e, 1],
      [0x0529, 2],
      [0x0c5c, 3],
      [0x1899, 4],
      [0x22bb, 6],
      [0x3000, 9],
    ] as const) {
      assert.equal(kind(hci(10, subversion, version)), 'genuine', `0x${subversion.toString(16)}`);
    }
  });

  it('is a clone on any disagreement', () => {
    assert.equal(kind(hci(11, 0x22bb)), 'clone');
    assert.equal(kind(hci(10, 0x22bb, 6, 0x22ba)), 'clone');
    for (const [subversion, version] of [
      [0x0073, 2],
      [0x0529, 3],
      [0x0c5c, 4],
      [0x1899, 6],
      [0x22bb, 7],
    ] as const) {
      assert.equal(kind(hci(10, subversion, version)), 'clone', `0x${subversion.toString(16)}`);
    }
  });

  it('one clone beats all of that, and is known by its bcdDevice', () => {
    assert.equal(kind(hci(10, 0x0c5c, 3), 0x0134), 'clone');
    assert.equal(kind(hci(10, 0x0c5c, 3), null), 'genuine');
  });
});
