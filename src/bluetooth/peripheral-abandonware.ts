/**
 * @abandonware/bleno as the library of the peripheral; the only file that loads it. Owns which of its calls and fields
 * stand behind PeripheralLibrary: one central at a time (B7). Its defects are met in guards/bleno.ts and peripheral.ts.
 */
import { CPNS_DOWN_UUID, CPNS_SERVICE_UUID, CPNS_UP_UUID } from './gatt-service.ts';
import { type Bleno, guardBleno, valueHandleOf, withDeviceName } from './guards/bleno.ts';
import type { HciTransport } from './hci/transport.ts';
import { loadPrivately } from './load-library.ts';
import type { PeripheralLibrary, ServiceEvents } from './peripheral.ts';

/** A private copy of bleno, as it comes: without any guard and not yet initialised. */
export function loadBleno(transport: HciTransport): Bleno {
  return withDeviceName(() =>
    loadPrivately('@abandonware/bleno', transport, (requireFile) => requireFile('index.js') as Bleno),
  );
}

/** With its guards on. */
export function abandonwarePeripheral(transport: HciTransport): PeripheralLibrary {
  const bleno = loadBleno(transport);
  const release = guardBleno(bleno, transport);
  const bindings = bleno._bindings;
  return {
    events: bleno,
    hci: bindings._hci,
    maxLinks: 1,
    isPoweredOn: () => bleno.state === 'poweredOn',
    serve: (events) => {
      withDeviceName(() => bleno.setServices([serviceOf(bleno, events)]));
      return {
        up: valueHandleOf(bindings._gatt, CPNS_UP_UUID),
        down: valueHandleOf(bindings._gatt, CPNS_DOWN_UUID),
      };
    },
    startAdvertising: (advertisement, scanResponse) => {
      bleno.startAdvertisingWithEIRData(advertisement, scanResponse);
      // bleno would restart by itself after a link and take no notice of a refusal.
      bindings._advertising = false;
    },
    stopAdvertising: () => bleno.stopAdvertising(),
    aclStreamOf: () => bindings._aclStream ?? undefined,
    release,
  };
}

/** Its callbacks do not say whose they are: there is one central. */
function serviceOf(bleno: Bleno, events: ServiceEvents): object {
  const withHandle = (tell: (handle: number) => void): void => {
    const handle = bleno._bindings._handle;
    if (handle !== null) tell(handle);
  };
  const up = new bleno.Characteristic({
    uuid: CPNS_UP_UUID,
    properties: ['writeWithoutResponse'],
    onWriteRequest: (data, _offset, _withoutResponse, answer) => {
      withHandle((handle) => events.onWrite(handle, data));
      answer(0);
    },
  });
  const down = new bleno.Characteristic({
    uuid: CPNS_DOWN_UUID,
    properties: ['notify'],
    onSubscribe: (maxValueBytes) => withHandle((handle) => events.onSubscribe(handle, maxValueBytes)),
    onUnsubscribe: () => withHandle(events.onUnsubscribe),
  });
  return new bleno.PrimaryService({
    uuid: CPNS_SERVICE_UUID.replaceAll('-', ''),
    characteristics: [up, down],
  });
}
