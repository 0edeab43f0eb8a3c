/**
 * What the home gateway keeps: the PNEs that enrolled here, the confirm requests put to it, and remembered rules.
 * Owns the commit rule of docs/protocol.md §12, row GW1: an answer is written once, before it is sent, and every resend
 * has the same bytes. Enrolment codes are never here: they live in memory only.
 */
import { type Bytes, equal } from '../base/bytes.ts';
import { CpnsError } from '../base/errors.ts';
import { JoinId, Thumbprint } from '../base/ids.ts';
import { type Status, statusCode, statusOf } from '../base/statuses.ts';
import type { ServerSeconds } from '../base/time.ts';
import { type ApprovalRule, parseApprovalRules } from '../network/approval-policy.ts';
import { blob, flag, type GatewayDatabase, writing } from './gateway-database.ts';

export interface HomePne {
  readonly thumbprint: Thumbprint;
  /** Compressed COSE_Key. */
  readonly key: Bytes;
  /** What the owner calls it here; wins over the PNE's own claim. */
  readonly label?: string;
  /** The PNE ID it claimed at enrolment. */
  readonly pneId?: string;
  readonly capability?: Bytes;
  /** Counts enrolments of the same key, from 1. */
  readonly epoch: number;
  /** Secret, 32 bytes: the home resumption. */
  readonly rms: Bytes;
  /** E4 came. */
  readonly acknowledged: boolean;
  readonly revoked: boolean;
  readonly enrolledAt: ServerSeconds;
}

export type ConfirmState = 'asked' | 'answered' | 'settled';

export interface ConfirmDecision {
  readonly yours: boolean;
  readonly chargeable: boolean;
  /** `ok` exactly when both are true. */
  readonly reason: Status;
}

export interface ConfirmRecord {
  readonly joinId: JoinId;
  /** 32 bytes, as the request claims; the machine recomputes it. */
  readonly th3: Bytes;
  /** Body of step 8 as received. */
  readonly body: Bytes;
  readonly deadline: ServerSeconds;
  readonly state: ConfirmState;
  /** With `decidedBy` and `answer`: present once answered. */
  readonly decision?: ConfirmDecision;
  /** `user`, `evidence`, `report`, or `rule n`. */
  readonly decidedBy?: string;
  /** The signed step 9: these bytes and no others are ever sent. */
  readonly answer?: Bytes;
  readonly outcome?: Bytes;
  /** How it ended, once settled. */
  readonly status?: Status;
  readonly receivedAt: ServerSeconds;
  readonly settledAt?: ServerSeconds;
}

/** Settled requests are kept this long for `cpns gateway approvals --all`, in seconds. */
export const SETTLED_KEPT_SECONDS = 30 * 24 * 3600;

interface HomePneRow {
  thumbprint: Bytes;
  key: Bytes;
  label: string | null;
  pne_id: string | null;
  capability: Bytes | null;
  epoch: number;
  rms: Bytes;
  acknowledged: number;
  revoked: number;
  enrolled_at: number;
}

interface ConfirmRow {
  join_id: Bytes;
  th3: Bytes;
  body: Bytes;
  deadline: number;
  state: ConfirmState;
  yours: number | null;
  chargeable: number | null;
  reason: number | null;
  decided_by: string | null;
  answer: Bytes | null;
  outcome: Bytes | null;
  status: number | null;
  received_at: number;
  settled_at: number | null;
}

/** Every write is one durable transaction. @throws CpnsError cannot-persist from each method that writes */
export class HomeStore {
  readonly #db: GatewayDatabase;

  constructor(db: GatewayDatabase) {
    this.#db = db;
  }

  // Enrolled PNEs

  /** After E3, before it is passed on: a new PNE, or a later enrolment of a known one, which starts unacknowledged. */
  savePne(pne: Omit<HomePne, 'acknowledged' | 'revoked'>): void {
    writing(this.#db, () => {
      this.#db
        .prepare(
          `INSERT INTO home_pne (thumbprint, key, label, pne_id, capability, epoch, rms, enrolled_at)
           VALUES (?, ?, ?, ?, ?, ?, ?, ?)
           ON CONFLICT (thumbprint) DO UPDATE SET
             label = coalesce(excluded.label, label), pne_id = excluded.pne_id, capability = excluded.capability,
             epoch = excluded.epoch, rms = excluded.rms, acknowledged = 0, revoked = 0,
             enrolled_at = excluded.enrolled_at
           WHERE excluded.epoch >= epoch`,
        )
        .run(
          pne.thumbprint,
          pne.key,
          pne.label ?? null,
          pne.pneId ?? null,
          pne.capability ?? null,
          pne.epoch,
          pne.rms,
          pne.enrolledAt,
        );
    });
  }

  pne(thumbprint: Thumbprint): HomePne | undefined {
    const row = this.#db
      .prepare<[Bytes], HomePneRow>('SELECT * FROM home_pne WHERE thumbprint = ?')
      .get(thumbprint);
    return row && homePne(row);
  }

  pnes(): readonly HomePne[] {
    const rows = this.#db.prepare<[], HomePneRow>('SELECT * FROM home_pne ORDER BY enrolled_at, thumbprint');
    return rows.all().map(homePne);
  }

  acknowledgePne(thumbprint: Thumbprint): void {
    this.#updatePne('acknowledged = 1', thumbprint);
  }

  /** Its requests are answered "not owned" from now on. */
  revokePne(thumbprint: Thumbprint): void {
    this.#updatePne('revoked = 1', thumbprint);
  }

  labelPne(thumbprint: Thumbprint, label: string): void {
    writing(this.#db, () => {
      this.#db.prepare('UPDATE home_pne SET label = ? WHERE thumbprint = ?').run(label, thumbprint);
    });
  }

  #updatePne(assignment: 'acknowledged = 1' | 'revoked = 1', thumbprint: Thumbprint): void {
    writing(this.#db, () => {
      this.#db.prepare(`UPDATE home_pne SET ${assignment} WHERE thumbprint = ?`).run(thumbprint);
    });
  }

  // Confirm requests

  /**
   * Before step 8 is acknowledged. A request that is known already stays as it is, whatever became of it.
   * @returns the record as it now stands
   * @throws CpnsError conflict when the same join was asked about with another body
   */
  saveRequest(
    request: Pick<ConfirmRecord, 'joinId' | 'th3' | 'body' | 'deadline'>,
    now: ServerSeconds,
  ): ConfirmRecord {
    return writing(this.#db, () => {
      this.#db
        .prepare(
          `INSERT INTO confirm_request (join_id, th3, body, deadline, state, received_at)
           VALUES (?, ?, ?, ?, 'asked', ?) ON CONFLICT (join_id) DO NOTHING`,
        )
        .run(request.joinId, request.th3, request.body, request.deadline, now);
      const record = this.#known(request.joinId);
      if (!equal(record.body, request.body))
        throw new CpnsError('conflict', 'asked before with other content');
      return record;
    });
  }

  request(joinId: JoinId): ConfirmRecord | undefined {
    const row = this.#db
      .prepare<[Bytes], ConfirmRow>('SELECT * FROM confirm_request WHERE join_id = ?')
      .get(joinId);
    return row && confirmRecord(row);
  }

  /** Oldest first; `open` are those that are not settled. */
  requests(which: 'open' | 'all' = 'open'): readonly ConfirmRecord[] {
    const where = which === 'open' ? "WHERE state <> 'settled'" : '';
    return this.#db
      .prepare<[], ConfirmRow>(`SELECT * FROM confirm_request ${where} ORDER BY received_at, join_id`)
      .all()
      .map(confirmRecord);
  }

  /**
   * Before step 9 is sent. The first answer of a join stays: a second call changes nothing.
   * @returns the record, with the answer to send
   * @throws CpnsError deadline-passed when it was settled before any answer was stored
   */
  saveAnswer(joinId: JoinId, decision: ConfirmDecision, decidedBy: string, answer: Bytes): ConfirmRecord {
    return writing(this.#db, () => {
      this.#db
        .prepare(
          `UPDATE confirm_request
           SET state = 'answered', yours = ?, chargeable = ?, reason = ?, decided_by = ?, answer = ?
           WHERE join_id = ? AND state = 'asked'`,
        )
        .run(
          flag(decision.yours),
          flag(decision.chargeable),
          statusCode(decision.reason),
          decidedBy,
          answer,
          joinId,
        );
      const record = this.#known(joinId);
      if (!record.answer) throw new CpnsError('deadline-passed');
      return record;
    });
  }

  /** The end of a request: its outcome, or no hope of one. What was settled first stays, save that an outcome is added. */
  settleRequest(joinId: JoinId, status: Status, outcome: Bytes | undefined, now: ServerSeconds): void {
    writing(this.#db, () => {
      this.#db
        .prepare(
          `UPDATE confirm_request SET state = 'settled', status = ?, outcome = ?, settled_at = ?
           WHERE join_id = ? AND outcome IS NULL AND (state <> 'settled' OR ? IS NOT NULL)`,
        )
        .run(statusCode(status), outcome ?? null, now, joinId, outcome ?? null);
    });
  }

  /** Drops what was settled 30 days ago and is in no report. @returns how many */
  purgeSettled(now: ServerSeconds): number {
    return writing(
      this.#db,
      () =>
        this.#db
          .prepare(
            `DELETE FROM confirm_request WHERE state = 'settled' AND settled_at < ?
             AND join_id NOT IN (SELECT join_id FROM report)`,
          )
          .run(now - SETTLED_KEPT_SECONDS).changes,
    );
  }

  #known(joinId: JoinId): ConfirmRecord {
    const record = this.request(joinId);
    if (!record) throw new CpnsError('unknown-transaction', 'no such confirm request');
    return record;
  }

  // Remembered rules

  /** In the order they were remembered. */
  rules(): readonly ApprovalRule[] {
    const rows = this.#db.prepare<[], { rule: string }>('SELECT rule FROM approval_rule ORDER BY id').all();
    return parseApprovalRules(rows.map(({ rule }): unknown => JSON.parse(rule)));
  }

  /** Remembering the same rule twice is harmless. */
  rememberRule(rule: ApprovalRule, now: ServerSeconds): void {
    writing(this.#db, () => {
      this.#db
        .prepare('INSERT INTO approval_rule (rule, created_at) VALUES (?, ?) ON CONFLICT (rule) DO NOTHING')
        .run(JSON.stringify(rule), now);
    });
  }

  /** @param place index in {@link rules} */
  forgetRule(place: number): void {
    writing(this.#db, () => {
      this.#db
        .prepare(
          'DELETE FROM approval_rule WHERE id = (SELECT id FROM approval_rule ORDER BY id LIMIT 1 OFFSET ?)',
        )
        .run(place);
    });
  }
}

function homePne(row: HomePneRow): HomePne {
  return {
    thumbprint: Thumbprint(blob(row.thumbprint)),
    key: blob(row.key),
    epoch: row.epoch,
    rms: blob(row.rms),
    acknowledged: row.acknowledged === 1,
    revoked: row.revoked === 1,
    enrolledAt: row.enrolled_at,
    ...(row.label === null ? {} : { label: row.label }),
    ...(row.pne_id === null ? {} : { pneId: row.pne_id }),
    ...(row.capability === null ? {} : { capability: blob(row.capability) }),
  };
}

function confirmRecord(row: ConfirmRow): ConfirmRecord {
  const status = row.status === null ? undefined : statusOf(row.status);
  const reason = statusOf(row.reason ?? 0) ?? 'internal';
  return {
    joinId: JoinId(blob(row.join_id)),
    th3: blob(row.th3),
    body: blob(row.body),
    deadline: row.deadline,
    state: row.state,
    receivedAt: row.received_at,
    ...(row.answer === null
      ? {}
      : {
          decision: { yours: row.yours === 1, chargeable: row.chargeable === 1, reason },
          decidedBy: row.decided_by ?? '',
          answer: blob(row.answer),
        }),
    ...(row.outcome === null ? {} : { outcome: blob(row.outcome) }),
    ...(status === undefined ? {} : { status }),
    ...(row.settled_at === null ? {} : { settledAt: row.settled_at }),
  };
}
