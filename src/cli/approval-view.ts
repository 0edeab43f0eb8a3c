/**
 * A confirm request as text and JSON: what the owner of a PNE reads before saying yes. Owns the wording.
 */
import { toHex } from '../base/bytes.ts';
import type { ConfirmRequestView } from '../network/approval-policy.ts';
import { formatMoney, formatTime } from './output.ts';

export interface ApprovalView {
  readonly joinId: string;
  readonly pnId: string;
  readonly pne: string;
  readonly user: string;
  readonly gateway: string;
  readonly gatewayId: string;
  /** A claim of the asking gateway's owner. */
  readonly claimedPnName: string;
  readonly setupType: string;
  readonly currency: string;
  readonly limit: number;
  readonly periodDays: number;
  readonly deadline: number;
}

export function approvalView(view: ConfirmRequestView): ApprovalView {
  const { asking, pne, terms } = view;
  return {
    joinId: toHex(view.joinId),
    pnId: toHex(view.pnId),
    pne: pne.label ?? toHex(pne.thumbprint).slice(0, 16),
    user: asking.user,
    gateway: asking.gateway,
    gatewayId: toHex(asking.gatewayId),
    claimedPnName: view.claimedPnName,
    setupType: view.setupType,
    ...terms,
    deadline: view.deadline,
  };
}

/** The question, with what was verified and what is only claimed told apart. */
export function approvalQuestion(view: ApprovalView): string {
  const cost = `${formatMoney(view.limit, view.currency)} in ${view.periodDays} days`;
  return [
    `Join ${view.joinId.slice(0, 8)}: gateway "${view.gateway}" of ${view.user} wants to take in your "${view.pne}"`,
    `  network:  "${view.claimedPnName}" (so they call it), ${view.setupType === 'new' ? 'new' : 'existing'}`,
    `  cost:     at most ${cost}, charged to you`,
    `  answer by ${formatTime(view.deadline)}`,
  ].join('\n');
}
