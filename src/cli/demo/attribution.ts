/**
 * Whose PNE an event is about. A Bluetooth link is named by its transcript, a transaction by its ID; one event of the
 * gateway or the PNE ties the two. Events wait until they can be told; those of enrolment links are let go.
 * Owns that bookkeeping. Pure.
 */
import type { PartyName, TraceEvent } from '../../nodes/trace.ts';
import type { FlowEvent } from './flow-event.ts';

export interface ProcessRole {
  readonly party: PartyName;
  /** Which PNE, for the processes of one: itself and its home gateway. */
  readonly pne?: number;
}

interface Waiting {
  readonly role: ProcessRole;
  readonly event: TraceEvent;
}

/** More than any demo has; a gateway that floods us costs no more than this. */
const MAX_WAITING = 10_000;

export class Attribution {
  readonly #startedAtMs: number;
  readonly #out: (event: FlowEvent) => void;
  /** PNE by link, as the PNE's own process says. */
  readonly #pneOfLink = new Map<string, number>();
  /** Which gateway has a link: only those of the initiating one are the flow. */
  readonly #gatewayOfLink = new Map<string, 'gateway' | 'home-gateway'>();
  readonly #linkOfJoin = new Map<string, string>();
  readonly #waiting: Waiting[] = [];

  constructor(startedAtMs: number, out: (event: FlowEvent) => void) {
    this.#startedAtMs = startedAtMs;
    this.#out = out;
  }

  push(role: ProcessRole, event: TraceEvent): void {
    const { link, joinKey } = event;
    if (link !== undefined) {
      if (role.party === 'pne' && role.pne !== undefined) this.#pneOfLink.set(link, role.pne);
      if (role.party === 'gateway' || role.party === 'home-gateway')
        this.#gatewayOfLink.set(link, role.party);
      if (joinKey !== undefined) this.#linkOfJoin.set(joinKey, link);
    }
    if (this.#waiting.length < MAX_WAITING) this.#waiting.push({ role, event });
    this.#settle();
  }

  #settle(): void {
    for (let i = 0; i < this.#waiting.length; ) {
      const item = this.#waiting[i];
      const verdict = item && this.#judge(item);
      if (verdict === 'wait') i++;
      else {
        this.#waiting.splice(i, 1);
        if (item && verdict !== undefined && verdict !== 'drop') this.#emit(item, verdict);
      }
    }
  }

  #judge({ event }: Waiting): number | 'wait' | 'drop' {
    const { link = this.#linkOfJoin.get(event.joinKey ?? ''), name } = event;
    if (name === 'LinkTranscript') return 'drop';
    if (link === undefined) return event.joinKey ? 'wait' : 'drop';
    const gateway = this.#gatewayOfLink.get(link);
    if (gateway === 'home-gateway') return 'drop';
    return (gateway && this.#pneOfLink.get(link)) ?? 'wait';
  }

  #emit({ event }: Waiting, pne: number): void {
    const { step, name, from, to, via, bytes, segments, status } = event;
    this.#out({
      pne,
      ...(step !== undefined && { step }),
      ...{ name, from, to, via, bytes },
      ...(segments !== undefined && { segments }),
      atMs: Math.round(event.atMs - this.#startedAtMs),
      ...(status !== undefined && status !== 'ok' && { status }),
    });
  }
}
