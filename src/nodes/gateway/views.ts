/**
 * What a gateway shows of its state: networks, PNEs, confirmations, reports, as plain values for people and machines.
 * Reads the store; changes nothing. Identifiers are hex.
 */
import { type Bytes, equal, toHex } from '../../base/bytes.ts';
import type { JoinId, Thumbprint } from '../../base/ids.ts';
import { STATUSES, type Status } from '../../base/statuses.ts';
import type { Primitives } from '../../security/primitives.ts';
import type { HomeStore } from '../../store/gateway-home.ts';
import type { NetworkStore } from '../../store/gateway-networks.ts';
import type { GatewayStore } from '../../store/gateway-store.ts';
import { type ReportView, reportView } from './report-view.ts';

export interface PnStatus {
  readonly pnId: string;
  readonly name: string;
  readonly version: number;
  readonly inviting: boolean;
  /** SHA-256 of the signed inventory's exact bytes; absent while provisional. */
  readonly inventorySha256?: string;
  readonly joins: readonly {
    readonly joinId: string;
    readonly state: 'pending' | 'live' | 'refused';
    /** Of a pending join: whom it waits for. */
    readonly status?: Status;
    /** The status in words. */
    readonly meaning?: string;
    readonly acknowledged: boolean;
    readonly link: boolean;
  }[];
}

/**
 * PNs this gateway initiated, with their joins.
 * @param linked joins that have a live link now
 * @param waitingFor whom a pending join waits for
 */
export function viewPns(
  networks: NetworkStore,
  primitives: Primitives,
  linked: readonly JoinId[],
  waitingFor: (joinId: JoinId) => Status | undefined,
): readonly PnStatus[] {
  const live = new Set(linked.map((joinId) => toHex(joinId)));
  return networks.pns().map(({ pnId, name, version, inviting }) => {
    const inventory = networks.inventory(pnId);
    return {
      pnId: toHex(pnId),
      name,
      version,
      inviting,
      ...(inventory && { inventorySha256: toHex(primitives.sha256(inventory.bytes)) }),
      joins: networks
        .joins()
        .filter((known) => equal(known.pnId, pnId))
        .map(({ joinId, state, status = waitingFor(joinId), acknowledged }) => ({
          joinId: toHex(joinId),
          state,
          ...(status && { status }),
          ...(status && status !== 'ok' && { meaning: STATUSES[status].sentence }),
          acknowledged,
          link: live.has(toHex(joinId)),
        })),
    };
  });
}

/** The signed inventory of a PN, exact bytes. @param pnId hex */
export function viewInventory(networks: NetworkStore, pnId: string): Bytes | undefined {
  const pn = networks.pns().find((known) => toHex(known.pnId) === pnId);
  return pn && networks.inventory(pn.pnId)?.bytes;
}

/** PNEs whose home this gateway is. */
export function viewPnes(home: HomeStore) {
  return home.pnes().map(({ thumbprint, label, pneId, epoch, acknowledged, revoked }) => ({
    thumbprint: toHex(thumbprint),
    label: label ?? pneId,
    epoch,
    acknowledged,
    revoked,
  }));
}

/** Confirmed joins of this home's PNEs, and whether the server's signed outcome came. */
export function viewConfirmations(home: HomeStore) {
  return home.requests('all').map(({ joinId, state, status, outcome }) => ({
    joinId: toHex(joinId),
    state,
    ...(status && { status }),
    outcome: outcome !== undefined,
  }));
}

/** What the owner reported, oldest first. */
export function viewReports(
  { home, reports }: Pick<GatewayStore, 'home' | 'reports'>,
  primitives: Primitives,
): readonly ReportView[] {
  const labelOf = (thumbprint: Thumbprint) => {
    const pne = home.pne(thumbprint);
    return pne?.label ?? pne?.pneId;
  };
  return reports.all().flatMap((report) => {
    const record = home.request(report.joinId);
    return record ? [reportView({ ...record, ...report }, labelOf, primitives)] : [];
  });
}
