/**
 * What a link is made with and what it reports. Types and defaults only; the link itself is link.ts.
 * Source: docs/protocol.md §3, §5.1.
 */
import type { Bytes } from '../base/bytes.ts';
import type { Status } from '../base/statuses.ts';
import type { Ephemeral, Primitives } from '../security/primitives.ts';
import type { LinkKind, OpenSide } from './open.ts';
import type { Lane } from './segment.ts';

/**
 * Five times the twelve packets of a busy connection event: twice would keep the sender going, but then every event
 * costs the receiver a bare grant.
 */
export const DEFAULT_CREDITS = 64;
/** Bytes of messages one lane may hold unsent. */
export const DEFAULT_QUEUE_BYTES = 262_144;

interface CommonConfig {
  readonly role: 'pne' | 'gateway';
  /** What one write or notification carries, 20 bytes or more; above 244 counts as 244. */
  readonly transportSegmentBytes: number;
  /** First credits for the peer, 1 to 255. Default 64. */
  readonly credits?: number;
  readonly primitives: Primitives;
  /** Fresh, for this link alone; erased when it ends. */
  readonly ephemeral: Ephemeral;
  /** Bytes each lane may queue, 65,535 or more. Default 262,144. */
  readonly queueBytes?: number;
  /** Records per key, 1 to 2^23, the default. */
  readonly recordLimit?: number;
}

export type LinkConfig = CommonConfig & OpenSide;

export type LinkEvent =
  | {
      readonly kind: 'opened';
      readonly linkKind: LinkKind;
      readonly th1: Bytes;
      readonly openG: Bytes;
      readonly openP: Bytes;
      /** Handed over: the link keeps no copy, whoever takes the event erases it. */
      readonly prk1: Bytes;
      /** At a peripheral whose peer resumed: the `ref` of its session. */
      readonly sessionRef: string | undefined;
    }
  /** One message, opened; the body of a padded one has its padding. */
  | { readonly kind: 'message'; readonly type: number; readonly lane: Lane; readonly body: Bytes }
  /** Every message of a lane was cut into segments and taken. */
  | { readonly kind: 'drained'; readonly lane: Lane }
  /** The last event; `by: 'peer'` when the peer said so with Reject. */
  | { readonly kind: 'closed'; readonly status: Status; readonly by: 'us' | 'peer' };
