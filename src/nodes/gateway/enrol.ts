/**
 * A gateway and its server: enrolment by token, once, and renewal of certificate and credential at half of their life.
 * Owns what is checked before an answer of the server is kept. Must not hold the token longer than the one exchange.
 * Source: docs/protocol.md §4.4, §7.3, §9 (GatewayEnrolment).
 */
import { X509Certificate } from 'node:crypto';
import { type Bytes, equal } from '../../base/bytes.ts';
import { CpnsError, statusOfError } from '../../base/errors.ts';
import type { Status } from '../../base/statuses.ts';
import type { Clock, ServerSeconds } from '../../base/time.ts';
import type { CallOptions, ServerClient } from '../../https/server-client.ts';
import { enrolGateway } from '../../https/server-client-enrol.ts';
import { type RetryPolicy, sleep, withRetry } from '../../https/server-client-retry.ts';
import type { GatewayEnrolment } from '../../messages/enrolment.ts';
import { parseHomeAddress } from '../../messages/home-address.ts';
import { gatewayIdOf, publicKeyOf, thumbprintOf } from '../../security/cose-key.ts';
import { verifyCredential } from '../../security/credential.ts';
import { parseGatewayToken } from '../../security/gateway-token.ts';
import type { SoftwareSigner } from '../../security/keystore.ts';
import type { Primitives, PublicKey } from '../../security/primitives.ts';
import { pinServerKeys } from '../../security/server-keys.ts';
import { createCertificateRequest, publicKeyOfCertificate } from '../../security/x509.ts';
import type { GatewayStore, StoredEnrolment } from '../../store/gateway-store.ts';

/** The name in the PKCS#10 request; the server gives its own. */
const REQUEST_NAME = 'cpns gateway';
const RETRY: RetryPolicy = { firstMs: 60_000, maxMs: 3_600_000 };
/** When somebody waits for the answer. */
const NOW: RetryPolicy = { firstMs: 500, maxMs: 2_000, attempts: 3 };
/** After a refusal that would come again at once. */
const REFUSED_MS = 3_600_000;
/** However short a life the server gives. */
const MIN_LIFE_MS = 60_000;
/** Longest wait in one go: a timer stands still while the host sleeps, and the date goes on. */
const MAX_SLEEP_MS = 600_000;

interface Shared {
  readonly store: Pick<GatewayStore, 'enrolment' | 'saveEnrolment'>;
  readonly signer: SoftwareSigner;
  readonly primitives: Primitives;
  readonly clock: Clock;
}

export interface EnrolOptions extends Shared, CallOptions {
  /** `https://host[:port]`. */
  readonly serverUrl: string;
  /** `CPNSGW:` and base32, as typed or pasted. */
  readonly token: string;
}

/**
 * Enrols this gateway and keeps the answer; repeating it with the same token and key is harmless.
 * @throws CpnsError token-invalid; enrolment-code-wrong when the server is not the token's (it got nothing then);
 * server-unreachable; credential-invalid when the answer does not fit this gateway; cannot-persist
 */
export async function enrolAtServer(options: EnrolOptions): Promise<StoredEnrolment> {
  const { store, signer, primitives, clock, serverUrl } = options;
  const token = parseGatewayToken(options.primitives, options.token);
  const request = createCertificateRequest(signer, REQUEST_NAME);
  const { answer } = await enrolGateway(primitives, serverUrl, token, request, options);
  checkAnswer(primitives, answer, signer.publicKey);
  const enrolment = { serverUrl, answer, receivedAt: clock.wallSeconds() };
  store.saveEnrolment(enrolment);
  return enrolment;
}

/** When to renew, by this host's clock: half of what was left of the shorter-lived when it came. */
export function renewalDueAt(
  { answer, receivedAt }: StoredEnrolment,
  credentialExpiresAt: ServerSeconds,
): number {
  const certificateExpiresAt = Date.parse(new X509Certificate(answer.certificates.gateway).validTo) / 1000;
  const leftSeconds = Math.min(credentialExpiresAt, certificateExpiresAt) - answer.serverTime;
  return receivedAt + Math.max(MIN_LIFE_MS / 1000, Math.floor(leftSeconds / 2));
}

export interface RenewalOptions extends Shared {
  readonly client: Pick<ServerClient, 'renew'>;
  /** The new enrolment is on disk: take its certificate, credential and server keys from now on. */
  readonly onRenewed: (enrolment: StoredEnrolment) => void;
  /** A renewal failed and is tried again later. */
  readonly onProblem?: (status: Status) => void;
  readonly retry?: RetryPolicy;
}

/** Renews at half-life for as long as it is open. */
export class GatewayRenewal {
  readonly #options: RenewalOptions;
  readonly #stopping = new AbortController();
  readonly #ended: Promise<void>;
  #enrolment: StoredEnrolment;

  /** @throws CpnsError not-enrolled */
  constructor(options: RenewalOptions) {
    this.#options = options;
    const enrolment = options.store.enrolment();
    if (!enrolment) throw new CpnsError('not-enrolled', 'enrol the gateway first');
    this.#enrolment = enrolment;
    this.#ended = this.#run();
  }

  async close(): Promise<void> {
    this.#stopping.abort();
    await this.#ended;
  }

  /** Renews whatever the time, with a few tries. @throws CpnsError server-unreachable, credential-invalid, cannot-persist */
  renewNow(): Promise<void> {
    return this.#renew(NOW);
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      try {
        await this.#waitUntil(() => this.#dueAt(this.#enrolment));
        if (signal.aborted) return;
        await this.#renew(this.#options.retry ?? RETRY);
      } catch (error) {
        if (signal.aborted) return;
        this.#options.onProblem?.(statusOfError(error));
        await sleep(REFUSED_MS, signal);
      }
    }
  }

  #dueAt(enrolment: StoredEnrolment): number {
    const { primitives, signer } = this.#options;
    return renewalDueAt(enrolment, checkAnswer(primitives, enrolment.answer, signer.publicKey));
  }

  async #waitUntil(dueAt: () => number): Promise<void> {
    const { clock } = this.#options;
    const { signal } = this.#stopping;
    // In pieces, so that a host that slept or whose clock was set is not late.
    for (
      let left = dueAt() - clock.wallSeconds();
      left > 0 && !signal.aborted;
      left = dueAt() - clock.wallSeconds()
    )
      await sleep(Math.min(left * 1000, MAX_SLEEP_MS), signal);
  }

  async #renew(retry: RetryPolicy): Promise<void> {
    const known = this.#enrolment;
    const { client, signer, primitives, clock, store } = this.#options;
    const { signal } = this.#stopping;
    const request = createCertificateRequest(signer, REQUEST_NAME);
    const answer = await withRetry(() => client.renew(request, { signal }), retry, signal);
    checkAnswer(primitives, answer, signer.publicKey);
    checkSameOperator(primitives, known.answer, answer);
    const enrolment = { serverUrl: known.serverUrl, answer, receivedAt: clock.wallSeconds() };
    store.saveEnrolment(enrolment);
    this.#enrolment = enrolment;
    this.#options.onRenewed(enrolment);
  }
}

/**
 * Everything in an answer has to be about this gateway's key.
 * @returns when its credential expires
 * @throws CpnsError credential-invalid, or what verifyCredential throws
 */
function checkAnswer(primitives: Primitives, answer: GatewayEnrolment, own: PublicKey): ServerSeconds {
  const keys = pinServerKeys(primitives, answer.rootKey, answer.serverKeys);
  const credential = verifyCredential(primitives, keys, answer.credential, { now: 0 });
  const gatewayId = gatewayIdOf(primitives, own);
  const home = parseHomeAddress(answer.homeAddress);
  const thumbprint = thumbprintOf(primitives, own);
  const certified = thumbprintOf(primitives, publicKeyOfCertificate(answer.certificates.gateway));
  const fits =
    equal(credential.thumbprint, thumbprint) &&
    equal(certified, thumbprint) &&
    equal(answer.gatewayId, gatewayId) &&
    equal(home.gatewayId, gatewayId) &&
    home.realm === answer.realm;
  if (!fits) throw new CpnsError('credential-invalid', "the server's answer is not about this gateway");
  return credential.expiresAt;
}

/** CHOICE: a renewal may bring new server keys, but neither another root nor another CA: that takes a new token. */
function checkSameOperator(primitives: Primitives, before: GatewayEnrolment, after: GatewayEnrolment): void {
  const caOf = ({ certificates }: GatewayEnrolment) => publicKeyOfCertificate(certificates.ca);
  const rootOf = ({ rootKey }: GatewayEnrolment) => publicKeyOf(primitives, rootKey);
  const same = (a: PublicKey, b: PublicKey): boolean => equal(thumbprint(a), thumbprint(b));
  const thumbprint = (key: PublicKey): Bytes => thumbprintOf(primitives, key);
  if (!same(caOf(before), caOf(after)) || !same(rootOf(before), rootOf(after)))
    throw new CpnsError('credential-invalid', 'the renewal is of another operator');
}
