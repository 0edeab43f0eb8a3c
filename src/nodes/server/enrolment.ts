/**
 * Enrolment at the server: of a gateway, with a one-time token; of a PNE, by the claim both sides signed.
 * Owns the order of checks of docs/protocol.md §7 and protocol-core §5. The commit that makes a PNE somebody's is in
 * src/store/server-directory.ts, together with the receipt.
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import { type Bytes, equal } from '../../base/bytes.ts';
import { CpnsError } from '../../base/errors.ts';
import type { Status } from '../../base/statuses.ts';
import type { RandomBytes, ServerSeconds } from '../../base/time.ts';
import { claimTranscript, receiptTranscript } from '../../enrolment/transcript.ts';
import { type ServerLimits, secondsLeftOfDay } from '../../establishment/server-types.ts';
import { RefusedError } from '../../https/problem.ts';
import { checkCarriedOpens } from '../../link/carried-opens.ts';
import {
  EnrolClaimPayload,
  type EnrolmentNonce,
  type EnrolmentRequest,
  EnrolOfferPayload,
  EnrolReceiptPayload,
  GatewayEnrolment,
  type GatewayEnrolRequest,
} from '../../messages/enrolment.ts';
import { formatHomeAddress } from '../../messages/home-address.ts';
import { LINK_KINDS } from '../../messages/link.ts';
import { parseSign1 } from '../../security/cose.ts';
import { gatewayIdOf, publicKeyOf, thumbprintOf } from '../../security/cose-key.ts';
import { verifyCredential } from '../../security/credential.ts';
import { transcript1 } from '../../security/key-schedule.ts';
import type { Primitives, PublicKey } from '../../security/primitives.ts';
import { openSigned } from '../../security/signed-message.ts';
import { verifyCertificateRequest } from '../../security/x509.ts';
import type { GatewayRecord, NewPne, ServerStore } from '../../store/server-store.ts';
import type { TrustedClock } from './clock.ts';
import type { Operator } from './identity.ts';

/** A code lives for ten minutes; the claim may come a little after. */
export const NONCE_SECONDS = 900;
const OPEN_NONCES = 16;
const NONCE_BYTES = 16;

export interface EnrolmentPorts {
  readonly store: ServerStore;
  readonly operator: Operator;
  readonly primitives: Primitives;
  readonly clock: TrustedClock;
  readonly random: RandomBytes;
  readonly realm: string;
  readonly limits: Pick<ServerLimits, 'enrolmentsPerGatewayPerDay' | 'pnesPerUser'>;
}

export class Enrolment {
  readonly #ports: EnrolmentPorts;

  constructor(ports: EnrolmentPorts) {
    this.#ports = ports;
  }

  // A PNE

  /** @throws CpnsError quota-exceeded */
  begin(gateway: GatewayRecord): EnrolmentNonce {
    const { store, clock, random, limits } = this.#ports;
    const now = clock.now();
    if (store.directory.enrolmentsToday(gateway.gatewayId, now) >= limits.enrolmentsPerGatewayPerDay)
      throw new RefusedError('quota-exceeded', secondsLeftOfDay(now));
    if (store.directory.openEnrolments(gateway.gatewayId, now - NONCE_SECONDS) >= OPEN_NONCES)
      throw new RefusedError('quota-exceeded', NONCE_SECONDS);
    const nonce = random(NONCE_BYTES);
    store.directory.addEnrolment(nonce, gateway.gatewayId, now);
    return { nonce, serverTime: now };
  }

  /**
   * E1 and E2 with the link's OPENs.
   * @param bytes the request as received
   * @returns E3
   * @throws CpnsError unknown-transaction, conflict, enrolment-code-spent, transcript-mismatch, credential-…,
   * response-invalid, already-owned, revoked-pne, quota-exceeded, malformed
   */
  claim(gateway: GatewayRecord, nonce: Bytes, request: EnrolmentRequest, bytes: Bytes): Bytes {
    const { store, clock, operator, primitives } = this.#ports;
    const record = store.directory.enrolment(nonce);
    if (!record || !equal(record.gatewayId, gateway.gatewayId)) throw new CpnsError('unknown-transaction');
    if (record.committed) {
      if (!equal(record.committed.request, bytes)) throw new CpnsError('conflict');
      return record.committed.receipt;
    }
    const now = clock.now();
    if (now > record.createdAt + NONCE_SECONDS) throw new CpnsError('enrolment-code-spent', 'nonce expired');
    const { offer, claim } = request;
    const th1 = enrolTranscript(primitives, request);
    this.#checkOffer(gateway, nonce, offer, th1, now);
    const pne = this.#checkClaim(gateway, claimTranscript(primitives, th1, offer), claim);
    store.directory.mayEnrol(pne);
    const receipt = operator.signed(EnrolReceiptPayload, receiptTranscript(primitives, th1, offer, claim), {
      thumbprint: pne.thumbprint,
      gatewayId: gateway.gatewayId,
      userLabel: gateway.userLabel,
      epoch: pne.epoch,
      serverTime: now,
    });
    store.directory.commitEnrolment(nonce, bytes, receipt, pne, now);
    return receipt;
  }

  /** The offer has to be what this server would let the PNE pin, from the very gateway that posts it. */
  #checkOffer(gateway: GatewayRecord, nonce: Bytes, offer: Bytes, th1: Bytes, now: ServerSeconds): void {
    const { primitives, operator, realm } = this.#ports;
    const { value } = openSigned(
      primitives,
      EnrolOfferPayload,
      () => [gateway.key],
      th1,
      offer,
      'transcript-mismatch',
    );
    const keyOf = (key: EnrolOfferPayload['rootKey']) =>
      thumbprintOf(primitives, publicKeyOf(primitives, key));
    const same = (a: EnrolOfferPayload['rootKey'], b: EnrolOfferPayload['rootKey']) =>
      equal(keyOf(a), keyOf(b));
    const ours =
      equal(keyOf(value.gatewayKey), gateway.thumbprint) &&
      same(value.rootKey, operator.rootKey) &&
      value.homeAddress === formatHomeAddress({ gatewayId: gateway.gatewayId, realm }) &&
      value.userLabel === gateway.userLabel &&
      equal(value.nonce, nonce);
    if (!ours) throw new CpnsError('transcript-mismatch', 'the offer is not of this gateway and operator');
    // The PNE takes the set for that of today: with an older one it would not even know the receipt's key.
    const present =
      value.serverKeys.length === operator.coseKeys.length &&
      operator.coseKeys.every((key) => value.serverKeys.some((listed) => same(key, listed)));
    if (!present) throw new CpnsError('credential-unknown-key', 'the offer lists other server keys');
    const credential = verifyCredential(primitives, operator.serverKeys, value.credential, { now });
    if (!equal(credential.thumbprint, gateway.thumbprint)) throw new CpnsError('credential-invalid');
  }

  #checkClaim(gateway: GatewayRecord, transcript: Bytes, claim: Bytes): NewPne {
    const { primitives, limits } = this.#ports;
    const claimed = EnrolClaimPayload.decode(parseSign1(claim).payload);
    const key = publicKeyOf(primitives, claimed.key);
    openSigned(primitives, EnrolClaimPayload, () => [key], transcript, claim, 'response-invalid');
    return {
      key,
      thumbprint: thumbprintOf(primitives, key),
      userId: gateway.userId,
      homeGatewayId: gateway.gatewayId,
      pneId: claimed.pneId,
      capability: claimed.capability,
      epoch: claimed.epoch,
      maxOfUser: limits.pnesPerUser,
    };
  }

  /** E4. @throws CpnsError unknown-transaction */
  acknowledge(gateway: GatewayRecord, nonce: Bytes, status: Status): void {
    const { directory } = this.#ports.store;
    const record = directory.enrolment(nonce);
    if (!record?.committed || !equal(record.gatewayId, gateway.gatewayId))
      throw new CpnsError('unknown-transaction');
    directory.acknowledgeEnrolment(nonce, status);
  }

  // A gateway

  /**
   * Spends a token. The same token with the same key gets the same answer, so that a lost answer costs nothing.
   * @returns a GatewayEnrolment, encoded
   * @throws CpnsError token-invalid, malformed, response-invalid (the request's own signature), conflict
   */
  enrolGateway({ tokenId, tokenSecret, certificationRequest }: GatewayEnrolRequest): Bytes {
    const { store, clock, primitives } = this.#ports;
    const token = store.directory.token(tokenId);
    const given = createHash('sha256').update(tokenSecret).digest();
    // Compared in any case, so that the time taken does not tell whether there is such a token.
    const known = timingSafeEqual(given, token?.secretSha256 ?? new Uint8Array(given.length));
    if (!token || !known || token.userRevoked) throw new CpnsError('token-invalid');
    const key = verifyCertificateRequest(certificationRequest);
    const thumbprint = thumbprintOf(primitives, key);
    if (token.used) {
      if (equal(token.used.by, thumbprint)) return token.used.answer;
      throw new CpnsError('token-invalid');
    }
    const now = clock.now();
    if (now > token.expiresAt) throw new CpnsError('token-invalid');
    const gateway: GatewayRecord = {
      gatewayId: gatewayIdOf(primitives, key),
      ...{ thumbprint, key },
      userId: token.userId,
      userLabel: token.userLabel,
      label: token.gatewayLabel,
      standing: 'ok',
      createdAt: now,
    };
    const answer = this.#enrolmentOf(gateway, now);
    store.directory.enrolGateway(tokenId, gateway, answer);
    return answer;
  }

  /** A new certificate and credential for the key that asks. @throws CpnsError conflict for another key */
  renew(gateway: GatewayRecord, certificationRequest: Bytes): Bytes {
    const { clock, primitives } = this.#ports;
    const key = verifyCertificateRequest(certificationRequest);
    if (!equal(thumbprintOf(primitives, key), gateway.thumbprint))
      throw new CpnsError('conflict', 'another key than that of the connection');
    return this.#enrolmentOf(gateway, clock.now());
  }

  #enrolmentOf(gateway: GatewayRecord, now: ServerSeconds): Bytes {
    const { operator, realm, store } = this.#ports;
    const { gatewayId, userLabel, label: gatewayLabel } = gateway;
    const key: PublicKey = gateway.key;
    return GatewayEnrolment.encode({
      certificates: { gateway: operator.gatewayCertificate(key, now), ca: operator.caCertificate },
      credential: operator.credential(key, userLabel, gatewayLabel, now),
      rootKey: operator.rootKey,
      serverKeys: operator.coseKeys,
      homeAddress: formatHomeAddress({ gatewayId, realm }),
      ...{ userLabel, gatewayLabel, gatewayId, realm },
      serverTime: now,
      // The clock may have been set back since a PNE pinned the last set.
      serverKeysStatement: operator.serverKeysStatement(() =>
        Math.max(now, store.directory.lastEnrolledAt()),
      ),
    });
  }
}

/** th1 of an enrolment link. @throws CpnsError transcript-mismatch when the OPENs are not those of one */
function enrolTranscript(primitives: Primitives, { openG, openP }: EnrolmentRequest): Bytes {
  checkCarriedOpens(openG, openP, 'enrol');
  return transcript1(primitives, LINK_KINDS.enrol, openG, openP);
}
