/**
 * The disk of a PNE in memory, cheap to copy: what src/store/pne-store.ts does with its joins, without SQL. Held equal to
 * the real one by test/model/disks.test.ts, which runs the same paths on both.
 */
import { type Bytes, equal } from '../../src/base/bytes.ts';
import type { KnownJoin } from '../../src/establishment/pne-types.ts';
import type { PneStore } from '../../src/store/pne-store.ts';
import { Gate } from './gate.ts';

/** What the model asks of it. */
export type PneDisk = Pick<
  PneStore,
  'joins' | 'memberships' | 'savePending' | 'forgetPending' | 'saveMember' | 'saveFloor' | 'savePowered'
>;

interface Kept {
  readonly join: KnownJoin;
  readonly inventory: Bytes | undefined;
}

export class MemoryPneDisk implements PneDisk {
  gate = new Gate();
  /** In the order of writing, as rowids are. */
  #kept: readonly Kept[] = [];

  clone(gate: Gate): MemoryPneDisk {
    const copy = new MemoryPneDisk();
    copy.#kept = this.#kept;
    copy.gate = gate;
    return copy;
  }

  /** All it holds; never changed in place. */
  get contents(): readonly object[] {
    return [this.#kept];
  }

  joins(): readonly KnownJoin[] {
    const newestFirst = [...this.#kept].reverse().map(({ join }) => join);
    const of = (state: KnownJoin['state']) => newestFirst.filter((join) => join.state === state);
    return [...of('pending'), ...of('member')];
  }

  memberships() {
    return this.#kept.flatMap(({ join, inventory }) => (inventory ? [{ join, inventory }] : []));
  }

  savePending(join: KnownJoin): void {
    this.gate.write(() => {
      this.#kept = [...this.#kept, { join, inventory: undefined }];
    });
  }

  forgetPending(th3: Bytes): void {
    this.gate.write(() => {
      this.#kept = this.#kept.filter(({ join }) => join.state !== 'pending' || !equal(join.th3, th3));
    });
  }

  saveMember(join: KnownJoin, inventory: Bytes): void {
    this.gate.write(() => {
      const at = this.#kept.findIndex((kept) => equal(kept.join.th3, join.th3));
      const others = this.#kept.filter(
        (kept, index) =>
          !equal(kept.join.pnId, join.pnId) ||
          !equal(kept.join.gatewayId, join.gatewayId) ||
          (kept.join.state !== 'member' && index > at),
      );
      this.#kept = [...others, { join, inventory }];
    });
  }

  /** Time has no place in the model but that pending joins get too old, all at once. */
  savePowered(): void {
    this.gate.write(() => {
      this.#kept = this.#kept.filter(({ join }) => join.state !== 'pending');
    });
  }

  saveFloor(): void {
    this.gate.write(() => {});
  }
}
