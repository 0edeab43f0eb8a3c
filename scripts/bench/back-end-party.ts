/**
 * One end for the comparison of the back-ends, in a process of its own: a central or a peripheral that connects, floods
 * and says what it holds of memory. Owns no figure beyond what it saw itself.
 */
import {
  type BackEnd,
  type CentralOptions,
  openCentral,
  openPeripheral,
  type PeripheralOptions,
} from '../../src/bluetooth/open.ts';
import type { Central, GattLink, Peripheral, Sighting } from '../../src/bluetooth/ports.ts';
import { takeOrders } from './child.ts';

export interface Opening {
  readonly moniker: string;
  readonly backEnd: BackEnd;
  readonly maxLinks?: number;
}

const SEGMENT_BYTES = 244;
const CONNECT_DEADLINE_MS = 10_000;
const SERVICE_DATA = new Uint8Array(13).fill(0xb6);
/** Segments queued at once on one link. */
const BURST = 32;

let central: Central | undefined;
let peripheral: Peripheral | undefined;
let up: GattLink | undefined;
const downs: GattLink[] = [];
let residentBefore = 0;

/** After a collection, where node was started so that it can be asked for. */
function residentBytes(): number {
  (globalThis as { gc?: () => void }).gc?.();
  return process.memoryUsage.rss();
}

export const orders = {
  openCentral: async ({ moniker, backEnd }: Opening) => {
    residentBefore = residentBytes();
    const options: CentralOptions & { backEnd: BackEnd } = { backEnd };
    central = await openCentral(moniker, options);
  },
  openPeripheral: async ({ moniker, backEnd, maxLinks }: Opening) => {
    residentBefore = residentBytes();
    const options: PeripheralOptions & { backEnd: BackEnd } = { backEnd, maxLinks };
    peripheral = await openPeripheral(moniker, options);
    peripheral.onLink = (link) => {
      downs.push(link);
      link.onClose = () => void downs.splice(downs.indexOf(link), 1);
    };
    await peripheral.startAdvertising({ serviceData: SERVICE_DATA });
    return peripheral.maxLinks;
  },
  /** @returns milliseconds from the call to a link that is open, with the peer seen before */
  connect: async () => {
    if (central === undefined) throw new Error('no central');
    const scanner = central;
    const { address } = await new Promise<Sighting>((resolve, reject) => {
      scanner.startScan((seen) => seen.serviceData && resolve(seen)).catch(reject);
    });
    await scanner.stopScan();
    const startedAt = performance.now();
    up = await scanner.connect(address, { deadlineMs: CONNECT_DEADLINE_MS });
    return performance.now() - startedAt;
  },
  hangUp: async () => up?.close(),
  /** @returns bytes that the process holds more than before it loaded the library */
  resident: () => residentBytes() - residentBefore,
  /** @returns kB/s at this central of so many notifications */
  receive: (segments: number) =>
    new Promise<number>((resolve) => {
      if (up === undefined) throw new Error('no link');
      let left = segments;
      let startedAt = 0;
      up.onSegment = () => {
        if (left === segments) startedAt = performance.now();
        if (--left === 0) resolve(((segments - 1) * SEGMENT_BYTES) / (performance.now() - startedAt));
      };
    }),
  /** Notifies so many segments on each of the links, some ahead of what the radio carries. */
  sendToAll: async ({ segments, perMs }: { readonly segments: number; readonly perMs: number }) => {
    const segment = new Uint8Array(SEGMENT_BYTES);
    const startedAt = performance.now();
    for (let sent = 0; sent < segments; ) {
      const wanted = Math.min(segments, BURST + Math.ceil((performance.now() - startedAt) * perMs));
      for (; sent < wanted; sent++) for (const link of downs) link.send(segment);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    return downs.length;
  },
};

if (process.send !== undefined)
  takeOrders(orders, async () => {
    await central?.close();
    await peripheral?.close();
  });
