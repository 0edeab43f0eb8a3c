/**
 * What the Bluetooth tests share: a virtual radio on a socket of its own, and ports on it, on each back-end. Everything
 * opened here is closed by `cleanUp`.
 */
import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect as connectSocket, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { CentralLink } from '../../src/bluetooth/central-link.ts';
import type { CentralOptions } from '../../src/bluetooth/central-options.ts';
import { H4Framer } from '../../src/bluetooth/hci/h4.ts';
import {
  BACK_ENDS,
  type BackEnd,
  type BackEndChoice,
  openCentral,
  openPeripheral,
  type PeripheralOptions,
} from '../../src/bluetooth/open.ts';
import { type BothOptions, openBoth } from '../../src/bluetooth/open-both.ts';
import type { Central, GattLink, Peripheral, Sighting } from '../../src/bluetooth/ports.ts';
import {
  openVirtualRadio,
  type VirtualRadio,
  type VirtualRadioOptions,
} from '../../src/bluetooth/virtual-radio/server.ts';

const directory = mkdtempSync(join(tmpdir(), 'cpns-bt-'));
process.on('exit', () => rmSync(directory, { recursive: true, force: true }));

let sockets = 0;
const toClose: (() => unknown)[] = [];

/** For `cleanUp`, last in first out. */
export function closeLater(close: () => unknown): void {
  toClose.push(close);
}

/** What `newCentral` and `newPeripheral` open, unless a test says otherwise. */
let chosen: BackEnd = 'abandonware';

/** The back-end of the tests that run. */
export function chosenBackEnd(): BackEnd {
  return chosen;
}

/** The same tests over each back-end: they are the conformance suite of the ports. */
export function describeBackEnds(title: string, run: (this: Mocha.Suite, backEnd: BackEnd) => void): void {
  for (const backEnd of BACK_ENDS) {
    describe(`${title} (${backEnd})`, function () {
      before(() => {
        chosen = backEnd;
      });
      after(() => {
        chosen = 'abandonware';
      });
      run.call(this, backEnd);
    });
  }
}

export function scratchFile(name: string): string {
  return join(directory, `${++sockets}-${name}`);
}

/** For `afterEach`. */
export async function cleanUp(): Promise<void> {
  for (const close of toClose.splice(0).reverse()) await close();
}

export async function newRadio(options: VirtualRadioOptions = {}): Promise<VirtualRadio> {
  const radio = await openVirtualRadio({ path: scratchFile('radio.sock'), ...options });
  toClose.push(() => radio.close());
  return radio;
}

export async function newCentral(
  radio: VirtualRadio,
  options: CentralOptions & BackEndChoice = {},
): Promise<Central> {
  const central = await openCentral(radio.moniker, { backEnd: chosen, ...options });
  toClose.push(() => central.close());
  return central;
}

export interface TestPeripheral extends Peripheral {
  nextLink(): Promise<GattLink>;
}

export async function newPeripheral(
  radio: VirtualRadio,
  tag = 1,
  options: PeripheralOptions & BackEndChoice = {},
): Promise<TestPeripheral> {
  const peripheral = await openPeripheral(radio.moniker, { backEnd: chosen, ...options });
  toClose.push(() => peripheral.close());
  return advertising(peripheral, tag);
}

/** Both roles on one controller. */
export async function newBoth(
  radio: VirtualRadio,
  tag = 1,
  options: BothOptions = {},
): Promise<{ readonly central: Central; readonly peripheral: TestPeripheral }> {
  const { central, peripheral } = await openBoth(radio.moniker, { backEnd: chosen, ...options });
  toClose.push(() => Promise.all([central.close(), peripheral.close()]));
  return { central, peripheral: await advertising(peripheral, tag) };
}

export async function advertising(peripheral: Peripheral, tag: number): Promise<TestPeripheral> {
  const links: GattLink[] = [];
  const waiting: ((link: GattLink) => void)[] = [];
  peripheral.onLink = (link) => {
    const taker = waiting.shift();
    if (taker) taker(link);
    else links.push(link);
  };
  await peripheral.startAdvertising({ serviceData: serviceData(tag) });
  return Object.assign(peripheral, {
    nextLink: () => {
      const link = links.shift();
      return link ? Promise.resolve(link) : new Promise<GattLink>((resolve) => waiting.push(resolve));
    },
  });
}

export const SEGMENT_BYTES = 244;

/** Sends numbered segments and returns what arrives: their numbers in order. */
export async function flood(from: GattLink, to: GattLink, count: number): Promise<number[]> {
  const numbers: number[] = [];
  const all = new Promise<void>((resolve) => {
    to.onSegment = (segment) => {
      assert.equal(segment.length, SEGMENT_BYTES);
      numbers.push(new DataView(segment.buffer, segment.byteOffset).getUint32(0));
      if (numbers.length === count) resolve();
    };
  });
  for (let i = 0; i < count; i++) {
    const segment = new Uint8Array(SEGMENT_BYTES).fill(i);
    new DataView(segment.buffer).setUint32(0, i);
    from.send(segment);
  }
  await all;
  return numbers;
}

/** 13 bytes that tell test peripherals apart. */
export function serviceData(tag: number): Uint8Array {
  return new Uint8Array(13).fill(tag);
}

export async function sightingOf(central: Central, tag: number): Promise<Sighting> {
  const sighting = await new Promise<Sighting>((resolve, reject) => {
    central
      .startScan((seen) => {
        if (seen.serviceData?.[0] === tag) resolve(seen);
      })
      .catch(reject);
  });
  await central.stopScan();
  return sighting;
}

export interface Pair {
  readonly radio: VirtualRadio;
  readonly central: Central;
  readonly peripheral: TestPeripheral;
  readonly address: string;
  readonly up: GattLink;
  readonly down: GattLink;
}

/** A radio with one central linked to one peripheral. */
export async function newPair(
  options: VirtualRadioOptions = {},
  centralOptions: CentralOptions = {},
): Promise<Pair> {
  const radio = await newRadio(options);
  const peripheral = await newPeripheral(radio);
  const central = await newCentral(radio, centralOptions);
  const { address } = await sightingOf(central, 1);
  const [up, down] = await Promise.all([
    central.connect(address, { deadlineMs: 5000 }),
    peripheral.nextLink(),
  ]);
  return { radio, central, peripheral, address, up, down };
}

const ATT_WRITE = 0x12;
/** Of the CPNS service's second characteristic, in the attribute table of both libraries. */
const CLIENT_CONFIGURATION = 0x000f;

/** Ends or begins a central's subscription on a connection that stays. */
export async function subscribe(link: GattLink, on: boolean): Promise<void> {
  await (link as CentralLink).att.request(Buffer.from([ATT_WRITE, CLIENT_CONFIGURATION, 0, on ? 1 : 0, 0]));
}

/** The reason with which a link ends. */
export function closed(link: GattLink): Promise<number> {
  return new Promise((resolve) => {
    link.onClose = resolve;
  });
}

/** `pending` when it does not settle in time; for showing a defect, and only then. */
export async function settles<T>(promise: Promise<T>, limitMs: number): Promise<T | 'pending' | Error> {
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<'pending'>((resolve) => {
    timer = setTimeout(() => resolve('pending'), limitMs);
  });
  try {
    return await Promise.race([promise.catch((error: Error) => error), limit]);
  } finally {
    clearTimeout(timer);
  }
}

export function once<T>(emitter: EventEmitter, event: string): Promise<T> {
  return new Promise((resolve) => emitter.once(event, (value: T) => resolve(value)));
}

/** A host with no stack: bytes to the radio, packets from it. */
export class BareHost {
  readonly packets: Buffer[] = [];
  readonly #socket: Socket;
  readonly #arrived = new EventEmitter();
  readonly ended: Promise<void>;

  private constructor(socket: Socket) {
    this.#socket = socket;
    const framer = new H4Framer('to-host');
    socket.on('data', (chunk) =>
      framer.push(chunk, (packet) => {
        this.packets.push(Buffer.from(packet));
        this.#arrived.emit('packet');
      }),
    );
    socket.on('error', () => {});
    this.ended = new Promise((resolve) => socket.on('close', () => resolve()));
    toClose.push(() => socket.destroy());
  }

  static async open(path: string): Promise<BareHost> {
    const socket = connectSocket(path);
    await once(socket, 'connect');
    return new BareHost(socket);
  }

  send(hex: string | Buffer): void {
    this.#socket.write(typeof hex === 'string' ? Buffer.from(hex.replaceAll(' ', ''), 'hex') : hex);
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  /** The first packet, past or to come, that the test accepts; it is taken out. */
  async take(accept: (packet: Buffer) => boolean): Promise<Buffer> {
    for (;;) {
      const at = this.packets.findIndex(accept);
      const [packet] = at < 0 ? [] : this.packets.splice(at, 1);
      if (packet) return packet;
      await once(this.#arrived, 'packet');
    }
  }

  /** Sends a command and takes the return parameters, or the status, of its answer. */
  async command(opcode: number, parameters = ''): Promise<Buffer> {
    const body = Buffer.from(parameters.replaceAll(' ', ''), 'hex');
    this.send(Buffer.concat([Buffer.from([1, opcode & 0xff, opcode >> 8, body.length]), body]));
    const answer = await this.take(
      (p) =>
        (p[1] === 0x0e && p.readUInt16LE(4) === opcode) || (p[1] === 0x0f && p.readUInt16LE(5) === opcode),
    );
    return answer[1] === 0x0e ? answer.subarray(6) : answer.subarray(3, 4);
  }
}
