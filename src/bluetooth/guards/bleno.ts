/**
 * Guards in front of defects of bleno 0.6.2 (docs and ble-notes number them). Owns the typed view of the
 * internals that are touched. B4 (indications) and X1 (pairing) do not arise: CPNS uses neither.
 */
import type { EventEmitter } from 'node:events';
import { OUR_ATT_MTU } from '../att.ts';
import { type HciTransport, REASON_LOW_RESOURCES } from '../hci/transport.ts';
import { type BlenoGatt, guardAttRequests } from './att-requests.ts';
import {
  guardPoll,
  guardProcessListeners,
  type LibraryAclStream,
  type LibraryHci,
  MAX_WAITING_PACKETS,
  toAclPackets,
} from './library.ts';

export interface BlenoHci extends LibraryHci {
  _mainHandle: number | null;
  readonly _aclMtu: number;
  readonly _handleAclsInProgress: Record<number, number | undefined>;
  readonly _aclOutQueue: { handle: number; pkt: Buffer; fragId: number }[];
  queueAclDataPkt(handle: number, cid: number, data: Buffer): void;
  pushAclOutQueue(): void;
  writeOneAclDataPkt(): void;
  processLeConnComplete(status: number, data: Buffer): void;
  initDev(): void;
}

export type AttributeTable = Pick<BlenoGatt, '_handles'>;

export interface BlenoBindings extends EventEmitter {
  readonly _hci: BlenoHci;
  readonly _gap: { _advertiseState: string | null };
  readonly _gatt: BlenoGatt & { maxMtu: number };
  _advertising: boolean;
  readonly _handle: number | null;
  readonly _aclStream: LibraryAclStream | null;
  init(): void;
  disconnect(): void;
}

interface BlenoCharacteristicOptions {
  readonly uuid: string;
  readonly properties: readonly string[];
  readonly onWriteRequest?: (
    data: Buffer,
    offset: number,
    withoutResponse: boolean,
    answer: (result: number) => void,
  ) => void;
  readonly secure?: readonly string[];
  readonly onSubscribe?: (maxValueSize: number, updateValue: (data: Buffer) => void) => void;
  readonly onUnsubscribe?: () => void;
}

export interface Bleno extends EventEmitter {
  readonly _bindings: BlenoBindings;
  readonly state: string;
  readonly Characteristic: new (options: BlenoCharacteristicOptions) => object;
  readonly PrimaryService: new (options: { uuid: string; characteristics: readonly object[] }) => object;
  setServices(services: readonly object[]): void;
  startAdvertisingWithEIRData(
    advertisement: Buffer,
    scanResponse: Buffer,
    done?: (error?: Error) => void,
  ): void;
  stopAdvertising(): void;
  disconnect(): void;
}

/** A constant: bleno puts the host's name there, and BlueZ shows it to everybody near. */
const GAP_DEVICE_NAME = 'CPNS';
const DEVICE_NAME_VARIABLE = 'BLENO_DEVICE_NAME';

/** bleno reads the GAP Device Name from the environment when it builds its attribute table. */
export function withDeviceName<T>(run: () => T): T {
  const before = process.env[DEVICE_NAME_VARIABLE];
  process.env[DEVICE_NAME_VARIABLE] = GAP_DEVICE_NAME;
  try {
    return run();
  } finally {
    if (before === undefined) delete process.env[DEVICE_NAME_VARIABLE];
    else process.env[DEVICE_NAME_VARIABLE] = before;
  }
}

/** Puts all guards on one private copy. @returns the clean-up for close */
export function guardBleno(bleno: Bleno, transport: HciTransport): () => void {
  const bindings = bleno._bindings;
  guardAclQueue(bindings._hci, transport);
  guardDisconnect(bindings, transport);
  guardConnectionComplete(bindings._hci, transport);
  bindings._gatt.maxMtu = OUR_ATT_MTU;
  guardAttRequests(bindings._gatt);
  const releaseProcess = guardProcessListeners(bindings, 'init');
  const stopPoll = guardPoll(bindings._hci, transport, () => {
    bindings._hci.setSocketFilter();
    bindings._hci.initDev();
  });
  return () => {
    stopPoll();
    releaseProcess();
  };
}

/**
 * GUARD(B1): a packet for a handle that is gone (a late write callback, a stale notify) makes its counter NaN, and
 * NaN credits let nothing out to any later central. Such a packet is dropped. A central that asks and takes no answer is
 * dropped when too much waits for it. It also formats no hex string per packet.
 */
export function guardAclQueue(hci: BlenoHci, transport: HciTransport): void {
  let dropping = false;
  hci.queueAclDataPkt = (handle, cid, data) => {
    if (hci._handleAclsInProgress[handle] === undefined) return;
    if (hci._aclOutQueue.length >= MAX_WAITING_PACKETS) {
      // Once: the commands of a controller have a queue as well.
      if (!dropping) transport.disconnectHandle(handle, REASON_LOW_RESOURCES);
      dropping = true;
      return;
    }
    dropping = false;
    const packets = toAclPackets(handle, cid, data, hci._aclMtu);
    for (let fragId = 0; fragId < packets.length; fragId++) {
      const pkt = packets[fragId];
      if (pkt !== undefined) hci._aclOutQueue.push({ handle, pkt, fragId });
    }
    hci.pushAclOutQueue();
  };
  hci.writeOneAclDataPkt = () => {
    const next = hci._aclOutQueue.shift();
    if (next === undefined) return;
    const inProgress = hci._handleAclsInProgress[next.handle];
    if (inProgress === undefined) return;
    hci._handleAclsInProgress[next.handle] = inProgress + 1;
    transport.write(next.pkt);
  };
}

/** GUARD(B2): bleno takes handle 0 for "not connected" and does nothing. */
export function guardDisconnect(bindings: BlenoBindings, transport: HciTransport): void {
  bindings.disconnect = () => {
    if (bindings._handle !== null) transport.disconnectHandle(bindings._handle, 0x13);
  };
}

const STATUS_SUCCESS = 0;
const ROLE_PERIPHERAL = 1;

/**
 * GUARD(B3): on an adapter shared with noble every connection, noble's too, overwrites bleno's handle; it then ignores
 * its own disconnect. GUARD(B7): a second central overwrites the first without a word. Only a successful connection in
 * the peripheral role is taken, and the second of those is told to go away.
 */
export function guardConnectionComplete(hci: BlenoHci, transport: HciTransport): void {
  const complete = hci.processLeConnComplete;
  hci.processLeConnComplete = function (status, data) {
    if (status !== STATUS_SUCCESS || data.readUInt8(2) !== ROLE_PERIPHERAL) return;
    if (hci._mainHandle !== null) transport.disconnectHandle(data.readUInt16LE(0), REASON_LOW_RESOURCES);
    else complete.call(this, status, data);
  };
}

/** The handle of a characteristic's value in bleno's attribute table. @throws Error when it is not there */
export function valueHandleOf(table: AttributeTable, uuid: string): number {
  const plain = uuid.replaceAll('-', '');
  const entry = table._handles.find((each) => each?.type === 'characteristic' && each.uuid === plain);
  if (entry?.valueHandle === undefined) throw new Error('bleno did not take the service');
  return entry.valueHandle;
}
