/**
 * Bytes of a controller that may be broken, below the libraries: framing, the transport, the ATT client; and bytes of a
 * host that may be, at the virtual radio. What is cut differently gives the same packets, nothing is thrown but the
 * framer's own error, whatever is asked for settles, and what the virtual radio says is whole HCI.
 */
import assert from 'node:assert/strict';
import { CpnsError } from '../../../src/base/errors.ts';
import { AttClient, attUuid, openService } from '../../../src/bluetooth/att.ts';
import { CPNS_DOWN_UUID, CPNS_SERVICE_UUID, CPNS_UP_UUID } from '../../../src/bluetooth/gatt-service.ts';
import {
  type H4Direction,
  H4Framer,
  H4FramingError,
  h4PacketLength,
  MAX_H4_PACKET_BYTES,
} from '../../../src/bluetooth/hci/h4.ts';
import type { HciPipe } from '../../../src/bluetooth/hci/pipe.ts';
import { HciTransport } from '../../../src/bluetooth/hci/transport.ts';
import type { Controller } from '../../../src/bluetooth/virtual-radio/controller.ts';
import { Radio } from '../../../src/bluetooth/virtual-radio/radio.ts';
import { byteAt, type Input, part, pick, type Target } from '../target.ts';

function framed(chunks: Input, direction: H4Direction): { packets: Buffer[]; lost: boolean } {
  const framer = new H4Framer(direction);
  const packets: Buffer[] = [];
  try {
    for (const chunk of chunks)
      framer.push(Buffer.from(chunk), (packet) => packets.push(Buffer.from(packet)));
    return { packets, lost: false };
  } catch (error) {
    if (!(error instanceof H4FramingError)) throw error;
    return { packets, lost: true };
  }
}

const event = (code: number, ...parameters: number[]) => part(4, code, parameters.length, ...parameters);
const command = (opcode: number, ...parameters: number[]) =>
  part(1, opcode & 0xff, opcode >> 8, parameters.length, ...parameters);
const aclPacket = (handle: number, flags: number, ...data: number[]) =>
  part(2, handle, flags, data.length & 0xff, data.length >> 8, ...data);

export const framerTarget: Target = {
  name: 'h4',
  about: 'H4 framing, both ways, cut anywhere',
  sources: ['bluetooth/hci/h4'],
  open: () => ({
    seeds: [
      [
        part(0),
        event(0x0e, 1, 3, 0x0c, 0),
        aclPacket(0x40, 0x20, 1, 0, 4, 0, 9),
        part(5, 0, 0, 1, 0, 7),
        part(3, 0, 0, 1, 7),
      ],
      [part(1), command(0x0c03), aclPacket(0, 0, 1), command(0x2006, ...new Uint8Array(15))],
      [part(0), part(2, 0, 0, 0xff, 0xff)],
    ],
    run: ([chosen, ...chunks]) => {
      const direction = byteAt(chosen, 0) & 1 ? 'to-controller' : 'to-host';
      const [cut, once] = [framed(chunks, direction), framed([Buffer.concat(chunks)], direction)];
      assert.deepEqual(cut, once, 'packets depend on how bytes come');
      for (const packet of cut.packets) assert.ok(packet.length <= MAX_H4_PACKET_BYTES);
    },
  }),
};

/** A pipe with nothing at its end. */
class DeadPipe implements HciPipe {
  readonly exclusive: boolean;
  sent = 0;
  ended = false;
  onPacket: (packet: Buffer) => void = () => {};
  onEnd: (error: Error | undefined) => void = () => {};

  constructor(exclusive: boolean) {
    this.exclusive = exclusive;
  }
  send(packet: Buffer): void {
    assert.ok(!this.ended && packet.length > 0);
    this.sent++;
  }
  close(): void {
    this.ended = true;
  }
  isUp(): boolean {
    return !this.ended;
  }
  setFilter(): void {}
}

async function runTransport(setting: number, packets: Input): Promise<void> {
  const pipe = new DeadPipe((setting & 1) === 0);
  const transport = new HciTransport('fuzz', pipe);
  let gone = 0;
  transport.on('gone', () => gone++);
  transport.on('data', () => {
    if (setting & 2) throw new RangeError('as a library does');
  });
  const asked = [0x0c03, 0x2005].map((opcode) => transport.command(opcode).then(String, String));
  for (const bytes of packets) {
    const packet = Buffer.from(bytes);
    const { packets: whole } = framed([packet], 'to-host');
    for (const one of whole) pipe.onPacket(one);
    if (byteAt(bytes, 0) === 1) transport.write(packet);
  }
  if (setting & 4) pipe.onEnd(undefined);
  transport.close();
  await Promise.all(asked);
  assert.ok(pipe.ended && gone <= 1);
  const { sent } = pipe;
  pipe.onPacket(Buffer.from(event(0x0e, 1, 3, 0x0c, 0)));
  transport.write(Buffer.from(command(0x0c03)));
  assert.equal(pipe.sent, sent, 'it writes behind its end');
}

const connected = event(0x3e, 1, 0, 0x40, 0, 0, 0, 6, 5, 4, 3, 2, 1, 6, 0, 0, 0, 200, 0, 0);

export const transportTarget: Target = {
  name: 'transport',
  about: 'the HCI transport and the L2CAP guard before a controller that says anything',
  sources: [
    'bluetooth/hci/transport',
    'bluetooth/hci/l2cap-guard',
    'bluetooth/hci/own-address',
    'bluetooth/hci/h4',
  ],
  open: () => ({
    seeds: [0, 1, 2, 4, 6].map(
      (setting): Input => [
        part(setting),
        event(0x0e, 1, 3, 0x0c, 0),
        event(0x0f, 0, 1, 5, 0x20),
        connected,
        aclPacket(0x40, 0x20, 3, 0, 4, 0, 0x1b, 1, 0),
        aclPacket(0x40, 0x20, 9, 0, 4, 0, 0x1b),
        aclPacket(0x40, 0x10, 1, 2, 3),
        event(0x3e, 5, 0x40, 0, ...new Uint8Array(10)),
        event(0x13, 1, 0x40, 0, 1, 0),
        event(0x05, 0, 0x40, 0, 0x13),
        command(0x200b, 1, 0x10, 0, 0x10, 0, 0, 0),
      ],
    ),
    run: ([setting, ...packets]) => runTransport(byteAt(setting, 0), packets),
  }),
};

/** The four answers of an honest peer. */
function attSeeds(): Input[] {
  const uuid = (text: string) => [...attUuid(text)];
  const found = (at: number, text: string, properties: number) => [
    at,
    0,
    properties,
    at + 1,
    0,
    ...uuid(text),
  ];
  const [mtu, service] = [part(3, 247, 0), part(7, 16, 0, 24, 0)];
  const both = part(9, 21, ...found(17, CPNS_UP_UUID, 4), ...found(19, CPNS_DOWN_UUID, 0x10));
  const spread = [
    part(9, 21, ...found(17, CPNS_UP_UUID, 4)),
    part(9, 21, ...found(19, CPNS_DOWN_UUID, 0x10)),
    part(1, 8, 21, 0, 10),
  ];
  const [descriptors, subscribed] = [part(5, 1, 21, 0, 1, 0x29, 22, 0, 2, 0x29), part(0x13)];
  return [
    [mtu, service, both, part(1, 8, 21, 0, 10), descriptors, subscribed],
    [part(1, 2, 0, 0, 6), service, ...spread, descriptors, subscribed],
    [mtu, part(1, 6, 1, 0, 10)],
  ];
}

export const attTarget: Target = {
  name: 'att',
  about: 'opening the service at a peer that answers anything',
  sources: ['bluetooth/att'],
  open: () => ({
    seeds: attSeeds(),
    run: async (answers) => {
      const left = answers.map((one) => Buffer.from(one));
      let requests = 0;
      const att = new AttClient(() => {
        requests++;
        queueMicrotask(() => {
          for (let answer = left.shift(); answer; answer = left.shift()) if (att.take(answer)) return;
          att.end(new CpnsError('link-lost', 'no more answers'));
        });
      });
      try {
        const { mtu, upValue, downValue } = await openService(att, {
          service: CPNS_SERVICE_UUID,
          up: CPNS_UP_UUID,
          down: CPNS_DOWN_UUID,
        });
        assert.ok(mtu >= 23 && mtu <= 247 && upValue <= 0xffff && downValue <= 0xffff);
      } catch (error) {
        if (!(error instanceof CpnsError)) throw error;
        assert.ok(['not-found', 'link-lost'].includes(error.status), error.status);
      }
      assert.ok(requests <= 32, `${requests} requests`);
    },
  }),
};

const WAIT = 0xff;
const ADDRESS_OF_SECOND = [2, 0, 0x53, 0x4e, 0x50, 0];

/** Bits of the first byte of a part: 0 whose host; the rest is bytes of that host. 0xff alone lets time pass. */
async function runRadio(steps: Input): Promise<void> {
  const radio = new Radio({ advertisingIntervalMs: 1, maxLinks: 2 });
  let said = 0;
  const attach = (): Controller =>
    radio.attach({
      send: (packet) => {
        said++;
        assert.equal(
          h4PacketLength(packet, 0, 'to-host'),
          packet.length,
          'the radio says what is no HCI packet',
        );
        return true;
      },
      close: () => {},
    });
  const hosts = [attach(), attach()];
  try {
    for (const step of steps.slice(0, 24)) {
      if (byteAt(step, 0) === WAIT) await new Promise((resolve) => setTimeout(resolve, 2));
      const host = pick(hosts, byteAt(step, 0) & 1);
      for (const packet of framed([step.subarray(1)], 'to-controller').packets) host.receive(packet);
    }
    await new Promise((resolve) => setImmediate(resolve));
  } finally {
    radio.end();
  }
  assert.ok(said < 2_000, `${said} packets`);
}

function radioSeeds(): Input[] {
  const of = (host: number, packet: Uint8Array) => part(host, ...packet);
  const parameters = [0x20, 0, 0x40, 0, 0, 0, 0, ...new Uint8Array(6), 7, 0];
  const create = [0x60, 0, 0x30, 0, 0, 0, ...ADDRESS_OF_SECOND, 0, 6, 0, 12, 0, 0, 0, 200, 0, 0, 0, 0, 0];
  const advertise = [
    of(1, command(0x2006, ...parameters)),
    of(1, command(0x2008, 3, 2, 1, 6)),
    of(1, command(0x2009, 2, 1, 9)),
    of(1, command(0x200a, 1)),
  ];
  const scan = [
    of(0, command(0x200b, 1, 0x10, 0, 0x10, 0, 0, 0)),
    of(0, command(0x200c, 1, 0)),
    part(WAIT),
    part(WAIT),
  ];
  const link = [of(0, command(0x200d, ...create)), part(WAIT), part(WAIT)];
  const data = [0, 1].map((host) => of(host, aclPacket(0x40, 0, 3, 0, 4, 0, 0x52, 1, 0)));
  const onLink = [0x041d, 0x1405, 0x2015, 0x2016, 0x2022].map((opcode) =>
    of(0, command(opcode, 0x40, 0, 0xfb, 0, 0x48, 8)),
  );
  const encrypt = [
    of(0, command(0x2019, 0x40, 0, ...new Uint8Array(26))),
    of(1, command(0x201a, 0x40, 0, ...new Uint8Array(16))),
    of(1, command(0x201b, 0x40, 0)),
  ];
  const hangUp = of(0, command(0x0406, 0x40, 0, 0x13));
  const plain = [
    0x0c01, 0x0c03, 0x0c14, 0x1001, 0x1002, 0x1003, 0x1009, 0x2001, 0x2002, 0x2003, 0x2005, 0x2007, 0x200e,
    0x2017, 0x2018, 0x2031, 0xffff,
  ];
  return [
    [...advertise, ...scan, ...link, ...data, hangUp],
    [...advertise, ...link, ...onLink, ...encrypt, of(0, command(0x2013, 0x40, 0, ...new Uint8Array(12)))],
    plain.map((opcode) => of(0, command(opcode, ...new Uint8Array(32)))),
    [...advertise, ...link, of(1, command(0x0c03)), of(0, command(0x200e))],
  ];
}

export const radioTarget: Target = {
  name: 'radio',
  about: "the virtual radio's controllers before hosts that send anything",
  sources: ['bluetooth/virtual-radio/'],
  open: () => ({ seeds: radioSeeds(), run: runRadio }),
};
