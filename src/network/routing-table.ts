/**
 * Which link leads to which PNE: the initiating gateway's routing table. Step 5 finds its PNE here by PN ID and join,
 * and so does data once the entry is live. Owns entries and their two states; knows no link, only the caller's handle.
 * Memory only: a link does not survive a restart, so neither does its route.
 * Source: OMA CR, steps 3, 5 and 12 (routing entry provisional, then live).
 */
import { type Bytes, equal, toHex } from '../base/bytes.ts';
import type { JoinId, PnId, TransactionId } from '../base/ids.ts';

export type RouteState = 'provisional' | 'live';

export interface Route<Link> {
  readonly pnId: PnId;
  /** Provisional entries are known by their transaction; the join gets its id only with the challenge. */
  readonly txn?: TransactionId;
  readonly joinId?: JoinId;
  /** The member's handle in the inventory; present exactly in live entries. */
  readonly handle?: number;
  readonly state: RouteState;
  readonly link: Link;
}

/** A plain map over links: a link carries at most one route, a live (PN, join) leads to at most one link. */
export class RoutingTable<Link> {
  readonly #byLink = new Map<Link, Route<Link>>();
  readonly #liveByJoin = new Map<string, Route<Link>>();

  get size(): number {
    return this.#byLink.size;
  }

  /** Enters a provisional route when step 2 was accepted (with step 3). Takes the place of any earlier one of the link. */
  addProvisional(pnId: PnId, txn: TransactionId, link: Link): void {
    this.remove(link);
    this.#byLink.set(link, { pnId, txn, state: 'provisional', link });
  }

  /** Tells a provisional route its join, known since step 4. A link without a provisional route is left alone. */
  nameJoin(link: Link, joinId: JoinId): void {
    const route = this.#byLink.get(link);
    if (route?.state === 'provisional') this.#byLink.set(link, { ...route, joinId });
  }

  /**
   * Makes a route live (step 12, or a resumption), after the inventory was stored.
   * @returns the link that carried this join before, when it was another: the caller closes it
   */
  makeLive(pnId: PnId, joinId: JoinId, handle: number, link: Link): Link | undefined {
    const older = this.#liveByJoin.get(key(pnId, joinId));
    this.remove(link);
    if (older) this.remove(older.link);
    const route: Route<Link> = { pnId, joinId, handle, state: 'live', link };
    this.#byLink.set(link, route);
    this.#liveByJoin.set(key(pnId, joinId), route);
    return older && older.link !== link ? older.link : undefined;
  }

  /** The PNE of a registration: PN ID and transaction, as step 5 needs. */
  linkOfTransaction(pnId: PnId, txn: TransactionId): Link | undefined {
    for (const route of this.#byLink.values()) {
      if (route.txn && equal(route.pnId, pnId) && equal(route.txn, txn)) return route.link;
    }
    return undefined;
  }

  /** The link of a join, provisional or live. */
  linkOfJoin(pnId: PnId, joinId: JoinId): Link | undefined {
    const live = this.#liveByJoin.get(key(pnId, joinId));
    if (live) return live.link;
    return this.#find((route) => equal(route.pnId, pnId) && sameBytes(route.joinId, joinId))?.link;
  }

  /** The live link of a member by its handle; provisional entries carry no data and are never found here. */
  linkOfMember(pnId: PnId, handle: number): Link | undefined {
    return this.#find((route) => route.handle === handle && equal(route.pnId, pnId))?.link;
  }

  /** Every live route of a PN, for what concerns all members. */
  liveRoutes(pnId: PnId): readonly Route<Link>[] {
    return [...this.#byLink.values()].filter((r) => r.state === 'live' && equal(r.pnId, pnId));
  }

  routeOf(link: Link): Route<Link> | undefined {
    return this.#byLink.get(link);
  }

  routes(): readonly Route<Link>[] {
    return [...this.#byLink.values()];
  }

  /** Forgets a link that ended. */
  remove(link: Link): void {
    const route = this.#byLink.get(link);
    if (!route) return;
    this.#byLink.delete(link);
    if (route.state !== 'live' || !route.joinId) return;
    const name = key(route.pnId, route.joinId);
    if (this.#liveByJoin.get(name)?.link === link) this.#liveByJoin.delete(name);
  }

  #find(test: (route: Route<Link>) => boolean): Route<Link> | undefined {
    for (const route of this.#byLink.values()) if (test(route)) return route;
    return undefined;
  }
}

function key(pnId: PnId, joinId: JoinId): string {
  return `${toHex(pnId)}/${toHex(joinId)}`;
}

function sameBytes(a: Bytes | undefined, b: Bytes): boolean {
  return a !== undefined && equal(a, b);
}
