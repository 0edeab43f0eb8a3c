/**
 * The HCI commands of the virtual controller, as a table: opcode, least parameter length, what it does. What noble,
 * bleno and the Linux kernel send is answered; anything else gets status 0x01, as from a chip that lacks it.
 * Source: Core Specification 5.4, Vol 4 Part E §7; the list of what the kernel needs is measured (ble-notes).
 */
import { createCipheriv, randomBytes } from 'node:crypto';
import type { HciVersion } from '../../profiles/identity.ts';
import {
  commandComplete,
  commandStatus,
  connectionComplete,
  encryptionChange,
  event,
  le,
  STATUS,
  uint16,
} from './events.ts';
import type { ControllerPart, EndPart } from './shapes.ts';

type Answer =
  /** Command Complete with success and these return parameters. */
  | Uint8Array
  /** Command Complete with this status alone. */
  | number
  /** Command Status, then whatever follows. */
  | { readonly status: number; readonly after?: () => void };

interface Command {
  readonly name: string;
  readonly parameterBytes: number;
  readonly run: (controller: ControllerPart, parameters: Buffer, link: EndPart | undefined) => Answer;
}

const NONE = Buffer.alloc(0);
const HCI_VERSION_5_2 = 0x0b;
/** LE encryption, LE data packet length extension, LE ping. */
const LE_FEATURES = Buffer.from([0x31, 0x01, 0, 0, 0, 0, 0, 0]);
const LMP_FEATURES = Buffer.from([0, 0, 0, 0, 0x60, 0, 0, 0]); // BR/EDR not supported, LE supported
const LONGEST_DATA = Buffer.from([0xfb, 0x00, 0x48, 0x08, 0xfb, 0x00, 0x48, 0x08]);

function localVersion(of: HciVersion): Buffer {
  return Buffer.concat([
    ...[Buffer.from([of.version]), uint16(of.revision), Buffer.from([of.lmpVersion])],
    ...[uint16(of.manufacturer), uint16(of.lmpSubversion)],
  ]);
}

/** Bits by octet of Read Local Supported Commands, for the table below. */
const SUPPORTED_COMMANDS = (() => {
  const bits = Buffer.alloc(64);
  const octets = [
    [0, 0x20],
    [2, 0x80],
    [5, 0xc0],
    [14, 0xa8],
    [15, 0x22],
    [24, 0x60],
    [25, 0xf7],
    [26, 0x3f],
    [27, 0xf4],
    [28, 0x0f],
    [33, 0xf0],
    [34, 0x01],
    [35, 0x28],
  ] as const;
  for (const [octet, value] of octets) bits[octet] = value;
  return bits;
})();

const succeed = (): Answer => NONE;
const onLink =
  (run: (link: EndPart, parameters: Buffer) => void) =>
  (_: ControllerPart, parameters: Buffer, link: EndPart | undefined): Answer =>
    link === undefined
      ? { status: STATUS.unknownConnection }
      : { status: STATUS.success, after: () => run(link, parameters) };

const COMMANDS: ReadonlyMap<number, Command> = new Map<number, Command>([
  command(
    0x0406,
    'Disconnect',
    3,
    onLink((end, p) => end.link.hangUp(end, p[2] ?? STATUS.userEnded)),
  ),
  command(
    0x041d,
    'Read Remote Version Information',
    2,
    onLink((end) => {
      end.controller.toHost(
        event(0x0c, Buffer.from([0]), uint16(end.handle), Buffer.from([HCI_VERSION_5_2, 0xff, 0xff, 0, 0])),
      );
    }),
  ),
  command(0x0c01, 'Set Event Mask', 8, succeed),
  command(0x0c03, 'Reset', 0, (controller) => {
    controller.reset();
    return NONE;
  }),
  command(0x0c14, 'Read Local Name', 0, () => {
    const name = Buffer.alloc(248);
    name.write('cpns virtual radio');
    return name;
  }),
  command(0x0c63, 'Set Event Mask Page 2', 8, succeed),
  command(0x0c6c, 'Read LE Host Support', 0, () => Buffer.from([1, 0])),
  command(0x0c6d, 'Write LE Host Support', 2, succeed),
  command(0x1001, 'Read Local Version Information', 0, ({ radio }) =>
    localVersion(radio.options.localVersion),
  ),
  command(0x1002, 'Read Local Supported Commands', 0, () => SUPPORTED_COMMANDS),
  command(0x1003, 'Read Local Supported Features', 0, () => LMP_FEATURES),
  command(0x1005, 'Read Buffer Size', 0, () => Buffer.alloc(7)),
  command(0x1009, 'Read BD_ADDR', 0, (controller) => controller.publicAddress),
  command(0x1405, 'Read RSSI', 2, (_, p, link) =>
    link === undefined ? STATUS.unknownConnection : Buffer.from([p[0] ?? 0, p[1] ?? 0, 0xce]),
  ),
  command(0x2001, 'LE Set Event Mask', 8, succeed),
  command(0x2002, 'LE Read Buffer Size', 0, ({ radio }) =>
    Buffer.concat([uint16(radio.options.aclBufferBytes), Buffer.from([radio.options.aclBufferCount])]),
  ),
  command(0x2003, 'LE Read Local Supported Features', 0, () => LE_FEATURES),
  command(0x2005, 'LE Set Random Address', 6, (controller, p) => {
    // §7.8.4: not while it is in use on the air.
    if (controller.advertising.enabled || controller.scanning.enabled || controller.initiating) {
      return STATUS.commandDisallowed;
    }
    controller.randomAddress = Buffer.from(p.subarray(0, 6));
    return NONE;
  }),
  command(0x2006, 'LE Set Advertising Parameters', 15, ({ advertising }, p) => {
    if (advertising.enabled) return STATUS.commandDisallowed;
    advertising.type = p[4] ?? 0;
    advertising.ownAddressType = p[5] ?? 0;
    return NONE;
  }),
  command(0x2007, 'LE Read Advertising Channel Tx Power', 0, () => Buffer.from([0])),
  command(0x2008, 'LE Set Advertising Data', 1, ({ advertising }, p) => {
    const data = advertisingData(p);
    if (data === undefined) return STATUS.invalidParameters;
    advertising.data = data;
    return NONE;
  }),
  command(0x2009, 'LE Set Scan Response Data', 1, ({ advertising }, p) => {
    const data = advertisingData(p);
    if (data === undefined) return STATUS.invalidParameters;
    advertising.scanResponse = data;
    return NONE;
  }),
  command(0x200a, 'LE Set Advertising Enable', 1, (controller, p) => {
    if (p[0] === 1 && controller.radio.dice.faults.refuseAdvertising) return STATUS.commandDisallowed;
    controller.setAdvertising(p[0] === 1);
    return NONE;
  }),
  command(0x200b, 'LE Set Scan Parameters', 7, ({ scanning }, p) => {
    if (scanning.enabled) return STATUS.commandDisallowed;
    scanning.active = p[0] === 1;
    scanning.ownAddressType = p[5] ?? 0;
    return NONE;
  }),
  command(0x200c, 'LE Set Scan Enable', 2, (controller, p) => {
    const { scanning, radio } = controller;
    scanning.enabled = p[0] === 1;
    const { scanEndsAfterMs } = radio.dice.faults;
    if (scanEndsAfterMs !== undefined) radio.later(() => (scanning.enabled = false), scanEndsAfterMs);
    scanning.filterDuplicates = p[1] === 1;
    scanning.seen.clear();
    controller.deaf = false;
    return NONE;
  }),
  command(0x200d, 'LE Create Connection', 25, (controller, p) => {
    if (controller.initiating) return { status: STATUS.commandDisallowed };
    if (controller.links.size >= controller.radio.options.maxLinks) return { status: STATUS.connectionLimit };
    controller.initiating = {
      peerAddressType: p[5] ?? 0,
      peerAddress: Buffer.from(p.subarray(6, 12)),
      ownAddressType: p[12] ?? 0,
      interval: p.readUInt16LE(15),
      latency: p.readUInt16LE(17),
      timeout: p.readUInt16LE(19),
    };
    return { status: STATUS.success };
  }),
  command(0x200e, 'LE Create Connection Cancel', 0, (controller) => {
    const wanted = controller.initiating;
    if (wanted === undefined) return STATUS.commandDisallowed;
    controller.initiating = undefined;
    const cancelled = connectionComplete({
      status: STATUS.unknownConnection,
      handle: 0,
      role: 0,
      peerAddressType: wanted.peerAddressType,
      peerAddress: wanted.peerAddress,
      interval: 0,
      latency: 0,
      timeout: 0,
    });
    process.nextTick(() => controller.toHost(cancelled));
    return NONE;
  }),
  command(0x200f, 'LE Read Filter Accept List Size', 0, () => Buffer.from([16])),
  command(0x2010, 'LE Clear Filter Accept List', 0, succeed),
  command(0x2011, 'LE Add Device To Filter Accept List', 7, succeed),
  command(0x2012, 'LE Remove Device From Filter Accept List', 7, succeed),
  command(
    0x2013,
    'LE Connection Update',
    14,
    onLink((end, p) => {
      end.link.setTimeoutMs(p.readUInt16LE(8) * 10);
      for (const each of [end, end.peer]) {
        each.controller.toHost(le(0x03, Buffer.from([0]), uint16(each.handle), p.subarray(4, 10)));
      }
    }),
  ),
  command(0x2015, 'LE Read Channel Map', 2, (_, p, link) =>
    link === undefined
      ? STATUS.unknownConnection
      : Buffer.concat([p.subarray(0, 2), Buffer.from('ffffffff1f', 'hex')]),
  ),
  command(
    0x2016,
    'LE Read Remote Features',
    2,
    onLink((end) => {
      end.controller.toHost(le(0x04, Buffer.from([0]), uint16(end.handle), LE_FEATURES));
    }),
  ),
  command(0x2017, 'LE Encrypt', 32, (_, p) => {
    // HCI is little-endian, the cipher is not. One block, no padding.
    const key = Buffer.from(p.subarray(0, 16)).reverse();
    const cipher = createCipheriv('aes-128-ecb', key, null).setAutoPadding(false);
    return cipher.update(Buffer.from(p.subarray(16, 32)).reverse()).reverse();
  }),
  command(0x2018, 'LE Rand', 0, () => randomBytes(8)),
  command(
    0x2019,
    'LE Enable Encryption',
    28,
    onLink((end, p) => {
      end.longTermKey = Buffer.from(p.subarray(12, 28));
      end.peer.controller.toHost(le(0x05, uint16(end.peer.handle), p.subarray(2, 12)));
    }),
  ),
  command(0x201a, 'LE Long Term Key Request Reply', 18, (_, p, link) => {
    if (link === undefined) return STATUS.unknownConnection;
    const same = link.peer.longTermKey?.equals(p.subarray(2, 18)) === true;
    process.nextTick(() => {
      for (const end of [link, link.peer]) {
        if (end.up)
          end.controller.toHost(encryptionChange(end.handle, same ? STATUS.success : STATUS.micFailure));
      }
    });
    return p.subarray(0, 2);
  }),
  command(0x201b, 'LE Long Term Key Request Negative Reply', 2, (_, p, link) => {
    if (link === undefined) return STATUS.unknownConnection;
    process.nextTick(() => {
      if (link.peer.up) link.peer.controller.toHost(encryptionChange(link.peer.handle, STATUS.keyMissing));
    });
    return p.subarray(0, 2);
  }),
  command(0x201c, 'LE Read Supported States', 0, () => Buffer.from('ffffffffff030000', 'hex')),
  command(0x2022, 'LE Set Data Length', 6, (_, p, link) =>
    link === undefined ? STATUS.unknownConnection : p.subarray(0, 2),
  ),
  command(0x2023, 'LE Read Suggested Default Data Length', 0, () => Buffer.from('1b004801', 'hex')),
  command(0x2024, 'LE Write Suggested Default Data Length', 4, succeed),
  command(0x202f, 'LE Read Maximum Data Length', 0, () => LONGEST_DATA),
  command(0x2031, 'LE Set Default PHY', 3, succeed),
]);

/** Runs one command of the host and answers it. */
export function runCommand(controller: ControllerPart, opcode: number, parameters: Buffer): void {
  const entry = COMMANDS.get(opcode);
  controller.radio.countCommand(opcode, entry !== undefined);
  if (entry === undefined) {
    controller.toHost(commandComplete(opcode, Buffer.from([STATUS.unknownCommand])));
    return;
  }
  if (parameters.length < entry.parameterBytes) {
    controller.toHost(commandComplete(opcode, Buffer.from([STATUS.invalidParameters])));
    return;
  }
  const link = parameters.length >= 2 ? controller.links.get(parameters.readUInt16LE(0) & 0x0fff) : undefined;
  const answer = entry.run(controller, parameters, link);
  if (typeof answer === 'number') {
    controller.toHost(commandComplete(opcode, Buffer.from([answer])));
  } else if (answer instanceof Uint8Array) {
    controller.toHost(commandComplete(opcode, Buffer.concat([Buffer.from([STATUS.success]), answer])));
  } else {
    controller.toHost(commandStatus(opcode, answer.status));
    answer.after?.();
  }
}

function command(
  opcode: number,
  name: string,
  parameterBytes: number,
  run: Command['run'],
): readonly [number, Command] {
  return [opcode, { name, parameterBytes, run }];
}

function advertisingData(parameters: Buffer): Buffer | undefined {
  const length = parameters[0] ?? 0;
  if (length > 31 || length > parameters.length - 1) return undefined;
  return Buffer.from(parameters.subarray(1, 1 + length));
}
