/**
 * The part of docs/phones.md that is made of the source: what has to be entered into an app that lets a phone be a GATT
 * peripheral. test/docs/phones.test.ts makes a peripheral of it, and compares it with ours.
 */
import { toHex } from '../src/base/bytes.ts';
import { advertisingData, scanResponse } from '../src/bluetooth/advertising-data.ts';
import { CPNS_DOWN_UUID, CPNS_SERVICE_UUID, CPNS_UP_UUID } from '../src/bluetooth/gatt-service.ts';
import { encodeAnnouncement } from '../src/network/advertisement.ts';
import { nodePrimitives } from '../src/security/primitives-node.ts';

/** A PNE that is somebody's and would consider an invitation; salt and tags all zero, which nobody knows. */
function announcement(): Uint8Array {
  const primitives = { ...nodePrimitives(), randomBytes: (length: number) => new Uint8Array(length) };
  return encodeAnnouncement(primitives, {
    mode: 'pne',
    join: true,
    enrolSecret: undefined,
    secrets: [],
    turn: 0,
  });
}

const spaced = (bytes: Uint8Array): string => (toHex(bytes).match(/../g) ?? []).join(' ');

export function phonesTables(): string {
  const data = announcement();
  const code = (text: string) => `\`${text}\``;
  return [
    '| GATT | UUID | properties | permissions | descriptors |',
    '|---|---|---|---|---|',
    `| primary service | ${code(CPNS_SERVICE_UUID)} | | | |`,
    `| characteristic *up* | ${code(CPNS_UP_UUID)} | Write Without Response | write, no encryption | none |`,
    `| characteristic *down* | ${code(CPNS_DOWN_UUID)} | Notify | none | Client Characteristic Configuration (${code('0x2902')}), read and write |`,
    '',
    '| packet | what to enter | on the air |',
    '|---|---|---|',
    `| advertising data, connectable | Complete list of 128-bit service UUIDs: ${code(CPNS_SERVICE_UUID)}; no name, no TX power | ${code(spaced(advertisingData()))} |`,
    `| scan response | Service data of ${code(CPNS_SERVICE_UUID)}: ${code(toHex(data))}; nothing else, it is full | ${code(spaced(scanResponse(data)))} |`,
  ].join('\n');
}
