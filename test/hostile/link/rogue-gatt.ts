/**
 * A GATT server by hand: the answers a CPNS peripheral gives to the requests of a central, each of which a test can replace.
 * Says nothing above GATT.
 */

import { advertisingData, scanResponse } from '../../../src/bluetooth/advertising-data.ts';
import { attUuid } from '../../../src/bluetooth/att.ts';
import { CPNS_DOWN_UUID, CPNS_UP_UUID } from '../../../src/bluetooth/gatt-service.ts';
import type { VirtualRadio } from '../../../src/bluetooth/virtual-radio/server.ts';
import { RawHost, randomAddress } from './raw-host.ts';
import { joiningAnnouncement } from './rogue-pne.ts';

const SERVICE = 0x10;
const UP = 0x12;
const DOWN = 0x14;
const CONFIGURATION = 0x15;
export const DOWN_VALUE = DOWN;

const ATTRIBUTE_NOT_FOUND = 0x0a;
const le = (value: number) => [value & 0xff, value >> 8];

export const MTU_REQUEST = 0x02;
export const FIND_SERVICE_REQUEST = 0x06;
export const FIND_CHARACTERISTICS_REQUEST = 0x08;
export const SUBSCRIBE_REQUEST = 0x12;

/** What is sent when this request comes; nothing when it is `undefined`. */
export type Answer = (request: Buffer, host: RawHost) => readonly number[] | undefined;
export type Answers = Readonly<Record<number, Answer>>;

export const refuse =
  (code: number): Answer =>
  (request) => [0x01, request[0] ?? 0, request[1] ?? 0, request[2] ?? 0, code];

const characteristic = (declaration: number, properties: number, uuid: string) => [
  ...le(declaration),
  properties,
  ...le(declaration + 1),
  ...attUuid(uuid),
];

const LAWFUL: Answers = {
  [MTU_REQUEST]: () => [0x03, ...le(247)],
  [FIND_SERVICE_REQUEST]: () => [0x07, ...le(SERVICE), ...le(CONFIGURATION)],
  [FIND_CHARACTERISTICS_REQUEST]: (request) =>
    request.readUInt16LE(1) > UP
      ? refuse(ATTRIBUTE_NOT_FOUND)(request, undefined as never)
      : [
          ...[0x09, 21],
          ...characteristic(UP - 1, 0x04, CPNS_UP_UUID),
          ...characteristic(DOWN - 1, 0x10, CPNS_DOWN_UUID),
        ],
  4: () => [0x05, 1, ...le(CONFIGURATION), ...le(0x2902)],
  [SUBSCRIBE_REQUEST]: () => [0x13],
};

export class RogueGatt {
  readonly host: RawHost;
  links = 0;

  constructor(radio: VirtualRadio, id: number, answers: Answers = {}) {
    this.host = new RawHost(radio);
    this.host.onConnected = () => {
      this.links++;
    };
    this.host.onPdu = (pdu) => {
      const answer = { ...LAWFUL, ...answers }[pdu[0] ?? 0]?.(pdu, this.host);
      // A controller's events come before the answer to what caused them.
      if (answer) queueMicrotask(() => this.host.att(...answer));
    };
    this.host.advertise(randomAddress(id), advertisingData(), scanResponse(joiningAnnouncement()));
  }

  close(): void {
    this.host.close();
  }
}
