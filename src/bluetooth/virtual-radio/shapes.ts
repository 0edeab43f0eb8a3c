/**
 * How the parts of the virtual radio see each other: radio, controller, link and link end. Shapes only, so that the
 * files that implement them need not import one another in circles.
 */
import type { HciVersion } from '../../profiles/identity.ts';
import type { FaultDice } from './faults.ts';

/** The host's end of the HCI, as the controller sees it. */
export interface HostPort {
  /** One whole packet, given away. @returns false when the host does not read: wait for `hostReady` */
  send(packet: Buffer): boolean;
  close(): void;
}

/** Every option, settled; ranges and defaults are in radio.ts. */
export interface RadioSettings {
  readonly intervalMs: number;
  readonly packetsPerEvent: number;
  readonly aclBufferBytes: number;
  readonly aclBufferCount: number;
  readonly advertisingIntervalMs: number;
  readonly maxLinks: number;
  readonly firstHandle: number;
  readonly localVersion: HciVersion;
  readonly seed: number;
}

export interface LinkParameters {
  /** Units of 1.25 ms. */
  readonly interval: number;
  readonly latency: number;
  /** Supervision timeout, units of 10 ms. */
  readonly timeout: number;
}

export interface Initiating extends LinkParameters {
  readonly peerAddressType: number;
  readonly peerAddress: Buffer;
  readonly ownAddressType: number;
}

export interface Advertising {
  enabled: boolean;
  type: number;
  ownAddressType: number;
  data: Buffer;
  scanResponse: Buffer;
  timer: NodeJS.Timeout | undefined;
}

export interface Scanning {
  enabled: boolean;
  active: boolean;
  ownAddressType: number;
  filterDuplicates: boolean;
  readonly seen: Set<string>;
}

export interface RadioPart {
  readonly options: RadioSettings;
  readonly dice: FaultDice;
  readonly controllers: ReadonlySet<ControllerPart>;
  adverts: number;
  overflows: number;
  linkMade(link: LinkPart): void;
  linkEnded(link: LinkPart): void;
  countCommand(opcode: number, known: boolean): void;
  /** A timer that goes with the radio. */
  later(run: () => void, delayMs: number): void;
}

export interface ControllerPart {
  readonly radio: RadioPart;
  readonly publicAddress: Buffer;
  randomAddress: Buffer;
  readonly advertising: Advertising;
  readonly scanning: Scanning;
  initiating: Initiating | undefined;
  readonly links: Map<number, EndPart>;
  /** Fault: a scanner that says it scans and hears nothing, as chips do after hours. */
  deaf: boolean;
  readonly hostBlocked: boolean;
  toHost(packet: Buffer): void;
  reset(): void;
  setAdvertising(enabled: boolean): void;
  ownAddress(type: number): Buffer;
  addresses(): readonly string[];
  takeHandle(): number;
  packetCrossed(end: EndPart): void;
  packetsFlushed(count: number): void;
  flushCompleted(): void;
}

export interface EndPart {
  readonly controller: ControllerPart;
  readonly handle: number;
  readonly link: LinkPart;
  readonly peer: EndPart;
  /** Packets that crossed and are not yet reported back to the host. */
  completed: number;
  longTermKey: Buffer | undefined;
  /** False once this side's host was told that the link is down. */
  readonly up: boolean;
}

export interface LinkPart {
  readonly open: boolean;
  send(end: EndPart, packet: Buffer): void;
  wake(): void;
  hangUp(end: EndPart, reason: number): void;
  abandon(end: EndPart): void;
  lose(delayMs: number): void;
  stall(durationMs: number): void;
  setTimeoutMs(timeoutMs: number): void;
  joins(a: string, b: string): boolean;
  counters(): LinkCounters;
}

export interface DirectionCounters {
  packets: number;
  /** ACL payload: L2CAP header included. */
  bytes: number;
  /** Connection events in which at least one packet went this way; 0 on an unpaced radio. */
  eventsUsed: number;
}

export interface LinkCounters {
  readonly central: string;
  readonly peripheral: string;
  /** 0 on an unpaced radio. */
  readonly intervalMs: number;
  /** Connection events since the link was made; 0 on an unpaced radio. */
  readonly eventsElapsed: number;
  /** Events that data waited for and this process was too busy to hold; a bench with many is worth little. */
  readonly eventsMissed: number;
  readonly ageMs: number;
  readonly open: boolean;
  readonly toPeripheral: Readonly<DirectionCounters>;
  readonly toCentral: Readonly<DirectionCounters>;
}
