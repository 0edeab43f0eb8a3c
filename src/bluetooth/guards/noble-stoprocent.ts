/**
 * Guards in front of defects of @stoprocent/noble 2.8.0, the fork. Owns the typed view of the internals that are touched.
 * What it shares with the original (N5, N6, N10, N12, N15, X2) is guarded as there; N1 and N14 are mended in it. N11, N12
 * and N16 need the connecting logic itself: central-stoprocent.ts goes past its queue of connections.
 */
import type { EventEmitter } from 'node:events';
import type { HciTransport } from '../hci/transport.ts';
import { guardPoll, guardProcessListeners, type LibraryAclStream } from './library.ts';
import {
  type ConnectionParameters,
  guardAclQueue,
  guardConnectionComplete,
  guardDisconnect,
  guardDiscoveries,
  type NobleHci,
  type NoblePeripheral,
} from './noble.ts';

export interface StoprocentNobleHci extends NobleHci {
  _pendingLeConn: unknown;
  init(): void;
  reset(): void;
  readLeSupportedFeatures(): void;
  createLeConn(address: string, type: string, parameters: ConnectionParameters, reset: boolean): void;
}

export interface StoprocentNobleBindings extends EventEmitter {
  /** There from `start` on, as `_gap`. */
  readonly _hci: StoprocentNobleHci;
  readonly _gap: { _discoveries: Record<string, unknown> };
  _isScanning: boolean;
  _isScanningStarted: boolean;
  readonly _aclStreams: Record<number, LibraryAclStream | undefined>;
  readonly _addresses: Record<string, string>;
  readonly _addresseTypes: Record<string, string>;
  readonly _connectable: Record<string, unknown>;
  readonly scannable: Record<string, unknown>;
  start(): void;
}

export interface StoprocentNoble extends EventEmitter {
  readonly _bindings: StoprocentNobleBindings;
  readonly _state: string;
  readonly _peripherals: Map<string, NoblePeripheral>;
  readonly _discoveredPeripherals: Set<string>;
  readonly _services: Record<string, unknown>;
  readonly _characteristics: Record<string, unknown>;
  readonly _descriptors: Record<string, unknown>;
  startScanning(serviceUuids: readonly string[], allowDuplicates: boolean): void;
  stopScanning(): void;
}

/** A private copy, with the prototypes of its classes: it makes its Hci only when it starts. */
export interface StoprocentNobleCopy {
  readonly noble: StoprocentNoble;
  readonly hci: StoprocentNobleHci;
  readonly gatt: { exchangeMtu(): void };
}

/** Puts all guards on one private copy. @returns the clean-up for close */
export function guardStoprocentNoble(copy: StoprocentNobleCopy, transport: HciTransport): () => void {
  const bindings = copy.noble._bindings;
  let stopPoll = (): void => {};
  copy.gatt.exchangeMtu = () => {};
  const releaseProcess = guardProcessListeners(bindings, 'start');
  const initialise = copy.hci.init;
  copy.hci.init = function () {
    guardAclQueue(this);
    guardDisconnect(this);
    guardConnectionComplete(this);
    guardDiscoveries(bindings);
    guardReset(this);
    stopPoll = guardPoll(this, transport, () => {
      this.setSocketFilter();
      this.readLeSupportedFeatures(); // the rest follows its answer
    });
    initialise.call(this);
  };
  return () => {
    stopPoll();
    releaseProcess();
  };
}

/**
 * GUARD(S1): it resets the controller when it starts and before each connection while it has none. That loses the random
 * address and the data length, and on an adapter that is shared the links and the advertising of everybody else. The
 * transport has reset a controller that is ours alone.
 */
function guardReset(hci: StoprocentNobleHci): void {
  hci.reset = () => void hci.emit('reset');
}

/** Takes one device out of every cache. */
export function forgetStoprocentPeripheral(noble: StoprocentNoble, id: string): void {
  const bindings = noble._bindings;
  const address = noble._peripherals.get(id)?.address;
  noble._peripherals.delete(id);
  noble._discoveredPeripherals.delete(id);
  for (const cache of [
    noble._services,
    noble._characteristics,
    noble._descriptors,
    bindings._addresses,
    bindings._addresseTypes,
    bindings._connectable,
    bindings.scannable,
  ]) {
    delete cache[id];
  }
  if (address !== undefined) delete bindings._gap._discoveries[address];
}
