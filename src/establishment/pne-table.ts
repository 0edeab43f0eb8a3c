/**
 * The PNE's side of one link, as a table: steps 0, 1, 2, 5, 6 and 13 of the establishment, and the resumption of an
 * earlier one (docs/protocol.md §6, §8, §10). Data only; what the actions do is in pne.ts.
 */
import type { TransitionTable } from './machine.ts';
import { ENDS } from './session.ts';

export type PneState =
  | 'opening' // waiting for both OPENs
  | 'awaiting-setup-request' // step 1
  | 'deciding' // the PNE's policy or user is asked
  | 'declined' // step 2 said no; the gateway may still send a newer server key set
  | 'awaiting-challenge' // step 5
  | 'signing' // the pending join is on disk; the identity key signs step 6
  | 'awaiting-notify' // step 13
  | 'awaiting-resume'
  | 'resuming' // resumed with a pending join: step 13 is due again
  | 'member'
  | 'closed';

export type PneInputKind =
  | 'opened'
  | 'PnSetupRequest'
  | 'AuthenticationChallenge'
  | 'PnSetupNotify'
  | 'PnInventoryUpdate'
  | 'Resume'
  | 'Freshness'
  | 'ServerKeys'
  | 'Waiting'
  | 'Abort'
  | 'Data'
  | 'decided'
  | 'signed'
  | 'failed'
  | 'timeout'
  | 'linkClosed'
  | 'stop';

export type PneAction =
  | 'open'
  | 'verifySetupRequest'
  | 'answerSetup'
  | 'replaceServerKeys'
  | 'endDeclined'
  | 'verifyChallenge'
  | 'respond'
  | 'forgetPending'
  | 'takeNotify'
  | 'resume'
  | 'takeUpdate'
  | 'takeServerKeys'
  | 'takeFreshness'
  | 'keepWaiting'
  | 'takeData'
  | 'closeWithAbort'
  | 'closeQuietly'
  | 'ignore';

export const PNE_TABLE: TransitionTable<PneState, PneInputKind, PneAction> = {
  opening: { ...ENDS, opened: { do: 'open', to: ['awaiting-setup-request', 'awaiting-resume'] } },
  'awaiting-setup-request': {
    ...ENDS,
    PnSetupRequest: { do: 'verifySetupRequest', to: ['deciding', 'declined', 'closed'] },
  },
  deciding: { ...ENDS, decided: { do: 'answerSetup', to: ['awaiting-challenge', 'declined'] } },
  declined: {
    ...ENDS,
    linkClosed: { do: 'endDeclined', to: ['closed'] },
    timeout: { do: 'endDeclined', to: ['closed'] },
    ServerKeys: { do: 'replaceServerKeys', to: ['closed'] },
  },
  'awaiting-challenge': {
    ...ENDS,
    AuthenticationChallenge: { do: 'verifyChallenge', to: ['signing', 'closed'] },
  },
  signing: {
    // Nothing was said yet that needs the pending join, so it goes with the link.
    Abort: { do: 'forgetPending', to: ['closed'] },
    failed: { do: 'forgetPending', to: ['closed'] },
    timeout: { do: 'forgetPending', to: ['closed'] },
    linkClosed: { do: 'forgetPending', to: ['closed'] },
    stop: { do: 'forgetPending', to: ['closed'] },
    signed: { do: 'respond', to: ['awaiting-notify'] },
  },
  'awaiting-notify': {
    ...ENDS,
    Waiting: { do: 'keepWaiting', to: ['awaiting-notify'] },
    PnSetupNotify: { do: 'takeNotify', to: ['member', 'closed'] },
  },
  'awaiting-resume': { ...ENDS, Resume: { do: 'resume', to: ['member', 'resuming', 'closed'] } },
  resuming: {
    ...ENDS,
    Waiting: { do: 'keepWaiting', to: ['resuming'] },
    ServerKeys: { do: 'takeServerKeys', to: ['resuming', 'closed'] },
    Freshness: { do: 'takeFreshness', to: ['resuming', 'closed'] },
    PnSetupNotify: { do: 'takeNotify', to: ['member', 'closed'] },
  },
  member: {
    ...ENDS,
    PnSetupNotify: { do: 'takeUpdate', to: ['member', 'closed'] },
    PnInventoryUpdate: { do: 'takeUpdate', to: ['member', 'closed'] },
    ServerKeys: { do: 'takeServerKeys', to: ['member', 'closed'] },
    Freshness: { do: 'takeFreshness', to: ['member', 'closed'] },
    Waiting: { do: 'ignore', to: ['member'] },
    Data: { do: 'takeData', to: ['member'] },
  },
  closed: {},
};

/** docs/protocol.md §10, in milliseconds. */
export const PNE_DEADLINES: { readonly [S in PneState]?: number } = {
  opening: 2_000,
  'awaiting-setup-request': 3_000,
  deciding: 55_000,
  declined: 5_000,
  'awaiting-challenge': 30_000,
  signing: 10_000,
  'awaiting-notify': 60_000,
  'awaiting-resume': 3_000,
  resuming: 60_000,
};
