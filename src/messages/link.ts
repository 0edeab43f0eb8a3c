/**
 * The two plaintext messages of a link: OPEN and Reject.
 * Owns their fields and which of them go together; what to make of versions and suites is decided in src/link.
 * Source: docs/protocol.md §5.1, §3.3.
 */
import { LIMITS } from './common.ts';
import { message } from './message.ts';
import { arrayOf, bytes, named, type TypeOf, uint } from './schema.ts';
import { field, map, optional } from './schema-map.ts';
import { failure } from './schema-status.ts';

/** In the transcript the kind is its number (docs/protocol.md §5.2). */
export const LINK_KINDS = { establish: 1, enrol: 2, resume: 3 } as const;
export type LinkKind = keyof typeof LINK_KINDS;

const small = () => uint({ min: 1, max: 255 });

/** That kind comes from the central and not from the peripheral only the link can tell. */
export const Open = message(
  'Open',
  { doc: 'type 0: first message of each side, plaintext', section: '5.1', step: '0', maxBytes: LIMITS.open },
  map(
    {
      versions: field(1, arrayOf(small(), { min: 1, max: 4 }), 'best first'),
      suites: field(2, arrayOf(small(), { min: 1, max: 4 }), 'best first'),
      role: field(3, named({ pne: 1, gateway: 2 })),
      segmentBytes: field(4, uint({ min: 20, max: 244 }), 'largest segment this side sends or takes'),
      credits: field(5, small(), 'first credits'),
      ephemeral: field(6, bytes({ length: 32 }), 'x-coordinate for the first suite listed'),
      kind: optional(7, named(LINK_KINDS), 'central only'),
      rid: optional(8, bytes({ length: 8 }), 'with kind 3 only'),
    },
    {
      rule: ({ kind, rid }) =>
        (kind === 'resume') === (rid !== undefined) ? undefined : 'rid goes with kind 3 and with no other',
    },
  ),
);
export type Open = TypeOf<typeof Open>;

export const Reject = message(
  'Reject',
  { doc: 'type 42: why no link comes about, plaintext', section: '3.3' },
  map({ status: field(1, failure({ lenient: true })) }),
);
export type Reject = TypeOf<typeof Reject>;
