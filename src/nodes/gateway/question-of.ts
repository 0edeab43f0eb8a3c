/** Which question, or report of one, a person means who writes the start of its join id. */
import { toHex } from '../../base/bytes.ts';
import { CpnsError } from '../../base/errors.ts';
import type { ConfirmRequestView } from '../../network/approval-policy.ts';

/**
 * The one whose join id begins with these 4 or more hex digits. Of two that begin alike neither is meant: the ids are
 * hashes over what the asking side chose, which can try until one fits.
 * @throws CpnsError unknown-transaction for none, conflict for several
 */
export function questionOf<View extends Pick<ConfirmRequestView, 'joinId'>>(
  waiting: readonly View[],
  start: string,
): View {
  const [found, another] =
    start.length < 4 ? [] : waiting.filter(({ joinId }) => toHex(joinId).startsWith(start));
  if (!found) throw new CpnsError('unknown-transaction', 'there is none of this join');
  if (another) throw new CpnsError('conflict', 'several joins begin so: give more digits');
  return found;
}
