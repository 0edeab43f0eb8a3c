/**
 * The server's tables, as migrations in order. Owns names and constraints; the statements are in server-*.ts beside it.
 * A migration that was released is never changed: a new one is put behind it.
 * Source: docs/protocol.md §12 (what the server keeps), protocol-core §8. Times are server seconds.
 */

const FIRST = `
-- One row: which operator this is, under what names it is dialled (JSON array), and the last time it was sure of.
CREATE TABLE server (
  id         INTEGER PRIMARY KEY CHECK (id = 1),
  realm      TEXT    NOT NULL,
  hosts      TEXT    NOT NULL,
  high_water INTEGER NOT NULL
) STRICT;

CREATE TABLE user (
  user_id    INTEGER PRIMARY KEY AUTOINCREMENT,
  label      TEXT    NOT NULL UNIQUE,
  created_at INTEGER NOT NULL,
  revoked_at INTEGER
) STRICT;

-- One-time tokens by which gateways enrol. The secret itself is not kept. used_by and answer: whoever spent it may repeat.
CREATE TABLE token (
  token_id      BLOB    PRIMARY KEY CHECK (length(token_id) = 8),
  secret_sha256 BLOB    NOT NULL CHECK (length(secret_sha256) = 32),
  user_id       INTEGER NOT NULL REFERENCES user (user_id),
  gateway_label TEXT    NOT NULL,
  expires_at    INTEGER NOT NULL,
  used_by       BLOB    CHECK (length(used_by) = 32),
  answer        BLOB    CHECK ((answer IS NULL) = (used_by IS NULL))
) STRICT;

CREATE TABLE gateway (
  gateway_id BLOB    PRIMARY KEY CHECK (length(gateway_id) = 8),
  thumbprint BLOB    NOT NULL UNIQUE CHECK (length(thumbprint) = 32),
  key_x      BLOB    NOT NULL CHECK (length(key_x) = 32),
  key_y      BLOB    NOT NULL CHECK (length(key_y) = 32),
  user_id    INTEGER NOT NULL REFERENCES user (user_id),
  label      TEXT    NOT NULL,
  created_at INTEGER NOT NULL,
  revoked_at INTEGER
) STRICT;

-- PNEs and whose they are. A released one keeps its row: its epochs must not begin anew.
CREATE TABLE pne (
  thumbprint      BLOB    PRIMARY KEY CHECK (length(thumbprint) = 32),
  key_x           BLOB    NOT NULL CHECK (length(key_x) = 32),
  key_y           BLOB    NOT NULL CHECK (length(key_y) = 32),
  user_id         INTEGER NOT NULL REFERENCES user (user_id),
  home_gateway_id BLOB    NOT NULL REFERENCES gateway (gateway_id),
  pne_id          TEXT,
  capability      BLOB,
  epoch           INTEGER NOT NULL CHECK (epoch >= 1),
  state           TEXT    NOT NULL CHECK (state IN ('active', 'revoked', 'released')),
  acknowledged    INTEGER NOT NULL DEFAULT 0 CHECK (acknowledged IN (0, 1)),
  enrolled_at     INTEGER NOT NULL
) STRICT;

-- Nonces for E1; with the claim once one was committed under it.
CREATE TABLE enrolment (
  nonce      BLOB    PRIMARY KEY CHECK (length(nonce) = 16),
  gateway_id BLOB    NOT NULL REFERENCES gateway (gateway_id),
  created_at INTEGER NOT NULL,
  request    BLOB,
  receipt    BLOB    CHECK ((receipt IS NULL) = (request IS NULL)),
  pne        BLOB    CHECK ((pne IS NULL) = (request IS NULL)),
  epoch      INTEGER CHECK ((epoch IS NULL) = (request IS NULL)),
  ack_status INTEGER
) STRICT;

CREATE TABLE registration (
  gateway_id      BLOB    NOT NULL REFERENCES gateway (gateway_id),
  txn             BLOB    NOT NULL CHECK (length(txn) = 16),
  state           TEXT    NOT NULL CHECK (state IN ('challenged', 'verified', 'registered', 'refused')),
  request         BLOB    NOT NULL,
  challenge       BLOB    NOT NULL,
  challenged_at   INTEGER NOT NULL,
  pn_id           BLOB    NOT NULL CHECK (length(pn_id) = 8),
  th3             BLOB    NOT NULL CHECK (length(th3) = 32),
  join_id         BLOB    NOT NULL UNIQUE CHECK (length(join_id) = 16),
  pne             BLOB    NOT NULL CHECK (length(pne) = 32),
  response        BLOB    CHECK (response IS NOT NULL OR state IN ('challenged', 'refused')),
  home_gateway_id BLOB,
  deadline        INTEGER CHECK ((deadline IS NULL) = (home_gateway_id IS NULL)),
  delivered       INTEGER NOT NULL DEFAULT 0 CHECK (delivered IN (0, 1)),
  answer          BLOB,
  status          INTEGER CHECK ((status IS NOT NULL) = (state = 'refused')),
  inventory       BLOB    CHECK ((inventory IS NOT NULL) = (state = 'registered')),
  outcome         BLOB,
  settled_at      INTEGER CHECK ((settled_at IS NOT NULL) = (state IN ('registered', 'refused'))),
  PRIMARY KEY (gateway_id, txn)
) STRICT;
-- At most one question to a home gateway about one PNE.
CREATE UNIQUE INDEX registration_verified ON registration (pne) WHERE state = 'verified';
-- What is asked at each request and each second looks at open rows only, however many have ended.
CREATE INDEX registration_state ON registration (state);
CREATE INDEX registration_challenged ON registration (challenged_at) WHERE state = 'challenged';
CREATE INDEX registration_challenged_of ON registration (gateway_id, challenged_at) WHERE state = 'challenged';
CREATE INDEX registration_verified_of ON registration (gateway_id) WHERE state = 'verified';
CREATE INDEX registration_asked ON registration (home_gateway_id, pne) WHERE state = 'verified';
CREATE INDEX registration_deadline ON registration (deadline) WHERE state = 'verified';
CREATE INDEX registration_refused ON registration (settled_at) WHERE state = 'refused';

-- Networks with at least one commit: a PN ID belongs for ever to the gateway of its first.
CREATE TABLE pn (
  pn_id       BLOB    PRIMARY KEY CHECK (length(pn_id) = 8),
  gateway_id  BLOB    NOT NULL REFERENCES gateway (gateway_id),
  name        TEXT    NOT NULL,
  version     INTEGER NOT NULL CHECK (version >= 1),
  next_handle INTEGER NOT NULL,
  created_at  INTEGER NOT NULL
) STRICT;

CREATE TABLE member (
  pn_id      BLOB    NOT NULL REFERENCES pn (pn_id),
  pne        BLOB    NOT NULL CHECK (length(pne) = 32),
  handle     INTEGER NOT NULL CHECK (handle BETWEEN 1 AND 65535),
  join_id    BLOB    NOT NULL UNIQUE CHECK (length(join_id) = 16),
  capability BLOB    NOT NULL,
  contents   TEXT,
  label      TEXT,
  PRIMARY KEY (pn_id, pne),
  UNIQUE (pn_id, handle)
) STRICT, WITHOUT ROWID;

-- Never purged: what an auditor needs, in the exact bytes.
CREATE TABLE evidence (
  join_id       BLOB    PRIMARY KEY CHECK (length(join_id) = 16),
  pn_id         BLOB    NOT NULL REFERENCES pn (pn_id),
  version       INTEGER NOT NULL,
  pne           BLOB    NOT NULL CHECK (length(pne) = 32),
  gateway_id    BLOB    NOT NULL,
  home_gateway_id BLOB  NOT NULL,
  gateway_key   BLOB    NOT NULL CHECK (length(gateway_key) = 64),
  pne_key       BLOB    NOT NULL CHECK (length(pne_key) = 64),
  home_key      BLOB    NOT NULL CHECK (length(home_key) = 64),
  open_g        BLOB    NOT NULL,
  open_p        BLOB    NOT NULL,
  m1            BLOB    NOT NULL,
  m2            BLOB    NOT NULL,
  challenge     BLOB    NOT NULL,
  response      BLOB    NOT NULL,
  answer        BLOB,
  earlier_join  BLOB    CHECK ((answer IS NULL) <> (earlier_join IS NULL)),
  inventory     BLOB    NOT NULL,
  registered_at INTEGER NOT NULL,
  UNIQUE (pn_id, version)
) STRICT;

-- After a refusal by user A's side: no new question about this PNE from this gateway before then.
CREATE TABLE backoff (
  gateway_id BLOB    NOT NULL,
  pne        BLOB    NOT NULL,
  refusals   INTEGER NOT NULL,
  until      INTEGER NOT NULL,
  PRIMARY KEY (gateway_id, pne)
) STRICT, WITHOUT ROWID;

-- What gateways have to be told, until they acknowledge. AUTOINCREMENT: an id is never given twice.
CREATE TABLE outbox (
  delivery_id INTEGER PRIMARY KEY AUTOINCREMENT,
  gateway_id  BLOB    NOT NULL,
  kind        TEXT    NOT NULL,
  join_id     BLOB    NOT NULL,
  body        BLOB    NOT NULL,
  created_at  INTEGER NOT NULL
) STRICT;
CREATE INDEX outbox_of_gateway ON outbox (gateway_id, delivery_id);
CREATE INDEX outbox_of_join ON outbox (join_id);
`;

/** Quotas that outlive a restart, and the indexes to look the others up by. */
const QUOTAS = `
-- What a gateway has made the server write, by day: server seconds / 86,400.
CREATE TABLE growth (
  gateway_id   BLOB    NOT NULL,
  day          INTEGER NOT NULL,
  transactions INTEGER NOT NULL DEFAULT 0,
  refusals     INTEGER NOT NULL DEFAULT 0,
  refreshes    INTEGER NOT NULL DEFAULT 0,
  enrolments   INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (gateway_id, day)
) STRICT, WITHOUT ROWID;
CREATE INDEX registration_vain ON registration (home_gateway_id, challenged_at)
  WHERE home_gateway_id IS NOT NULL AND state <> 'registered';
CREATE INDEX pn_of_gateway ON pn (gateway_id);
CREATE INDEX gateway_of_user ON gateway (user_id);
CREATE INDEX pne_of_user ON pne (user_id);
`;

export const SERVER_MIGRATIONS: readonly string[] = [FIRST, QUOTAS];
