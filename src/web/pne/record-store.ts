/**
 * The PNE's records at work: read at once from memory, changed one after the other, and believed only when written.
 * Owns that order; what a change does is in records.ts, how it gets onto a disk in database.ts.
 */
import type { Bytes } from '../../base/bytes.ts';
import { CpnsError } from '../../base/errors.ts';
import type { ServerSeconds } from '../../base/time.ts';
import type { KnownJoin } from '../../establishment/pne-types.ts';
import type { PneKeeper, StoredOwnership } from '../../store/pne-kept.ts';
import * as changes from './records.ts';
import { freshAt, joinsOf, membershipsOf, type PneRecords } from './records.ts';

export class RecordStore implements PneKeeper {
  #records: PneRecords;
  readonly #write: (records: PneRecords) => Promise<void>;
  #last: Promise<void> = Promise.resolve();

  /** @param write settles when the records are on disk; rejects when they are not */
  constructor(records: PneRecords, write: (records: PneRecords) => Promise<void>) {
    this.#records = records;
    this.#write = write;
  }

  /** What is on disk. */
  get records(): PneRecords {
    return this.#records;
  }

  ownership = () => this.#records.ownership;
  enrolmentCode = () => this.#records.code;
  clock = () => ({ floor: this.#records.floor, poweredSeconds: this.#records.poweredSeconds });
  joins = () => joinsOf(this.#records);
  memberships = () => membershipsOf(this.#records);
  freshAt = (th3: Bytes) => freshAt(this.#records, th3);

  forgetCode = () => this.change(changes.forgetCode);
  spendCode = (gatewayThumbprint: Bytes, epoch: number) =>
    this.change(changes.spendCode(gatewayThumbprint, epoch));
  saveOwnership = (ownership: StoredOwnership, serverTime: ServerSeconds, poweredSeconds: number) =>
    this.change(changes.saveOwnership(ownership, serverTime, poweredSeconds));
  saveServerKeys = (statement: Bytes) => this.change(changes.saveServerKeys(statement));
  savePowered = (poweredSeconds: number) => this.change(changes.savePowered(poweredSeconds));
  saveFloor = (serverTime: ServerSeconds, saidAt: number, th3: Bytes) =>
    this.change(changes.saveFloor(serverTime, saidAt, th3));
  savePending = (join: KnownJoin, serverTime: ServerSeconds, poweredSeconds: number) =>
    this.change(changes.savePending(join, serverTime, poweredSeconds));
  forgetPending = (th3: Bytes) => this.change(changes.forgetPending(th3));
  saveMember = (join: KnownJoin, inventory: Bytes, poweredSeconds: number) =>
    this.change(changes.saveMember(join, inventory, poweredSeconds));
  forgetMember = (pnId: Bytes) => this.change(changes.forgetMember(pnId));

  /** Settles when the change is on disk. @throws CpnsError cannot-persist; nothing is changed then */
  change(change: changes.Change): Promise<void> {
    const done = this.#last.then(async () => {
      const next = change(this.#records);
      try {
        await this.#write(next);
      } catch (cause) {
        throw cause instanceof CpnsError ? cause : new CpnsError('cannot-persist', 'records', { cause });
      }
      this.#records = next;
    });
    this.#last = done.catch(() => {});
    return done;
  }
}
