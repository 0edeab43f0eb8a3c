/**
 * Registrations, networks, evidence and what gateways have to be told, with the commit rules of docs/protocol.md §12, row
 * server: each change is a compare-and-set on the row's state, in one durable transaction with its outbox entries and
 * with the deadline tested inside it. Owns no decision: what a change is, the machine says (src/establishment/server.ts).
 */
import { type Bytes, concat } from '../base/bytes.ts';
import { CpnsError } from '../base/errors.ts';
import { GatewayId, JoinId, PnId, Thumbprint, TransactionId } from '../base/ids.ts';
import { statusCode, statusOf } from '../base/statuses.ts';
import type { ServerSeconds } from '../base/time.ts';
import type { DurableServerState } from '../establishment/server-table.ts';
import type {
  ChallengedChange,
  EarlierYes,
  JoinEvidence,
  MemberFacts,
  OutboxEntry,
  OutboxKind,
  PnFacts,
  RefusedChange,
  RegisteredChange,
  RegistrationKey,
  RegistrationRow,
  ServerChange,
  VerifiedChange,
} from '../establishment/server-types.ts';
import type { Content } from '../messages/common.ts';
import type { PublicKey } from '../security/primitives.ts';
import { isUniqueViolation } from './sqlite.ts';
import { bytesOf, maybeBytes, StaleError, type Statements } from './statements.ts';

/** Refusals are forgotten after 30 days; evidence never. */
export const REFUSAL_KEPT_SECONDS = 30 * 86_400;
const FIRST_BACKOFF_SECONDS = 60;
const MAX_BACKOFF_SECONDS = 86_400;

export interface Delivery {
  readonly deliveryId: number;
  readonly kind: OutboxKind;
  readonly joinId: JoinId;
  readonly body: Bytes;
}

/** One registered join as an auditor gets it. */
export interface EvidenceRecord extends JoinEvidence {
  readonly gatewayId: GatewayId;
  readonly homeGatewayId: GatewayId;
  readonly pne: Thumbprint;
  readonly registeredAt: ServerSeconds;
}

export interface PnRecord {
  readonly pnId: PnId;
  readonly gatewayId: GatewayId;
  readonly name: string;
  readonly version: number;
  readonly members: number;
}

interface RegistrationColumns {
  gateway_id: Bytes;
  txn: Bytes;
  state: DurableServerState;
  request: Bytes;
  challenge: Bytes;
  challenged_at: number;
  pn_id: Bytes;
  th3: Bytes;
  join_id: Bytes;
  pne: Bytes;
  response: Bytes | null;
  home_gateway_id: Bytes | null;
  deadline: number | null;
  delivered: number;
  answer: Bytes | null;
  status: number | null;
  inventory: Bytes | null;
  outcome: Bytes | null;
  settled_at: number | null;
}

interface PnColumns {
  pn_id: Bytes;
  gateway_id: Bytes;
  name: string;
  version: number;
  next_handle: number;
}

interface MemberColumns {
  pne: Bytes;
  handle: number;
  join_id: Bytes;
  capability: Bytes;
  contents: string | null;
  label: string | null;
}

interface EvidenceColumns {
  join_id: Bytes;
  pn_id: Bytes;
  version: number;
  pne: Bytes;
  gateway_id: Bytes;
  home_gateway_id: Bytes;
  gateway_key: Bytes;
  pne_key: Bytes;
  home_key: Bytes;
  open_g: Bytes;
  open_p: Bytes;
  m1: Bytes;
  m2: Bytes;
  challenge: Bytes;
  response: Bytes;
  answer: Bytes | null;
  earlier_join: Bytes | null;
  inventory: Bytes;
  registered_at: number;
}

interface OutboxColumns {
  delivery_id: number;
  kind: OutboxKind;
  join_id: Bytes;
  body: Bytes;
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

  /** Challenged and verified transactions of a gateway; a challenge that has expired does not count. */
  openCount(gatewayId: GatewayId, challengedSince: ServerSeconds): number {
    const sql = `SELECT count(*) AS n FROM registration WHERE gateway_id = ?
      AND (state = 'verified' OR (state = 'challenged' AND challenged_at >= ?))`;
    return this.#sql.one<{ n: number }>(sql, gatewayId, challengedSince)?.n ?? 0;
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

  /** Transactions whose deadline has passed. */
  due(challengedBefore: ServerSeconds, now: ServerSeconds, atMost: number): readonly RegistrationKey[] {
    const sql = `SELECT * FROM registration WHERE (state = 'challenged' AND challenged_at < ?)
      OR (state = 'verified' AND deadline < ?) LIMIT ?`;
    return this.#sql.all<RegistrationColumns>(sql, challengedBefore, now, atMost).map(registrationRow);
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
          return this.#challenged(change);
        case 'verified':
          return this.#verified(change, now);
        case 'registered':
          return this.#registered(change, now);
        case 'refused':
          return this.#refused(change, now);
      }
    });
  }

  #challenged({ row, maxOpen }: ChallengedChange): void {
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

  /** The next entries for a gateway behind `after`, oldest first. */
  deliveries(gatewayId: GatewayId, after: number, atMost: number): readonly Delivery[] {
    const sql = 'SELECT * FROM outbox WHERE gateway_id = ? AND delivery_id > ? ORDER BY delivery_id LIMIT ?';
    return this.#sql.all<OutboxColumns>(sql, gatewayId, after, atMost).map((row) => ({
      deliveryId: row.delivery_id,
      kind: row.kind,
      joinId: JoinId(bytesOf(row.join_id)),
      body: bytesOf(row.body),
    }));
  }

  /** @returns what was acknowledged, or undefined when it was already or is not this gateway's */
  acknowledge(gatewayId: GatewayId, deliveryId: number): Pick<Delivery, 'kind' | 'joinId'> | undefined {
    return this.#sql.transact(() => {
      const sql = 'DELETE FROM outbox WHERE delivery_id = ? AND gateway_id = ? RETURNING *';
      const row = this.#sql.one<OutboxColumns>(sql, deliveryId, gatewayId);
      if (!row) return undefined;
      if (row.kind === 'pne-confirm-request')
        this.#sql.run('UPDATE registration SET delivered = 1 WHERE join_id = ?', row.join_id);
      return { kind: row.kind, joinId: JoinId(bytesOf(row.join_id)) };
    });
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
      return this.#sql.run(`DELETE FROM registration WHERE state = 'refused' AND settled_at < ?`, before);
    });
  }
}

const point = ({ x, y }: PublicKey): Bytes => concat(x, y);
const keyOf = (bytes: Bytes): PublicKey => ({
  x: bytesOf(bytes.subarray(0, 32)),
  y: bytesOf(bytes.subarray(32)),
});

function registrationRow(row: RegistrationColumns): RegistrationRow {
  const status = row.status === null ? undefined : (statusOf(row.status) ?? 'internal');
  const [response, answer] = [maybeBytes(row.response), maybeBytes(row.answer)];
  const [inventory, outcome] = [maybeBytes(row.inventory), maybeBytes(row.outcome)];
  return {
    gatewayId: GatewayId(bytesOf(row.gateway_id)),
    txn: TransactionId(bytesOf(row.txn)),
    state: row.state,
    request: bytesOf(row.request),
    challenge: bytesOf(row.challenge),
    challengedAt: row.challenged_at,
    pnId: PnId(bytesOf(row.pn_id)),
    th3: bytesOf(row.th3),
    joinId: JoinId(bytesOf(row.join_id)),
    pne: Thumbprint(bytesOf(row.pne)),
    delivered: row.delivered === 1,
    ...(response && { response }),
    ...(row.home_gateway_id && { homeGatewayId: GatewayId(bytesOf(row.home_gateway_id)) }),
    ...(row.deadline !== null && { deadline: row.deadline }),
    ...(answer && { answer }),
    ...(status !== undefined && status !== 'ok' && { status }),
    ...(inventory && { inventory }),
    ...(outcome && { outcome }),
    ...(row.settled_at !== null && { settledAt: row.settled_at }),
  };
}

function memberFacts(row: MemberColumns): MemberFacts {
  return {
    pne: Thumbprint(bytesOf(row.pne)),
    handle: row.handle,
    joinId: JoinId(bytesOf(row.join_id)),
    capability: bytesOf(row.capability),
    ...(row.contents !== null && { contents: JSON.parse(row.contents) as readonly Content[] }),
    ...(row.label !== null && { label: row.label }),
  };
}

function evidenceRecord(row: EvidenceColumns): EvidenceRecord {
  return {
    joinId: JoinId(bytesOf(row.join_id)),
    pnId: PnId(bytesOf(row.pn_id)),
    version: row.version,
    pne: Thumbprint(bytesOf(row.pne)),
    gatewayId: GatewayId(bytesOf(row.gateway_id)),
    homeGatewayId: GatewayId(bytesOf(row.home_gateway_id)),
    gatewayKey: keyOf(row.gateway_key),
    pneKey: keyOf(row.pne_key),
    homeGatewayKey: keyOf(row.home_key),
    openG: bytesOf(row.open_g),
    openP: bytesOf(row.open_p),
    m1: bytesOf(row.m1),
    m2: bytesOf(row.m2),
    challenge: bytesOf(row.challenge),
    response: bytesOf(row.response),
    confirmation:
      row.answer !== null
        ? { answer: bytesOf(row.answer) }
        : { earlierJoin: JoinId(bytesOf(row.earlier_join ?? row.join_id)) },
    inventory: bytesOf(row.inventory),
    registeredAt: row.registered_at,
  };
}
