/**
 * The PNE's tables, as migrations in order. Owns names and constraints; the statements are in pne-store.ts beside it.
 * A migration that was released is never changed: a new one is put behind it.
 * Source: docs/protocol.md §12, row PNE. Powered time is seconds counted by the PNE, the rest server seconds.
 */

const FIRST = `
-- One row: whose PNE this is, what it pins, and how far time has come as far as it can know.
CREATE TABLE ownership (
  id            INTEGER PRIMARY KEY CHECK (id = 1),
  offer         BLOB    NOT NULL, -- EnrolOfferPayload, as verified
  user_label    TEXT    NOT NULL,
  epoch         INTEGER NOT NULL,
  home_rms      BLOB    NOT NULL CHECK (length(home_rms) = 32),
  server_keys   BLOB              -- the root's newest statement, when one came
) STRICT;

CREATE TABLE enrolment_code (
  id        INTEGER PRIMARY KEY CHECK (id = 1),
  epoch     INTEGER NOT NULL,     -- of the last claim signed
  spent_on  BLOB                  -- thumbprint of the gateway key; null once the code is gone
) STRICT;

CREATE TABLE clock (
  id              INTEGER PRIMARY KEY CHECK (id = 1),
  floor           INTEGER NOT NULL,
  powered_seconds INTEGER NOT NULL
) STRICT;
INSERT INTO clock VALUES (1, 0, 0);

CREATE TABLE known_join (
  th3        BLOB    PRIMARY KEY CHECK (length(th3) = 32),
  state      TEXT    NOT NULL CHECK (state IN ('pending', 'member')),
  pn_id      BLOB    NOT NULL CHECK (length(pn_id) = 8),
  gateway_id BLOB    NOT NULL CHECK (length(gateway_id) = 8),
  rms        BLOB    NOT NULL CHECK (length(rms) = 32),
  capability BLOB    NOT NULL,
  version    INTEGER NOT NULL,
  inventory  BLOB,
  powered    INTEGER NOT NULL      -- powered_seconds when the server's last word of it came
) STRICT;
CREATE UNIQUE INDEX one_membership_a_pn ON known_join (pn_id) WHERE state = 'member';
`;

const ENROLLED_AT = `ALTER TABLE ownership ADD COLUMN enrolled_at INTEGER NOT NULL DEFAULT 0; -- serverTime of the receipt`;

export const PNE_MIGRATIONS: readonly string[] = [FIRST, ENROLLED_AT];
