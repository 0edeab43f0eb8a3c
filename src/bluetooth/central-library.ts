/** What the central asks of a library; central-abandonware.ts and central-stoprocent.ts give it. Owns no code. */
import type { EventEmitter } from 'node:events';
import type { LibraryAclStream } from './guards/library.ts';
import type { ConnectionParameters, NobleHci } from './guards/noble.ts';
import type { HciTransport } from './hci/transport.ts';

/** One private copy of a library with its guards on. */
export interface CentralLibrary {
  /** `stateChange` (a listener for it starts the library), `scanStart`, `scanStop`, `discover` (NoblePeripheral). */
  readonly events: EventEmitter;
  /** Once powered on. `leConnComplete` (status, handle, role), `disconnComplete` (handle, reason), `leAdvertisingReport`. */
  readonly hci: NobleHci;
  isPoweredOn(): boolean;
  /** Ends a scan that is on and begins one for the CPNS service, every report wanted. May throw. */
  startScan(): void;
  stopScan(): void;
  /** One LE Create Connection now; its outcome is the next `leConnComplete`. May throw. @param id as discovered */
  createConnection(id: string, parameters: ConnectionParameters): void;
  /** The attempt is over, also when the controller said nothing. */
  endAttempt(): void;
  aclStreamOf(handle: number): LibraryAclStream | undefined;
  /** Takes a device out of every cache. */
  forget(id: string): void;
  /** Leaves nothing of it on the process. */
  release(): void;
}

export type LoadCentral = (transport: HciTransport) => CentralLibrary;
