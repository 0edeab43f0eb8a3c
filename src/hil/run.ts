/**
 * One run: a new gateway finds the PNE, connects, establishes, moves data both ways, hangs up and resumes. Owns the order
 * of the phases and their instants. Everything is measured where it happens: by the events of the nodes, by the gateway's
 * HCI capture, and by one clock.
 */
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { type Bytes, equal } from '../base/bytes.ts';
import { CpnsError } from '../base/errors.ts';
import { InventoryPayload } from '../messages/inventory.ts';
import type { GatewayEvent } from '../nodes/gateway/events.ts';
import type { GatewayNode } from '../nodes/gateway/gateway.ts';
import type { TraceEvent } from '../nodes/trace.ts';
import { parseSign1 } from '../security/cose.ts';
import { nodePrimitives } from '../security/primitives-node.ts';
import { type Happening, Happenings } from './happenings.ts';
import { type Instants, readInstants } from './instants.ts';
import type { Operator } from './operator.ts';
import { type FailurePhase, PHASES, type PhaseId } from './phases.ts';
import type { PneChild } from './pne-child.ts';
import type { RunRecord } from './report.ts';
import { median } from './statistics.ts';
import { askBack, blocksOf, digestIn, Gatherer, TRANSFER_BYTES } from './transfer.ts';

export interface RunOptions {
  readonly number: number;
  readonly operator: Operator;
  readonly gatewayAdapter: string;
  readonly pne: PneChild;
  /** Where the gateway's capture is written; overwritten. */
  readonly capture: string;
  readonly signal: AbortSignal;
  /** For tests that disturb a run at a certain place. */
  readonly onPhase?: ((phase: PhaseId, run: number) => void) | undefined;
}

export interface RunOutcome {
  readonly record: RunRecord;
  readonly instants: Instants | undefined;
  readonly happenings: readonly Happening[];
  /** Lines of a key log. */
  readonly secrets: readonly string[];
}

const LIMITS = Object.fromEntries(PHASES.map(({ id, limitMs }) => [id, limitMs])) as Record<PhaseId, number>;
const CLOSE_LIMIT_MS = 15_000;

/** Instants on the gateway's clock, as far as the run came. */
interface Marks {
  announced?: number;
  linked?: number;
  opened?: number;
  live?: number;
  sent?: number;
  acknowledged?: number;
  askedBack?: number;
  back?: number;
  hungUp?: number;
  downAtGateway?: number;
  downAtPne?: number;
  linkedAgain?: number;
  liveAgain?: number;
}

type Member = { readonly pnId: string; readonly handle: number };

export class Run {
  readonly happenings = new Happenings();
  readonly #options: RunOptions;
  readonly #marks: Marks = {};
  readonly #secrets: string[] = [];
  #phase: FailurePhase = 'start';
  #gateway: GatewayNode | undefined;
  #onData: (body: Bytes) => void = () => {};

  constructor(options: RunOptions) {
    this.#options = options;
  }

  /** @throws the signal's reason when it was interrupted; nothing else */
  async perform(): Promise<RunOutcome> {
    const startedAt = new Date().toISOString();
    let failure: unknown;
    try {
      await this.#perform();
    } catch (error) {
      if (this.#options.signal.aborted) throw this.#options.signal.reason;
      failure = error ?? new Error('unknown');
    } finally {
      await this.#close();
    }
    const instants = this.#instants();
    return {
      record: this.#record(startedAt, instants, failure),
      instants,
      happenings: this.happenings.all,
      secrets: this.#secrets,
    };
  }

  async #perform(): Promise<void> {
    const { operator, gatewayAdapter, pne, capture, signal } = this.#options;
    await pne.readClock();
    const gateway = await operator.openGateway(gatewayAdapter, {
      capture,
      onEvent: (event) => this.#takeEvent(event),
      onTrace: (event) => this.#takeTrace(event),
      onSecret: (line) => this.#secrets.push(line),
      onRadioGone: () =>
        this.happenings.break(new CpnsError('link-lost', "the gateway's controller is gone")),
    });
    this.#gateway = gateway;
    signal.throwIfAborted();
    this.#enter('find');
    this.#marks.announced = pne.ours((await pne.ask('open')).atMs);
    const linked = await this.#first('a link', isLinkUp, LIMITS.find + LIMITS.connect, 0);
    this.#marks.linked = linked.atMs;
    this.#enter('open');
    let from = this.happenings.all.indexOf(linked);
    this.#marks.opened = (await this.#first('both OPENs', isOpened, LIMITS.open, from, isLinkDown)).atMs;
    this.#enter('establish');
    this.#marks.live = (await this.#first('a live member', isLive, LIMITS.establish, from, isLinkDown)).atMs;
    const member = this.#member(gateway);
    await this.#transfer(gateway, member);
    this.#enter('disconnect');
    from = this.happenings.mark;
    this.#marks.hungUp = performance.now();
    gateway.hangUp(member.pnId, member.handle).catch(() => {});
    const downs = (side: Happening['side']) =>
      this.#first(
        `the end at the ${side}`,
        (it) => isLinkDown(it) && it.side === side,
        LIMITS.disconnect,
        from,
      );
    const [atGateway, atPne] = await Promise.all([downs('gateway'), downs('pne')]);
    this.#marks.downAtGateway = atGateway.atMs;
    this.#marks.downAtPne = atPne.atMs;
    this.#enter('find-again');
    const limit = LIMITS['find-again'] + LIMITS.reconnect;
    const again = await this.#first('a link again', isLinkUp, limit, from);
    this.#marks.linkedAgain = again.atMs;
    this.#enter('resume');
    from = this.happenings.all.indexOf(again);
    this.#marks.liveAgain = (await this.#first('resumption', isLive, LIMITS.resume, from, isLost)).atMs;
  }

  #enter(phase: PhaseId): void {
    this.#phase = phase;
    this.#options.onPhase?.(phase, this.#options.number);
  }

  #first(
    what: string,
    wanted: (happening: Happening) => boolean,
    limitMs: number,
    from: number,
    unless?: (happening: Happening) => boolean,
  ): Promise<Happening> {
    const { signal } = this.#options;
    return this.happenings.first(wanted, { what, limitMs, from, signal, ...(unless && { unless }) });
  }

  #member(gateway: GatewayNode): Member {
    const [pn] = gateway.pns();
    const bytes = pn && gateway.inventory(pn.pnId);
    const [member] = bytes ? InventoryPayload.decode(parseSign1(bytes).payload).members : [];
    if (!pn || !member) throw new CpnsError('internal', 'a live member without an inventory');
    return { pnId: pn.pnId, handle: member.handle };
  }

  async #transfer(gateway: GatewayNode, { pnId, handle }: Member): Promise<void> {
    const content = new Uint8Array(randomBytes(TRANSFER_BYTES));
    const send = (body: Bytes) => gateway.sendData(pnId, handle, body);
    this.#enter('to-pne');
    this.#marks.sent = performance.now();
    const digest = this.#received(digestIn);
    for (const block of blocksOf(content)) send(block);
    const acknowledged = await this.#awaiting('the digest', digest, LIMITS['to-pne']);
    this.#marks.acknowledged = acknowledged.atMs;
    if (!equal(acknowledged.value, nodePrimitives().sha256(content)))
      throw new CpnsError('malformed', 'the PNE received other bytes than were sent');
    this.#enter('from-pne');
    const gatherer = new Gatherer();
    this.#marks.askedBack = performance.now();
    const whole = this.#received((body) => gatherer.push(body));
    send(askBack());
    const back = await this.#awaiting('the bytes', whole, LIMITS['from-pne']);
    this.#marks.back = back.atMs;
    if (!equal(back.value, content))
      throw new CpnsError('malformed', 'the gateway received other bytes than were sent');
  }

  /** The first message that yields something, with its instant. */
  #received<T>(read: (body: Bytes) => T | undefined): Promise<{ readonly atMs: number; readonly value: T }> {
    return new Promise((resolve) => {
      this.#onData = (body) => {
        const value = read(body);
        if (value !== undefined) resolve({ atMs: performance.now(), value });
      };
    });
  }

  /** @throws as {@link Happenings.first} when the link goes first, or nothing comes */
  async #awaiting<T>(what: string, coming: Promise<T>, limitMs: number): Promise<T> {
    const came = new AbortController();
    const signal = AbortSignal.any([this.#options.signal, came.signal]);
    const from = this.happenings.mark;
    const lost = this.happenings.first(() => false, { what, limitMs, from, unless: isLost, signal });
    try {
      return await Promise.race([coming, lost.then(() => coming)]);
    } finally {
      came.abort();
      lost.catch(() => {});
    }
  }

  #takeEvent(event: GatewayEvent): void {
    const atMs = performance.now();
    if (event.kind === 'data') {
      this.#onData(event.bytes);
      return;
    }
    const { kind } = event;
    const more =
      kind === 'link'
        ? { state: event.state, address: event.address, status: event.status }
        : kind === 'channel'
          ? { state: event.state }
          : kind === 'problem'
            ? { status: event.status, what: event.what }
            : {};
    this.happenings.push({ atMs, side: 'gateway', kind, ...more });
  }

  #takeTrace({ name, from, status, step }: TraceEvent): void {
    const what = step === undefined ? name : `step ${step} ${name}`;
    // The gateway reports the discovery once both OPENs are through.
    const kind = name === 'EntityDiscovery' ? 'opened' : 'message';
    this.happenings.push({
      atMs: performance.now(),
      side: 'gateway',
      kind,
      what: `${from}: ${what}`,
      status,
    });
  }

  async #close(): Promise<void> {
    const { pne } = this.#options;
    const closing = Promise.allSettled([this.#gateway?.close(), pne.ask('close')]);
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise((resolve) => {
      timer = setTimeout(resolve, CLOSE_LIMIT_MS);
    });
    await Promise.race([closing, late]);
    clearTimeout(timer);
  }

  #instants(): Instants | undefined {
    try {
      return readInstants(readFileSync(this.#options.capture));
    } catch {
      // The adapter was never opened.
      return undefined;
    }
  }

  #record(startedAt: string, instants: Instants | undefined, failure: unknown): RunRecord {
    const asked = (instants?.askedAtMs ?? []).map((atMs) => atMs - performance.timeOrigin);
    const { linked, downAtGateway, linkedAgain } = this.#marks;
    // Nothing counts that was asked for after the link of its time was there.
    const between = (from: number, to = Number.POSITIVE_INFINITY) =>
      asked.filter((at) => at > from && at < to);
    const first = between(Number.NEGATIVE_INFINITY, linked ?? downAtGateway);
    const again = downAtGateway === undefined ? [] : between(downAtGateway, linkedAgain);
    const phases = phasesOf(this.#marks, first[0], again[0]);
    const address = this.happenings.all.find((it) => it.address !== undefined)?.address;
    const heard = (address === undefined ? undefined : instants?.heard.get(address)) ?? [];
    const radio = instants?.links.find(({ peer }) => peer === address);
    return {
      number: this.#options.number,
      startedAt,
      ok: failure === undefined,
      phases,
      tries: first.length > 0 ? first.length : null,
      triesAgain: again.length > 0 ? again.length : null,
      rssi: heard.length > 0 ? median(heard) : null,
      heard: heard.length,
      radio: radio ? { ...radioOf(radio) } : null,
      failure: failure === undefined ? null : this.#failureOf(failure, phases, instants),
    };
  }

  #failureOf(error: unknown, phases: RunRecord['phases'], instants: Instants | undefined) {
    // Found, but never linked: it was the connecting that failed.
    const found: Partial<Record<FailurePhase, PhaseId>> = { find: 'connect', 'find-again': 'reconnect' };
    const phase =
      this.#phase !== 'start' && phases[this.#phase] !== undefined
        ? (found[this.#phase] ?? this.#phase)
        : this.#phase;
    const status = error instanceof Error && 'status' in error ? String(error.status) : 'internal';
    const reason = instants?.links.at(-1)?.reason;
    const words = error instanceof Error ? error.message : String(error);
    const hci = reason == null ? '' : `; HCI reason 0x${reason.toString(16).padStart(2, '0')}`;
    return { phase, status, reason: `${words}${hci}`, files: [] };
  }
}

function radioOf({ intervalMs, supervisionMs, mtu, packetBytes }: Instants['links'][number]) {
  return { intervalMs, supervisionMs, mtu, packetBytes };
}

function phasesOf(
  marks: Marks,
  asked: number | undefined,
  askedAgain: number | undefined,
): RunRecord['phases'] {
  const phases: Partial<Record<PhaseId, number>> = {};
  const span = (id: PhaseId, from: number | undefined, to: number | undefined): void => {
    // The PNE is on the air before it can say so: a gateway that was quicker found it at once.
    if (from !== undefined && to !== undefined)
      phases[id] = Math.max(0, Math.round((to - from) * 1000) / 1000);
  };
  span('find', marks.announced, asked);
  span('connect', asked, marks.linked);
  span('open', marks.linked, marks.opened);
  span('establish', marks.opened, marks.live);
  span('to-pne', marks.sent, marks.acknowledged);
  span('from-pne', marks.askedBack, marks.back);
  span('disconnect', marks.hungUp, later(marks.downAtGateway, marks.downAtPne));
  span('find-again', marks.downAtGateway, askedAgain);
  span('reconnect', askedAgain, marks.linkedAgain);
  span('resume', marks.linkedAgain, marks.liveAgain);
  return phases;
}

const later = (a: number | undefined, b: number | undefined): number | undefined =>
  a === undefined || b === undefined ? undefined : Math.max(a, b);

const atGateway = (kind: string) => (happening: Happening) =>
  happening.side === 'gateway' && happening.kind === kind;
const isLink = atGateway('link');
const isOpened = atGateway('opened');
const isLive = atGateway('member');
const isLinkUp = (it: Happening): boolean => isLink(it) && it.state === 'up';
const isLinkDown = (it: Happening): boolean => it.kind === 'link' && it.state === 'down';
/** The end as the gateway sees it; the PNE's own report of an earlier link may still be under way. */
const isLost = (it: Happening): boolean => isLink(it) && it.state === 'down';
