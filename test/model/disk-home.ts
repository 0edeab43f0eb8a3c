/**
 * The disk of a home gateway in memory, cheap to copy: what src/store/gateway-home.ts does with confirm requests, without
 * SQL. Held equal to the real one by test/model/disks.test.ts, which runs the same paths on both.
 */
import { type Bytes, equal, toHex } from '../../src/base/bytes.ts';
import { CpnsError } from '../../src/base/errors.ts';
import type { JoinId } from '../../src/base/ids.ts';
import type { Status } from '../../src/base/statuses.ts';
import type { ServerSeconds } from '../../src/base/time.ts';
import type { ConfirmDecision, ConfirmRecord, HomeStore } from '../../src/store/gateway-home.ts';
import { Gate } from './gate.ts';

/** What the model asks of it. */
export type HomeDisk = Pick<
  HomeStore,
  'saveRequest' | 'request' | 'requests' | 'saveAnswer' | 'settleRequest'
>;

export class MemoryHomeDisk implements HomeDisk {
  gate = new Gate();
  #requests: readonly ConfirmRecord[] = [];

  clone(gate: Gate): MemoryHomeDisk {
    const copy = new MemoryHomeDisk();
    copy.#requests = this.#requests;
    copy.gate = gate;
    return copy;
  }

  /** All it holds; never changed in place. */
  get contents(): readonly object[] {
    return [this.#requests];
  }

  saveRequest(
    request: Pick<ConfirmRecord, 'joinId' | 'th3' | 'body' | 'deadline'>,
    receivedAt: ServerSeconds,
  ): ConfirmRecord {
    const known = this.request(request.joinId);
    if (known) {
      if (!equal(known.body, request.body)) throw new CpnsError('conflict');
      return known;
    }
    return this.gate.write(() => {
      const record: ConfirmRecord = { ...request, state: 'asked', receivedAt };
      this.#requests = [...this.#requests, record].sort((a, b) =>
        toHex(a.joinId) < toHex(b.joinId) ? -1 : 1,
      );
      return record;
    });
  }

  request(joinId: JoinId): ConfirmRecord | undefined {
    return this.#requests.find((record) => equal(record.joinId, joinId));
  }

  requests(which: 'open' | 'all' = 'open'): readonly ConfirmRecord[] {
    return this.#requests.filter(({ state }) => which === 'all' || state !== 'settled');
  }

  saveAnswer(joinId: JoinId, decision: ConfirmDecision, decidedBy: string, answer: Bytes): ConfirmRecord {
    return this.gate.write(() => {
      this.#change(joinId, (record) =>
        record.state === 'asked' ? { ...record, state: 'answered', decision, decidedBy, answer } : record,
      );
      const record = this.request(joinId);
      if (!record?.answer) throw new CpnsError('deadline-passed');
      return record;
    });
  }

  settleRequest(joinId: JoinId, status: Status, outcome: Bytes | undefined, settledAt: ServerSeconds): void {
    this.gate.write(() => {
      this.#change(joinId, (record) =>
        record.outcome || (record.state === 'settled' && !outcome)
          ? record
          : { ...record, state: 'settled', status, settledAt, ...(outcome && { outcome }) },
      );
    });
  }

  #change(joinId: JoinId, change: (record: ConfirmRecord) => ConfirmRecord): void {
    this.#requests = this.#requests.map((record) => (equal(record.joinId, joinId) ? change(record) : record));
  }
}
