/**
 * The opening of a link: our OPEN, what the peer's OPEN lets us agree on, th1 and PRK1.
 * Owns negotiation and the choice of a session; must not know segments or time. One ephemeral is one handshake.
 * Source: docs/protocol.md §5.1, §5.2, §5.3 and §8 (rid).
 */
import { type Bytes, concat, equal } from '../base/bytes.ts';
import { CpnsError } from '../base/errors.ts';
import { LINK_KINDS, type LinkKind, Open } from '../messages/link.ts';
import { derivePrk1, deriveRid, transcript1 } from '../security/key-schedule.ts';
import type { Ephemeral, Primitives } from '../security/primitives.ts';
import { MAX_SEGMENT_BYTES, MIN_SEGMENT_BYTES } from './segment.ts';

export { LINK_KINDS, type LinkKind } from '../messages/link.ts';

/** What this implementation speaks, best first. */
export const VERSIONS: readonly number[] = [1];
export const SUITES: readonly number[] = [1];

/** What a central asks for. */
export type OpenRequest =
  | { readonly kind: 'establish' }
  | { readonly kind: 'enrol'; readonly secret: Bytes }
  | { readonly kind: 'resume'; readonly rms: Bytes };

/** What a peripheral lets a central ask for. */
export interface OpenAcceptance {
  readonly establish: boolean;
  /** S of the code that is being shown, 12 bytes; absent when none is. */
  readonly enrolSecret?: Bytes;
  readonly sessions: readonly { readonly rms: Bytes; readonly ref: string }[];
}

interface Common {
  readonly role: 'pne' | 'gateway';
  readonly segmentBytes: number;
  readonly credits: number;
  readonly primitives: Primitives;
  readonly ephemeral: Ephemeral;
}

/** Which side of the GATT link, and what that side asks for or lets be asked for. */
export type OpenSide =
  | { readonly side: 'central'; readonly request: OpenRequest }
  | { readonly side: 'peripheral'; readonly accept: OpenAcceptance };

export type OpenConfig = Common & OpenSide;

/** What both sides have agreed on once each has the other's OPEN. */
export interface Agreement {
  readonly linkKind: LinkKind;
  readonly th1: Bytes;
  /** Bodies of the OPENs, without the type byte. */
  readonly openG: Bytes;
  readonly openP: Bytes;
  readonly prk1: Bytes;
  /** The peripheral's name of the session that a resuming central meant. */
  readonly sessionRef: string | undefined;
  readonly segmentBytes: number;
  /** First credits the peer gives us. */
  readonly credits: number;
}

interface Terms {
  readonly linkKind: LinkKind;
  /** What the kind mixes into PRK1 behind Z. */
  readonly secret: Bytes | undefined;
  readonly sessionRef: string | undefined;
}

export class OpenHandshake {
  readonly #config: OpenConfig;
  #ownBody: Bytes | undefined;

  constructor(config: OpenConfig) {
    this.#config = config;
  }

  /**
   * The peripheral's OPEN, sent first; a body without its type byte.
   * @throws TypeError at a central, whose OPEN answers the peripheral's
   */
  first(): Bytes {
    if (this.#config.side === 'central') throw new TypeError('the central answers, it does not begin');
    this.#ownBody = Open.encode(this.#own());
    return this.#ownBody;
  }

  /**
   * Takes the body of the peer's OPEN.
   * @returns the agreement, and at a central the body of the OPEN to answer with
   * @throws CpnsError the status to send in Reject
   */
  take(peerBody: Bytes): { readonly agreement: Agreement; readonly answer: Bytes | undefined } {
    const config = this.#config;
    const peer = decodeOpen(peerBody, config.side);
    checkOffer(peer);
    if (peer.role === config.role) throw new CpnsError('unexpected-message', 'both sides have the same role');
    const terms = config.side === 'central' ? this.#ask(config.request) : this.#accept(config.accept, peer);
    const answer = config.side === 'central' ? this.#answer(config.request, peer) : undefined;
    const ownBody = answer ?? this.#ownBody;
    if (!ownBody) throw new TypeError('the peripheral has not begun');
    const [openG, openP] = config.role === 'gateway' ? [ownBody, peerBody] : [peerBody, ownBody];
    const th1 = transcript1(config.primitives, LINK_KINDS[terms.linkKind], openG, openP);
    const agreement: Agreement = {
      linkKind: terms.linkKind,
      th1,
      openG,
      openP,
      prk1: this.#agree(th1, peer.ephemeral, terms.secret),
      sessionRef: terms.sessionRef,
      segmentBytes: Math.min(config.segmentBytes, peer.segmentBytes),
      credits: peer.credits,
    };
    return { agreement, answer };
  }

  #own(): Open {
    const { role, segmentBytes, credits, ephemeral } = this.#config;
    return { versions: VERSIONS, suites: SUITES, role, segmentBytes, credits, ephemeral: ephemeral.x };
  }

  #ask(request: OpenRequest): Terms {
    const secret =
      request.kind === 'enrol' ? request.secret : request.kind === 'resume' ? request.rms : undefined;
    return { linkKind: request.kind, secret, sessionRef: undefined };
  }

  #answer(request: OpenRequest, peer: Open): Bytes {
    const { primitives } = this.#config;
    const rid = request.kind === 'resume' ? deriveRid(primitives, request.rms, peer.ephemeral) : undefined;
    return Open.encode({ ...this.#own(), kind: request.kind, ...(rid && { rid }) });
  }

  #accept(accept: OpenAcceptance, peer: Open): Terms {
    switch (peer.kind) {
      case 'establish':
        if (!accept.establish) throw new CpnsError('busy', 'no establishment is served now');
        return { linkKind: 'establish', secret: undefined, sessionRef: undefined };
      case 'enrol':
        if (!accept.enrolSecret) throw new CpnsError('enrolment-code-spent', 'no code is being shown');
        return { linkKind: 'enrol', secret: accept.enrolSecret, sessionRef: undefined };
      default: {
        const { rms, ref } = this.#session(accept, peer.rid);
        return { linkKind: 'resume', secret: rms, sessionRef: ref };
      }
    }
  }

  /** Compared with every session, so that the time taken does not tell which. */
  #session(accept: OpenAcceptance, rid: Bytes | undefined): OpenAcceptance['sessions'][number] {
    const { primitives, ephemeral } = this.#config;
    let found: OpenAcceptance['sessions'][number] | undefined;
    for (const session of accept.sessions)
      if (rid && equal(rid, deriveRid(primitives, session.rms, ephemeral.x))) found = session;
    if (!found) throw new CpnsError('unknown-session');
    return found;
  }

  #agree(th1: Bytes, peerX: Bytes, secret: Bytes | undefined): Bytes {
    const { primitives, ephemeral } = this.#config;
    const z = ephemeral.agree(peerX);
    const ikm = secret ? concat(z, secret) : z;
    const prk1 = derivePrk1(primitives, th1, ikm);
    z.fill(0);
    ikm.fill(0);
    return prk1;
  }
}

function decodeOpen(body: Bytes, ownSide: OpenConfig['side']): Open {
  const open = Open.decode(body);
  // What only the receiver can tell: kind comes from the central and from nobody else.
  if ((open.kind === undefined) !== (ownSide === 'central'))
    throw new CpnsError('malformed', 'kind comes from the central, and only from it');
  return open;
}

/** Whether what an OPEN offers is what we speak. @throws CpnsError version-mismatch, suite-mismatch */
export function checkOffer(peer: Open): void {
  // CHOICE: with one version and one suite to offer, the highest common and the first are that one or none.
  if (!peer.versions.some((version) => VERSIONS.includes(version))) throw new CpnsError('version-mismatch');
  if (peer.suites[0] !== SUITES[0]) throw new CpnsError('suite-mismatch');
}

/**
 * A segment size as OPEN may state it, of what the transport can carry.
 * @throws TypeError below 20 bytes
 */
export function ownSegmentBytes(transportSegmentBytes: number): number {
  if (!Number.isInteger(transportSegmentBytes) || transportSegmentBytes < MIN_SEGMENT_BYTES)
    throw new TypeError(`a segment has at least ${MIN_SEGMENT_BYTES} bytes`);
  return Math.min(transportSegmentBytes, MAX_SEGMENT_BYTES);
}
