/**
 * Who the server knows: users, the tokens of their gateways, gateways, PNEs and the enrolment of those.
 * Owns who may own what: a token makes one gateway, a key belongs to one user, an epoch never goes back.
 * Must not verify: signatures were checked by whoever calls. Source: docs/protocol.md §7, protocol-core §5.
 */
import { type Bytes, equal } from '../base/bytes.ts';
import { CpnsError } from '../base/errors.ts';
import type { GatewayId, Thumbprint } from '../base/ids.ts';
import { type Status, statusCode } from '../base/statuses.ts';
import type { ServerSeconds } from '../base/time.ts';
import type { PneFacts } from '../establishment/server-types.ts';
import type { PublicKey } from '../security/primitives.ts';
import {
  type EnrolmentRecord,
  type EnrolmentRow,
  enrolmentRecord,
  type GatewayRecord,
  type GatewayRow,
  gatewayRecord,
  type NewToken,
  type PneRecord,
  type PneRow,
  pneRecord,
  type TokenRecord,
  type TokenRow,
  tokenRecord,
  type UserRecord,
  type UserRow,
  userRecord,
} from './server-directory-rows.ts';
import { grow, growthToday } from './server-growth.ts';
import type { Statements } from './statements.ts';

export interface NewPne {
  readonly thumbprint: Thumbprint;
  readonly key: PublicKey;
  readonly userId: number;
  readonly homeGatewayId: GatewayId;
  readonly pneId: string | undefined;
  readonly capability: Bytes | undefined;
  readonly epoch: number;
  /** PNEs that one user may have; tested inside the transaction. */
  readonly maxOfUser: number;
}

const GATEWAY = `SELECT g.*, u.label AS user_label, u.revoked_at AS user_revoked_at
  FROM gateway g JOIN user u USING (user_id)`;
const PNE = `SELECT p.*, u.label AS user_label, u.revoked_at AS user_revoked_at
  FROM pne p JOIN user u USING (user_id)`;

/** Every write is one durable transaction. @throws CpnsError cannot-persist from each method that writes */
export class DirectoryStore {
  readonly #sql: Statements;

  constructor(statements: Statements) {
    this.#sql = statements;
  }

  // Users

  /** @throws CpnsError conflict when the label is taken */
  addUser(label: string, now: ServerSeconds): UserRecord {
    return this.#sql.transact(() => {
      if (this.user(label)) throw new CpnsError('conflict', 'there is a user of this name');
      this.#sql.run('INSERT INTO user (label, created_at) VALUES (?, ?)', label, now);
      const added = this.user(label);
      if (!added) throw new CpnsError('internal', 'user');
      return added;
    });
  }

  user(label: string): UserRecord | undefined {
    const row = this.#sql.one<UserRow>('SELECT * FROM user WHERE label = ?', label);
    return row && userRecord(row);
  }

  users(): readonly UserRecord[] {
    return this.#sql.all<UserRow>('SELECT * FROM user ORDER BY user_id').map(userRecord);
  }

  /** @returns false when there is no such user */
  revokeUser(label: string, now: ServerSeconds): boolean {
    return this.#changed('UPDATE user SET revoked_at = coalesce(revoked_at, ?) WHERE label = ?', now, label);
  }

  // Tokens

  addToken(token: NewToken): void {
    this.#sql.transact(() =>
      this.#sql.run(
        `INSERT INTO token (token_id, secret_sha256, user_id, gateway_label, expires_at) VALUES (?, ?, ?, ?, ?)`,
        ...[token.tokenId, token.secretSha256, token.userId, token.gatewayLabel, token.expiresAt],
      ),
    );
  }

  token(tokenId: Bytes): TokenRecord | undefined {
    const row = this.#sql.one<TokenRow>(
      `SELECT t.*, u.label AS user_label, u.revoked_at AS user_revoked_at
       FROM token t JOIN user u USING (user_id) WHERE token_id = ?`,
      tokenId,
    );
    return row && tokenRecord(row);
  }

  /**
   * Spends a token on a new gateway: both or neither. A gateway that let its certificate expire comes back with a new
   * token of the same user.
   * @throws CpnsError token-invalid when it was spent meanwhile, conflict when the key is another user's gateway or revoked
   */
  enrolGateway(tokenId: Bytes, gateway: GatewayRecord, answer: Bytes): void {
    this.#sql.transact(() => {
      const spent = this.#sql.run(
        'UPDATE token SET used_by = ?, answer = ? WHERE token_id = ? AND used_by IS NULL',
        ...[gateway.thumbprint, answer, tokenId],
      );
      if (spent === 0) throw new CpnsError('token-invalid');
      const known = this.gateway(gateway.gatewayId);
      if (known && (known.userId !== gateway.userId || known.standing !== 'ok'))
        throw new CpnsError('conflict', 'this key is a gateway already');
      this.#sql.run(
        `INSERT INTO gateway (gateway_id, thumbprint, key_x, key_y, user_id, label, created_at)
         VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (gateway_id) DO UPDATE SET label = excluded.label`,
        ...[gateway.gatewayId, gateway.thumbprint, gateway.key.x, gateway.key.y],
        ...[gateway.userId, gateway.label, gateway.createdAt],
      );
    });
  }

  // Gateways

  gateway(gatewayId: GatewayId): GatewayRecord | undefined {
    const row = this.#sql.one<GatewayRow>(`${GATEWAY} WHERE gateway_id = ?`, gatewayId);
    return row && gatewayRecord(row);
  }

  gatewayOfKey(thumbprint: Thumbprint): GatewayRecord | undefined {
    const row = this.#sql.one<GatewayRow>(`${GATEWAY} WHERE thumbprint = ?`, thumbprint);
    return row && gatewayRecord(row);
  }

  gateways(): readonly GatewayRecord[] {
    return this.#sql.all<GatewayRow>(`${GATEWAY} ORDER BY g.created_at, gateway_id`).map(gatewayRecord);
  }

  revokeGateway(gatewayId: GatewayId, now: ServerSeconds): boolean {
    const sql = 'UPDATE gateway SET revoked_at = coalesce(revoked_at, ?) WHERE gateway_id = ?';
    return this.#changed(sql, now, gatewayId);
  }

  // PNEs

  pne(thumbprint: Thumbprint): PneRecord | undefined {
    const row = this.#sql.one<PneRow>(`${PNE} WHERE thumbprint = ?`, thumbprint);
    return row && pneRecord(row);
  }

  /** A PNE with its home; undefined also for one that was released: nobody answers for it. */
  pneFacts(thumbprint: Thumbprint): PneFacts | undefined {
    const row = this.#sql.one<PneRow>(`${PNE} WHERE thumbprint = ?`, thumbprint);
    if (!row || row.state === 'released') return undefined;
    const { key, userId, homeGatewayId, state } = pneRecord(row);
    const home = this.gateway(homeGatewayId);
    if (!home) return undefined;
    const standing: Status =
      state === 'revoked' ? 'revoked-pne' : row.user_revoked_at === null ? 'ok' : 'revoked-user';
    return { thumbprint, key, userId, standing, home };
  }

  pnes(): readonly PneRecord[] {
    return this.#sql.all<PneRow>(`${PNE} ORDER BY enrolled_at, thumbprint`).map(pneRecord);
  }

  /** `revoked` ends it for good; `released` lets another user enrol the same key. @returns false when it is not known */
  endPne(thumbprint: Thumbprint, state: 'revoked' | 'released'): boolean {
    const sql = `UPDATE pne SET state = ? WHERE thumbprint = ? AND state <> 'revoked'`;
    return this.#changed(sql, state, thumbprint);
  }

  // Enrolment of PNEs

  addEnrolment(nonce: Bytes, gatewayId: GatewayId, now: ServerSeconds): void {
    this.#sql.transact(() => {
      this.#sql.run(
        'INSERT INTO enrolment (nonce, gateway_id, created_at) VALUES (?, ?, ?)',
        ...[nonce, gatewayId, now],
      );
      grow(this.#sql, gatewayId, 'enrolments', now);
    });
  }

  /** Nonces this gateway was given today. */
  enrolmentsToday(gatewayId: GatewayId, now: ServerSeconds): number {
    return growthToday(this.#sql, gatewayId, now).enrolments;
  }

  enrolment(nonce: Bytes): EnrolmentRecord | undefined {
    const row = this.#sql.one<EnrolmentRow>('SELECT * FROM enrolment WHERE nonce = ?', nonce);
    return row && enrolmentRecord(row);
  }

  /** Nonces of a gateway that were neither used nor have expired. */
  openEnrolments(gatewayId: GatewayId, since: ServerSeconds): number {
    const sql =
      'SELECT count(*) AS n FROM enrolment WHERE gateway_id = ? AND request IS NULL AND created_at >= ?';
    return this.#sql.one<{ n: number }>(sql, gatewayId, since)?.n ?? 0;
  }

  /**
   * The commit point of an enrolment: ownership and receipt together.
   * @throws CpnsError already-owned, revoked-pne, enrolment-code-spent (the epoch is not higher, or the nonce was used),
   * quota-exceeded
   */
  commitEnrolment(nonce: Bytes, request: Bytes, receipt: Bytes, pne: NewPne, now: ServerSeconds): void {
    this.#sql.transact(() => {
      this.mayEnrol(pne);
      const used = this.#sql.run(
        'UPDATE enrolment SET request = ?, receipt = ?, pne = ?, epoch = ? WHERE nonce = ? AND request IS NULL',
        ...[request, receipt, pne.thumbprint, pne.epoch, nonce],
      );
      if (used === 0) throw new CpnsError('enrolment-code-spent', 'nonce');
      this.#sql.run(
        `INSERT INTO pne (thumbprint, key_x, key_y, user_id, home_gateway_id, pne_id, capability, epoch, state, enrolled_at)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, 'active', ?)
         ON CONFLICT (thumbprint) DO UPDATE SET
           user_id = excluded.user_id, home_gateway_id = excluded.home_gateway_id, pne_id = excluded.pne_id,
           capability = excluded.capability, epoch = excluded.epoch, state = 'active', acknowledged = 0,
           enrolled_at = excluded.enrolled_at`,
        ...[pne.thumbprint, pne.key.x, pne.key.y, pne.userId, pne.homeGatewayId],
        ...[pne.pneId ?? null, pne.capability ?? null, pne.epoch, now],
      );
    });
  }

  /** @throws CpnsError as {@link commitEnrolment} */
  mayEnrol(pne: NewPne): void {
    const known = this.pne(pne.thumbprint);
    // A PNE that was released or revoked keeps its row, and counts.
    if (known?.userId !== pne.userId && this.#pnesOf(pne.userId) >= pne.maxOfUser)
      throw new CpnsError('quota-exceeded');
    if (!known) return;
    if (known.state === 'revoked') throw new CpnsError('revoked-pne');
    if (known.state === 'active' && known.userId !== pne.userId) throw new CpnsError('already-owned');
    const same = known.epoch === pne.epoch && equal(known.homeGatewayId, pne.homeGatewayId);
    if (known.epoch >= pne.epoch && !(same && known.state === 'active'))
      throw new CpnsError('enrolment-code-spent', 'epoch');
  }

  /** serverTime of the newest receipt on record; 0 for none. */
  lastEnrolledAt(): ServerSeconds {
    return this.#sql.one<{ at: number | null }>('SELECT max(enrolled_at) AS at FROM pne')?.at ?? 0;
  }

  #pnesOf(userId: number): number {
    return this.#sql.one<{ n: number }>('SELECT count(*) AS n FROM pne WHERE user_id = ?', userId)?.n ?? 0;
  }

  /** E4 came, with this status; only a 0 about the epoch on record acknowledges. */
  acknowledgeEnrolment(nonce: Bytes, status: Status): void {
    this.#sql.transact(() => {
      this.#sql.run('UPDATE enrolment SET ack_status = ? WHERE nonce = ?', statusCode(status), nonce);
      if (status !== 'ok') return;
      this.#sql.run(
        `UPDATE pne SET acknowledged = 1
         WHERE (thumbprint, epoch) IN (SELECT pne, epoch FROM enrolment WHERE nonce = ?)`,
        nonce,
      );
    });
  }

  #changed(
    sql: string,
    ...parameters: Parameters<Statements['run']> extends [string, ...infer P] ? P : never
  ) {
    return this.#sql.transact(() => this.#sql.run(sql, ...parameters) > 0);
  }
}
