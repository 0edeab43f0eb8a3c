/**
 * A confirm request as plain values, for a shell, a program or a page. Owns which of them are shown. Pure.
 */
import { toHex } from '../../base/bytes.ts';
import type { ConfirmRequestView } from '../../network/approval-policy.ts';

/** A question that waits for the owner. */
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

/** A confirm request as it is shown. */
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
