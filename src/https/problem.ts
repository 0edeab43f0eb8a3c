/**
 * What the server answers when it says no: concise problem details (RFC 9290) with the protocol's status.
 * Owns the answer's form. Must not carry peer-chosen text, nor what an internal failure was about.
 * Source: docs/protocol.md §9.
 */
import { type Bytes, utf8 } from '../base/bytes.ts';
import { CpnsError } from '../base/errors.ts';
import { STATUSES } from '../base/statuses.ts';
import { PROBLEM_MEDIA_TYPE, ProblemDetails } from '../messages/problem.ts';

export { PROBLEM_MEDIA_TYPE } from '../messages/problem.ts';

const MAX_RETRY_SECONDS = 86_400;
const MAX_DETAIL_BYTES = 256;

/** A no with the time to wait before the next attempt. */
export class RefusedError extends CpnsError {
  readonly retryAfterSeconds: number | undefined;

  /** @param retryAfterSeconds 0 to 86,400 */
  constructor(status: CpnsError['status'], retryAfterSeconds?: number) {
    super(status);
    this.retryAfterSeconds =
      retryAfterSeconds === undefined
        ? undefined
        : Math.max(0, Math.min(MAX_RETRY_SECONDS, Math.ceil(retryAfterSeconds)));
  }
}

export interface Problem {
  readonly httpStatus: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Bytes;
}

/** The answer for any thrown value; one that is no CpnsError is `internal` and says no more. */
export function problemOf(error: unknown): Problem {
  const failure = error instanceof CpnsError && error.status !== 'ok' ? error : new CpnsError('internal');
  const status = failure.status === 'ok' ? 'internal' : failure.status;
  const retryAfterSeconds = failure instanceof RefusedError ? failure.retryAfterSeconds : undefined;
  // A status that says "wait" answers no HTTP request with success.
  const httpStatus = Math.max(400, STATUSES[status].http);
  return {
    httpStatus,
    headers: {
      'content-type': PROBLEM_MEDIA_TYPE,
      ...(retryAfterSeconds !== undefined && { 'retry-after': String(retryAfterSeconds) }),
    },
    body: ProblemDetails.encode({
      title: STATUSES[status].sentence,
      detail: detailOf(failure),
      responseCode: httpStatus,
      status: { code: status, name: status, ...(retryAfterSeconds !== undefined && { retryAfterSeconds }) },
    }),
  };
}

/** Only a fault in the peer's own bytes is explained: it is the peer's to mend. */
function detailOf({ status, message }: CpnsError): string {
  const detail = STATUSES[status].class === 'remote' ? message.slice(status.length + 2) : '';
  return utf8(detail).length <= MAX_DETAIL_BYTES ? detail : '';
}
