/**
 * The gateway's tables, as migrations in order. Owns names and constraints; the statements are in gateway-*.ts beside it.
 * A migration that was released is never changed: a new one is put behind it.
 * Source: docs/protocol.md §12 (what GW1 and GW2 keep), protocol-core §8. Times are server seconds.
 */

const FIRST = `
-- One row: what enrolment at the server gave, exactly as received (GatewayEnrolment, docs/protocol.md §9).
CREATE TABLE enrolment (
  id          INTEGER PRIMARY KEY CHECK (id = 1),
  server_url  TEXT    NOT NULL,
  body        BLOB    NOT NULL,
  received_at INTEGER NOT NULL
) STRICT;

-- Personal networks of this gateway. Without a row in inventory a network is provisional.
CREATE TABLE pn (
  pn_id      BLOB    PRIMARY KEY CHECK (length(pn_id) = 8),
  name       TEXT    NOT NULL,
  inviting   INTEGER NOT NULL CHECK (inviting IN (0, 1)),
  created_at INTEGER NOT NULL
) STRICT;

CREATE TABLE inventory (
  pn_id   BLOB    PRIMARY KEY REFERENCES pn (pn_id) ON DELETE CASCADE,
  version INTEGER NOT NULL CHECK (version >= 1),
  bytes   BLOB    NOT NULL
) STRICT;

-- Joins that this gateway initiated, from just before step 7 on. They outlive their network: a PNE that signed for a
-- provisional one which failed still has to hear why.
CREATE TABLE initiated_join (
  join_id      BLOB    PRIMARY KEY CHECK (length(join_id) = 16),
  txn          BLOB    NOT NULL UNIQUE CHECK (length(txn) = 16),
  th3          BLOB    NOT NULL CHECK (length(th3) = 32),
  pn_id        BLOB    NOT NULL CHECK (length(pn_id) = 8),
  pne          BLOB    NOT NULL CHECK (length(pne) = 32),
  registration BLOB    NOT NULL,
  response     BLOB    NOT NULL,
  rms          BLOB    NOT NULL CHECK (length(rms) = 32),
  state        TEXT    NOT NULL CHECK (state IN ('pending', 'live', 'refused')),
  status       INTEGER CHECK ((status IS NOT NULL) = (state = 'refused')),
  outcome      BLOB    CHECK ((outcome IS NOT NULL) = (state = 'refused')),
  acknowledged INTEGER NOT NULL DEFAULT 0 CHECK (acknowledged IN (0, 1)),
  created_at   INTEGER NOT NULL,
  settled_at   INTEGER CHECK ((settled_at IS NULL) = (state = 'pending'))
) STRICT;
CREATE INDEX initiated_join_of_pn ON initiated_join (pn_id, pne);

-- PNEs whose home this gateway is.
CREATE TABLE home_pne (
  thumbprint   BLOB    PRIMARY KEY CHECK (length(thumbprint) = 32),
  key          BLOB    NOT NULL,
  label        TEXT,
  pne_id       TEXT,
  capability   BLOB,
  epoch        INTEGER NOT NULL CHECK (epoch >= 1),
  rms          BLOB    NOT NULL CHECK (length(rms) = 32),
  acknowledged INTEGER NOT NULL DEFAULT 0 CHECK (acknowledged IN (0, 1)),
  revoked      INTEGER NOT NULL DEFAULT 0 CHECK (revoked IN (0, 1)),
  enrolled_at  INTEGER NOT NULL
) STRICT;

-- Step 8 as received, and what became of it. The answer is written before it is sent, once.
CREATE TABLE confirm_request (
  join_id     BLOB    PRIMARY KEY CHECK (length(join_id) = 16),
  th3         BLOB    NOT NULL CHECK (length(th3) = 32),
  body        BLOB    NOT NULL,
  deadline    INTEGER NOT NULL,
  state       TEXT    NOT NULL CHECK (state IN ('asked', 'answered', 'settled')),
  yours       INTEGER CHECK (yours IN (0, 1)),
  chargeable  INTEGER CHECK (chargeable IN (0, 1)),
  reason      INTEGER,
  decided_by  TEXT,
  answer      BLOB,
  outcome     BLOB,
  status      INTEGER CHECK ((status IS NOT NULL) = (state = 'settled')),
  received_at INTEGER NOT NULL,
  settled_at  INTEGER,
  CHECK ((answer IS NULL) = (yours IS NULL)),
  CHECK (state <> 'answered' OR answer IS NOT NULL)
) STRICT;
CREATE INDEX confirm_request_open ON confirm_request (state, deadline);

-- Rules remembered from "always", in the order they were made; the configured ones come before them.
CREATE TABLE approval_rule (
  id         INTEGER PRIMARY KEY,
  rule       TEXT    NOT NULL UNIQUE,
  created_at INTEGER NOT NULL
) STRICT;
`;

/** Questions that the owner reported. The question stays for as long as its report does: it is the evidence. */
const REPORTS = `
CREATE TABLE report (
  join_id     BLOB    PRIMARY KEY REFERENCES confirm_request (join_id),
  gateway_id  BLOB    NOT NULL CHECK (length(gateway_id) = 8),
  reported_at INTEGER NOT NULL
) STRICT;
`;

export const GATEWAY_MIGRATIONS: readonly string[] = [FIRST, REPORTS];
