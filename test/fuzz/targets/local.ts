/**
 * What a person of this machine hands over: configuration files, lines of the control socket, captures of strangers. A
 * mistake is named and nothing else happens; nothing that a capture holds reaches the terminal as a control character.
 */
import assert from 'node:assert/strict';
import { utf8 } from '../../../src/base/bytes.ts';
import { CPNS_DOWN_UUID, CPNS_UP_UUID } from '../../../src/bluetooth/gatt-service.ts';
import { btsnoopFileHeader, btsnoopRecordHeader } from '../../../src/bluetooth/hci/btsnoop.ts';
import { BtsnoopError } from '../../../src/bluetooth/hci/btsnoop-reader.ts';
import { traceCapture } from '../../../src/cli/actions/trace.ts';
import { UsageError } from '../../../src/cli/exit-codes.ts';
import { parseKeyLog } from '../../../src/cli/trace/key-log.ts';
import { ConfigError } from '../../../src/config/config-error.ts';
import { GatewaySchema, gatewayExample } from '../../../src/config/gateway-config.ts';
import { parseConfig } from '../../../src/config/load.ts';
import { PneSchema, pneExample } from '../../../src/config/pne-config.ts';
import { ServerSchema, serverExample } from '../../../src/config/server-config.ts';
import { LineCutter, parseReply, parseRequest } from '../../../src/nodes/control-lines.ts';
import { Pair } from '../../link/pair.ts';
import { byteAt, type Input, part, pick, type Target } from '../target.ts';

const SCHEMAS = [ServerSchema, GatewaySchema, PneSchema];
const textOf = (bytes: Uint8Array | undefined): string => Buffer.from(bytes ?? part()).toString('utf8');
const uncommented = (toml: string): string => toml.replaceAll(/^# (?=[[a-z])/gm, '');

export const configTarget: Target = {
  name: 'config',
  about: 'TOML configuration of each role',
  sources: ['config/'],
  cpuMs: 250,
  allocBytes: 64 * 1024 * 1024,
  open: () => ({
    seeds: [serverExample(), gatewayExample(), pneExample()].flatMap((toml, i): Input[] => [
      [part(i), utf8(toml)],
      [part(i), utf8(uncommented(toml))],
    ]),
    run: ([chosen, text]) => {
      try {
        parseConfig<(typeof SCHEMAS)[number]>(pick(SCHEMAS, byteAt(chosen, 0)), {
          file: 'f.toml',
          text: textOf(text),
        });
      } catch (error) {
        if (!(error instanceof ConfigError)) throw error;
        assert.ok(error.message.length > 0);
      }
    },
  }),
};

function linesOf(chunks: Input, limit: number): { lines: string[]; whole: boolean } {
  const cutter = new LineCutter(limit);
  const lines: string[] = [];
  const whole = chunks.every((chunk) => cutter.push(Buffer.from(chunk), (line) => lines.push(line)));
  return { lines, whole };
}

export const controlTarget: Target = {
  name: 'control',
  about: 'lines of the control socket, cut anywhere',
  sources: ['nodes/control-lines'],
  open: () => ({
    seeds: [
      [utf8('{"id":1,"method":"status","params":{}}\n{"id":2,'), utf8('"method":"join"}\n')],
      [
        utf8('{"id":1,"error":{"status":"busy","message":"x"}}\n'),
        utf8('{"id":1,"event":3}\n{"id":1,"result":null}\n'),
      ],
    ],
    run: (chunks) => {
      const joined = [new Uint8Array(Buffer.concat(chunks))];
      const [cut, once] = [linesOf(chunks, 256), linesOf(joined, 256)];
      assert.deepEqual(cut.lines, once.lines.slice(0, cut.lines.length), 'lines depend on how bytes come');
      if (once.whole) assert.deepEqual(cut, once, 'lines depend on how bytes come');
      for (const line of cut.lines) {
        const request = parseRequest(line);
        if (request) assert.ok(Number.isSafeInteger(request.id) && typeof request.params === 'object');
        const reply = parseReply(line);
        if (reply && 'error' in reply) assert.equal(typeof reply.error.message, 'string');
      }
    },
  }),
};

/** A packet of a capture as a part: direction, the time's eight bytes, the packet. */
const captured = (received: boolean, atUs: bigint, packet: Uint8Array): Uint8Array => {
  const head = Buffer.alloc(9);
  head[0] = received ? 1 : 0;
  head.writeBigInt64BE(atUs, 1);
  return Uint8Array.from([...head, ...packet]);
};

function acl(handle: number, pdu: Uint8Array): Uint8Array {
  const l2cap = Uint8Array.from([pdu.length & 0xff, pdu.length >> 8, 4, 0, ...pdu]);
  return Uint8Array.from([2, handle, 0x20, l2cap.length & 0xff, l2cap.length >> 8, ...l2cap]);
}

/** A connection, its discovery and the OPENs of a link with a message behind. */
function traceSeeds(): Input[] {
  const at = 1_700_000_000_000_000n;
  const connected = Uint8Array.from([
    4,
    0x3e,
    19,
    1,
    0,
    0x40,
    0,
    0,
    0,
    6,
    5,
    4,
    3,
    2,
    1,
    ...new Uint8Array(7),
  ]);
  const uuid = (text: string) => Buffer.from(text.replaceAll('-', ''), 'hex').reverse();
  const found = (value: number, text: string) => [value - 1, 0, 0x14, value, 0, ...uuid(text)];
  const discovered = acl(0x40, part(9, 21, ...found(0x11, CPNS_UP_UUID), ...found(0x13, CPNS_DOWN_UUID)));
  const pair = Pair.open({ segmentBytes: [61, 61] });
  pair.central.link.send(1, new Uint8Array(100));
  pair.settle();
  const down = pair.peripheral.sent.map((segment) =>
    captured(true, at, acl(0x40, part(0x1b, 0x13, 0, ...segment))),
  );
  const up = pair.central.sent.map((segment) =>
    captured(false, at, acl(0x40, part(0x52, 0x11, 0, ...segment))),
  );
  const gone = captured(true, at, Uint8Array.from([4, 5, 4, 0, 0x40, 0, 0x13]));
  const whole = [captured(true, at, connected), captured(true, at, discovered), ...down, ...up, gone];
  return [
    [part(0), part(), ...whole],
    [part(1), part(), ...whole],
    [part(2), utf8(`PRK1 ${'ab'.repeat(32)} ${'cd'.repeat(32)}`), ...whole],
  ];
}

/** Bits: 0 as JSON, 1 with the key log of part 1, 2 segments, 3 part 1 is the file. */
function trace([flags, first, ...packets]: Input): void {
  const setting = byteAt(flags, 0);
  const records = packets.flatMap((one) => {
    const packet = one.subarray(9);
    const header = btsnoopRecordHeader(packet, (byteAt(one, 0) & 1) === 1, 0n);
    header.set(one.subarray(1, 9), 16);
    return [header, packet];
  });
  const file = setting & 8 ? Buffer.from(first ?? part()) : Buffer.concat([btsnoopFileHeader(), ...records]);
  const show = (text: string) =>
    assert.doesNotMatch(text, /[^\P{Cc}\n]/u, 'a control character for the terminal');
  try {
    const keys = setting & 2 ? parseKeyLog(textOf(first)) : new Map();
    traceCapture(
      file,
      keys,
      { json: (setting & 1) === 1, segments: (setting & 4) === 4 },
      { result: show, note: show },
    );
  } catch (error) {
    if (!(error instanceof UsageError || error instanceof BtsnoopError)) throw error;
  }
}

export const traceTarget: Target = {
  name: 'trace',
  about: 'captures of strangers in `cpns trace`: file, ACL, ATT, segments, messages, key log',
  sources: ['cli/trace/', 'cli/actions/trace'],
  open: () => ({ seeds: [...traceSeeds(), [part(8), new Uint8Array(btsnoopFileHeader())]], run: trace }),
};
