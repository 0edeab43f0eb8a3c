/**
 * Errors of the HTTPS API: concise problem details (RFC 9290) with the protocol's status in them.
 * Owns the fields. Which status goes with which HTTP status is in src/base/statuses.ts. Source: docs/protocol.md §9.
 * CHOICE: lengths of the texts, which neither RFC 9290 nor the protocol bounds.
 */
import { message } from './message.ts';
import { type TypeOf, text, uint } from './schema.ts';
import { define, field, map, optional } from './schema-map.ts';
import { failure } from './schema-status.ts';

export const PROBLEM_MEDIA_TYPE = 'application/concise-problem-details+cbor';

export const ProblemStatus = define(
  'ProblemStatus',
  "the protocol's status of a problem; §9",
  map({
    code: field(1, failure({ lenient: true })),
    name: field(2, text({ kind: 'free', maxBytes: 32 }), 'for people: the status as a word'),
    retryAfterSeconds: optional(3, uint({ max: 86_400 })),
  }),
);
export type ProblemStatus = TypeOf<typeof ProblemStatus>;

export const ProblemDetails = message(
  'ProblemDetails',
  { doc: 'body of every answer with an HTTP status of 400 or more', section: '9' },
  map({
    title: field(-1, text({ kind: 'free', maxBytes: 128 })),
    detail: field(-2, text({ kind: 'free', maxBytes: 256 })),
    responseCode: field(-4, uint({ min: 400, max: 599 }), 'HTTP status'),
    status: field('tag:cpns-ble,2026:status', ProblemStatus),
  }),
);
export type ProblemDetails = TypeOf<typeof ProblemDetails>;
