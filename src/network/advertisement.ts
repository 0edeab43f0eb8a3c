/**
 * What a GATT peripheral, PNE or gateway, says of itself before a link exists: 13 bytes of service data with flags, a salt and three short tags that
 * only those who know a secret recognise (docs/protocol.md §2.2). Pure.
 */
import { type Bytes, concat, equal } from '../base/bytes.ts';
import { advertisingTag, deriveAdvertisingKey, findTag } from '../security/key-schedule.ts';
import type { Primitives } from '../security/primitives.ts';

export const SERVICE_DATA_BYTES = 13;
const VERSION = 1;
const SALT_BYTES = 3;
const TAG_BYTES = 3;
const TAGS = 3;
/** Secrets that an announcement has room for at once. */
export const ADVERTISED_TAGS = TAGS;
const FIND_TAG_BYTES = 6;
const FIRST_TAG = 1 + SALT_BYTES;

const ENROL = 0x04;
const JOIN = 0x02;
const MODES = { pne: 1, gateway: 2, both: 3 } as const;
export type Mode = keyof typeof MODES;

export interface Announcement {
  readonly mode: Mode;
  /** An enrolment code is being shown: its secret S, 12 bytes. */
  readonly enrolSecret: Bytes | undefined;
  /** A PNE considers a PN Setup Request from an unknown gateway; a gateway invites PNEs that it does not know. */
  readonly join: boolean;
  /** RMS of a PNE's pending joins, memberships and home, or of a gateway's joins, in the order of their claim to a place. */
  readonly secrets: readonly Bytes[];
  /** Which of the secrets come first this time, when there are more than places. */
  readonly turn: number;
}

/** The 13 bytes, with a fresh salt. */
export function encodeAnnouncement(primitives: Primitives, announcement: Announcement): Bytes {
  const { mode, enrolSecret, join, secrets, turn } = announcement;
  const salt = primitives.randomBytes(SALT_BYTES);
  const flags = (VERSION << 5) | (MODES[mode] << 3) | (enrolSecret ? ENROL : 0) | (join ? JOIN : 0);
  const first = enrolSecret ? [findTag(primitives, enrolSecret, salt)] : [];
  const places = enrolSecret ? TAGS - FIND_TAG_BYTES / TAG_BYTES : TAGS;
  const tags = inTurn(secrets, places, turn).map((rms) =>
    advertisingTag(primitives, deriveAdvertisingKey(primitives, rms), salt),
  );
  const filler = primitives.randomBytes((places - tags.length) * TAG_BYTES);
  return concat(Uint8Array.of(flags), salt, ...first, ...tags, filler);
}

function inTurn<T>(items: readonly T[], places: number, turn: number): readonly T[] {
  if (items.length <= places) return items;
  return Array.from({ length: places }, (_, i) => items[(turn * places + i) % items.length] as T);
}

/** What a central reads out of the 13 bytes; undefined for another version, length or mode. */
export interface Announced {
  readonly mode: Mode;
  readonly enrol: boolean;
  readonly join: boolean;
  readonly salt: Bytes;
  readonly tags: Bytes;
}

export function decodeAnnouncement(data: Bytes): Announced | undefined {
  const flags = data[0];
  if (data.length !== SERVICE_DATA_BYTES || flags === undefined || flags >> 5 !== VERSION) return undefined;
  const mode = (Object.keys(MODES) as Mode[]).find((name) => MODES[name] === ((flags >> 3) & 3));
  if (!mode) return undefined;
  return {
    mode,
    enrol: (flags & ENROL) !== 0,
    join: (flags & JOIN) !== 0,
    salt: data.slice(1, FIRST_TAG),
    tags: data.slice(FIRST_TAG),
  };
}

/** Whether the code with this secret is being shown. */
export function showsCode(primitives: Primitives, announced: Announced, enrolSecret: Bytes): boolean {
  if (!announced.enrol) return false;
  return equal(announced.tags.slice(0, FIND_TAG_BYTES), findTag(primitives, enrolSecret, announced.salt));
}

/** Whether one of the tags is of this advertising key (K_adv). A stranger's tag fits once in about 5 million. */
export function showsTag(primitives: Primitives, announced: Announced, advertisingKey: Bytes): boolean {
  const tag = advertisingTag(primitives, advertisingKey, announced.salt);
  for (let at = announced.enrol ? FIND_TAG_BYTES : 0; at < announced.tags.length; at += TAG_BYTES) {
    if (equal(announced.tags.subarray(at, at + TAG_BYTES), tag)) return true;
  }
  return false;
}
