/**
 * A confirm request as text: what the owner of a PNE reads before saying yes. Owns the wording.
 */
import { limitInWords } from '../base/money.ts';
import type { ApprovalView } from '../nodes/gateway/approval-view.ts';
import { formatTime } from './output.ts';

/** The question, with what was verified and what is only claimed told apart. */
export function approvalQuestion(view: ApprovalView): string {
  const cost = limitInWords(view.limit, view.currency, view.periodDays);
  return [
    `Join ${view.joinId.slice(0, 8)}: gateway "${view.gateway}" of ${view.user} wants to take in your "${view.pne}"`,
    `  network:  "${view.claimedPnName}" (so they call it), ${view.setupType === 'new' ? 'new' : 'existing'}`,
    `  cost:     at most ${cost}, charged to you`,
    `  answer by ${formatTime(view.deadline)}`,
  ].join('\n');
}
