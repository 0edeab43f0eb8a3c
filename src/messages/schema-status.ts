/**
 * Statuses on the wire: numbers 0–127 there, names of src/base/statuses.ts in memory.
 * Owns that mapping. Must not know any message. Source: docs/protocol.md §11.
 * CHOICE: a number that this version does not know is malformed, except where a declaration says `lenient`: there any
 * unknown number of the allowed range reads as `internal`, so that a newer party can always tell an older one that it
 * failed.
 */
import { STATUSES, type Status, statusCode, statusOf } from '../base/statuses.ts';
import { headBytes, misuse, refuse, type Schema } from './schema.ts';

export type Success = 'ok';
export type Failure = Exclude<Status, Success>;

export interface StatusBounds {
  /** Allowed numbers, both ends included; all when absent. */
  readonly ranges?: readonly (readonly [first: number, last: number])[];
  readonly lenient?: boolean;
}

const MAX_CODE = 127;

/** Any status, success included. */
export function status(bounds: StatusBounds = {}): Schema<Status> {
  return ranged<Status>(bounds.ranges ?? [[0, MAX_CODE]], bounds.lenient ?? false);
}

/** Status 0. */
export function success(): Schema<Success> {
  return ranged<Success>([[0, 0]], false);
}

/** Any status but success. */
export function failure(bounds: StatusBounds = {}): Schema<Failure> {
  return ranged<Failure>(bounds.ranges ?? [[1, MAX_CODE]], bounds.lenient ?? false);
}

/** One of these statuses. */
export function statusAmong<const S extends Status>(...among: readonly S[]): Schema<S> {
  return ranged<S>(
    among.map((name) => [statusCode(name), statusCode(name)] as const),
    false,
  );
}

function ranged<S extends Status>(ranges: NonNullable<StatusBounds['ranges']>, lenient: boolean): Schema<S> {
  const allowed = (code: number) => ranges.some(([first, last]) => code >= first && code <= last);
  const numbers = (dash: string) =>
    ranges.map(([first, last]) => (first === last ? `${first}` : `${first}${dash}${last}`));
  return {
    maxBytes: Math.max(...ranges.map(([, last]) => headBytes(last))),
    maxItems: 1,
    depth: 0,
    lossy: lenient,
    type: 'status',
    bounds: allowed(0) && allowed(MAX_CODE) ? '' : numbers('–').join(', '),
    cddl: ranges.length === 1 ? `${numbers('..')[0]}` : `(${numbers('..').join(' / ')})`,
    refers: [],
    toCbor(name, path) {
      if (typeof name !== 'string' || !Object.hasOwn(STATUSES, name)) misuse(path, 'no such status');
      const code = statusCode(name);
      return allowed(code) ? code : misuse(path, 'status not allowed here');
    },
    fromCbor(cbor, path) {
      if (typeof cbor !== 'number' || !allowed(cbor)) refuse(path, 'not a status allowed here');
      const name = statusOf(cbor) ?? (lenient ? 'internal' : refuse(path, 'unknown status'));
      return name as S;
    },
  };
}
