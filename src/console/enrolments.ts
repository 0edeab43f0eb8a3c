/**
 * Enrolments that were begun from the console: a code that was typed in, or one that this gateway shows. Owns what became
 * of each, for everybody who looks on; the codes themselves are the node's, and the answer's to whoever asked.
 */
import { statusOfError } from '../base/errors.ts';
import { STATUSES } from '../base/statuses.ts';
import type { Comparison, PairedPne } from '../nodes/gateway/pairing.ts';
import type { EnrolmentView } from './view.ts';

const MAX_KEPT = 8;

export class Enrolments {
  #list: readonly EnrolmentView[] = [];
  #lastId = 0;
  readonly #onChange: () => void;

  constructor(onChange: () => void) {
    this.#onChange = onChange;
  }

  /** The newest first. */
  list(): readonly EnrolmentView[] {
    return this.#list;
  }

  /** @returns its id */
  follow(by: EnrolmentView['by'], work: Promise<PairedPne>): number {
    const id = ++this.#lastId;
    const begun: EnrolmentView = { id, by, state: 'waiting', label: null, digits: null, meaning: null };
    this.#list = [begun, ...this.#list].slice(0, MAX_KEPT);
    this.#onChange();
    work.then(
      (paired) => this.#becomes(id, { state: 'done', label: nameOf(paired) }),
      (error: unknown) =>
        this.#becomes(id, { state: 'failed', meaning: STATUSES[statusOfError(error)].sentence }),
    );
    return id;
  }

  /** A device has the code and waits for its digits to be compared, or does not wait any more. */
  compares(id: number, comparison: Comparison | undefined): void {
    const { digits = null } = comparison ?? {};
    const label = comparison ? nameOf(comparison) : null;
    this.#becomes(id, { state: comparison ? 'comparing' : 'waiting', label, digits });
  }

  #becomes(id: number, change: Partial<EnrolmentView>): void {
    this.#list = this.#list.map((each) => (each.id === id ? { ...each, ...change } : each));
    this.#onChange();
  }
}

function nameOf({ label, thumbprint }: PairedPne): string {
  return label ?? thumbprint.slice(0, 16);
}
