/**
 * The journal of a soak as it comes: every entry goes through the safety rules and is dropped; kept is what each party
 * holds now. Owns the order: entries come over one wire a process, so they wait a moment and are taken by their time.
 * Causes are written before their effects can be (safety.ts), and the wait is longer than a wire is late.
 */
import { describeViolation, type JournalEntry, SafetyChecker } from '../faults/safety.ts';
import type { PartyView } from '../faults/state-view.ts';

/** How long an entry waits for earlier ones. */
const WAIT_MS = 2_000;

interface Waiting {
  readonly atMs: number;
  readonly at: bigint;
  readonly entry: JournalEntry;
}

export class Ledger {
  readonly #checker = new SafetyChecker();
  readonly #onViolation: (what: string) => void;
  readonly #views = new Map<string, PartyView>();
  #waiting: Waiting[] = [];
  #taken = 0;
  #signatures = 0;

  constructor(onViolation: (what: string) => void) {
    this.#onViolation = onViolation;
  }

  /** Entries so far. */
  get entries(): number {
    return this.#taken + this.#waiting.length;
  }

  /** Step-6 signatures sent so far. */
  get signatures(): number {
    return this.#signatures;
  }

  /** What a party has on its disk, as it said last. */
  view(party: string): PartyView | undefined {
    return this.#views.get(party);
  }

  push(entry: JournalEntry): void {
    if (entry.view) this.#views.set(entry.party, entry.view);
    if (entry.signed !== undefined) this.#signatures++;
    this.#waiting.push({ atMs: performance.now(), at: BigInt(entry.atNs), entry });
  }

  /** Checks what has waited long enough, or all of it. */
  check(all = false): void {
    const limit = all ? Number.POSITIVE_INFINITY : performance.now() - WAIT_MS;
    this.#waiting.sort((a, b) => (a.at < b.at ? -1 : a.at > b.at ? 1 : 0));
    // Up to the last one that has waited: what came later and is of an earlier time goes before it.
    const last = this.#waiting.findLastIndex(({ atMs }) => atMs <= limit);
    for (const { entry } of this.#waiting.splice(0, last + 1)) {
      this.#taken++;
      for (const violation of this.#checker.take(entry)) this.#onViolation(describeViolation(violation));
    }
  }
}
