/**
 * Guards in front of defects of noble 1.9.2 (docs and ble-notes number them). Owns the typed view of the
 * internals that are touched. N10 to N12 and N14 need the connecting logic itself and are in central.ts; N2, N5 and N8 are
 * avoided by att.ts. What the fork of stoprocent shares is used by guards/noble-stoprocent.ts.
 */
import type { EventEmitter } from 'node:events';
import { type HciTransport, REASON_LOW_RESOURCES } from '../hci/transport.ts';
import { AclQueue } from './acl-queue.ts';
import { guardPoll, guardProcessListeners, type LibraryAclStream, type LibraryHci } from './library.ts';

export interface NobleHci extends LibraryHci {
  _aclBuffers: { length: number; num: number } | undefined;
  readonly _aclConnections: Map<number, { pending: number }>;
  getAclBuffers(): Promise<unknown>;
  writeAclDataPkt(handle: number, cid: number, data: Buffer): unknown;
  flushAcl(): unknown;
  cancelConnect(): void;
  processLeConnComplete(status: number, data: Buffer): void;
  processLeAdvertisingReport(count: number, data: Buffer): void;
  setEventMask(): void;
  setLeEventMask(): void;
  readLocalVersion(): void;
  writeLeHostSupported(): void;
  readLeHostSupported(): void;
  readLeBufferSize(): void;
  readBdAddr(): void;
}

export interface NobleBindings extends EventEmitter {
  readonly _hci: NobleHci;
  readonly _gap: { _discoveries: Record<string, unknown>; _scanState: string | null };
  _pendingConnectionUuid: string | null;
  readonly _aclStreams: Record<number, LibraryAclStream | undefined>;
  readonly _addresses: Record<string, string>;
  readonly _addresseTypes: Record<string, string>;
  readonly _connectable: Record<string, unknown>;
  readonly scannable: Record<string, unknown>;
  init(): void;
  disconnect(id: string): void;
}

export interface NoblePeripheral {
  readonly id: string;
  readonly address: string;
  readonly connectable: boolean;
  readonly rssi: number;
  readonly advertisement: {
    readonly serviceUuids?: readonly string[];
    readonly serviceData?: readonly { readonly uuid: string; readonly data: Buffer }[];
  };
}

export interface Noble extends EventEmitter {
  readonly _bindings: NobleBindings;
  readonly _state: string;
  readonly _peripherals: Record<string, NoblePeripheral>;
  readonly _services: Record<string, unknown>;
  readonly _characteristics: Record<string, unknown>;
  readonly _descriptors: Record<string, unknown>;
  readonly _discoveredPeripheralUUids: Record<string, unknown>;
  startScanning(serviceUuids: readonly string[], allowDuplicates: boolean): void;
  stopScanning(): void;
  connect(id: string, parameters: ConnectionParameters): void;
}

/** Units: intervals 1.25 ms, timeout 10 ms. */
export interface ConnectionParameters {
  readonly minInterval: number;
  readonly maxInterval: number;
  readonly latency: number;
  readonly timeout: number;
}

/** Advertisers that noble's cache may hold: as many as ours (sightings.ts). */
const MAX_DISCOVERIES = 256;
const REPORTS_PER_PRUNE = 64;

/** Puts all guards on one private copy. @returns the clean-up for close */
export function guardNoble(noble: Noble, gatt: { exchangeMtu(): void }, transport: HciTransport): () => void {
  const bindings = noble._bindings;
  const hci = bindings._hci;
  guardAclQueue(hci);
  guardDisconnect(hci);
  guardConnectionComplete(hci);
  guardDiscoveries(bindings);
  // GUARD(N5), GUARD(N6): att.ts exchanges the MTU, knows when it is done and takes the smaller of the two.
  gatt.exchangeMtu = () => {};
  const releaseProcess = guardProcessListeners(bindings, 'init');
  const stopPoll = guardPoll(hci, transport, () => {
    hci.setSocketFilter();
    hci.setEventMask();
    hci.setLeEventMask();
    hci.readLocalVersion();
    hci.writeLeHostSupported();
    hci.readLeHostSupported();
    hci.readLeBufferSize();
    hci.readBdAddr();
  });
  return () => {
    stopPoll();
    releaseProcess();
  };
}

/**
 * GUARD(N1): noble queues a packet and, after an await, looks up a connection that may be gone by then: a write in the
 * tick of a disconnect is an unhandled rejection and ends the process. Here a queue per link without the await.
 */
export function guardAclQueue(hci: NobleHci): void {
  const queue = new AclQueue({
    buffers: () => hci._aclBuffers,
    pending: (handle) => hci._aclConnections.get(handle)?.pending,
    pendings: () => Array.from(hci._aclConnections.values(), ({ pending }) => pending),
    write: (handle, packet) => {
      const connection = hci._aclConnections.get(handle);
      if (connection !== undefined) connection.pending++;
      socketOf(hci).write(packet);
    },
    drop: (handle) => hci.disconnect(handle, REASON_LOW_RESOURCES),
  });
  hci.flushAcl = () => queue.flush();
  hci.writeAclDataPkt = (handle, cid, data) => queue.send(handle, cid, data);
  void hci.getAclBuffers().then(() => queue.flush());
}

/** GUARD(N10): a disconnect of something that is not connected goes out as handle 0, which may be another peer. */
export function guardDisconnect(hci: NobleHci): void {
  const disconnect = hci.disconnect;
  hci.disconnect = function (handle, reason) {
    if (handle !== undefined && hci._aclConnections.has(Number(handle)))
      disconnect.call(this, handle, reason);
  };
}

/** GUARD(N12): a cancelled or failed connect reports handle 0, and noble then forgets what handle 0 has outstanding. */
export function guardConnectionComplete(hci: NobleHci): void {
  const complete = hci.processLeConnComplete;
  hci.processLeConnComplete = function (status, data) {
    if (status === 0) complete.call(this, status, data);
    else hci.emit('leConnComplete', status);
  };
}

/** GUARD(N15): noble keeps every address it ever heard; random addresses make that grow for ever. */
export function guardDiscoveries(bindings: {
  readonly _hci: EventEmitter;
  readonly _gap: { _discoveries: Record<string, unknown> };
}): void {
  let reports = 0;
  bindings._hci.on('leAdvertisingReport', () => {
    if (++reports < REPORTS_PER_PRUNE) return;
    reports = 0;
    if (Object.keys(bindings._gap._discoveries).length > MAX_DISCOVERIES) bindings._gap._discoveries = {};
  });
}

/** Takes one device out of every cache of noble. */
export function forgetPeripheral(noble: Noble, id: string): void {
  const bindings = noble._bindings;
  const address = noble._peripherals[id]?.address;
  for (const cache of [
    noble._peripherals,
    noble._services,
    noble._characteristics,
    noble._descriptors,
    noble._discoveredPeripheralUUids,
    bindings._addresses,
    bindings._addresseTypes,
    bindings._connectable,
    bindings.scannable,
  ]) {
    delete cache[id];
  }
  if (address !== undefined) delete bindings._gap._discoveries[address];
}

function socketOf(hci: NobleHci): HciTransport {
  return (hci as unknown as { _socket: HciTransport })._socket;
}
