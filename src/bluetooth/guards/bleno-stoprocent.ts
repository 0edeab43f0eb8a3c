/**
 * Guards in front of defects of @stoprocent/bleno 0.12.4, the fork that serves several centrals. Owns the typed view of
 * the internals that are touched. B1 has another face there (a stale notify throws) and B5 is unchanged: notifications do
 * not go through it. B2 (handle 0 counts as all) does not arise: links are ended by the transport. Its pairing code never
 * runs, as it takes the handle for the channel (X1).
 */
import type { EventEmitter } from 'node:events';
import { OUR_ATT_MTU } from '../att.ts';
import { type HciTransport, REASON_LOW_RESOURCES } from '../hci/transport.ts';
import { AclQueue } from './acl-queue.ts';
import { type BlenoGatt, guardAttRequests } from './att-requests.ts';
import type { BlenoHci } from './bleno.ts';
import { guardPoll, guardProcessListeners, type LibraryAclStream } from './library.ts';

export interface StoprocentBlenoHci extends BlenoHci {
  readonly _aclMaxInProgress: number;
  _userChannel: unknown;
  BluetoothHciSocket: new () => unknown;
}

export interface StoprocentBlenoBindings extends EventEmitter {
  readonly _hci: StoprocentBlenoHci;
  readonly _gatt: BlenoGatt & { maxMtu: number };
  _advertising: boolean;
  readonly _connections: ReadonlyMap<number, { readonly aclStream: LibraryAclStream }>;
  init(): void;
}

interface StoprocentCharacteristicOptions {
  readonly uuid: string;
  readonly properties: readonly string[];
  readonly secure?: readonly string[];
  readonly onWriteRequest?: (
    connection: number,
    data: Buffer,
    offset: number,
    withoutResponse: boolean,
    answer: (result: number) => void,
  ) => void;
  readonly onSubscribe?: (
    connection: number,
    maxValueSize: number,
    updateValue: (data: Buffer) => void,
  ) => void;
  readonly onUnsubscribe?: (connection: number) => void;
}

export interface StoprocentBleno extends EventEmitter {
  readonly _bindings: StoprocentBlenoBindings;
  readonly state: string;
  readonly Characteristic: new (options: StoprocentCharacteristicOptions) => object;
  readonly PrimaryService: new (options: { uuid: string; characteristics: readonly object[] }) => object;
  setServices(services: readonly object[]): void;
  startAdvertisingWithEIRData(advertisement: Buffer, scanResponse: Buffer): void;
  stopAdvertising(): void;
}

const STATUS_SUCCESS = 0;
const ROLE_PERIPHERAL = 1;

/** Puts all guards on one private copy. @returns the clean-up for close */
export function guardStoprocentBleno(
  bleno: StoprocentBleno,
  transport: HciTransport,
  maxLinks: number,
): () => void {
  const bindings = bleno._bindings;
  const hci = bindings._hci;
  guardAclQueue(hci, transport);
  guardConnectionComplete(bindings, transport, maxLinks);
  hci._userChannel = false; // the channel is the transport's business, whatever HCI_CHANNEL_USER says
  bindings._gatt.maxMtu = OUR_ATT_MTU;
  guardAttRequests(bindings._gatt);
  const releaseProcess = guardProcessListeners(bindings, 'init');
  const stopPoll = guardPoll(hci, transport, () => {
    hci.setSocketFilter();
    hci.initDev();
  });
  return () => {
    stopPoll();
    releaseProcess();
  };
}

/** GUARD(S2): one queue for all centrals: one whose radio takes nothing keeps the others' packets behind its own. */
function guardAclQueue(hci: StoprocentBlenoHci, transport: HciTransport): void {
  const queue = new AclQueue({
    buffers: () => ({ length: hci._aclMtu, num: hci._aclMaxInProgress }),
    pending: (handle) => hci._handleAclsInProgress[handle],
    pendings: () => Object.values(hci._handleAclsInProgress).filter((count) => count !== undefined),
    write: (handle, packet) => {
      hci._handleAclsInProgress[handle] = (hci._handleAclsInProgress[handle] ?? 0) + 1;
      transport.write(packet);
    },
    drop: (handle) => transport.disconnectHandle(handle, REASON_LOW_RESOURCES),
  });
  hci.queueAclDataPkt = (handle, cid, data) => queue.send(handle, cid, data);
  hci.pushAclOutQueue = () => queue.flush();
}

/**
 * GUARD(B3): a connection that failed, or one that noble makes on a shared adapter, takes part in the accounts of
 * buffers, and one that failed in the peripheral role is taken for a central. GUARD(B7): it has no limit of its own.
 */
function guardConnectionComplete(
  bindings: StoprocentBlenoBindings,
  transport: HciTransport,
  maxLinks: number,
): void {
  const hci = bindings._hci;
  const complete = hci.processLeConnComplete;
  hci.processLeConnComplete = function (status, data) {
    if (status !== STATUS_SUCCESS || data.readUInt8(2) !== ROLE_PERIPHERAL) return;
    if (bindings._connections.size >= maxLinks)
      transport.disconnectHandle(data.readUInt16LE(0), REASON_LOW_RESOURCES);
    else complete.call(this, status, data);
  };
}

/**
 * GUARD(S3): it opens a management socket of the kernel for each central, for keys that it never gets to store, and takes
 * the constructor for it from where it took its controller. Given before anything else.
 */
export class NoManagement {
  on(): void {}
  bindControl(): void {}
  start(): void {}
  stop(): void {}
  write(): void {}
}
