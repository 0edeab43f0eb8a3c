/** The bytes of both advertising packets (docs/protocol.md §2.2). Pure. What the service data holds is network/advertisement.ts. */
import { attUuid } from './att.ts';
import { CPNS_SERVICE_UUID } from './gatt-service.ts';

/** Flags (general discoverable, no BR/EDR) and the complete list of one 128-bit service UUID: 21 bytes. */
export function advertisingData(): Buffer {
  return Buffer.concat([Buffer.from([2, 0x01, 0x06, 17, 0x07]), attUuid(CPNS_SERVICE_UUID)]);
}

/** Service Data of the 128-bit UUID with 13 bytes: 31 bytes, all that a scan response holds. */
export function scanResponse(serviceData: Uint8Array): Buffer {
  return Buffer.concat([
    Buffer.from([17 + serviceData.length, 0x21]),
    attUuid(CPNS_SERVICE_UUID),
    serviceData,
  ]);
}
