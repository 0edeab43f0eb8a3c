/**
 * @stoprocent/bleno as the library of the peripheral; the only file that loads it. Owns which of its calls and fields
 * stand behind PeripheralLibrary: several centrals at a time. Its defects are met in guards/bleno-stoprocent.ts and
 * peripheral.ts.
 */
import { CPNS_DOWN_UUID, CPNS_SERVICE_UUID, CPNS_UP_UUID } from './gatt-service.ts';
import { valueHandleOf, withDeviceName } from './guards/bleno.ts';
import {
  guardStoprocentBleno,
  NoManagement,
  type StoprocentBleno,
  type StoprocentBlenoBindings,
} from './guards/bleno-stoprocent.ts';
import type { HciTransport } from './hci/transport.ts';
import { loadPrivately } from './load-library.ts';
import type { PeripheralLibrary, ServiceEvents } from './peripheral.ts';

/** CHOICE: it has no limit; no controller that we know of has room for as many. */
const MAX_LINKS = 16;

/** A private copy of bleno, as it comes: without any guard and not yet initialised. */
export function loadStoprocentBleno(transport: HciTransport): StoprocentBleno {
  return withDeviceName(() =>
    loadPrivately('@stoprocent/bleno', transport, (requireFile) => {
      const Bindings = requireFile('lib/hci-socket/bindings.js') as new (
        options: object,
      ) => StoprocentBlenoBindings;
      const BlenoClass = requireFile('lib/bleno.js') as new (
        bindings: StoprocentBlenoBindings,
      ) => StoprocentBleno;
      const bindings = new Bindings({});
      bindings._hci.BluetoothHciSocket = NoManagement;
      return new BlenoClass(bindings);
    }),
  );
}

/** With its guards on. */
export function stoprocentPeripheral(transport: HciTransport, wantedLinks: number): PeripheralLibrary {
  const bleno = loadStoprocentBleno(transport);
  const bindings = bleno._bindings;
  const maxLinks = Math.min(wantedLinks, MAX_LINKS);
  const release = guardStoprocentBleno(bleno, transport, maxLinks);
  return {
    events: bleno,
    hci: bindings._hci,
    maxLinks,
    isPoweredOn: () => bleno.state === 'poweredOn',
    serve: (events) => {
      bleno.setServices([serviceOf(bleno, events)]);
      return {
        up: valueHandleOf(bindings._gatt, CPNS_UP_UUID),
        down: valueHandleOf(bindings._gatt, CPNS_DOWN_UUID),
      };
    },
    startAdvertising: (advertisement, scanResponse) => {
      bleno.startAdvertisingWithEIRData(advertisement, scanResponse);
      // It would restart by itself with each link and after it, and take no notice of a refusal.
      bindings._advertising = false;
    },
    stopAdvertising: () => bleno.stopAdvertising(),
    aclStreamOf: (handle) => bindings._connections.get(handle)?.aclStream,
    release,
  };
}

function serviceOf(bleno: StoprocentBleno, events: ServiceEvents): object {
  const up = new bleno.Characteristic({
    uuid: CPNS_UP_UUID,
    properties: ['writeWithoutResponse'],
    onWriteRequest: (handle, data, _offset, _withoutResponse, answer) => {
      events.onWrite(handle, data);
      answer(0);
    },
  });
  const down = new bleno.Characteristic({
    uuid: CPNS_DOWN_UUID,
    properties: ['notify'],
    onSubscribe: (handle, maxValueBytes) => events.onSubscribe(handle, maxValueBytes),
    onUnsubscribe: (handle) => events.onUnsubscribe(handle),
  });
  return new bleno.PrimaryService({
    uuid: CPNS_SERVICE_UUID.replaceAll('-', ''),
    characteristics: [up, down],
  });
}
