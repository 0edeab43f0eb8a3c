/** H4 framing, btsnoop and monikers: everything of the transport that is pure. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { BtsnoopWriter, btsnoopFileHeader, btsnoopRecordHeader } from '../../src/bluetooth/hci/btsnoop.ts';
import {
  type H4Direction,
  H4Framer,
  H4FramingError,
  MAX_H4_PACKET_BYTES,
} from '../../src/bluetooth/hci/h4.ts';
import { L2capGuard } from '../../src/bluetooth/hci/l2cap-guard.ts';
import {
  defaultRadioPath,
  formatMoniker,
  MonikerError,
  parseMoniker,
} from '../../src/bluetooth/hci/moniker.ts';
import {
  formatAddress,
  parseAddress,
  randomStaticAddress,
  useRandomAddress,
} from '../../src/bluetooth/hci/own-address.ts';
import { scratchFile } from './support.ts';

const EVENT = Buffer.from('040e0401030c00', 'hex');
const ACL = Buffer.from('02402008000400040052030001020304'.slice(0, 26), 'hex');
const BIG_ACL = Buffer.concat([Buffer.from([2, 0x40, 0x20, 0xfb, 0x00]), Buffer.alloc(251, 7)]);

function frames(direction: H4Direction, chunks: readonly Buffer[]): string[] {
  const framer = new H4Framer(direction);
  const out: string[] = [];
  for (const chunk of chunks) framer.push(chunk, (packet) => out.push(packet.toString('hex')));
  return out;
}

describe('H4 framing', () => {
  const stream = Buffer.concat([EVENT, ACL, BIG_ACL, EVENT]);
  const expected = [EVENT, ACL, BIG_ACL, EVENT].map((packet) => packet.toString('hex'));

  it('gives the same packets for any split of the bytes', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: stream.length }), { maxLength: 12 }), (cuts) => {
        const edges = [0, ...cuts.toSorted((a, b) => a - b), stream.length];
        const chunks = edges.slice(1).map((edge, i) => stream.subarray(edges[i], edge));
        assert.deepEqual(frames('to-host', chunks), expected);
      }),
    );
    assert.deepEqual(
      frames(
        'to-host',
        Array.from(stream, (byte) => Buffer.from([byte])),
      ),
      expected,
    );
  });

  it('hands out a packet that lies whole in a chunk as a view of it', () => {
    new H4Framer('to-host').push(stream, (packet) => assert.equal(packet.buffer, stream.buffer));
  });

  it('refuses unknown types, types of the other direction and lengths over the bound', () => {
    const tooLong = Buffer.from([2, 0, 0, MAX_H4_PACKET_BYTES & 0xff, MAX_H4_PACKET_BYTES >> 8]);
    for (const bytes of [Buffer.from([0]), Buffer.from([9, 1]), Buffer.from([1, 3, 0x0c, 0]), tooLong]) {
      assert.throws(() => frames('to-host', [bytes]), H4FramingError);
    }
    assert.throws(() => frames('to-controller', [EVENT]), H4FramingError);
  });

  it('throws nothing but H4FramingError on any bytes', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 64 })), (chunks) => {
        try {
          frames('to-host', chunks.map(Buffer.from));
        } catch (error) {
          assert.ok(error instanceof H4FramingError);
        }
      }),
    );
  });
});

describe('L2CAP check of inbound packets', () => {
  const acl = (flags: number, ...payload: number[]): Buffer =>
    Buffer.from([2, 0x40, flags << 4, payload.length, 0, ...payload]);

  it('passes whole and properly continued frames', () => {
    const guard = new L2capGuard();
    assert.equal(guard.check(acl(2, 3, 0, 4, 0, 1, 2, 3)), 'pass');
    assert.equal(guard.check(acl(2, 3, 0, 4, 0, 1)), 'pass');
    assert.equal(guard.check(acl(1, 2, 3)), 'pass');
    assert.equal(guard.check(acl(2, 0, 0, 4, 0)), 'pass');
  });

  it('GUARD X4: names continuations without a start, too much of them, and announcements over the bound', () => {
    const guard = new L2capGuard();
    assert.equal(guard.check(acl(1, 1, 2)), 'violation');
    assert.equal(guard.check(acl(2, 3, 0, 4, 0, 1)), 'pass');
    assert.equal(guard.check(acl(1, 1, 2, 3)), 'violation');
    assert.equal(new L2capGuard().check(acl(2, 0xff, 0xff, 4, 0)), 'violation');
    assert.equal(new L2capGuard().check(acl(2, 1)), 'violation');
    assert.equal(new L2capGuard().check(acl(2, 1, 0, 4, 0, 1, 2)), 'violation');
  });
});

describe('btsnoop', () => {
  it('writes the header and records that Wireshark and btmon read', () => {
    assert.equal(btsnoopFileHeader().toString('hex'), '6274736e6f6f700000000001000003ea');
    const record = btsnoopRecordHeader(EVENT, true, 0n);
    assert.equal(record.toString('hex'), '00000007000000070000000300000000' + '00dcddb30f2f8000');
    const flags = (packet: Buffer, received: boolean): number =>
      btsnoopRecordHeader(packet, received, 0n).readUInt32BE(8);
    assert.deepEqual(
      [flags(ACL, false), flags(ACL, true), flags(Buffer.from([1, 3, 12, 0]), false)],
      [0, 1, 2],
    );
  });

  it('keeps every packet, in order, with times that rise', () => {
    const path = scratchFile('capture.btsnoop');
    const writer = new BtsnoopWriter(path);
    for (let i = 0; i < 1000; i++) writer.record(i % 2 ? BIG_ACL : EVENT, i % 2 === 1);
    writer.close();
    writer.record(EVENT, true);
    const file = readFileSync(path);
    let count = 0;
    let last = 0n;
    for (let at = 16; at < file.length; count++) {
      const length = file.readUInt32BE(at);
      const time = file.readBigInt64BE(at + 16);
      assert.ok(time >= last);
      last = time;
      assert.equal(length, count % 2 ? BIG_ACL.length : EVENT.length);
      at += 24 + length;
    }
    assert.equal(count, 1000);
    const now = BigInt(Date.now()) * 1000n + 0x00dcddb30f2f8000n;
    assert.ok(now - last < 60_000_000n && last - now < 60_000_000n);
  });
});

describe('monikers', () => {
  it('reads and writes every form', () => {
    assert.deepEqual(parseMoniker('hci:1'), { kind: 'hci', index: 1, channel: undefined });
    assert.deepEqual(parseMoniker('hci:1/raw'), { kind: 'hci', index: 1, channel: 'raw' });
    assert.deepEqual(parseMoniker('virtual'), { kind: 'unix', path: defaultRadioPath(), virtual: true });
    assert.deepEqual(parseMoniker('h4:tcp:[::1]:9000'), { kind: 'tcp', host: '::1', port: 9000 });
    for (const text of [
      'hci:0',
      'hci:2/user',
      'hci:2/raw',
      'h4:unix:/tmp/x',
      'h4:tcp:pi:6402',
      'h4:tcp:[::1]:1',
      'virtual:/a:b',
    ]) {
      assert.equal(formatMoniker(parseMoniker(text)), text);
    }
  });

  it('puts the default socket where only the user can reach it', () => {
    assert.equal(defaultRadioPath({ XDG_RUNTIME_DIR: '/run/user/7' }), '/run/user/7/cpns/radio.sock');
    assert.match(defaultRadioPath({}), /cpns-\d+\/radio\.sock$/);
  });

  it('says what is wrong with anything else', () => {
    const wrong = [
      '',
      'hci',
      'hci:',
      'hci:x',
      'hci:0/both',
      'h4:',
      'h4:unix:',
      'h4:tcp:pi',
      'h4:tcp:pi:0',
      'usb:0',
    ];
    for (const text of [...wrong, 'virtual:', `virtual:/${'x'.repeat(108)}`]) {
      assert.throws(() => parseMoniker(text), MonikerError, text);
    }
  });
});

describe('own address', () => {
  it('makes random static addresses only', () => {
    const fills = [Buffer.alloc(6), Buffer.alloc(6, 0xff), Buffer.from('010203040506', 'hex')];
    const address = randomStaticAddress((bytes) => bytes.set(fills.shift() ?? []));
    assert.equal(formatAddress(address), 'c6:05:04:03:02:01');
    assert.deepEqual(parseAddress('c6:05:04:03:02:01'), address);
  });

  it('rewrites the three commands that carry an own address type and no other', () => {
    const command = (opcode: number, length: number): Buffer =>
      Buffer.concat([Buffer.from([1, opcode & 0xff, opcode >> 8, length]), Buffer.alloc(length)]);
    const changed = (opcode: number, length: number): number[] => {
      const packet = command(opcode, length);
      useRandomAddress(packet);
      return [...packet.subarray(4).keys()].filter((i) => packet[4 + i] === 1);
    };
    assert.deepEqual(changed(0x2006, 15), [5]);
    assert.deepEqual(changed(0x200b, 7), [5]);
    assert.deepEqual(changed(0x200d, 25), [12]);
    assert.deepEqual(changed(0x2008, 32), []);
    assert.deepEqual(changed(0x200d, 3), []);
  });
});
