/**
 * What a gateway takes part in and its trace does not say: what comes to it over Bluetooth, and what it exchanges with the
 * server. The trace of each party has what that party sends, and the server's has both directions of HTTPS; these events
 * are for whoever has only this one gateway to look at. They carry names, sizes and identifiers; never a body or a key.
 */
import { type Bytes, toHex } from '../../base/bytes.ts';
import { statusOfError } from '../../base/errors.ts';
import type { Status } from '../../base/statuses.ts';
import { type ServerClient, ServerProblem } from '../../https/server-client.ts';
import { ChannelFrame } from '../../messages/channel.ts';
import { OutcomePayload } from '../../messages/inventory.ts';
import {
  AuthenticationRelay,
  PnRegistrationChallenge,
  TransactionState,
} from '../../messages/registration.ts';
import { parseSign1 } from '../../security/cose.ts';
import type { TraceEvent } from '../trace.ts';

export type Hear = (event: Omit<TraceEvent, 'atMs'>) => void;

const up = { from: 'gateway', to: 'server', via: 'https' } as const;
const down = { from: 'server', to: 'gateway', via: 'https' } as const;

/** The same client; steps 3, 4, 7 and an answer that is step 11 already are heard, and what goes wrong between them. */
export function hearingClient(client: ServerClient, hear: Hear): ServerClient {
  const asked = async <T>(joinKey: string, call: Promise<T>): Promise<T> => {
    try {
      return await call;
    } catch (error) {
      const status = statusOfError(error);
      if (error instanceof ServerProblem) hear({ ...down, name: 'Refusal', bytes: 0, joinKey, status });
      else if (status !== 'shutting-down')
        hear({ ...down, name: 'NoAnswer', from: 'gateway', via: 'local', bytes: 0, joinKey, status });
      throw error;
    }
  };
  return {
    ...client,
    async registerPn(txn, request, options) {
      const joinKey = toHex(txn);
      hear({ ...up, step: 3, name: 'PnRegistrationRequest', bytes: request.length, joinKey });
      const answer = await asked(joinKey, client.registerPn(txn, request, options));
      const { length: bytes } = PnRegistrationChallenge.encode(answer);
      hear({ ...down, step: 4, name: 'AuthenticationChallenge', bytes, joinKey });
      return answer;
    },
    async respond(txn, response, options) {
      const joinKey = toHex(txn);
      const { length } = AuthenticationRelay.encode({ response });
      hear({ ...up, step: 7, name: 'AuthenticationResponse', bytes: length, joinKey });
      const state = await asked(joinKey, client.respond(txn, response, options));
      const { length: bytes } = TransactionState.encode(state);
      const { inventory, outcome, status } = state;
      if (inventory || outcome)
        hear({ ...down, ...ENDED, bytes, joinKey, ...(outcome && { status: statusOfOutcome(outcome) }) });
      else hear({ ...down, name: 'TransactionState', bytes, joinKey, status });
      return state;
    },
  };
}

const ENDED = { step: 11, name: 'PnRegistrationResponse' } as const;

/** A frame of the channel that is about a join of this gateway's; undefined for any other. */
export function heardFrame(frame: ChannelFrame): Parameters<Hear>[0] | undefined {
  const { length: bytes } = ChannelFrame.encode(frame);
  if (frame.kind === 'pn-registration-response') {
    const { txn, status } = frame.body;
    return { ...down, ...ENDED, bytes, joinKey: toHex(txn), ...(status !== 'ok' && { status }) };
  }
  if (frame.kind === 'transaction-waiting') {
    const { txn, status } = frame.body;
    return { ...down, name: 'TransactionWaiting', bytes, joinKey: toHex(txn), status };
  }
  return undefined;
}

/** As it says itself; whether it is the server's word is for whoever keeps it to verify. */
function statusOfOutcome(outcome: Bytes): Status {
  return OutcomePayload.decode(parseSign1(outcome).payload).status;
}
