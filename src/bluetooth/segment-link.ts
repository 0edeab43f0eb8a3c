/**
 * What both ends of a GATT link have in common: handing segments and the end to the owner, exactly once and in order,
 * even when they come before the owner has set its callbacks. Owns no library and no radio.
 */
import type { Bytes } from '../base/bytes.ts';
import type { DisconnectReason, GattLink } from './gatt-link.ts';

/** Segments kept for an owner that has not yet set `onSegment`; one over it and the link is closed. */
const MAX_EARLY_SEGMENTS = 64;
const CLOSE_DEADLINE_MS = 2000;

export abstract class SegmentLink implements GattLink {
  abstract readonly side: 'central' | 'peripheral';
  abstract readonly peerAddress: string;
  abstract readonly maxSegmentBytes: number;
  #onSegment: ((segment: Bytes) => void) | undefined;
  #onClose: ((reason: DisconnectReason) => void) | undefined;
  #early: Bytes[] = [];
  #endedWith: DisconnectReason | undefined;
  #closing: Promise<void> | undefined;
  #resolveClosing: (() => void) | undefined;

  abstract send(segment: Bytes): void;
  /** Asks the controller to end the link. */
  protected abstract disconnect(): void;

  get ended(): boolean {
    return this.#endedWith !== undefined;
  }

  /** The reason the link ended with, undefined while it is up. */
  get endedWith(): DisconnectReason | undefined {
    return this.#endedWith;
  }

  get onSegment(): (segment: Bytes) => void {
    return this.#onSegment ?? (() => {});
  }

  set onSegment(owner: (segment: Bytes) => void) {
    this.#onSegment = owner;
    const early = this.#early;
    this.#early = [];
    for (const segment of early) this.deliver(segment);
  }

  get onClose(): (reason: DisconnectReason) => void {
    return this.#onClose ?? (() => {});
  }

  set onClose(owner: (reason: DisconnectReason) => void) {
    const late = this.#onClose === undefined ? this.#endedWith : undefined;
    this.#onClose = owner;
    if (late !== undefined) queueMicrotask(() => owner(late));
  }

  /** One segment from the peer. */
  deliver(segment: Bytes): void {
    if (this.#endedWith !== undefined) return;
    if (this.#onSegment === undefined) {
      if (this.#early.length < MAX_EARLY_SEGMENTS) this.#early.push(segment);
      else this.disconnect();
      return;
    }
    try {
      this.#onSegment(segment);
    } catch (error) {
      rethrowOutside(error);
    }
  }

  /** The link is down; only the first call counts. */
  end(reason: DisconnectReason): void {
    if (this.#endedWith !== undefined) return;
    this.#endedWith = reason;
    this.#resolveClosing?.();
    try {
      this.#onClose?.(reason);
    } catch (error) {
      rethrowOutside(error);
    }
  }

  close(): Promise<void> {
    if (this.#endedWith !== undefined) return Promise.resolve();
    this.#closing ??= new Promise((resolve) => {
      const deadline = setTimeout(() => this.end(0), CLOSE_DEADLINE_MS);
      this.#resolveClosing = () => {
        clearTimeout(deadline);
        resolve();
      };
      this.disconnect();
    });
    return this.#closing;
  }
}

/** An owner's defect must surface as an uncaught exception, not vanish in the transport's guard against bad bytes. */
function rethrowOutside(error: unknown): void {
  queueMicrotask(() => {
    throw error;
  });
}
