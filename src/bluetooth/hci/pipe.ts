/**
 * What the transport needs of a way to a controller: whole H4 packets out and in. Two ways exist: a byte stream
 * (stream-pipe.ts) and the kernel's adapter (native-pipe.ts).
 */

export interface HciPipe {
  /**
   * True when nobody else drives the controller: then the transport resets it, keeps the command credits and answers
   * long term key requests. False on a raw adapter, where the kernel does all that.
   */
  readonly exclusive: boolean;
  /** One whole packet, type byte first. Never throws; a packet sent after the end is dropped. */
  send(packet: Buffer): void;
  /** Ends the pipe; `onEnd` is not called for it. */
  close(): void;
  isUp(): boolean;
  onPacket: (packet: Buffer) => void;
  /** The controller is gone for good. */
  onEnd: (error: Error | undefined) => void;
}
