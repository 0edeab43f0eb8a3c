/**
 * The PNE's records at work: read at once from memory, changed one after the other, and believed only when written.
 * Owns that order; what a change does is in records.ts, how it gets onto a disk in database.ts.
 */
import { CpnsError } from '../../base/errors.ts';
import type { Change, PneRecords } from './records.ts';

export class RecordStore {
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

  /** Settles when the change is on disk. @throws CpnsError cannot-persist; nothing is changed then */
  change(change: Change): Promise<void> {
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
