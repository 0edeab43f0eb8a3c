/**
 * What the server tells an observer of each protocol message it handles, for demonstrations and tests.
 * Owns the event's form. Must not carry contents.
 */
import type { JoinId, TransactionId } from '../base/ids.ts';

export interface ServerTraceEvent {
  /** Step of docs/protocol.md §1, where the message is one. */
  readonly step?: number;
  readonly name: string;
  readonly from: 'gw1' | 'gw2' | 'server';
  readonly to: 'gw1' | 'gw2' | 'server';
  readonly via: 'https' | 'local';
  /** Body bytes on that transport. */
  readonly bytes: number;
  /** txn in hex for 3, 4, 7 and 11; joinId in hex for 8, 9 and 10; another name for the rest, or ''. */
  readonly joinKey: string;
  readonly txn?: string;
  readonly joinId?: string;
  /** Milliseconds since 1970, by the host's clock. */
  readonly atMs: number;
}

export type TraceSink = (event: Omit<ServerTraceEvent, 'atMs'>) => void;

export interface Traced {
  readonly txn?: TransactionId;
  readonly joinId?: JoinId;
}
