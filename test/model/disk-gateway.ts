/**
 * The disk of an initiating gateway in memory, cheap to copy: what src/store/gateway-networks.ts does, without SQL. Held
 * equal to the real one by test/model/disks.test.ts, which runs the same paths on both.
 */
import { type Bytes, equal, toHex } from '../../src/base/bytes.ts';
import { CpnsError } from '../../src/base/errors.ts';
import type { JoinId, PnId, TransactionId } from '../../src/base/ids.ts';
import type { Status } from '../../src/base/statuses.ts';
import type { ServerSeconds } from '../../src/base/time.ts';
import type { InitiatedJoin, JoinState, NewJoin, OwnPn } from '../../src/store/gateway-network-rows.ts';
import type { InventoryChange, NetworkStore, StoredInventory } from '../../src/store/gateway-networks.ts';
import { Gate } from './gate.ts';

/** What the model asks of it. */
export type GatewayDisk = Pick<
  NetworkStore,
  | 'createPn'
  | 'pns'
  | 'proveWritable'
  | 'removePn'
  | 'saveJoin'
  | 'join'
  | 'joinOfTransaction'
  | 'joins'
  | 'refuseJoin'
  | 'acknowledgeJoin'
  | 'forgetPendingJoin'
  | 'purgeRefusals'
  | 'inventory'
  | 'saveInventory'
>;

type Inventory = Pick<StoredInventory, 'version' | 'bytes'>;

export class MemoryGatewayDisk implements GatewayDisk {
  gate = new Gate();
  #pns: readonly OwnPn[] = [];
  #joins: readonly InitiatedJoin[] = [];
  #inventories: ReadonlyMap<string, Inventory> = new Map();

  clone(gate: Gate): MemoryGatewayDisk {
    const copy = new MemoryGatewayDisk();
    copy.#pns = this.#pns;
    copy.#joins = this.#joins;
    copy.#inventories = this.#inventories;
    copy.gate = gate;
    return copy;
  }

  /** All it holds; never changed in place. */
  get contents(): readonly object[] {
    return [this.#pns, this.#joins, this.#inventories];
  }

  createPn(
    { pnId, name, inviting }: Parameters<NetworkStore['createPn']>[0],
    createdAt: ServerSeconds,
  ): void {
    this.gate.write(() => {
      const pn: OwnPn = { pnId, name, inviting, createdAt, setup: 'provisional', version: 0 };
      this.#pns = [...this.#pns, pn];
    });
  }

  pns(): readonly OwnPn[] {
    return this.#pns.map((pn) => {
      const version = this.inventory(pn.pnId)?.version;
      return version === undefined ? pn : { ...pn, setup: 'live', version };
    });
  }

  proveWritable(): void {
    this.gate.write(() => {});
  }

  removePn(pnId: PnId, which: 'provisional' | 'any'): boolean {
    const isOf = (record: { readonly pnId: PnId }) => equal(record.pnId, pnId);
    const open = this.#joins.some((join) => isOf(join) && join.state !== 'refused');
    if (which === 'provisional' && (open || this.inventory(pnId) || !this.#pns.some(isOf))) return false;
    return this.gate.write(() => {
      const known = this.#pns.some(isOf);
      this.#joins = this.#joins.filter((join) => !isOf(join) || join.state === 'refused');
      this.#pns = this.#pns.filter((pn) => !isOf(pn));
      return known;
    });
  }

  saveJoin(join: NewJoin, createdAt: ServerSeconds): void {
    this.gate.write(() => {
      if (this.join(join.joinId)) return;
      const kept: InitiatedJoin = { ...join, state: 'pending', acknowledged: false, createdAt };
      this.#joins = [...this.#joins, kept].sort(
        (a, b) => a.createdAt - b.createdAt || (toHex(a.joinId) < toHex(b.joinId) ? -1 : 1),
      );
    });
  }

  join(joinId: JoinId): InitiatedJoin | undefined {
    return this.#joins.find((join) => equal(join.joinId, joinId));
  }

  joinOfTransaction(txn: TransactionId): InitiatedJoin | undefined {
    return this.#joins.find((join) => equal(join.txn, txn));
  }

  joins(state?: JoinState): readonly InitiatedJoin[] {
    return state ? this.#joins.filter((join) => join.state === state) : this.#joins;
  }

  refuseJoin(joinId: JoinId, status: Status, outcome: Bytes, now: ServerSeconds): InitiatedJoin | undefined {
    return this.gate.write(() => {
      this.#change(joinId, 'pending', { state: 'refused', status, outcome, settledAt: now });
      return this.join(joinId);
    });
  }

  acknowledgeJoin(joinId: JoinId): void {
    this.gate.write(() => {
      const join = this.join(joinId);
      if (join?.state === 'refused') this.#delete(joinId);
      if (join?.state !== 'live') return;
      this.#change(joinId, 'live', { acknowledged: true });
      this.#joins = this.#joins.filter(
        (other) =>
          other.state !== 'refused' ||
          !equal(other.pnId, join.pnId) ||
          !equal(other.thumbprint, join.thumbprint) ||
          other.createdAt > join.createdAt,
      );
    });
  }

  forgetPendingJoin(joinId: JoinId): void {
    this.gate.write(() => {
      if (this.join(joinId)?.state === 'pending') this.#delete(joinId);
    });
  }

  /** Time has no place in the model but that refusals get too old, all at once. */
  purgeRefusals(): number {
    return this.gate.write(() => {
      const before = this.#joins.length;
      this.#joins = this.#joins.filter(({ state }) => state !== 'refused');
      return before - this.#joins.length;
    });
  }

  inventory(pnId: PnId): Inventory | undefined {
    return this.#inventories.get(toHex(pnId));
  }

  saveInventory({ pnId, version, bytes, joinIds }: StoredInventory, now: ServerSeconds): InventoryChange {
    return this.gate.write(() => {
      if (!this.#pns.some((pn) => equal(pn.pnId, pnId))) throw new CpnsError('unknown-transaction');
      const known = this.inventory(pnId);
      if (known && version <= known.version) {
        if (version === known.version && !equal(bytes, known.bytes)) throw new CpnsError('inventory-invalid');
        const superseded = joinIds.filter((joinId) => this.join(joinId)?.state === 'pending');
        for (const joinId of superseded) this.#delete(joinId);
        return { stored: false, live: [], removed: superseded };
      }
      this.#inventories = new Map(this.#inventories).set(toHex(pnId), { version, bytes });
      return { stored: true, ...this.#settle(pnId, joinIds, now) };
    });
  }

  #settle(pnId: PnId, members: readonly JoinId[], now: ServerSeconds) {
    const live: JoinId[] = [];
    const removed: JoinId[] = [];
    for (const join of this.#joins) {
      if (!equal(join.pnId, pnId)) continue;
      const isMember = members.some((joinId) => equal(joinId, join.joinId));
      if (isMember && join.state === 'pending') {
        this.#change(join.joinId, 'pending', { state: 'live', status: 'ok', settledAt: now });
        live.push(join.joinId);
      } else if (!isMember && join.state === 'live') {
        this.#delete(join.joinId);
        removed.push(join.joinId);
      }
    }
    return { live, removed };
  }

  #change(joinId: JoinId, from: JoinState, change: Partial<InitiatedJoin>): void {
    this.#joins = this.#joins.map((join) =>
      equal(join.joinId, joinId) && join.state === from ? { ...join, ...change } : join,
    );
  }

  #delete(joinId: JoinId): void {
    this.#joins = this.#joins.filter((join) => !equal(join.joinId, joinId));
  }
}
