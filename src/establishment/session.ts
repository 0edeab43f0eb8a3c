/**
 * What the two machines of a Bluetooth link, PNE and initiating gateway, have in common: how a link is ended and what
 * its end is called. Pure.
 */
import type { Bytes } from '../base/bytes.ts';
import { statusOfError } from '../base/errors.ts';
import { STATUSES, type Status } from '../base/statuses.ts';
import { Abort } from '../messages/setup.ts';
import type { Step } from './machine.ts';

/** Ends the link; `abort` tells the peer the status first (docs/protocol.md §3.5). */
export interface CloseOutput {
  readonly kind: 'close';
  readonly status: Status;
  readonly abort: boolean;
}

/** What ends a link in any state, the same in every table of a link's machine. */
export const ENDS = {
  Abort: { do: 'closeQuietly', to: ['closed'] },
  failed: { do: 'closeWithAbort', to: ['closed'] },
  timeout: { do: 'closeWithAbort', to: ['closed'] },
  linkClosed: { do: 'closeQuietly', to: ['closed'] },
  stop: { do: 'closeWithAbort', to: ['closed'] },
} as const;

type Ended = Step<'closed', CloseOutput>;

export function closeWith(status: Status, abort = true): Ended {
  return { to: 'closed', outputs: [{ kind: 'close', status, abort }] };
}

/** Runs checks that throw; a refusal closes the link with the check's own status. */
export function checked<S extends string, O>(step: () => Step<S, O>): Step<S | 'closed', O | CloseOutput> {
  try {
    return step();
  } catch (error) {
    return closeWith(statusOfError(error));
  }
}

/** The value an earlier state has left; its absence is a defect of ours, not of the peer. */
export function known<T>(value: T | undefined): T {
  if (value === undefined) throw new Error('a value of an earlier step is missing');
  return value;
}

/**
 * What to call the end of a link: the status of the peer's Abort, what the link layer says, our own reason, or silence.
 */
export function endStatus(input: {
  readonly kind: string;
  readonly status?: Status;
  readonly body?: Bytes;
}): Status {
  if (input.kind === 'timeout') return 'timeout';
  if (input.kind === 'stop') return 'shutting-down';
  if (input.body === undefined) return input.status ?? 'ok';
  try {
    return Abort.decode(input.body).status;
  } catch (error) {
    return statusOfError(error);
  }
}

/** Whether a live link ended without anybody finding fault. */
export function wentQuietly(status: Status): boolean {
  return status === 'shutting-down' || STATUSES[status].class === 'link';
}

/** Whether a link's end is nobody's refusal: a peer that refuses says so. */
export function wentSilently(status: Status): boolean {
  return STATUSES[status].class === 'link' || STATUSES[status].class === 'local';
}
