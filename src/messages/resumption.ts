/**
 * Resumption of a link, and the server's statement that what a PNE knows is fresh.
 * Owns the fields. Must not verify anything. Source: docs/protocol.md §8, §9.
 */
import { hash, inventoryVersion, joinId, LIMITS, pnId, serverSeconds } from './common.ts';
import { message, signed } from './message.ts';
import type { TypeOf } from './schema.ts';
import { field, map, optional } from './schema-map.ts';
import { status } from './schema-status.ts';

export const Resume = message(
  'Resume',
  { doc: 'type 30: which PN, and what the gateway knows of it', section: '8' },
  map({
    pnId: field(1, pnId()),
    version: field(2, inventoryVersion(0), '0 for none'),
    serverKeysIssuedAt: optional(3, serverSeconds(), 'a gateway leaves it out'),
  }),
);
export type Resume = TypeOf<typeof Resume>;

export const Resumed = message(
  'Resumed',
  { doc: 'type 31: what the PNE knows of it', section: '8' },
  map({
    status: field(1, status({ lenient: true })),
    version: field(2, inventoryVersion(0), '0 for none'),
    // A PNE that is told of newer server keys needs no link to fail first.
    serverKeysIssuedAt: optional(3, serverSeconds(), 'of the server key set it pins'),
  }),
);
export type Resumed = TypeOf<typeof Resumed>;

export const FreshnessPayload = message(
  'FreshnessPayload',
  {
    doc: 'type 32: the server says that a membership stands, or not',
    section: '8',
    signing: { context: 'cpns1/freshness', signer: 'server', over: 'th1', kid: true },
  },
  map({
    status: field(1, status({ lenient: true })),
    version: field(2, inventoryVersion(0)),
    serverTime: field(3, serverSeconds()),
    joinId: field(4, joinId(), 'the membership it speaks of'),
  }),
);
export type FreshnessPayload = TypeOf<typeof FreshnessPayload>;

export const FreshnessRequest = message(
  'FreshnessRequest',
  { doc: 'POST freshness', section: '9' },
  map({ th1: field(1, hash(), 'of the resumed link'), joinId: field(2, joinId()) }),
);
export type FreshnessRequest = TypeOf<typeof FreshnessRequest>;

export const FreshnessAnswer = message(
  'FreshnessAnswer',
  { doc: 'the answer to POST freshness', section: '9' },
  map({ freshness: field(1, signed(FreshnessPayload, { max: LIMITS.outcome })) }),
);
export type FreshnessAnswer = TypeOf<typeof FreshnessAnswer>;
