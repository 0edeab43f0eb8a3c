/**
 * The two narrow ports between the project and a Bluetooth stack. Everything above sees a Bluetooth link as a pipe of
 * segments; which library, role and controller make it is decided below. What is common to all libraries is in
 * central.ts and peripheral.ts; one back-end is one file more for each (`*-abandonware.ts`, `*-stoprocent.ts`).
 *
 * Contract for every back-end: each call settles (its own deadline at the latest), nothing is thrown from a callback,
 * nothing a peer or a controller sends can throw out of the library, and after `close` nothing more is called back.
 */
import type { Bytes } from '../base/bytes.ts';
import type { ChosenProfile } from './adapter-profile.ts';
import type { GattLink } from './gatt-link.ts';

export type { DisconnectReason, GattLink } from './gatt-link.ts';

/** One advertisement with its scan response, as last seen. */
export interface Sighting {
  readonly address: string;
  readonly rssi: number;
  readonly connectable: boolean;
  /** 128-bit service UUIDs, lower case with dashes. */
  readonly serviceUuids: readonly string[];
  /** The CPNS service data (13 bytes, from the scan response), when the peer sent it. */
  readonly serviceData: Bytes | undefined;
}

export interface ConnectOptions {
  /** The call fails with `timeout` after this long, 100 to 60,000 ms, and leaves no pending connection behind. */
  readonly deadlineMs: number;
}

export interface Central {
  /** Who the adapter is, and what its profile says. */
  readonly adapter: ChosenProfile;
  /** Connections that may still be begun, links and attempts counted; infinite where the profile knows no limit. */
  readonly freeLinks: number;
  /** Scans for the CPNS service until `stopScan`. Restarts by itself where the library or controller stopped it. */
  startScan(onSighting: (sighting: Sighting) => void): Promise<void>;
  stopScan(): Promise<void>;
  /**
   * Connects, discovers, exchanges MTU, subscribes.
   * @throws CpnsError `timeout`, `link-lost`, `busy` (no free link at this controller), `not-found` (no CPNS service)
   */
  connect(address: string, options: ConnectOptions): Promise<GattLink>;
  /** Asks the controller something harmless. @returns whether it answered; within 5 s, and never rejects */
  answers(): Promise<boolean>;
  /** The machine slept: a scan is begun anew, links that the controller has no more are ended. Never rejects. */
  afterSleep(): Promise<void>;
  /** Ends every link and frees the controller; the process may then exit by itself. */
  close(): Promise<void>;
}

export interface Advertisement {
  /** 13 bytes of CPNS service data for the scan response (docs/protocol.md §2.2). */
  readonly serviceData: Bytes;
}

export interface Peripheral {
  /** Who the adapter is, and what its profile says. */
  readonly adapter: ChosenProfile;
  /** Advertises the CPNS service, or changes what is advertised; resumes by itself when a link has ended. */
  startAdvertising(advertisement: Advertisement): Promise<void>;
  stopAdvertising(): Promise<void>;
  /**
   * Links that can be up at a time: what the opener asked for, as far as the adapter's profile allows and the back-end
   * can. 1 with bleno of abandonware, which serves one central; up to 16 with that of stoprocent. While there are as many
   * nothing is advertised, with fewer advertising goes on.
   */
  readonly maxLinks: number;
  /** Called when a central has subscribed to the downward characteristic, for at most `maxLinks` at a time. */
  onLink: (link: GattLink) => void;
  /** Asks the controller something harmless. @returns whether it answered; within 5 s, and never rejects */
  answers(): Promise<boolean>;
  /** The machine slept: links that the controller has no more are ended. Advertising is the owner's to start anew. Never rejects. */
  afterSleep(): Promise<void>;
  close(): Promise<void>;
}
