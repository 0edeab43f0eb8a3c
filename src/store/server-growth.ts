/**
 * What each gateway has made the server write today, so that none of them fills the disk alone. Counted in the
 * transaction that writes, so that a restart forgives nothing; a day is 24 hours of server time from 00:00 UTC.
 * Owns counting. What is too much, the machine and the enrolment say. Source: docs/protocol.md §10.
 */
import type { GatewayId } from '../base/ids.ts';
import type { ServerSeconds } from '../base/time.ts';
import { DAY_SECONDS } from '../establishment/server-types.ts';
import type { Statements } from './statements.ts';

/** Columns of the table, and nothing a peer could name. */
export type Growing = 'transactions' | 'refusals' | 'refreshes' | 'enrolments';
export type GrowthToday = Readonly<Record<Growing, number>>;

const NOTHING: GrowthToday = { transactions: 0, refusals: 0, refreshes: 0, enrolments: 0 };
const dayOf = (now: ServerSeconds): number => Math.floor(now / DAY_SECONDS);

export function growthToday(sql: Statements, gatewayId: GatewayId, now: ServerSeconds): GrowthToday {
  const query =
    'SELECT transactions, refusals, refreshes, enrolments FROM growth WHERE gateway_id = ? AND day = ?';
  return sql.one<GrowthToday>(query, gatewayId, dayOf(now)) ?? NOTHING;
}

/** One more; called inside a transaction. */
export function grow(sql: Statements, gatewayId: GatewayId, what: Growing, now: ServerSeconds): void {
  sql.run(
    `INSERT INTO growth (gateway_id, day, ${what}) VALUES (?, ?, 1)
     ON CONFLICT (gateway_id, day) DO UPDATE SET ${what} = ${what} + 1`,
    ...[gatewayId, dayOf(now)],
  );
}

/** Forgets the days before this one; called inside a transaction. */
export function forgetGrowth(sql: Statements, now: ServerSeconds): void {
  sql.run('DELETE FROM growth WHERE day < ?', dayOf(now));
}
