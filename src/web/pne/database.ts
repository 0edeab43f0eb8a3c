/**
 * The one place that knows IndexedDB: a few values under fixed names, each written whole in one durable transaction.
 * Owns opening, writing and erasing; must not know what the values mean. `put` settles when the browser says that it is
 * on disk, which is what "persist before send" waits for (docs/protocol.md §12).
 */
import { CpnsError } from '../../base/errors.ts';

const VERSION = 1;
const STORE = 'kept';

export class PneDatabase {
  readonly #db: IDBDatabase;

  constructor(db: IDBDatabase) {
    this.#db = db;
    // Another page wants to erase or upgrade: let it, this one fails at its next write.
    db.onversionchange = () => db.close();
  }

  /** What is kept under a name; undefined when nothing is. @throws CpnsError cannot-persist */
  get(name: string): Promise<unknown> {
    return this.#transaction('readonly', (store) => store.get(name));
  }

  /** @throws CpnsError cannot-persist; what was kept before is then still kept */
  async put(name: string, value: unknown): Promise<void> {
    await this.#transaction('readwrite', (store) => store.put(value, name));
  }

  close(): void {
    this.#db.close();
  }

  #transaction<T>(mode: IDBTransactionMode, work: (store: IDBObjectStore) => IDBRequest<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      const fail = (cause: unknown) => reject(cannotPersist(cause));
      try {
        const transaction = this.#db.transaction(STORE, mode, { durability: 'strict' });
        const request = work(transaction.objectStore(STORE));
        transaction.oncomplete = () => resolve(request.result);
        transaction.onabort = () => fail(transaction.error);
      } catch (error) {
        fail(error);
      }
    });
  }
}

/** @throws CpnsError cannot-persist, as in a private window that keeps nothing */
export function openPneDatabase(name: string): Promise<PneDatabase> {
  return new Promise((resolve, reject) => {
    try {
      const request = indexedDB.open(name, VERSION);
      request.onupgradeneeded = () => request.result.createObjectStore(STORE);
      request.onsuccess = () => resolve(new PneDatabase(request.result));
      request.onerror = () => reject(cannotPersist(request.error));
    } catch (error) {
      reject(cannotPersist(error));
    }
  });
}

/** Erases everything kept under this name, the identity key included. @throws CpnsError cannot-persist */
export function erasePneDatabase(name: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const request = indexedDB.deleteDatabase(name);
    request.onsuccess = () => resolve();
    request.onerror = () => reject(cannotPersist(request.error));
  });
}

function cannotPersist(cause: unknown): CpnsError {
  const what = cause instanceof DOMException ? cause.name : 'IndexedDB';
  return new CpnsError('cannot-persist', what, { cause });
}
