/**
 * One LE Create Connection at a time at a controller (GUARD(N11), GUARD(N12)): cancelled at HCI level when it is given up or
 * its turn is over, and awaited until the controller has nothing pending. Must not know whose attempt it is.
 */
import type { CentralLibrary } from './central-library.ts';
import type { ConnectionParameters } from './guards/noble.ts';

export type Created = { readonly status: number; readonly handle: number };

/** HCI status: the peer never answered. */
export const ERROR_FAILED_TO_ESTABLISH = 0x3e;

/** How long one attempt may keep the controller while others wait for it. */
const TURN_MS = 1000;
const CANCEL_DEADLINE_MS = 1000;

export class ConnectionTurn {
  readonly #library: CentralLibrary;
  readonly #parameters: ConnectionParameters;
  #settle: ((created: Created | undefined) => void) | undefined;
  #cancelled = false;
  #startedAt = 0;
  #end: NodeJS.Timeout | undefined;
  #limit: NodeJS.Timeout | undefined;

  constructor(library: CentralLibrary, parameters: ConnectionParameters) {
    this.#library = library;
    this.#parameters = parameters;
  }

  /** @returns undefined when it was cancelled */
  async create(id: string, othersWait: boolean): Promise<Created | undefined> {
    this.#cancelled = false;
    this.#startedAt = performance.now();
    const created = await new Promise<Created | undefined>((resolve) => {
      this.#settle = resolve;
      if (othersWait) this.endSoon();
      try {
        this.#library.createConnection(id, this.#parameters);
      } catch {
        resolve({ status: ERROR_FAILED_TO_ESTABLISH, handle: 0 });
      }
    });
    this.#settle = undefined;
    clearTimeout(this.#end);
    clearTimeout(this.#limit);
    this.#library.endAttempt();
    return this.#cancelled && created?.status !== 0 ? undefined : created;
  }

  /** Of a connection complete. @returns whether it was awaited */
  complete(created: Created): boolean {
    this.#settle?.(created);
    return this.#settle !== undefined;
  }

  /** Gives up; what came through nevertheless is still returned. */
  cancel(): void {
    if (this.#settle === undefined || this.#cancelled) return;
    this.#cancelled = true;
    this.#library.hci.cancelConnect();
    this.#limit = setTimeout(() => this.#settle?.(undefined), CANCEL_DEADLINE_MS);
  }

  /** Others wait: it is given up when it has had its time. */
  endSoon(): void {
    if (this.#settle === undefined) return;
    clearTimeout(this.#end);
    const restMs = Math.max(0, this.#startedAt + TURN_MS - performance.now());
    this.#end = setTimeout(() => this.cancel(), restMs);
  }
}
