/**
 * Rows of the server's registrations as the values the program works with, and nothing else.
 * Owns the names of columns on the way out. Must not hold a statement.
 */
import { type Bytes, concat } from '../base/bytes.ts';
import { GatewayId, JoinId, PnId, Thumbprint, TransactionId } from '../base/ids.ts';
import { statusOf } from '../base/statuses.ts';
import type { ServerSeconds } from '../base/time.ts';
import type { DurableServerState } from '../establishment/server-table.ts';
import type {
  JoinEvidence,
  MemberFacts,
  OutboxKind,
  RegistrationRow,
} from '../establishment/server-types.ts';
import type { Content } from '../messages/common.ts';
import type { PublicKey } from '../security/primitives.ts';
import { bytesOf, maybeBytes } from './statements.ts';

/** One registered join as an auditor gets it. */
export interface EvidenceRecord extends JoinEvidence {
  readonly gatewayId: GatewayId;
  readonly homeGatewayId: GatewayId;
  readonly pne: Thumbprint;
  readonly registeredAt: ServerSeconds;
}

export interface Delivery {
  readonly deliveryId: number;
  readonly kind: OutboxKind;
  readonly joinId: JoinId;
  readonly body: Bytes;
}

export interface RegistrationColumns {
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

export interface PnColumns {
  pn_id: Bytes;
  gateway_id: Bytes;
  name: string;
  version: number;
  next_handle: number;
}

export interface MemberColumns {
  pne: Bytes;
  handle: number;
  join_id: Bytes;
  capability: Bytes;
  contents: string | null;
  label: string | null;
}

export interface EvidenceColumns {
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

export interface OutboxColumns {
  delivery_id: number;
  kind: OutboxKind;
  join_id: Bytes;
  body: Bytes;
}

/** Both coordinates, 64 bytes. */
export const point = ({ x, y }: PublicKey): Bytes => concat(x, y);
const keyOf = (bytes: Bytes): PublicKey => ({
  x: bytesOf(bytes.subarray(0, 32)),
  y: bytesOf(bytes.subarray(32)),
});

export function registrationRow(row: RegistrationColumns): RegistrationRow {
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

export function memberFacts(row: MemberColumns): MemberFacts {
  return {
    pne: Thumbprint(bytesOf(row.pne)),
    handle: row.handle,
    joinId: JoinId(bytesOf(row.join_id)),
    capability: bytesOf(row.capability),
    ...(row.contents !== null && { contents: JSON.parse(row.contents) as readonly Content[] }),
    ...(row.label !== null && { label: row.label }),
  };
}

export function evidenceRecord(row: EvidenceColumns): EvidenceRecord {
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

export function deliveryOf(row: OutboxColumns): Delivery {
  return {
    deliveryId: row.delivery_id,
    kind: row.kind,
    joinId: JoinId(bytesOf(row.join_id)),
    body: bytesOf(row.body),
  };
}
