/**
 * The real noble and bleno in their guards, linked over the virtual radio, with a controller each that also says whatever
 * the input says: events and data, whole packets or broken framing. Nothing escapes that would end the process, and every
 * call settles: connecting, advertising and closing have their own deadlines (src/bluetooth/ports.ts).
 */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CpnsError } from '../../../src/base/errors.ts';
import { H4Framer } from '../../../src/bluetooth/hci/h4.ts';
import { openCentral, openPeripheral } from '../../../src/bluetooth/open.ts';
import type { Central, GattLink, Peripheral } from '../../../src/bluetooth/ports.ts';
import { Radio } from '../../../src/bluetooth/virtual-radio/radio.ts';
import { type Bench, byteAt, type Input, part, pick, type Target } from '../target.ts';

/** Longest that both ports may take to close: stopping a scan or advertisement, hanging up, each with its deadline. */
const CLOSE_WITHIN_MS = 8_000;
const CONNECT_MS = 1_500;
const FRESH_EVERY = 64;
/** So short that the watch over the scan looks again within a run that broke something. */
const SCAN_SILENCE_MS = 100;
/** Of the controller that dialled in first. */
const FIRST_ADDRESS = '00:50:4e:53:00:01';

/** A controller of the radio behind a socket, through which more can be said than the radio says. */
class Tap {
  readonly moniker: string;
  readonly #server: Server;
  #socket: Socket | undefined;

  constructor(path: string, radio: Radio) {
    this.moniker = `h4:unix:${path}`;
    this.#server = createServer((socket) => {
      this.#socket = socket;
      const framer = new H4Framer('to-controller');
      const controller = radio.attach({
        send: (packet) => socket.write(packet),
        close: () => socket.destroy(),
      });
      socket.on('data', (chunk) => framer.push(chunk, (packet) => controller.receive(packet)));
      socket.on('error', () => {});
      socket.on('close', () => radio.detach(controller));
    });
    this.#server.listen(path);
  }

  say(bytes: Uint8Array): Promise<void> {
    const socket = this.#socket;
    if (!socket?.writable) return Promise.resolve();
    return new Promise((resolve) => socket.write(bytes, () => resolve()));
  }

  close(): void {
    this.#server.close();
    this.#socket?.destroy();
  }
}

/** A linked pair, for as long as it lasts. */
class Stack {
  readonly #folder = mkdtempSync(join(tmpdir(), 'cpns-fuzz-'));
  readonly #radio = new Radio({ advertisingIntervalMs: 2 });
  readonly taps = ['central', 'peripheral'].map((name) => new Tap(join(this.#folder, name), this.#radio));
  #central: Central | undefined;
  #peripheral: Peripheral | undefined;
  gone = false;
  up: GattLink | undefined;
  down: GattLink | undefined;

  get linked(): boolean {
    return this.up !== undefined && this.down !== undefined && !this.gone;
  }

  /** True when there is a link afterwards; a broken stack may well not give one, but it has to say so in time. */
  async link(): Promise<boolean> {
    const [centralTap, peripheralTap] = this.taps;
    if (!centralTap || !peripheralTap) throw new TypeError('no taps');
    const onGone = () => {
      this.gone = true;
    };
    this.#peripheral ??= await openPeripheral(peripheralTap.moniker, { onGone, subscribeDeadlineMs: 1_000 });
    this.#central ??= await openCentral(centralTap.moniker, { onGone, scanSilenceMs: SCAN_SILENCE_MS });
    this.#peripheral.onLink = (link) => {
      this.down = keep(link, () => {
        this.down = undefined;
      });
    };
    try {
      await this.#peripheral.startAdvertising({ serviceData: new Uint8Array(13).fill(1) });
      const up = await this.#central.connect(FIRST_ADDRESS, { deadlineMs: CONNECT_MS });
      this.up = keep(up, () => {
        this.up = undefined;
      });
      // A gateway scans on beside its links.
      await this.#central.startScan(() => {});
      return this.linked;
    } catch (error) {
      if (!(error instanceof CpnsError)) throw error;
      return false;
    }
  }

  /** @throws AssertionError when it takes longer than all deadlines together */
  async close(): Promise<void> {
    const startedAt = performance.now();
    await Promise.all([this.#central?.close(), this.#peripheral?.close()]);
    const tookMs = performance.now() - startedAt;
    for (const tap of this.taps) tap.close();
    this.#radio.end();
    rmSync(this.#folder, { recursive: true, force: true });
    assert.ok(tookMs < CLOSE_WITHIN_MS, 'closing took longer than its deadlines');
  }
}

function keep(link: GattLink, onClose: () => void): GattLink {
  link.onSegment = () => {};
  link.onClose = onClose;
  return link;
}

const turns = async (count: number): Promise<void> => {
  for (let i = 0; i < count; i++) await new Promise((resolve) => setImmediate(resolve));
};

class StackBench implements Bench {
  #stack = new Stack();
  #runs = 0;
  readonly seeds = stackSeeds();

  /** First byte of a part: bit 0 whose controller speaks, bits 1–2: 0 and 1 a packet, 2 raw bytes, 3 the links send data. */
  async run(input: Input): Promise<void> {
    if (!(await this.#ready())) return;
    for (const step of input.slice(0, 16)) {
      const [which, bytes] = [byteAt(step, 0), step.subarray(1)];
      const mode = (which >> 1) & 3;
      if (mode === 3) this.#talk(bytes);
      else await pick(this.#stack.taps, which & 1).say(mode === 2 ? bytes : asPacket(bytes));
      await turns(2);
    }
    await turns(4);
    if (!this.#stack.linked) await new Promise((resolve) => setTimeout(resolve, 3 * SCAN_SILENCE_MS));
  }

  async close(): Promise<void> {
    await this.#stack.close();
  }

  #talk(bytes: Uint8Array): void {
    for (const link of [this.#stack.up, this.#stack.down]) {
      if (!link) continue;
      const length = Math.min(bytes.length, link.maxSegmentBytes);
      if (length > 0) link.send(bytes.slice(0, length));
    }
  }

  async #ready(): Promise<boolean> {
    if (++this.#runs % FRESH_EVERY !== 0) {
      if (this.#stack.linked) return true;
      if (!this.#stack.gone && (await this.#stack.link())) return true;
    }
    await this.#stack.close();
    this.#stack = new Stack();
    return this.#stack.link();
  }
}

/** The bytes with the length that their type wants, so that framing holds and the next layer has to. */
function asPacket(bytes: Uint8Array): Uint8Array {
  const packet = bytes.slice(0, 258);
  if (packet[0] !== 2 && packet.length >= 3) {
    packet[0] = 4;
    packet[2] = packet.length - 3;
  } else if (packet.length >= 5) {
    packet[3] = packet.length - 5;
    packet[4] = 0;
  } else return part(4, byteAt(bytes, 1), 0);
  return packet;
}

function stackSeeds(): Input[] {
  const event = (host: number, code: number, ...parameters: number[]) =>
    part(host, 4, code, parameters.length, ...parameters);
  const att = (host: number, ...pdu: number[]) =>
    part(host, 2, 0x40, 0x20, pdu.length + 4, 0, pdu.length, 0, 4, 0, ...pdu);
  const smp = (host: number, ...pdu: number[]) =>
    part(host, 2, 0x40, 0x20, pdu.length + 4, 0, pdu.length, 0, 6, 0, ...pdu);
  const signalling = (host: number, ...pdu: number[]) =>
    part(host, 2, 0x40, 0x20, pdu.length + 4, 0, pdu.length, 0, 5, 0, ...pdu);
  const address = [6, 5, 4, 3, 2, 0xc1];
  const report = [2, 1, 0, 1, ...address, 3, 2, 1, 6, 0xc0];
  const completed = [0x13, 1, 0x40, 0, 1, 0];
  const seeds: Input[] = [[part(6, 1, 2, 3), part(6, ...new Uint8Array(60))]];
  for (const host of [0, 1]) {
    seeds.push(
      [event(host, 0x05, 0, 0x40, 0, 0x13)],
      [
        event(host, 0x3e, 1, 0, 0x41, 0, host, 0, ...address, 6, 0, 0, 0, 200, 0, 0),
        event(host, 0x05, 0, 0x41, 0, 8),
      ],
      [event(host, 0x3e, 1, 0x3e, 0, 0, host, 0, ...address, 6, 0, 0, 0, 200, 0, 0)],
      [event(host, 0x3e, ...report), event(host, 0x3e, 2, 2, ...report.slice(2), ...report.slice(2))],
      [
        event(host, 0x3e, 3, 0, 0x40, 0, 6, 0, 0, 0, 200, 0),
        event(host, 0x3e, 5, 0x40, 0, ...new Uint8Array(10)),
      ],
      [
        part(host, 4, ...completed.slice(0, 1), 5, ...completed.slice(1)),
        part(host, 4, 0x13, 5, 1, 0x41, 0, 9, 0),
      ],
      [event(host, 0x0e, 1, 2, 0x20, 0, 27, 0, 1), event(host, 0x0e, 1, 1, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0)],
      [
        event(host, 0x0f, 0x0c, 1, 0x0d, 0x20),
        event(host, 0x0e, 0, 0x0a, 0x20, 0x0c),
        event(host, 0x08, 0, 0x40, 0, 1),
      ],
      [att(host, 0x1b, 19, 0, 1, 2), att(host, 0x52, 17, 0, 1, 2), att(host, 0x01, 8, 1, 0, 10)],
      [
        att(host, 2, 23, 0),
        att(host, 8, 1, 0, 255, 255, 3, 0x28),
        att(host, 4, 1, 0, 255, 255),
        att(host, 0x0a, 3, 0),
        att(host, 0x0c, 3, 0, 1, 0),
      ],
      [
        att(host, 6, 1, 0, 255, 255, 0, 0x28, 1, 0x18),
        att(host, 0x10, 1, 0, 255, 255, 0, 0x28),
        att(host, 0x12, 20, 0, 1, 0),
        att(host, 0x1e),
      ],
      [
        att(host, 0x16, 17, 0, 0, 0, 1),
        att(host, 0x18, 1),
        att(host, 0x1d, 19, 0, 1),
        att(host, 0xd2, 17, 0, 1),
      ],
      [
        smp(host, 1, 3, 0, 1, 16, 0, 0),
        smp(host, 3, ...new Uint8Array(16)),
        smp(host, 4, ...new Uint8Array(16)),
        smp(host, 5, 3),
        smp(host, 0x0b, 1),
      ],
      [
        signalling(host, 0x12, 1, 8, 0, 6, 0, 12, 0, 0, 0, 200, 0),
        signalling(host, 1, 1, 2, 0, 0, 0),
        signalling(host, 0x14, 1, 10, 0, 37, 0, 64, 0, 23, 0, 23, 0, 1, 0),
      ],
    );
    // A data packet in two fragments, and one that promises more than it may.
    seeds.push(
      [
        part(host, 2, 0x40, 0x20, 6, 0, 9, 0, 4, 0, 0x1b, 19),
        part(host, 2, 0x40, 0x10, 7, 0, 0, 1, 2, 3, 4, 5, 6),
      ],
      [part(host | 4, 0x77)],
    );
  }
  return seeds;
}

export const stackTarget: Target = {
  name: 'stack',
  about: 'the real noble and bleno in their guards before controllers and peers that say anything',
  sources: ['bluetooth/'],
  cpuMs: 1_000,
  waitMs: 30_000,
  allocBytes: 64 * 1024 * 1024,
  // V8 keeps the counters of every private copy that is loaded, 1 MiB each. Without coverage a copy leaves 20 KiB behind.
  retainedBytes: 1024 * 1024 * 1024,
  weight: 2,
  open: () => new StackBench(),
};
