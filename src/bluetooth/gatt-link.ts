/**
 * One Bluetooth link as everything above sees it: a pipe of segments, whichever side, library or browser makes it.
 * A type only, and nothing of a host: it holds in a browser, too. The contract is that of ports.ts.
 */
import type { Bytes } from '../base/bytes.ts';

/** Why a link ended, as far as the controller said: an HCI error code, 0x01–0xff, or 0 when there was none. */
export type DisconnectReason = number;

/** One connected GATT link with the CPNS service found, notifications on and the ATT MTU settled. */
export interface GattLink {
  readonly side: 'central' | 'peripheral';
  /** Bluetooth device address of the peer, `aa:bb:cc:dd:ee:ff`. */
  readonly peerAddress: string;
  /** Bytes one segment may have on this link: min(ATT_MTU, 247) − 3, 20 to 244. */
  readonly maxSegmentBytes: number;
  /**
   * Queues one segment. Never blocks; a segment sent after the end is dropped.
   * @throws RangeError on an empty segment or one over maxSegmentBytes: a defect of the caller, never of the link
   */
  send(segment: Bytes): void;
  /** Set once by its owner. What came before is kept, up to 64 segments, and handed over when it is set. */
  onSegment: (segment: Bytes) => void;
  onClose: (reason: DisconnectReason) => void;
  /** Disconnects; settles when the link is down or after 2 s. */
  close(): Promise<void>;
}
