/**
 * One Bluetooth link with a machine on it: messages become inputs, outputs become messages. What PNE and gateway, in
 * establishment and enrolment, do alike is here; what a party persists or asks is in the effects its node gives.
 */
import { type Bytes, toHex } from '../base/bytes.ts';
import { CpnsError } from '../base/errors.ts';
import type { Status } from '../base/statuses.ts';
import type { Clock } from '../base/time.ts';
import type { GattLink } from '../bluetooth/gatt-link.ts';
import { Link, type LinkEvent } from '../link/link.ts';
import type { LinkConfig } from '../link/link-types.ts';
import { Abort } from '../messages/setup.ts';
import { MESSAGE_TYPES, type MessageName, messageName, messageType } from '../messages/types.ts';
import type { Signer } from '../security/signer.ts';
import { driveLink, type LinkDriver } from './link-driver.ts';
import { statedStatus } from './stated-status.ts';
import { LINK_STEPS, type OnTrace, type PartyName, type TraceEvent } from './trace.ts';

/** Inputs a peer may make us hold while one is being carried out. */
const MAX_WAITING_INPUTS = 64;
const RECORD_OVERHEAD_BYTES = 17;

export type Opened = Extract<LinkEvent, { readonly kind: 'opened' }>;

/** The outputs that every machine of a link has, done the same way for all. */
export interface LinkOutputs {
  readonly send: { readonly kind: 'send'; readonly message: MessageName; readonly body: Bytes };
  readonly limit: { readonly kind: 'limit'; readonly bytes: number };
  readonly advance: { readonly kind: 'advance'; readonly prk2: Bytes };
  readonly sign: { readonly kind: 'sign'; readonly message: Bytes };
  readonly close: { readonly kind: 'close'; readonly status: Status; readonly abort: boolean };
}

export interface LinkEffects {
  readonly send: (output: LinkOutputs['send']) => void;
  readonly limit: (output: LinkOutputs['limit']) => void;
  readonly advance: (output: LinkOutputs['advance']) => void;
  readonly sign: (
    output: LinkOutputs['sign'],
  ) => Promise<{ readonly kind: 'signed'; readonly signature: Bytes }>;
  readonly close: (output: LinkOutputs['close']) => void;
}

export interface LinkSessionOptions {
  readonly gatt: GattLink;
  readonly link: LinkConfig;
  readonly party: Extract<PartyName, 'pne' | 'gateway'>;
  readonly signer: Signer;
  readonly clock: Clock;
  readonly onTrace: OnTrace | undefined;
  /** Takes what comes from the peer, which the peer's own trace has as well. */
  readonly onHeard?: OnTrace | undefined;
  /** Secrets of this link for `cpns trace`; only when the operator asked for a key log. */
  readonly onSecret: ((line: string) => void) | undefined;
  /** Chooses the machine once both OPENs are in. The peer is told the status of a CpnsError that it throws. */
  readonly start: (opened: Opened, session: LinkSession) => AnyMachineDriver;
  /** A machine threw: a defect of ours, for the log. */
  readonly onFault: (error: unknown) => void;
  /** Called once, after the link is down. */
  readonly onEnd: (status: Status) => void;
}

type AnyInput = { readonly kind: string };

/** A machine's driver as the session sees it. */
export interface AnyMachineDriver {
  feed(input: AnyInput): void;
  readonly waiting: number;
  readonly fault: unknown;
  onEnded: ((state: string) => void) | undefined;
}

export class LinkSession {
  readonly gatt: GattLink;
  /** Settles when the link is down and its owner was told. */
  readonly ended: Promise<void>;
  readonly #options: LinkSessionOptions;
  readonly #link: Link;
  /** Absent only while it is being made, when segments that waited are taken already. */
  #driver: LinkDriver | undefined;
  #machine: AnyMachineDriver | undefined;
  #name = '';
  #joinKey: string | undefined;
  #status: Status = 'link-lost';
  #left = false;

  constructor(options: LinkSessionOptions) {
    this.gatt = options.gatt;
    this.#options = options;
    this.#link = new Link(options.link, options.clock.monotonicMs());
    const driver = driveLink(options.gatt, this.#link, options.clock, (events) => {
      for (const event of events) this.#take(event);
    });
    this.#driver = driver;
    this.ended = driver.ended.then(() => options.onEnd(this.#status));
  }

  /** First 8 bytes of th1 in hex; empty until the OPENs were exchanged. */
  get name(): string {
    return this.#name;
  }

  feed(input: AnyInput): void {
    this.#machine?.feed(input);
  }

  /** Ends the session: the machine says goodbye where it can. */
  async close(): Promise<void> {
    if (this.#machine) this.#machine.feed({ kind: 'stop' });
    else void this.#driver?.close('shutting-down');
    await this.ended;
  }

  /** Sends application data on the data lane; only once live. */
  sendData(body: Bytes): void {
    this.#link.send(messageType('Data'), body, MESSAGE_TYPES.Data.lane);
    this.#driver?.flush();
  }

  /** Step 0: what the peer had on the air, reported by the central that heard it. */
  traceDiscovery(bytes: number, establishing: boolean): void {
    const { party, onTrace, clock } = this.#options;
    const step = establishing ? { step: 0 } : {};
    const shown = {
      name: 'EntityDiscovery',
      from: party === 'pne' ? 'gateway' : 'pne',
      to: party,
      via: 'ble',
      bytes,
      segments: 0,
    } as const;
    onTrace?.({ ...step, ...shown, atMs: clock.wallMs(), link: this.#name });
  }

  /** Ties this link to a transaction in the trace. */
  nameJoin(joinKey: string): void {
    this.#joinKey = joinKey;
    this.trace('LinkTranscript', 'local', 0);
  }

  trace(
    name: string,
    via: 'ble' | 'local',
    bytes: number,
    extra: Pick<TraceEvent, 'step' | 'segments' | 'status'> = {},
  ): void {
    const { party, onTrace, clock } = this.#options;
    const to = via === 'local' ? party : party === 'pne' ? 'gateway' : 'pne';
    onTrace?.({
      ...extra,
      name,
      from: party,
      to,
      via,
      bytes,
      atMs: clock.wallMs(),
      link: this.#name,
      ...(this.#joinKey !== undefined && { joinKey: this.#joinKey }),
    });
  }

  #hear(name: string, body: Bytes): void {
    const { party, onHeard, clock } = this.#options;
    if (!onHeard) return;
    const bytes = body.length + RECORD_OVERHEAD_BYTES;
    const step = LINK_STEPS[name];
    onHeard({
      ...(step !== undefined && { step }),
      ...{ name, from: party === 'pne' ? 'gateway' : 'pne', to: party, via: 'ble', bytes },
      ...{ segments: segmentCount(bytes, this.#link.segmentBytes), atMs: clock.wallMs(), link: this.#name },
      ...(this.#joinKey !== undefined && { joinKey: this.#joinKey }),
      ...statedStatus(name, body),
    });
  }

  /** What each link output does; a node adds the effects of its own party. */
  readonly effects: LinkEffects = {
    send: ({ message, body }) => this.#send(message, body),
    limit: ({ bytes }) => this.#link.setReceiveLimit(bytes),
    advance: ({ prk2 }) => {
      this.#options.onSecret?.(`PRK2 ${this.#th1} ${toHex(prk2)}`);
      this.#link.advance(prk2);
      this.#driver?.flush();
    },
    sign: async ({ message }) => ({ kind: 'signed', signature: await this.#options.signer.sign(message) }),
    close: ({ status, abort }) => this.#leave(status, abort),
  };
  #th1 = '';

  #send(message: MessageName, body: Bytes): void {
    const { type, lane } = MESSAGE_TYPES[message];
    this.#link.send(type, body, lane);
    this.#flushSoon();
    const bytes = body.length + RECORD_OVERHEAD_BYTES;
    const step = LINK_STEPS[message];
    this.trace(message, 'ble', bytes, {
      ...(step !== undefined && { step }),
      segments: segmentCount(bytes, this.#link.segmentBytes),
      // These two are nothing but a status.
      ...((message === 'Waiting' || message === 'Abort') && statedStatus(message, body)),
    });
  }

  /**
   * After the outputs of this step: when a close is among them, the link still has the last message in its queue then and
   * knows that the peer should have time to read it.
   */
  #flushSoon(): void {
    queueMicrotask(() => this.#driver?.flush());
  }

  #leave(status: Status, abort: boolean): void {
    this.#left = true;
    this.#status = status;
    if (this.#link.closed) return;
    if (abort && status !== 'ok') this.#send('Abort', Abort.encode({ status }));
    this.#link.closeAfterSending(status, this.#options.clock.monotonicMs());
    this.#driver?.flush();
  }

  #take(event: LinkEvent): void {
    if (event.kind === 'opened') this.#open(event);
    if (event.kind === 'message') this.#message(nameOf(event.type, event.lane), event.body);
    if (event.kind === 'closed') this.#closed(event.status);
  }

  #closed(status: Status): void {
    if (this.#machine) this.#machine.feed(fromLink({ kind: 'linkClosed', status }));
    else this.#status = status;
  }

  #open(event: Opened): void {
    this.#th1 = toHex(event.th1);
    this.#name = this.#th1.slice(0, 16);
    this.#options.onSecret?.(`PRK1 ${this.#th1} ${toHex(event.prk1)}`);
    const machine = this.#start(event);
    if (!machine) return;
    this.#machine = machine;
    // A failed output behind which the close was dropped must not leave a link without a machine.
    machine.onEnded = () => {
      if (machine.fault !== undefined) this.#options.onFault(machine.fault);
      if (!this.#left) this.#leave('internal', false);
    };
  }

  #start(event: Opened): AnyMachineDriver | undefined {
    try {
      return this.#options.start(event, this);
    } catch (error) {
      if (!(error instanceof CpnsError)) throw error;
      this.#leave(error.status, true);
      return undefined;
    }
  }

  #message(kind: string, body: Bytes): void {
    if (!this.#machine) return;
    // Of data there may be any number; they say nothing of how the link is.
    if (kind !== 'Data' && kind !== 'unknown') this.#hear(kind, body);
    if (this.#machine.waiting >= MAX_WAITING_INPUTS) this.#leave('link-violation', false);
    else this.#machine.feed(fromLink({ kind, body }));
  }
}

/** The message of a type byte on its own lane; anything else is a kind that no table has. */
function nameOf(type: number, lane: number): string {
  const name = messageName(type);
  return name !== undefined && MESSAGE_TYPES[name].lane === lane ? name : 'unknown';
}

/** Widens an input: which kinds a machine knows is for its table to say. */
function fromLink(input: { kind: string; body?: Bytes; status?: Status }): AnyInput {
  return input;
}

/** Segments of a message of so many bytes, without grants (docs/protocol.md §3.1). */
export function segmentCount(bytes: number, segmentBytes: number): number {
  if (bytes <= segmentBytes - 1) return 1;
  return 1 + Math.ceil((bytes - (segmentBytes - 3)) / (segmentBytes - 1));
}
