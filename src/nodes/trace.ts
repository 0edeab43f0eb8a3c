/**
 * What a party reports of each protocol message it sends, for the demo's ladder, `--trace` and tests. Carries names,
 * sizes and identifiers; never a body or a key.
 */
import type { Status } from '../base/statuses.ts';

export type PartyName = 'pne' | 'gateway' | 'home-gateway' | 'server';

export interface TraceEvent {
  /** Step of the flow (docs/protocol.md §1), where the message is one. */
  readonly step?: number;
  readonly name: string;
  readonly from: PartyName;
  readonly to: PartyName;
  readonly via: 'ble' | 'https' | 'local';
  /** Bytes as carried: on Bluetooth the record, in HTTPS the body. */
  readonly bytes: number;
  /** Link segments, on Bluetooth. */
  readonly segments?: number;
  /** Milliseconds since 1970 at the reporting party. */
  readonly atMs: number;
  /** Transaction ID in hex, as soon as it is known. */
  readonly joinKey?: string;
  /** Join ID in hex, by which home gateways name it; of step 7 only, where it is first known. */
  readonly joinId?: string;
  /** First 8 bytes of th1 in hex: names the Bluetooth link. */
  readonly link?: string;
  readonly status?: Status;
}

export type OnTrace = (event: TraceEvent) => void;

/** Steps of the messages on a Bluetooth link. */
export const LINK_STEPS: Readonly<Record<string, number>> = {
  PnSetupRequest: 1,
  PnSetupResponse: 2,
  AuthenticationChallenge: 5,
  AuthenticationResponse: 6,
  PnSetupNotify: 13,
};
