/**
 * The home gateway's side of one confirm request, as a table: steps 8 and 9 and the outcome (docs/protocol.md §9, §12).
 * Data only; what the actions do is in home-gateway.ts. Nothing here waits for a fixed time: the server ends a question at
 * its deadline; one that it never ends comes to `deadline` here when the node has kept it long enough.
 */
import type { TransitionTable } from './machine.ts';

export type HomeGatewayState =
  | 'asked' // step 8 is on disk, nothing was looked at yet
  | 'asking' // the evidence is good and the owner is asked
  | 'signing' // decided; the identity key signs the answer
  | 'answering' // the answer is on disk, so from here on it is these bytes or none
  | 'answered' // the server has taken it
  | 'settling' // over; the end goes to disk
  | 'settled'
  | 'suspended'; // something failed here; the driver starts again from what is on disk

export type HomeGatewayInputKind =
  | 'review' // look at the request: first of all, or again after a restart
  | 'decided' // the owner has answered
  | 'signed'
  | 'delivered'
  | 'rejected' // the server will not take the answer, now or later
  | 'resend' // the request came again, or the channel did
  | 'outcome'
  | 'stored' // the end is on disk
  | 'deadline'
  | 'failed'
  | 'timeout'
  | 'stop';

export type HomeGatewayAction =
  | 'review'
  | 'sign'
  | 'answer'
  | 'send'
  | 'wait'
  | 'settle'
  | 'giveUp'
  | 'giveIn'
  | 'end'
  | 'suspend'
  | 'ignore';

/** In any state: a verified outcome is the end; a failure or a stop leaves the request to the next start. */
const always = <S extends HomeGatewayState>(state: S) =>
  ({
    outcome: { do: 'settle', to: ['settling', state] },
    failed: { do: 'suspend', to: ['suspended'] },
    stop: { do: 'suspend', to: ['suspended'] },
  }) as const;

export const HOME_GATEWAY_TABLE: TransitionTable<HomeGatewayState, HomeGatewayInputKind, HomeGatewayAction> =
  {
    asked: {
      ...always('asked'),
      review: { do: 'review', to: ['asking', 'signing', 'suspended'] },
      deadline: { do: 'giveUp', to: ['settling'] },
      resend: { do: 'ignore', to: ['asked'] },
    },
    asking: {
      ...always('asking'),
      decided: { do: 'sign', to: ['signing'] },
      deadline: { do: 'giveUp', to: ['settling'] },
      review: { do: 'ignore', to: ['asking'] },
      resend: { do: 'ignore', to: ['asking'] },
    },
    signing: {
      ...always('signing'),
      signed: { do: 'answer', to: ['answering'] },
      // The answer may still come in time by the server's clock, which is the one that counts.
      deadline: { do: 'ignore', to: ['signing'] },
      decided: { do: 'ignore', to: ['signing'] },
      resend: { do: 'ignore', to: ['signing'] },
    },
    answering: {
      ...always('answering'),
      delivered: { do: 'wait', to: ['answered'] },
      rejected: { do: 'giveIn', to: ['settling'] },
      review: { do: 'send', to: ['answering'] },
      resend: { do: 'send', to: ['answering'] },
      deadline: { do: 'ignore', to: ['answering'] },
      decided: { do: 'ignore', to: ['answering'] },
    },
    answered: {
      ...always('answered'),
      review: { do: 'send', to: ['answering'] },
      resend: { do: 'send', to: ['answering'] },
      delivered: { do: 'ignore', to: ['answered'] },
      deadline: { do: 'ignore', to: ['answered'] },
      decided: { do: 'ignore', to: ['answered'] },
    },
    settling: {
      ...always('settling'),
      stored: { do: 'end', to: ['settled'] },
      // An outcome that comes while "no hope" is written is written after it.
      outcome: { do: 'settle', to: ['settling'] },
    },
    settled: {},
    suspended: {},
  };
