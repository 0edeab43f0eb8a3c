/**
 * The one kind of error that crosses a module's edge. It carries the status to answer with, never a key or a payload.
 * Misuse by our own code is a plain TypeError or Error: it is a defect here, not a fault of the peer.
 */
import { STATUSES, type Status } from './statuses.ts';

export interface CpnsErrorOptions extends ErrorOptions {
  /** What a person can do about it, when that is not the same for every error of the status. */
  readonly mend?: string;
}

export class CpnsError extends Error {
  override readonly name = 'CpnsError';
  readonly status: Status;
  readonly mend: string | undefined;

  /**
   * @param status what to tell the peer and the user
   * @param detail where or what, for a log line; must hold no secret and no peer-chosen text
   */
  constructor(status: Status, detail?: string, options?: CpnsErrorOptions) {
    super(detail ? `${status}: ${detail}` : `${status}: ${STATUSES[status].sentence}`, options);
    this.status = status;
    this.mend = options?.mend;
  }

  get retryable(): boolean {
    return STATUSES[this.status].retryable;
  }
}

/** The status that stands for any thrown value: its own when it is a CpnsError, `internal` otherwise. */
export function statusOfError(error: unknown): Status {
  return error instanceof CpnsError ? error.status : 'internal';
}
