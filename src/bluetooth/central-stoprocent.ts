/**
 * @stoprocent/noble as the library of the central; the only file that loads it. Owns which of its calls and fields stand
 * behind CentralLibrary; its defects are met in guards/noble-stoprocent.ts and central.ts.
 */
import type { CentralLibrary } from './central-library.ts';
import { CPNS_SERVICE_UUID } from './gatt-service.ts';
import {
  forgetStoprocentPeripheral,
  guardStoprocentNoble,
  type StoprocentNoble,
  type StoprocentNobleBindings,
  type StoprocentNobleCopy,
  type StoprocentNobleHci,
} from './guards/noble-stoprocent.ts';
import type { HciTransport } from './hci/transport.ts';
import { loadPrivately } from './load-library.ts';

const PLAIN_SERVICE_UUID = CPNS_SERVICE_UUID.replaceAll('-', '');
/**
 * Legacy commands also where the controller has extended ones, which an adapter that also advertises by legacy ones
 * refuses; the channel is the transport's business, whatever HCI_CHANNEL_USER says.
 */
const BINDINGS_OPTIONS = { extended: false, userChannel: false };

/** A private copy of noble, as it comes: without any guard and not yet started. */
export function loadStoprocentNoble(transport: HciTransport): StoprocentNobleCopy {
  return loadPrivately('@stoprocent/noble', transport, (requireFile) => {
    const Bindings = requireFile('lib/hci-socket/bindings.js') as new (
      options: object,
    ) => StoprocentNobleBindings;
    const NobleClass = requireFile('lib/noble.js') as new (
      bindings: StoprocentNobleBindings,
    ) => StoprocentNoble;
    const Hci = requireFile('lib/hci-socket/hci.js') as { prototype: StoprocentNobleHci };
    const Gatt = requireFile('lib/hci-socket/gatt.js') as { prototype: { exchangeMtu(): void } };
    const noble = new NobleClass(new Bindings(BINDINGS_OPTIONS));
    return { noble, hci: Hci.prototype, gatt: Gatt.prototype };
  });
}

/** With its guards on. */
export function stoprocentCentral(transport: HciTransport): CentralLibrary {
  const copy = loadStoprocentNoble(transport);
  const { noble } = copy;
  const bindings = noble._bindings;
  const release = guardStoprocentNoble(copy, transport);
  noble.removeAllListeners('warning'); // to the console
  return {
    events: noble,
    get hci() {
      return bindings._hci;
    },
    isPoweredOn: () => noble._state === 'poweredOn',
    startScan: () => {
      // GUARD(N16): it throws as well, and then waits for power to scan behind our back.
      if (noble._state !== 'poweredOn') throw new Error(`the controller is ${noble._state}`);
      // GUARD(N15): while it takes a scan for on it sends nothing, so that a scan that died in silence stays dead.
      bindings._isScanning = false;
      bindings._isScanningStarted = false;
      noble.startScanning([PLAIN_SERVICE_UUID], true);
    },
    stopScan: () => noble.stopScanning(),
    // GUARD(N11), GUARD(N12), GUARD(S1): past its queue, which never ends an attempt by itself and resets the controller.
    createConnection: (id, parameters) => {
      const address = bindings._addresses[id];
      if (address === undefined) throw new Error('not discovered');
      bindings._hci.createLeConn(address, bindings._addresseTypes[id] ?? 'public', parameters, false);
    },
    endAttempt: () => {
      bindings._hci._pendingLeConn = null;
    },
    aclStreamOf: (handle) => bindings._aclStreams[handle],
    forget: (id) => forgetStoprocentPeripheral(noble, id),
    release,
  };
}
