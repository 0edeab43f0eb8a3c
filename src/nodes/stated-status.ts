/**
 * The status that a message on a Bluetooth link says of itself, for the trace. Pure.
 */
import type { Bytes } from '../base/bytes.ts';
import type { Status } from '../base/statuses.ts';
import { Resumed } from '../messages/resumption.ts';
import { Abort, Ack, PnSetupResponse, unpadPnSetupResponse, Waiting } from '../messages/setup.ts';

const STATED = new Map<string, (body: Bytes) => Status>(
  Object.entries({
    Abort: (body) => Abort.decode(body).status,
    Ack: (body) => Ack.decode(body).status,
    PnSetupResponse: (body) => PnSetupResponse.decode(unpadPnSetupResponse(body)).status,
    Resumed: (body) => Resumed.decode(body).status,
    Waiting: (body) => Waiting.decode(body).status,
  }),
);

/** @returns no status for a message that says none, or can't be read */
export function statedStatus(name: string, body: Bytes): { readonly status?: Status } {
  try {
    const status = STATED.get(name)?.(body);
    return status === undefined ? {} : { status };
  } catch {
    return {};
  }
}
