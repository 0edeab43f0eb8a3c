/**
 * Registrations, networks, evidence and what gateways have to be told, with the commit rules of docs/protocol.md §12, row
 * server: each change is a compare-and-set on the row's state, in one durable transaction with its outbox entries and
 * with the deadline tested inside it. Owns no decision: what a change is, the machine says (src/establishment/server.ts).
 */
import type { Bytes } from '../base/bytes.ts';
import { CpnsError } from '../base/errors.ts';
import { GatewayId, JoinId, PnId, type Thumbprint } from '../base/ids.ts';
import { statusCode } from '../base/statuses.ts';
import type { ServerSeconds } from '../base/time.ts';
import type { DurableServerState } from '../establishment/server-table.ts';
import type {
  ChallengedChange,
  EarlierYes,
  GatewayGrowth,
  JoinEvidence,
  OutboxEntry,
  PnFacts,
  RefusedChange,
  RegisteredChange,
  RegistrationKey,
  RegistrationRow,
  ServerChange,
  VerifiedChange,
} from '../establishment/server-types.ts';
import { forgetGrowth, grow, growthToday } from './server-growth.ts';
import {
  type EvidenceColumns,
  type EvidenceRecord,
  evidenceRecord,
  type MemberColumns,
  memberFacts,
  type PnColumns,
  point,
  type RegistrationColumns,
  registrationRow,
} from './server-rows.ts';
import { isUniqueViolation } from './sqlite.ts';
import { bytesOf, StaleError, type Statements } from './statements.ts';

/** Refusals are forgotten after 30 days; evidence never. */
export const REFUSAL_KEPT_SECONDS = 30 * 86_400;
const FIRST_BACKOFF_SECONDS = 60;
const MAX_BACKOFF_SECONDS = 86_400;

export interface PnRecord {
  readonly pnId: PnId;
  readonly gatewayId: GatewayId;
  readonly name: string;
  readonly version: number;
  readonly members: number;
}

export class RegistrationStore {
  readonly #sql: Statements;

  constructor(statements: Statements) {
    this.#sql = statements;
  }

  // Looking up

  registration({ gatewayId, txn }: RegistrationKey): RegistrationRow | undefined {
    const sql = 'SELECT * FROM registration WHERE gateway_id = ? AND txn = ?';
    const row = this.#sql.one<RegistrationColumns>(sql, gatewayId, txn);
    return row && registrationRow(row);
  }

  registrationOfJoin(joinId: JoinId): RegistrationRow | undefined {
    const row = this.#sql.one<RegistrationColumns>('SELECT * FROM registration WHERE join_id = ?', joinId);
    return row && registrationRow(row);
  }

  /** Every transaction that is not forgotten, oldest first. */
  all(): readonly RegistrationRow[] {
    const sql = 'SELECT * FROM registration ORDER BY rowid';
    return this.#sql.all<RegistrationColumns>(sql).map(registrationRow);
  }

  /** Challenged and verified transactions of a gateway; a challenge that has expired does not count. */
  openCount(gatewayId: GatewayId, challengedSince: ServerSeconds): number {
    const sql = `SELECT
      (SELECT count(*) FROM registration WHERE gateway_id = ? AND state = 'verified') +
      (SELECT count(*) FROM registration WHERE gateway_id = ? AND state = 'challenged' AND challenged_at >= ?) AS n`;
    return this.#sql.one<{ n: number }>(sql, gatewayId, gatewayId, challengedSince)?.n ?? 0;
  }

  verifiedOf(pne: Thumbprint): readonly RegistrationKey[] {
    const sql = `SELECT * FROM registration WHERE pne = ? AND state = 'verified'`;
    return this.#sql.all<RegistrationColumns>(sql, pne).map(registrationRow);
  }

  /** Open questions to a user's gateways about other PNEs than this one. */
  pendingOfUser(userId: number, except: Thumbprint): number {
    const sql = `SELECT count(*) AS n FROM registration r JOIN gateway g ON g.gateway_id = r.home_gateway_id
      WHERE r.state = 'verified' AND g.user_id = ? AND r.pne <> ?`;
    return this.#sql.one<{ n: number }>(sql, userId, except)?.n ?? 0;
  }

  /**
   * Questions to a user's gateways that did not end in a yes, of transactions that began since: in all, and about joins at
   * one gateway. Those that wait count.
   */
  vainQuestions(userId: number, gatewayId: GatewayId, since: ServerSeconds) {
    const sql = `SELECT count(*) AS ofUser, coalesce(sum(gateway_id = ?), 0) AS ofGateway FROM registration
      WHERE home_gateway_id IN (SELECT gateway_id FROM gateway WHERE user_id = ?)
        AND home_gateway_id IS NOT NULL AND state <> 'registered' AND challenged_at >= ?`;
    const row = this.#sql.one<{ ofUser: number; ofGateway: number }>(sql, gatewayId, userId, since);
    return row ?? { ofUser: 0, ofGateway: 0 };
  }

  /** What this gateway has made the server keep. */
  growth(gatewayId: GatewayId, now: ServerSeconds): GatewayGrowth {
    const { transactions, refusals } = growthToday(this.#sql, gatewayId, now);
    const sql = 'SELECT count(*) AS n FROM pn WHERE gateway_id = ?';
    return {
      networks: this.#sql.one<{ n: number }>(sql, gatewayId)?.n ?? 0,
      transactionsToday: transactions,
      refusalsToday: refusals,
    };
  }

  refreshesToday(gatewayId: GatewayId, now: ServerSeconds): number {
    return growthToday(this.#sql, gatewayId, now).refreshes;
  }

  /** Transactions whose deadline has passed, at most that many of each state. */
  due(challengedBefore: ServerSeconds, now: ServerSeconds, atMost: number): readonly RegistrationKey[] {
    const stale = `SELECT * FROM registration WHERE state = 'challenged' AND challenged_at < ? LIMIT ?`;
    const late = `SELECT * FROM registration WHERE state = 'verified' AND deadline < ? LIMIT ?`;
    return [
      ...this.#sql.all<RegistrationColumns>(stale, challengedBefore, atMost),
      ...this.#sql.all<RegistrationColumns>(late, now, atMost),
    ].map(registrationRow);
  }

  counts(): Readonly<Record<DurableServerState, number>> {
    const counts = { challenged: 0, verified: 0, registered: 0, refused: 0 };
    const sql = 'SELECT state, count(*) AS n FROM registration GROUP BY state';
    for (const { state, n } of this.#sql.all<{ state: DurableServerState; n: number }>(sql))
      counts[state] = n;
    return counts;
  }

  backoffUntil(gatewayId: GatewayId, pne: Thumbprint): ServerSeconds {
    const sql = 'SELECT until FROM backoff WHERE gateway_id = ? AND pne = ?';
    return this.#sql.one<{ until: number }>(sql, gatewayId, pne)?.until ?? 0;
  }

  pn(pnId: PnId): PnFacts | undefined {
    const row = this.#sql.one<PnColumns>('SELECT * FROM pn WHERE pn_id = ?', pnId);
    if (!row) return undefined;
    const sql = 'SELECT * FROM member WHERE pn_id = ? ORDER BY handle';
    return {
      pnId: PnId(bytesOf(row.pn_id)),
      gatewayId: GatewayId(bytesOf(row.gateway_id)),
      version: row.version,
      nextHandle: row.next_handle,
      members: this.#sql.all<MemberColumns>(sql, pnId).map(memberFacts),
    };
  }

  pns(): readonly PnRecord[] {
    const sql = `SELECT p.*, (SELECT count(*) FROM member m WHERE m.pn_id = p.pn_id) AS members
      FROM pn p ORDER BY created_at, pn_id`;
    return this.#sql.all<PnColumns & { members: number }>(sql).map((row) => ({
      pnId: PnId(bytesOf(row.pn_id)),
      gatewayId: GatewayId(bytesOf(row.gateway_id)),
      name: row.name,
      version: row.version,
      members: row.members,
    }));
  }

  /** The yes that the present membership of a PNE in a PN rests on, however often it was refreshed. */
  earlierYes(pnId: PnId, pne: Thumbprint): EarlierYes | undefined {
    const sql = `SELECT e.* FROM member m JOIN evidence e ON e.join_id = m.join_id WHERE m.pn_id = ? AND m.pne = ?`;
    const row = this.#sql.one<EvidenceColumns>(sql, pnId, pne);
    if (!row) return undefined;
    const joinId = JoinId(bytesOf(row.earlier_join ?? row.join_id));
    return { joinId, homeGatewayId: GatewayId(bytesOf(row.home_gateway_id)) };
  }

  /** Whether the PNE is in the PN by a join that was challenged after this one. */
  isOvertaken({
    gatewayId,
    txn,
    pnId,
    pne,
  }: Pick<RegistrationRow, 'gatewayId' | 'txn' | 'pnId' | 'pne'>): boolean {
    const sql = `SELECT count(*) AS n FROM member m JOIN registration newer ON newer.join_id = m.join_id
      WHERE m.pn_id = ? AND m.pne = ?
        AND newer.rowid > (SELECT rowid FROM registration WHERE gateway_id = ? AND txn = ?)`;
    return (this.#sql.one<{ n: number }>(sql, pnId, pne, gatewayId, txn)?.n ?? 0) > 0;
  }

  /** In the order of the versions. */
  evidence(pnId: PnId): readonly EvidenceRecord[] {
    const sql = 'SELECT * FROM evidence WHERE pn_id = ? ORDER BY version';
    return this.#sql.all<EvidenceColumns>(sql, pnId).map(evidenceRecord);
  }

  // Changing

  /**
   * Commits one change.
   * @param clock read inside the transaction: a deadline counts at the moment of the commit
   * @throws StaleError when the row, the PN or a quota is not as the change takes it to be; nothing is written then
   * @throws CpnsError cannot-persist
   */
  commit(change: ServerChange, clock: () => ServerSeconds): void {
    this.#sql.transact(() => {
      const now = clock();
      switch (change.to) {
        case 'challenged':
          return this.#challenged(change, now);
        case 'verified':
          return this.#verified(change, now);
        case 'registered':
          return this.#registered(change, now);
        case 'refused':
          return this.#refused(change, now);
      }
    });
  }

  #challenged({ row, maxOpen }: ChallengedChange, now: ServerSeconds): void {
    if (this.openCount(row.gatewayId, row.challengedAt) >= maxOpen) throw new StaleError('quota');
    this.#fresh(() =>
      this.#sql.run(
        `INSERT INTO registration
           (gateway_id, txn, state, request, challenge, challenged_at, pn_id, th3, join_id, pne)
         VALUES (?, ?, 'challenged', ?, ?, ?, ?, ?, ?, ?)`,
        ...[row.gatewayId, row.txn, row.request, row.challenge, row.challengedAt],
        ...[row.pnId, row.th3, row.joinId, row.pne],
      ),
    );
    grow(this.#sql, row.gatewayId, 'transactions', now);
  }

  #verified(change: VerifiedChange, now: ServerSeconds): void {
    const { key, notAfter, response, homeGatewayId, deadline, outbox } = change;
    this.#fresh(() =>
      this.#sql.change(
        `UPDATE registration SET state = 'verified', response = ?, home_gateway_id = ?, deadline = ?
         WHERE gateway_id = ? AND txn = ? AND state = 'challenged' AND ? <= ?`,
        ...[response, homeGatewayId, deadline, key.gatewayId, key.txn, now, notAfter],
      ),
    );
    this.#tell(key, outbox, now);
  }

  #registered(change: RegisteredChange, now: ServerSeconds): void {
    const { key, from, notAfter, response, answer, inventory, outcome, settledAt, evidence } = change;
    this.#sql.change(
      `UPDATE registration SET state = 'registered', response = ?, answer = ?, inventory = ?, outcome = ?,
         settled_at = ? WHERE gateway_id = ? AND txn = ? AND state = ? AND ? <= ?`,
      ...[response, answer ?? null, inventory, outcome ?? null, settledAt],
      ...[key.gatewayId, key.txn, from, now, notAfter],
    );
    this.#admit(change);
    this.#keep(key, evidence, settledAt);
    this.#sql.run('DELETE FROM backoff WHERE gateway_id = ? AND pne = ?', key.gatewayId, change.member.pne);
    if ('earlierJoin' in evidence.confirmation) grow(this.#sql, key.gatewayId, 'refreshes', now);
    this.#recall(evidence.joinId);
    this.#tell(key, change.outbox, now);
  }

  /** The PN at its next version, with the member. */
  #admit({ key, baseVersion, pnName, member, evidence, settledAt }: RegisteredChange): void {
    const { pnId, version } = evidence;
    const next = member.handle + 1;
    if (baseVersion === 0) {
      this.#fresh(() =>
        this.#sql.run(
          `INSERT INTO pn (pn_id, gateway_id, name, version, next_handle, created_at) VALUES (?, ?, ?, ?, ?, ?)`,
          ...[pnId, key.gatewayId, pnName, version, next, settledAt],
        ),
      );
    } else {
      this.#sql.change(
        `UPDATE pn SET version = ?, name = ?, next_handle = max(next_handle, ?)
         WHERE pn_id = ? AND version = ? AND gateway_id = ?`,
        ...[version, pnName, next, pnId, baseVersion, key.gatewayId],
      );
    }
    this.#sql.run(
      `INSERT INTO member (pn_id, pne, handle, join_id, capability, contents, label) VALUES (?, ?, ?, ?, ?, ?, ?)
       ON CONFLICT (pn_id, pne) DO UPDATE SET join_id = excluded.join_id, capability = excluded.capability,
         contents = excluded.contents, label = excluded.label`,
      ...[pnId, member.pne, member.handle, member.joinId, member.capability],
      ...[member.contents ? JSON.stringify(member.contents) : null, member.label ?? null],
    );
  }

  #keep(key: RegistrationKey, evidence: JoinEvidence, registeredAt: ServerSeconds): void {
    const { confirmation } = evidence;
    const sql = 'SELECT pne, home_gateway_id FROM registration WHERE gateway_id = ? AND txn = ?';
    const row = this.#sql.one<{ pne: Bytes; home_gateway_id: Bytes | null }>(sql, key.gatewayId, key.txn);
    const home =
      row?.home_gateway_id ??
      ('earlierJoin' in confirmation && this.#homeOf(confirmation.earlierJoin)) ??
      undefined;
    if (!row || !home) throw new CpnsError('internal', 'evidence without a home gateway');
    this.#sql.run(
      `INSERT INTO evidence (join_id, pn_id, version, pne, gateway_id, home_gateway_id, gateway_key, pne_key, home_key,
         open_g, open_p, m1, m2, challenge, response, answer, earlier_join, inventory, registered_at)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
      ...[evidence.joinId, evidence.pnId, evidence.version, row.pne, key.gatewayId, home],
      ...[point(evidence.gatewayKey), point(evidence.pneKey), point(evidence.homeGatewayKey)],
      ...[evidence.openG, evidence.openP, evidence.m1, evidence.m2, evidence.challenge, evidence.response],
      'answer' in confirmation ? confirmation.answer : null,
      'earlierJoin' in confirmation ? confirmation.earlierJoin : null,
      ...[evidence.inventory, registeredAt],
    );
  }

  #homeOf(joinId: JoinId): Bytes | undefined {
    const sql = 'SELECT home_gateway_id FROM evidence WHERE join_id = ?';
    return this.#sql.one<{ home_gateway_id: Bytes }>(sql, joinId)?.home_gateway_id;
  }

  #refused(change: RefusedChange, now: ServerSeconds): void {
    const { key, from, status, outcome, response, answer, settledAt } = change;
    // A late step 7 adds the outcome to a refusal that had none; nothing else of a refusal ever changes.
    this.#sql.change(
      `UPDATE registration SET state = 'refused', status = ?, outcome = ?, response = ?, answer = ?, settled_at = ?
       WHERE gateway_id = ? AND txn = ? AND state = ? AND outcome IS NULL`,
      ...[statusCode(status), outcome ?? null, response ?? null, answer ?? null, settledAt],
      ...[key.gatewayId, key.txn, from],
    );
    const row = this.registration(key);
    if (!row) throw new CpnsError('internal', 'registration');
    if (from !== 'refused') grow(this.#sql, key.gatewayId, 'refusals', now);
    this.#recall(row.joinId);
    if (change.backOff) this.#backOff(key.gatewayId, row.pne, now);
    this.#tell(key, change.outbox, now);
  }

  /** 1 minute, doubling to 1 day. */
  #backOff(gatewayId: GatewayId, pne: Thumbprint, now: ServerSeconds): void {
    const sql = 'SELECT refusals FROM backoff WHERE gateway_id = ? AND pne = ?';
    const refusals = this.#sql.one<{ refusals: number }>(sql, gatewayId, pne)?.refusals ?? 0;
    const seconds = Math.min(MAX_BACKOFF_SECONDS, FIRST_BACKOFF_SECONDS * 2 ** Math.min(refusals, 16));
    this.#sql.run(
      `INSERT INTO backoff (gateway_id, pne, refusals, until) VALUES (?, ?, ?, ?)
       ON CONFLICT (gateway_id, pne) DO UPDATE SET refusals = excluded.refusals, until = excluded.until`,
      ...[gatewayId, pne, refusals + 1, now + seconds],
    );
  }

  /** A primary key or an index that is taken means that somebody else was here first. */
  #fresh(write: () => unknown): void {
    try {
      write();
    } catch (error) {
      if (isUniqueViolation(error)) throw new StaleError('taken meanwhile', { cause: error });
      throw error;
    }
  }

  // Outbox

  #tell({ gatewayId, txn }: RegistrationKey, outbox: readonly OutboxEntry[], now: ServerSeconds): void {
    for (const { to, kind, body } of outbox)
      this.#sql.run(
        `INSERT INTO outbox (gateway_id, kind, join_id, body, created_at)
         SELECT ?, ?, join_id, ?, ? FROM registration WHERE gateway_id = ? AND txn = ?`,
        ...[to, kind, body, now, gatewayId, txn],
      );
  }

  /** A question that is settled is not put any more. */
  #recall(joinId: JoinId): void {
    this.#sql.run(`DELETE FROM outbox WHERE join_id = ? AND kind = 'pne-confirm-request'`, joinId);
  }

  // Purging

  /** Drops what nobody may need any more. @returns how many refusals went */
  purge(now: ServerSeconds): number {
    return this.#sql.transact(() => {
      const before = now - REFUSAL_KEPT_SECONDS;
      this.#sql.run(
        `DELETE FROM outbox WHERE join_id IN (SELECT join_id FROM registration WHERE state = 'refused' AND settled_at < ?)`,
        before,
      );
      this.#sql.run('DELETE FROM backoff WHERE until < ?', before);
      this.#sql.run('DELETE FROM enrolment WHERE created_at < ?', before);
      this.#sql.run('DELETE FROM token WHERE expires_at < ?', before);
      forgetGrowth(this.#sql, now);
      return this.#sql.run(`DELETE FROM registration WHERE state = 'refused' AND settled_at < ?`, before);
    });
  }
}
