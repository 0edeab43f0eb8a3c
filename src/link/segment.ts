/**
 * The header of a link segment: its bits, writing it, reading it.
 * Owns the bytes of one segment; must not know messages, lanes at work, credits or time.
 * Source: docs/protocol.md §3.1.
 *
 *   byte 0:  7 START | 6 END | 5 LANE | 4 EPOCH | 3 GRANT | 2..0 SEQ
 *   [grant]  1 byte with GRANT    [length]  2 bytes big-endian with START and no END    payload  1 byte or more
 */
import type { Bytes } from '../base/bytes.ts';
import { CpnsError } from '../base/errors.ts';

/** 0 control, 1 data. */
export type Lane = 0 | 1;
/** 0 handshake keys, 1 traffic keys. */
export type Epoch = 0 | 1;

export const START = 0x80;
export const END = 0x40;
export const LANE = 0x20;
export const EPOCH = 0x10;
export const GRANT = 0x08;
export const SEQ = 0x07;

/** Smallest segment size of any LE link, and the largest of this protocol; bounds of OPEN's key 4. */
export const MIN_SEGMENT_BYTES = 20;
export const MAX_SEGMENT_BYTES = 244;
/** Credits one side may hold at any time, and the largest grant. */
export const MAX_CREDITS = 255;
/** Longest message as carried: what the length field can say. */
export const MAX_MESSAGE_BYTES = 65_535;

export const laneOf = (header: number): Lane => ((header >> 5) & 1) as Lane;
export const epochOf = (header: number): Epoch => ((header >> 4) & 1) as Epoch;

/** A segment that carries a grant of 0 to 255 credits and nothing else; `08 00` is the keep-alive. */
export function encodeBare(grant: number): Bytes {
  return Uint8Array.of(GRANT, grant);
}

export function isBare(segment: Bytes): boolean {
  return segment.length === 2 && segment[0] === GRANT;
}

/** Bytes before the payload, for the header byte of a segment that has one: 1 to 4. */
export function headerBytes(header: number): number {
  return 1 + (header & GRANT ? 1 : 0) + ((header & (START | END)) === START ? 2 : 0);
}

/** Stops on a breach of the link's rules; the text names the rule, never the bytes. */
export function violation(rule: string): never {
  throw new CpnsError('link-violation', rule);
}

/**
 * Where the payload of a segment starts; the segment must not be bare.
 * @throws CpnsError link-violation when the segment is empty, too long for any link, or has no payload
 */
export function payloadOffset(segment: Bytes): number {
  if (segment.length === 0 || segment.length > MAX_SEGMENT_BYTES) violation('segment size');
  const offset = headerBytes(segment[0] ?? 0);
  if (segment.length <= offset) violation('segment without payload');
  return offset;
}

/**
 * Length of the whole message that a segment with START begins, 1 to 65,535 bytes.
 * @param offset what {@link payloadOffset} said
 * @throws CpnsError link-violation when it does not exceed the payload of a segment that is not the last
 */
export function messageLength(segment: Bytes, offset: number): number {
  const payload = segment.length - offset;
  if ((segment[0] ?? 0) & END) return payload;
  const stated = ((segment[offset - 2] ?? 0) << 8) | (segment[offset - 1] ?? 0);
  if (stated <= payload) violation('stated length within its first segment');
  return stated;
}

/** One segment taken apart, for tests, vectors and captures; the link itself works on the bytes. */
export interface ParsedSegment {
  readonly bare: boolean;
  readonly start: boolean;
  readonly end: boolean;
  readonly lane: Lane;
  readonly epoch: Epoch;
  readonly seq: number;
  readonly grant: number | undefined;
  /** Of the whole message, in a first segment that is not also the last. */
  readonly length: number | undefined;
  /** A view of the segment. */
  readonly payload: Bytes;
}

/** @throws CpnsError link-violation as {@link payloadOffset} and {@link messageLength} say */
export function parseSegment(segment: Bytes): ParsedSegment {
  const bare = isBare(segment);
  const offset = bare ? 2 : payloadOffset(segment);
  const header = segment[0] ?? 0;
  const multi = (header & (START | END)) === START;
  return {
    bare,
    start: (header & START) !== 0,
    end: (header & END) !== 0,
    lane: laneOf(header),
    epoch: epochOf(header),
    seq: header & SEQ,
    grant: header & GRANT ? segment[1] : undefined,
    length: multi ? messageLength(segment, offset) : undefined,
    payload: segment.subarray(offset),
  };
}
