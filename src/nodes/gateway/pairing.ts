/**
 * Enrolment codes at the home gateway: what a person typed in or this gateway shows, who waits for it, and the session
 * that proves it (docs/protocol.md §7). Codes are in memory only and live for ten minutes.
 */
import { type Bytes, toHex } from '../../base/bytes.ts';
import { CpnsError, statusOfError } from '../../base/errors.ts';
import { Thumbprint } from '../../base/ids.ts';
import type { Status } from '../../base/statuses.ts';
import type { Clock } from '../../base/time.ts';
import {
  type EnrolledPne,
  GATEWAY_ENROL_MACHINE,
  type GatewayEnrolOutput,
  type Offer,
} from '../../enrolment/gateway.ts';
import { Machine } from '../../establishment/machine.ts';
import { type ServerClient, withRetry } from '../../https/server-client.ts';
import { encodeCbor } from '../../messages/cbor.ts';
import { CoseKey } from '../../messages/common.ts';
import { EnrolmentRequest } from '../../messages/enrolment.ts';
import { type Announced, showsCode } from '../../network/advertisement.ts';
import { coseKeyOf } from '../../security/cose-key.ts';
import { ENROLMENT_SECRET_BYTES, parseEnrolmentCode } from '../../security/enrolment-code.ts';
import type { Primitives } from '../../security/primitives.ts';
import type { HomeStore } from '../../store/gateway-home.ts';
import type { AnyMachineDriver, LinkSession, Opened } from '../link-session.ts';
import { MachineDriver } from '../machine-driver.ts';

const CODE_LIFE_MS = 10 * 60_000;
const MAX_CODES = 8;
/** How long a lost acknowledgement may be made up for by another attempt. */
const UNACKNOWLEDGED_MS = 15_000;
/** A yes to a device that took another's place, in less than this: it may have been meant for that other. */
export const COMPARED_AFTER_MS = 2_000;
/** Questions under one code. Each is one chance in a million for somebody who has read the code; the code is void then. */
export const MAX_QUESTIONS = 5;
const SALT_BYTES = 16;
const RETRY = { firstMs: 300, maxMs: 2_000, attempts: 4 };

export interface PairedPne {
  readonly thumbprint: string;
  readonly label: string | undefined;
}

/** A PNE that proved the code which this gateway shows, and what its user is to see on it. */
export interface Comparison {
  readonly digits: string;
  /** What it calls itself. */
  readonly label: string | undefined;
  readonly thumbprint: string;
}

/** Told of each PNE whose digits are to be compared; `undefined` when that question is over. */
export type OnComparison = (comparison: Comparison | undefined) => void;

/** What the user is asked at the moment. */
interface Question {
  readonly comparison: Comparison;
  readonly answer: (status: Status) => void;
  /** Monotonic; a yes before it is no yes. */
  readonly yesFromMs: number;
}

/** One code that was typed in, or is shown. */
export interface Pairing {
  readonly secret: Bytes;
  /** T of a code that the PNE shows; of one that this gateway shows nothing is known of the PNE but that it has the code. */
  readonly thumbprintPrefix: Bytes | undefined;
  /** Who compares the digits of a code that this gateway shows. */
  readonly onComparison: OnComparison;
  question: Question | undefined;
  /** How often the user was asked about this code. */
  questions: number;
  readonly settle: (result: PairedPne | CpnsError) => void;
  /** Why the last attempt failed; the code lives on. */
  lastStatus: Status | undefined;
  /** The server has committed it, but its acknowledgement did not come yet. */
  unacknowledged: PairedPne | undefined;
  /** For the next attempt; fetched ahead, so that an open link never waits for the server. */
  nonce: Promise<Bytes | undefined>;
  timer: NodeJS.Timeout;
}

/** A code that this gateway shows. */
export interface ShownCode {
  readonly secret: Bytes;
  readonly expiresInMs: number;
  /** Rejects with enrolment-code-spent, or the status of the last attempt, when its time is over; with user-refused. */
  readonly used: Promise<PairedPne>;
  readonly hide: () => void;
}

export interface PairingsOptions {
  readonly primitives: Primitives;
  readonly clock: Clock;
  readonly home: HomeStore;
  readonly client: ServerClient;
  /** The offer apart from its nonce. */
  readonly offer: () => Omit<Offer, 'nonce'>;
  /** The server has other keys than the offer; the next attempt wants these. */
  readonly onStaleKeys: () => void;
}

export class Pairings {
  readonly #options: PairingsOptions;
  readonly #codes = new Map<string, Pairing>();

  constructor(options: PairingsOptions) {
    this.#options = options;
  }

  get waiting(): number {
    return this.#codes.size;
  }

  /**
   * Waits until the PNE that shows this code is enrolled.
   * @throws CpnsError enrolment-code-wrong (not a code), enrolment-code-spent (ten minutes are over; with the status of
   * the last attempt), busy
   */
  add(codeText: string): Promise<PairedPne> {
    const { kind, secret, thumbprintPrefix } = parseEnrolmentCode(this.#options.primitives, codeText);
    if (kind !== 'pne') throw new CpnsError('enrolment-code-wrong', 'this code is shown by a gateway');
    if (this.#codes.size >= MAX_CODES) throw new CpnsError('busy', 'too many codes at once');
    return this.#wait(secret, thumbprintPrefix, () => {});
  }

  /** A code that this gateway shows; the one before is void. Its PNE is the first that proves it and shows the same digits. */
  show(onComparison: OnComparison): ShownCode {
    this.shown?.settle(new CpnsError('enrolment-code-spent', 'another code is shown'));
    const secret = this.#options.primitives.randomBytes(ENROLMENT_SECRET_BYTES);
    const used = this.#wait(secret, undefined, onComparison);
    const hide = () =>
      this.#codes.get(toHex(secret))?.settle(new CpnsError('enrolment-code-spent', 'it was taken back'));
    return { secret, expiresInMs: CODE_LIFE_MS, used, hide };
  }

  /** The code that this gateway shows. */
  get shown(): Pairing | undefined {
    return [...this.#codes.values()].find(({ thumbprintPrefix }) => thumbprintPrefix === undefined);
  }

  /**
   * The user's word on the PNE that is asked about. A no takes the code back: somebody else has read it. A yes that comes too
   * soon after another PNE was asked about is not taken: the question is put again.
   * @throws CpnsError unknown-transaction when nobody with these digits waits
   */
  compared(digits: string, same: boolean): void {
    const pairing = this.shown;
    if (pairing?.question?.comparison.digits !== digits)
      throw new CpnsError('unknown-transaction', 'no device with these digits waits');
    if (same && this.#options.clock.monotonicMs() < pairing.question.yesFromMs) {
      const { question } = pairing;
      pairing.onComparison(undefined);
      pairing.onComparison(question.comparison);
      return;
    }
    pairing.question.answer(same ? 'ok' : 'user-refused');
    if (!same) pairing.settle(new CpnsError('user-refused', 'the digits were not the same'));
  }

  #wait(secret: Bytes, thumbprintPrefix: Bytes | undefined, onComparison: OnComparison): Promise<PairedPne> {
    const key = toHex(secret);
    return new Promise((resolve, reject) => {
      const settle = (result: PairedPne | CpnsError) => {
        const pairing = this.#codes.get(key);
        if (!pairing) return;
        clearTimeout(pairing.timer);
        this.#codes.delete(key);
        pairing.question?.answer('enrolment-code-spent');
        if (result instanceof CpnsError) reject(result);
        else resolve(result);
      };
      const timer = setTimeout(() => settle(this.#timedOut(key)), CODE_LIFE_MS);
      const nonce = this.#fetchNonce();
      this.#codes.set(key, {
        secret,
        thumbprintPrefix,
        onComparison,
        question: undefined,
        questions: 0,
        settle,
        lastStatus: undefined,
        unacknowledged: undefined,
        nonce,
        timer,
      });
    });
  }

  #timedOut(key: string): CpnsError {
    const status = this.#codes.get(key)?.lastStatus;
    return new CpnsError(status ?? 'enrolment-code-spent', 'no PNE with this code was enrolled in time');
  }

  /** The pairing whose code the PNE shows. */
  find(announced: Announced): Pairing | undefined {
    for (const pairing of this.#codes.values()) {
      if (pairing.thumbprintPrefix && showsCode(this.#options.primitives, announced, pairing.secret))
        return pairing;
    }
    return undefined;
  }

  /** An attempt with this code ended: the next one has a nonce of its own. */
  ended(pairing: Pairing, status: Status): void {
    if (!this.#codes.has(toHex(pairing.secret))) return;
    pairing.lastStatus = status;
    const { unacknowledged } = pairing;
    if (unacknowledged) {
      // A PNE that has the receipt shows no code any more and will not come back for this.
      clearTimeout(pairing.timer);
      pairing.timer = setTimeout(() => pairing.settle(unacknowledged), UNACKNOWLEDGED_MS);
    }
    pairing.nonce = this.#fetchNonce();
  }

  /** Undefined when the server can't be reached. */
  async #fetchNonce(): Promise<Bytes | undefined> {
    try {
      return (await withRetry(() => this.#options.client.enrolmentNonce(), RETRY)).nonce;
    } catch {
      return undefined;
    }
  }

  close(): void {
    for (const { settle } of [...this.#codes.values()]) settle(new CpnsError('shutting-down'));
  }

  /**
   * The machine for a link that was opened with this pairing's code.
   * @param proven called when the PNE is enrolled: it was no stranger
   */
  start(
    pairing: Pairing,
    nonce: Bytes,
    opened: Opened,
    session: LinkSession,
    proven: () => void,
  ): AnyMachineDriver {
    const { primitives, home, client, clock, offer, onStaleKeys } = this.#options;
    const machine = new Machine(GATEWAY_ENROL_MACHINE, {
      primitives,
      offer: { ...offer(), nonce },
      expectedThumbprint: pairing.thumbprintPrefix,
      salt: primitives.randomBytes(SALT_BYTES),
    });
    type On<K> = Extract<GatewayEnrolOutput, { readonly kind: K }>;
    let asked: Question | undefined;
    const driver = new MachineDriver(
      machine,
      {
        ...session.effects,
        claim: ({ request }: On<'claim'>) => {
          const send = () => client.enrolPne(nonce, EnrolmentRequest.decode(request));
          withRetry(send, RETRY).then(
            (receipt) => driver.feed({ kind: 'receipt', receipt }),
            (error) => {
              const status = statusOfError(error);
              if (status === 'credential-unknown-key') onStaleKeys();
              driver.feed({ kind: 'refused', status });
            },
          );
        },
        compare: ({ digits, pne }: On<'compare'>) => {
          const answer = (status: Status): void => driver.feed({ kind: 'compared', status });
          const yesFromMs = pairing.questions > 0 ? clock.monotonicMs() + COMPARED_AFTER_MS : 0;
          const comparison = { digits, label: pne.pneId, thumbprint: toHex(pne.thumbprint) };
          asked = ask(pairing, { comparison, answer, yesFromMs });
        },
        persistEnrolled: ({ pne }: On<'persistEnrolled'>) => {
          home.savePne(this.#record(pne));
          pairing.unacknowledged = { thumbprint: toHex(pne.thumbprint), label: pne.pneId };
        },
        persistAcknowledged: ({ pne }: On<'persistAcknowledged'>) => {
          home.acknowledgePne(Thumbprint(pne.thumbprint));
          // The server lists it as not acknowledged until it hears so; nothing else hangs on it.
          client.ackEnrolment(nonce, 'ok').catch(() => {});
        },
        enrolled: ({ pne }: On<'enrolled'>) => {
          proven();
          pairing.settle({ thumbprint: toHex(pne.thumbprint), label: pne.pneId });
        },
      },
      clock,
    );
    driver.onStep = (before) => {
      if (before !== 'comparing' || asked === undefined || pairing.question !== asked) return;
      pairing.question = undefined;
      pairing.onComparison(undefined);
    };
    const { th1, prk1, openG, openP } = opened;
    driver.feed({ kind: 'opened', th1, prk1, openG, openP });
    return driver as AnyMachineDriver;
  }

  #record(pne: EnrolledPne): Parameters<HomeStore['savePne']>[0] {
    const { key, thumbprint, pneId, capability, epoch, rms } = pne;
    return {
      thumbprint: Thumbprint(thumbprint),
      key: encodeCbor(CoseKey.toCbor(coseKeyOf(key), 'CoseKey')),
      ...(pneId !== undefined && { pneId }),
      ...(capability !== undefined && { capability }),
      epoch,
      rms,
      enrolledAt: this.#options.clock.wallSeconds(),
    };
  }
}

/**
 * Asks the user, about one PNE at a time, and not for ever: who has read the code may come again and again, until the digits
 * are by chance those that the user's PNE still shows.
 * @returns undefined when nobody is asked: another PNE is being asked about, or too many were
 */
function ask(pairing: Pairing, question: Question): Question | undefined {
  if (pairing.question) {
    question.answer('busy');
    return undefined;
  }
  if (pairing.questions === MAX_QUESTIONS) {
    question.answer('enrolment-code-spent');
    pairing.settle(new CpnsError('enrolment-code-spent', 'too many devices came with it'));
    return undefined;
  }
  pairing.questions++;
  pairing.question = question;
  pairing.onComparison(question.comparison);
  return question;
}
