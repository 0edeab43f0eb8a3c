/**
 * `cpns trace` on captures made here byte by byte: two links, fragmented ACL, a message of several segments, epochs,
 * a resumption, damaged files. Nothing but docs/protocol.md is used to write them; keys are chosen, not agreed.
 */
import assert from 'node:assert/strict';
import { type Bytes, concat, fromHex, toHex } from '../../src/base/bytes.ts';
import { Thumbprint } from '../../src/base/ids.ts';
import { CPNS_DOWN_UUID, CPNS_UP_UUID } from '../../src/bluetooth/gatt-service.ts';
import { btsnoopFileHeader, btsnoopRecordHeader } from '../../src/bluetooth/hci/btsnoop.ts';
import { readBtsnoop } from '../../src/bluetooth/hci/btsnoop-reader.ts';
import { traceCapture } from '../../src/cli/actions/trace.ts';
import { inertJson } from '../../src/cli/output.ts';
import { GattCapture } from '../../src/cli/trace/gatt-capture.ts';
import { type LinkSecrets, parseKeyLog } from '../../src/cli/trace/key-log.ts';
import { type DecodedMessage, LinkDecoder } from '../../src/cli/trace/link-decoder.ts';
import { formatView, messageNames, viewMessage } from '../../src/cli/trace/message-view.ts';
import { Records } from '../../src/link/records.ts';
import { LINK_KINDS, type LinkKind, Open } from '../../src/messages/link.ts';
import { Abort, Ack, PnSetupNotify, PnSetupResponse, padPnSetupResponse } from '../../src/messages/setup.ts';
import { messageType } from '../../src/messages/types.ts';
import { epochKeys, transcript1 } from '../../src/security/key-schedule.ts';
import { nodePrimitives } from '../../src/security/primitives-node.ts';

const primitives = nodePrimitives();
const UP_HANDLE = 0x0011;
const DOWN_HANDLE = 0x0013;
const PEER = Buffer.from('060504030201', 'hex');

/** Writes a capture as the host of the central sees it. */
class Tape {
  readonly parts: Buffer[] = [btsnoopFileHeader()];
  #atUs = 1_700_000_000_000_000n;

  packet(packet: Buffer, received: boolean): void {
    this.parts.push(btsnoopRecordHeader(packet, received, this.#atUs), packet);
    this.#atUs += 1000n;
  }

  connect(handle: number): void {
    const event = Buffer.alloc(22);
    event.set([0x04, 0x3e, 19, 0x01, 0x00]);
    event.writeUInt16LE(handle, 5);
    event.set(PEER, 9);
    this.packet(event, true);
  }

  /** An ATT PDU, cut into ACL packets of so many bytes. */
  att(handle: number, pdu: Uint8Array, received: boolean, fragment = 251): void {
    const l2cap = Buffer.concat([Buffer.from([pdu.length & 0xff, pdu.length >> 8, 4, 0]), pdu]);
    for (let at = 0; at < l2cap.length; at += fragment) {
      const data = l2cap.subarray(at, at + fragment);
      const head = Buffer.alloc(5);
      head[0] = 0x02;
      head.writeUInt16LE(handle | (at === 0 ? 0x2000 : 0x1000), 1);
      head.writeUInt16LE(data.length, 3);
      this.packet(Buffer.concat([head, data]), received);
    }
  }

  discovery(handle: number): void {
    const uuid = (text: string) => Buffer.from(text.replaceAll('-', ''), 'hex').reverse();
    const entry = (value: number, properties: number, text: string) =>
      Buffer.concat([Buffer.from([value - 1, 0, properties, value, 0]), uuid(text)]);
    const pdu = [
      Buffer.from([0x09, 21]),
      entry(UP_HANDLE, 0x04, CPNS_UP_UUID),
      entry(DOWN_HANDLE, 0x10, CPNS_DOWN_UUID),
    ];
    this.att(handle, Buffer.concat(pdu), true);
  }

  segment(handle: number, from: 'central' | 'peripheral', segment: Bytes, fragment?: number): void {
    const [opcode, value] = from === 'central' ? [0x52, UP_HANDLE] : [0x1b, DOWN_HANDLE];
    this.att(handle, concat(Uint8Array.of(opcode, value, 0), segment), from === 'peripheral', fragment);
  }

  get file(): Buffer {
    return Buffer.concat(this.parts);
  }
}

const single = (epoch: number, seq: number, message: Bytes): Bytes =>
  concat(Uint8Array.of(0xc0 | (epoch << 4) | seq), message);
const openOf = (role: 'pne' | 'gateway', kind?: LinkKind): Bytes =>
  Open.encode({
    ...{ versions: [1], suites: [1], role, segmentBytes: 244, credits: 32 },
    ephemeral: new Uint8Array(32).fill(role === 'pne' ? 1 : 2),
    ...(kind && { kind }),
    ...(kind === 'resume' && { rid: new Uint8Array(8) }),
  });
const plaintext = (body: Bytes): Bytes => concat(Uint8Array.of(messageType('Open')), body);

/** One side's records under keys that were chosen. */
function sealer(prk: Bytes, phase: 'hs' | 'ap', direction: 'g2p' | 'p2g') {
  const records = new Records(primitives);
  const send = epochKeys(primitives, prk, phase)[direction];
  records.install(phase === 'hs' ? 0 : 1, {
    send,
    receive: { key: new Uint8Array(16), iv: new Uint8Array(12) },
  });
  return (name: Parameters<typeof messageType>[0], body: Bytes) => records.seal(messageType(name), body, 0);
}

function decodeAll(file: Buffer, keys: ReadonlyMap<string, LinkSecrets> = new Map()): DecodedMessage[] {
  const gatt = new GattCapture();
  const links = new Map<number, LinkDecoder>();
  const out: DecodedMessage[] = [];
  for (const packet of readBtsnoop(file)) {
    const segment = gatt.push(packet);
    if (!segment) continue;
    const link = links.get(segment.connection) ?? new LinkDecoder(primitives, keys);
    links.set(segment.connection, link);
    const message = link.push(segment);
    if (message) out.push(message);
  }
  return out;
}

const join = () =>
  PnSetupResponse.encode({
    status: 'ok',
    capability: Uint8Array.of(1, 2, 3),
    homeAddress: '0123456789abcdef@cpns.example',
    thumbprint: new Uint8Array(32).fill(7) as never,
  });

describe('trace', () => {
  const [prk1, prk2] = [new Uint8Array(32).fill(0x11), new Uint8Array(32).fill(0x22)];

  function establishment(): { file: Buffer; keys: ReadonlyMap<string, LinkSecrets>; link: string } {
    const tape = new Tape();
    const [openG, openP] = [openOf('gateway', 'establish'), openOf('pne')];
    const th1 = toHex(transcript1(primitives, LINK_KINDS.establish, openG, openP));
    tape.connect(0x40);
    tape.discovery(0x40);
    // Another characteristic's notification is none of ours.
    tape.att(0x40, Uint8Array.of(0x1b, 0x99, 0, 1, 2, 3), true);
    tape.segment(0x40, 'peripheral', single(0, 0, plaintext(openP)), 27);
    tape.segment(0x40, 'central', single(0, 0, plaintext(openG)));
    tape.segment(0x40, 'central', Uint8Array.of(0x08, 5));
    const pneHandshake = sealer(prk1, 'hs', 'p2g');
    const response = pneHandshake('PnSetupResponse', padPnSetupResponse(join()));
    // In two segments: START with the length, then END.
    const length = Uint8Array.of(response.length >> 8, response.length & 0xff);
    tape.segment(0x40, 'peripheral', concat(Uint8Array.of(0x81), length, response.slice(0, 100)), 27);
    tape.segment(0x40, 'peripheral', concat(Uint8Array.of(0x42), response.slice(100)));
    const notify = PnSetupNotify.encode({ status: 'user-refused', outcome: Uint8Array.of(0x80) });
    tape.segment(0x40, 'central', single(1, 1, sealer(prk2, 'ap', 'g2p')('PnSetupNotify', notify)));
    tape.segment(
      0x40,
      'peripheral',
      single(1, 3, sealer(prk2, 'ap', 'p2g')('Ack', Ack.encode({ status: 'ok' }))),
    );
    const keys = parseKeyLog(
      `# a comment\nPRK1 ${th1} ${toHex(prk1)}\nPRK2 ${th1.toUpperCase()} ${toHex(prk2)}\n`,
    );
    return { file: tape.file, keys, link: th1.slice(0, 16) };
  }

  it('opens both epochs and both directions, through fragments and several segments', () => {
    const { file, keys, link } = establishment();
    const messages = decodeAll(file, keys);
    assert.deepEqual(
      messages.map(({ name, from, epoch, segments, problem }) => [name, from, epoch, segments, problem]),
      [
        ['Open', 'peripheral', 0, 1, undefined],
        ['Open', 'gateway', 0, 1, undefined],
        ['PnSetupResponse', 'pne', 0, 2, undefined],
        ['PnSetupNotify', 'gateway', 1, 1, undefined],
        ['Ack', 'pne', 1, 1, undefined],
      ],
    );
    assert.ok(
      messages.slice(1).every((message) => message.link === link && message.linkKind === 'establish'),
    );
    assert.equal(messages[0]?.peer, '01:02:03:04:05:06');
    const response = messages[2]?.body;
    assert(response);
    assert.deepEqual(viewMessage('PnSetupResponse', response), {
      status: 'ok',
      capability: '010203',
      homeAddress: '0123456789abcdef@cpns.example',
      thumbprint: '07'.repeat(32),
    });
  });

  it('without keys shows sizes and nothing else', () => {
    const messages = decodeAll(establishment().file);
    assert.deepEqual(
      messages.map(({ name, problem }) => [name, problem]),
      [
        ['Open', undefined],
        ['Open', undefined],
        ['record', 'not in the key log'],
        ['record', 'not in the key log'],
        ['record', 'not in the key log'],
      ],
    );
    assert.ok(messages.slice(2).every(({ body }) => body === undefined));
  });

  it('with wrong keys says that a record does not open', () => {
    const { file, keys } = establishment();
    const wrong = new Map([...keys].map(([th1]) => [th1, { prk1: prk2, prk2: prk1 }]));
    const record = decodeAll(file, wrong)[2];
    assert.equal(record?.name, 'record');
    assert.match(record?.problem ?? '', /record-failed/);
  });

  it('a resumption has epoch 1 from PRK1', () => {
    const tape = new Tape();
    const [openG, openP] = [openOf('gateway', 'resume'), openOf('pne')];
    const th1 = toHex(transcript1(primitives, LINK_KINDS.resume, openG, openP));
    tape.connect(1);
    tape.segment(1, 'peripheral', single(0, 0, plaintext(openP)));
    tape.segment(1, 'central', single(0, 0, plaintext(openG)));
    const abort = Abort.encode({ status: 'shutting-down' });
    tape.segment(1, 'central', single(1, 1, sealer(prk1, 'ap', 'g2p')('Abort', abort)));
    const messages = decodeAll(tape.file, new Map([[th1, { prk1 }]]));
    assert.deepEqual(
      messages.map(({ name, linkKind }) => [name, linkKind]),
      [
        ['Open', undefined],
        ['Open', 'resume'],
        ['Abort', 'resume'],
      ],
    );
  });

  it('a file that was cut off ends where it was; one that is none is refused', () => {
    const { file } = establishment();
    assert.equal(
      [...readBtsnoop(file.subarray(0, file.length - 1))].length,
      [...readBtsnoop(file)].length - 1,
    );
    assert.throws(() => [...readBtsnoop(Buffer.from('PK'))], /not a btsnoop file/);
    const other = Buffer.from(file);
    other.writeUInt32BE(1001, 12);
    assert.throws(() => [...readBtsnoop(other)], /datalink 1001/);
  });

  it('bytes of any kind end in messages or errors of ours, never in a crash', () => {
    const { file, keys } = establishment();
    for (let at = 16; at < file.length; at += 7) {
      const damaged = Buffer.from(file);
      damaged[at] = (damaged[at] ?? 0) ^ 0xff;
      try {
        decodeAll(damaged, keys);
      } catch (error) {
        assert(error instanceof Error);
        assert.ok(
          ['BtsnoopError', 'CpnsError'].includes(error.name),
          `${error.name} at ${at}: ${error.stack}`,
        );
      }
    }
  });

  it('names the line of a key log that is none', () => {
    assert.throws(() => parseKeyLog('PRK1 00 11\n'), /key log, line 1/);
  });

  it('prints nested fields with their names, long bytes shortened', () => {
    const text = formatView({ a: 1, list: [1, 2], items: [{ b: 'x' }], long: '00'.repeat(64) }, '  ');
    assert.equal(
      text,
      `  a: 1\n  list: 1, 2\n  items:\n    [0]:\n      b: x\n  long: ${'0'.repeat(64)}… (64 bytes)`,
    );
  });

  it('shows what a peer wrote, and an instant that no calendar has, without harm to a terminal', () => {
    const packet = Buffer.from('0240200900050004005201000800', 'hex');
    const header = btsnoopRecordHeader(packet, true, 0n);
    header.writeBigInt64BE(0x7fff_ffff_ffff_ffffn, 16);
    const lines: string[] = [];
    const output = { result: (text: string) => lines.push(text), note: (text: string) => lines.push(text) };
    const file = Buffer.concat([btsnoopFileHeader(), header, packet]);
    traceCapture(file, new Map(), { segments: true }, output);
    assert.match(lines[0] ?? '', /^\?\?:\?\?:\?\?\.\?\?\? {2}#1 {2}packet 1/);
    const thumbprint = Thumbprint(new Uint8Array(32));
    const hostile = '\u001b[2Jwiped\nok: true\u202e';
    const body = PnSetupResponse.encode({
      ...{ status: 'ok', capability: new Uint8Array(1), homeAddress: hostile, thumbprint },
    });
    const text = formatView(viewMessage('PnSetupResponse', body) ?? '', '');
    assert.match(text, /homeAddress: \\u001b\[2Jwiped\\u000aok: true\\u202e\n/);
    assert.deepEqual(JSON.parse(inertJson({ hostile })), { hostile });
    assert.doesNotMatch(inertJson({ hostile }, 2), /[^\P{C}\n]/u);
  });

  it('knows every message by the name people use', () => {
    const names = messageNames();
    for (const name of ['PnSetupRequest', 'PnSetupResponse', 'Inventory', 'ChannelFrame', 'Ack']) {
      assert.ok(names.includes(name), name);
    }
    assert.deepEqual(viewMessage('Ack', fromHex('a10100')), { status: 'ok' });
    assert.equal(viewMessage('Nonsense', fromHex('a0')), undefined);
  });
});
