/** Whole advertisements, byte for byte: flags, salt, find tag and tags, and the packets they go into (docs/protocol.md §2.2). */
import { advertisingData, scanResponse } from '../../src/bluetooth/advertising-data.ts';
import { decodeAnnouncement, encodeAnnouncement, type Mode } from '../../src/network/advertisement.ts';
import { advertisingTag, deriveAdvertisingKey } from '../../src/security/key-schedule.ts';
import { enrolmentVectors } from './enrolment.ts';
import { rms } from './establishment.ts';
import { fixedBytes } from './fixed-keys.ts';
import { primitives } from './signing.ts';

const { secret: enrolSecret, homeRms } = enrolmentVectors().enrolment;

const CASES = [
  {
    name: 'PNE with a membership and a home',
    mode: 'pne',
    join: true,
    shows: false,
    secrets: [rms, homeRms],
  },
  { name: 'PNE that shows a code, with a membership', mode: 'pne', join: true, shows: true, secrets: [rms] },
  { name: 'gateway with a join, that invites', mode: 'gateway', join: true, shows: false, secrets: [rms] },
  { name: 'gateway that shows a code', mode: 'gateway', join: false, shows: true, secrets: [] },
] as const satisfies readonly { readonly mode: Mode; readonly [key: string]: unknown }[];

export function announcementVectors() {
  return {
    about:
      'rms of establishment.json, homeRms and secret of enrolment.json. Places without a tag hold random bytes, made here as all else.',
    announcements: CASES.map(({ name, mode, join, shows, secrets }) => {
      let asked = 0;
      const random = { ...primitives, randomBytes: (n: number) => fixedBytes(`${name} ${asked++}`, n) };
      const serviceData = encodeAnnouncement(random, {
        ...{ mode, join, secrets, turn: 0 },
        enrolSecret: shows ? enrolSecret : undefined,
      });
      const salt = decodeAnnouncement(serviceData)?.salt ?? new Uint8Array();
      return {
        name,
        flags: serviceData.subarray(0, 1),
        salt,
        tags: secrets.map((each) => advertisingTag(primitives, deriveAdvertisingKey(primitives, each), salt)),
        serviceData,
        advertisingData: advertisingData(),
        scanResponse: scanResponse(serviceData),
      };
    }),
  };
}
