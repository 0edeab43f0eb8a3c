/**
 * The devices a central has seen lately, least recently seen first to go. Owns the bound that noble lacks (N15); whoever
 * makes it says what else to forget with a device.
 */
import { CPNS_SERVICE_UUID } from './gatt-service.ts';
import type { NoblePeripheral } from './guards/noble.ts';
import type { Sighting } from './ports.ts';

export const MAX_SIGHTINGS = 256;
export const SERVICE_DATA_BYTES = 13;

const PLAIN_SERVICE_UUID = CPNS_SERVICE_UUID.replaceAll('-', '');

export class SightingCache {
  /** noble's identifier by address, in the order of last sighting. */
  readonly #ids = new Map<string, string>();
  readonly #inUse: (address: string) => boolean;
  readonly #forget: (id: string) => void;

  constructor(inUse: (address: string) => boolean, forget: (id: string) => void) {
    this.#inUse = inUse;
    this.#forget = forget;
  }

  get size(): number {
    return this.#ids.size;
  }

  note(address: string, id: string): void {
    this.#ids.delete(address);
    this.#ids.set(address, id);
    if (this.#ids.size <= MAX_SIGHTINGS) return;
    for (const [oldest, oldestId] of this.#ids) {
      if (this.#inUse(oldest)) continue;
      this.#ids.delete(oldest);
      this.#forget(oldestId);
      return;
    }
  }

  idOf(address: string): string | undefined {
    return this.#ids.get(address);
  }
}

/** What noble reports as the port states it. */
export function toSighting(peripheral: NoblePeripheral): Sighting {
  const { serviceUuids = [], serviceData = [] } = peripheral.advertisement;
  // noble appends service data of repeated scan responses; the last one is what the peer says now.
  const own = serviceData.filter((each) => each.uuid === PLAIN_SERVICE_UUID).at(-1)?.data;
  return {
    address: peripheral.address,
    rssi: peripheral.rssi,
    connectable: peripheral.connectable,
    serviceUuids: serviceUuids.filter((uuid) => uuid.length === 32).map(withDashes),
    serviceData: own?.length === SERVICE_DATA_BYTES ? Uint8Array.from(own) : undefined,
  };
}

function withDashes(uuid: string): string {
  return uuid.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}
