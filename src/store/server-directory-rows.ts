/**
 * Rows of the server's directory as the records the program works with, and nothing else.
 * Owns the names of columns on the way out. Must not hold a statement.
 */
import type { Bytes } from '../base/bytes.ts';
import { GatewayId, Thumbprint } from '../base/ids.ts';
import type { Status } from '../base/statuses.ts';
import type { ServerSeconds } from '../base/time.ts';
import type { GatewayFacts } from '../establishment/server-types.ts';
import type { PublicKey } from '../security/primitives.ts';
import { bytesOf } from './statements.ts';

export interface UserRecord {
  readonly userId: number;
  readonly label: string;
  readonly createdAt: ServerSeconds;
  readonly revoked: boolean;
}

export interface GatewayRecord extends GatewayFacts {
  readonly createdAt: ServerSeconds;
}

export interface PneRecord {
  readonly thumbprint: Thumbprint;
  readonly key: PublicKey;
  readonly userId: number;
  readonly userLabel: string;
  readonly homeGatewayId: GatewayId;
  readonly pneId?: string;
  readonly epoch: number;
  readonly state: 'active' | 'revoked' | 'released';
  /** E4 came. */
  readonly acknowledged: boolean;
  readonly enrolledAt: ServerSeconds;
}

export interface NewToken {
  readonly tokenId: Bytes;
  readonly secretSha256: Bytes;
  readonly userId: number;
  readonly gatewayLabel: string;
  readonly expiresAt: ServerSeconds;
}

export interface TokenRecord extends NewToken {
  readonly userLabel: string;
  readonly userRevoked: boolean;
  /** Thumbprint of the key it was spent on, and what was answered. */
  readonly used?: { readonly by: Bytes; readonly answer: Bytes };
}

export interface EnrolmentRecord {
  readonly gatewayId: GatewayId;
  readonly createdAt: ServerSeconds;
  readonly committed?: { readonly request: Bytes; readonly receipt: Bytes; readonly pne: Thumbprint };
}

export interface UserRow {
  user_id: number;
  label: string;
  created_at: number;
  revoked_at: number | null;
}

export interface GatewayRow {
  gateway_id: Bytes;
  thumbprint: Bytes;
  key_x: Bytes;
  key_y: Bytes;
  user_id: number;
  user_label: string;
  label: string;
  created_at: number;
  revoked_at: number | null;
  user_revoked_at: number | null;
}

export interface PneRow {
  thumbprint: Bytes;
  key_x: Bytes;
  key_y: Bytes;
  user_id: number;
  user_label: string;
  user_revoked_at: number | null;
  home_gateway_id: Bytes;
  pne_id: string | null;
  epoch: number;
  state: PneRecord['state'];
  acknowledged: number;
  enrolled_at: number;
}

export interface TokenRow {
  token_id: Bytes;
  secret_sha256: Bytes;
  user_id: number;
  user_label: string;
  user_revoked_at: number | null;
  gateway_label: string;
  expires_at: number;
  used_by: Bytes | null;
  answer: Bytes | null;
}

export interface EnrolmentRow {
  gateway_id: Bytes;
  created_at: number;
  request: Bytes | null;
  receipt: Bytes | null;
  pne: Bytes | null;
}

export function userRecord(row: UserRow): UserRecord {
  const { user_id: userId, label, created_at: createdAt } = row;
  return { userId, label, createdAt, revoked: row.revoked_at !== null };
}

const keyOf = (row: { key_x: Bytes; key_y: Bytes }): PublicKey => ({
  x: bytesOf(row.key_x),
  y: bytesOf(row.key_y),
});

export function gatewayRecord(row: GatewayRow): GatewayRecord {
  const standing: Status =
    row.revoked_at !== null ? 'revoked-gateway' : row.user_revoked_at !== null ? 'revoked-user' : 'ok';
  return {
    gatewayId: GatewayId(bytesOf(row.gateway_id)),
    thumbprint: Thumbprint(bytesOf(row.thumbprint)),
    key: keyOf(row),
    userId: row.user_id,
    userLabel: row.user_label,
    label: row.label,
    standing,
    createdAt: row.created_at,
  };
}

export function pneRecord(row: PneRow): PneRecord {
  return {
    thumbprint: Thumbprint(bytesOf(row.thumbprint)),
    key: keyOf(row),
    userId: row.user_id,
    userLabel: row.user_label,
    homeGatewayId: GatewayId(bytesOf(row.home_gateway_id)),
    epoch: row.epoch,
    state: row.state,
    acknowledged: row.acknowledged === 1,
    enrolledAt: row.enrolled_at,
    ...(row.pne_id !== null && { pneId: row.pne_id }),
  };
}

export function tokenRecord(row: TokenRow): TokenRecord {
  return {
    tokenId: bytesOf(row.token_id),
    secretSha256: bytesOf(row.secret_sha256),
    userId: row.user_id,
    userLabel: row.user_label,
    userRevoked: row.user_revoked_at !== null,
    gatewayLabel: row.gateway_label,
    expiresAt: row.expires_at,
    ...(row.used_by && row.answer && { used: { by: bytesOf(row.used_by), answer: bytesOf(row.answer) } }),
  };
}

export function enrolmentRecord(row: EnrolmentRow): EnrolmentRecord {
  const { request, receipt, pne } = row;
  return {
    gatewayId: GatewayId(bytesOf(row.gateway_id)),
    createdAt: row.created_at,
    ...(request &&
      receipt &&
      pne && {
        committed: { request: bytesOf(request), receipt: bytesOf(receipt), pne: Thumbprint(bytesOf(pne)) },
      }),
  };
}
