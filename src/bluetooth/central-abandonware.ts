/**
 * @abandonware/noble as the library of the central; the only file that loads it. Owns which of its calls and fields stand
 * behind CentralLibrary; its defects are met in guards/noble.ts and central.ts.
 */
import type { CentralLibrary } from './central-library.ts';
import { CPNS_SERVICE_UUID } from './gatt-service.ts';
import { forgetPeripheral, guardNoble, type Noble, type NobleBindings } from './guards/noble.ts';
import type { HciTransport } from './hci/transport.ts';
import { loadPrivately } from './load-library.ts';

const PLAIN_SERVICE_UUID = CPNS_SERVICE_UUID.replaceAll('-', '');

/** A private copy of noble, as it comes: without any guard and not yet initialised. */
export function loadNoble(transport: HciTransport): { noble: Noble; gatt: { exchangeMtu(): void } } {
  return loadPrivately('@abandonware/noble', transport, (requireFile) => {
    const Bindings = requireFile('lib/hci-socket/bindings.js') as new (options: object) => NobleBindings;
    const NobleClass = requireFile('lib/noble.js') as new (bindings: NobleBindings) => Noble;
    const Gatt = requireFile('lib/hci-socket/gatt.js') as { prototype: { exchangeMtu(): void } };
    return { noble: new NobleClass(new Bindings({})), gatt: Gatt.prototype };
  });
}

/** With its guards on. */
export function abandonwareCentral(transport: HciTransport): CentralLibrary {
  const { noble, gatt } = loadNoble(transport);
  const release = guardNoble(noble, gatt, transport);
  noble.on('warning', () => {}); // without a listener it goes to the console
  const bindings = noble._bindings;
  return {
    events: noble,
    hci: bindings._hci,
    isPoweredOn: () => noble._state === 'poweredOn',
    startScan: () => noble.startScanning([PLAIN_SERVICE_UUID], true),
    stopScan: () => noble.stopScanning(),
    createConnection: (id, parameters) => noble.connect(id, parameters),
    // Where the controller said nothing, noble would otherwise queue every later connect behind this one.
    endAttempt: () => {
      bindings._pendingConnectionUuid = null;
    },
    aclStreamOf: (handle) => bindings._aclStreams[handle],
    forget: (id) => forgetPeripheral(noble, id),
    release,
  };
}
