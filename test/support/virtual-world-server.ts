/**
 * The CPNS server in the virtual world: the real machine over the real store in memory, with a shell that looks up facts,
 * signs, commits and delivers. No HTTP: requests come in as calls, answers are values or a CpnsError with the status.
 */
import { type Bytes, EMPTY, equal, toHex } from '../../src/base/bytes.ts';
import { CpnsError } from '../../src/base/errors.ts';
import type { GatewayId, JoinId, TransactionId } from '../../src/base/ids.ts';
import { claimTranscript, receiptTranscript } from '../../src/enrolment/transcript.ts';
import { Machine } from '../../src/establishment/machine.ts';
import { SERVER_MACHINE } from '../../src/establishment/server.ts';
import { readExchange } from '../../src/establishment/server-checks.ts';
import {
  DEFAULT_SERVER_LIMITS,
  type GatewayFacts,
  QUESTIONS_SECONDS,
  type RegistrationKey,
  type ServerInput,
  type ServerReply,
  type ServerSession,
} from '../../src/establishment/server-types.ts';
import {
  EnrolClaimPayload,
  EnrolmentRequest,
  EnrolOfferPayload,
  EnrolReceiptPayload,
} from '../../src/messages/enrolment.ts';
import { LINK_KINDS } from '../../src/messages/link.ts';
import { PnRegistrationRequest, type TransactionState } from '../../src/messages/registration.ts';
import { FreshnessPayload } from '../../src/messages/resumption.ts';
import { parseSign1 } from '../../src/security/cose.ts';
import { gatewayIdOf, publicKeyOf, thumbprintOf } from '../../src/security/cose-key.ts';
import { transcript1 } from '../../src/security/key-schedule.ts';
import type { SoftwareSigner } from '../../src/security/keystore.ts';
import { openSigned } from '../../src/security/signed-message.ts';
import { type Delivery, openServerStore, StaleError } from '../../src/store/server-store.ts';
import type { Timer, VirtualWorld } from './virtual-world.ts';
import { Operator, REALM } from './virtual-world-operator.ts';

const ATTEMPTS = 4;

/** A gateway's end of the channel it has dialled. */
export interface ChannelEnd {
  deliver(delivery: Delivery): void;
  waiting(txn: TransactionId, status: 'awaiting-home-gateway' | 'awaiting-user'): void;
}

export class VirtualServer {
  readonly world: VirtualWorld;
  readonly operator: Operator;
  readonly store = openServerStore(':memory:');
  readonly channels = new Map<string, ChannelEnd>();
  limits = DEFAULT_SERVER_LIMITS;
  #tick: Timer | undefined;

  constructor(world: VirtualWorld) {
    this.world = world;
    this.operator = new Operator(world.primitives);
    this.store.initialise(REALM, ['server.example'], world.seconds);
  }

  /** Enrols a gateway of a user, who is added when new. */
  addGateway(signer: SoftwareSigner, user: string, label: string): void {
    const { directory } = this.store;
    const { primitives } = this.world;
    const { userId } = directory.user(user) ?? directory.addUser(user, this.world.seconds);
    const tokenId = primitives.randomBytes(8);
    const secretSha256 = primitives.sha256(tokenId);
    directory.addToken({
      tokenId,
      secretSha256,
      userId,
      gatewayLabel: label,
      expiresAt: this.world.seconds + 60,
    });
    const { publicKey: key } = signer;
    const [thumbprint, gatewayId] = [thumbprintOf(primitives, key), gatewayIdOf(primitives, key)];
    directory.enrolGateway(
      tokenId,
      {
        gatewayId,
        thumbprint,
        key,
        userId,
        userLabel: user,
        label,
        standing: 'ok',
        createdAt: this.world.seconds,
      },
      EMPTY,
    );
  }

  /** Step 3. @returns step 4 */
  register(caller: GatewayId, txn: TransactionId, body: Bytes): Bytes {
    const gateway = this.#caller(caller);
    const request = PnRegistrationRequest.decode(body);
    const { registrations } = this.store;
    const { primitives, seconds: now } = this.world;
    const reply = this.#run({ gatewayId: caller, txn }, () => {
      const { setup, joining } = readExchange(primitives, request);
      return {
        kind: 'registrationRequest',
        ...{ txn, body, request, gateway, now },
        pn: registrations.pn(setup.pnId),
        kept: registrations.growth(caller, now),
        openCount: registrations.openCount(caller, now - this.limits.challengeSeconds),
        backoffUntil: registrations.backoffUntil(caller, joining.thumbprint),
        nonce: primitives.randomBytes(16),
      };
    });
    if (reply?.kind !== 'challenge') throw new CpnsError('internal');
    return reply.challenge;
  }

  /** Step 7. */
  respond(caller: GatewayId, txn: TransactionId, response: Bytes): TransactionState {
    const gateway = this.#caller(caller);
    const key = { gatewayId: caller, txn };
    const { registrations, directory } = this.store;
    const reply = this.#run(key, () => {
      const row = registrations.registration(key);
      if (!row) throw new CpnsError('unknown-transaction');
      const pne = directory.pneFacts(row.pne);
      const { seconds: now } = this.world;
      return {
        kind: 'authenticationResponse',
        ...{ response, gateway, pne, now },
        vainQuestions: registrations.vainQuestions(pne?.userId ?? 0, caller, now - QUESTIONS_SECONDS),
        refreshesToday: registrations.refreshesToday(caller, now),
        isOvertaken: registrations.isOvertaken(row),
        homeOnline: pne !== undefined && this.channels.has(toHex(pne.home.gatewayId)),
        pn: registrations.pn(row.pnId),
        earlierYes: registrations.earlierYes(row.pnId, row.pne),
        pendingOfUser: pne ? registrations.pendingOfUser(pne.home.userId, row.pne) : 0,
        earlier: registrations.verifiedOf(row.pne).filter((known) => !equal(known.txn, txn)),
        backoffUntil: registrations.backoffUntil(caller, row.pne),
      };
    });
    if (reply?.kind !== 'state') throw new CpnsError('internal');
    return reply.state;
  }

  /** Step 9. */
  confirm(caller: GatewayId, joinId: JoinId, answer: Bytes): void {
    const facts = this.#caller(caller);
    const { registrations, directory } = this.store;
    const found = registrations.registrationOfJoin(joinId);
    if (!found) throw new CpnsError('unknown-transaction');
    this.#run(found, () => {
      const gateway = directory.gateway(found.gatewayId);
      if (!gateway) throw new CpnsError('unknown-gateway');
      return {
        kind: 'confirmAnswer',
        ...{ answer, caller: facts, gateway, now: this.world.seconds },
        pne: directory.pneFacts(found.pne),
        pn: registrations.pn(found.pnId),
      };
    });
  }

  freshness(caller: GatewayId, th1: Bytes, joinId: JoinId): Bytes {
    this.#caller(caller);
    const row = this.store.registrations.registrationOfJoin(joinId);
    if (!row || !equal(row.gatewayId, caller) || row.state !== 'registered')
      throw new CpnsError('unknown-transaction');
    const status = this.store.directory.pneFacts(row.pne)?.standing ?? 'unknown-pne';
    const version = this.store.registrations.pn(row.pnId)?.version ?? 0;
    return this.operator.sign(FreshnessPayload, th1, {
      status,
      version,
      serverTime: this.world.seconds,
      joinId,
    });
  }

  enrolmentNonce(caller: GatewayId): Bytes {
    this.#caller(caller);
    const nonce = this.world.primitives.randomBytes(16);
    this.store.directory.addEnrolment(nonce, caller, this.world.seconds);
    return nonce;
  }

  /** Both OPENs, E1 and E2. @returns E3 */
  enrol(caller: GatewayId, nonce: Bytes, body: Bytes): Bytes {
    const gateway = this.#caller(caller);
    const { primitives, seconds: serverTime } = this.world;
    const { directory } = this.store;
    const known = directory.enrolment(nonce);
    if (known?.committed) {
      if (!equal(known.committed.request, body)) throw new CpnsError('conflict');
      return known.committed.receipt;
    }
    const { openG, openP, offer, claim } = EnrolmentRequest.decode(body);
    const th1 = transcript1(primitives, LINK_KINDS.enrol, openG, openP);
    openSigned(primitives, EnrolOfferPayload, () => [gateway.key], th1, offer, 'receipt-invalid');
    const claimed = EnrolClaimPayload.decode(parseSign1(claim).payload);
    const key = publicKeyOf(primitives, claimed.key);
    const th = claimTranscript(primitives, th1, offer);
    openSigned(primitives, EnrolClaimPayload, () => [key], th, claim, 'response-invalid');
    const { epoch, pneId, capability } = claimed;
    const { userId, userLabel } = gateway;
    const thumbprint = thumbprintOf(primitives, key);
    const receipt = this.operator.sign(
      EnrolReceiptPayload,
      receiptTranscript(primitives, th1, offer, claim),
      {
        ...{ thumbprint, gatewayId: caller, userLabel, epoch, serverTime },
      },
    );
    directory.commitEnrolment(
      ...([nonce, body, receipt] as const),
      {
        ...{ thumbprint, key, userId, homeGatewayId: caller, pneId, capability, epoch },
        maxOfUser: this.limits.pnesPerUser,
      },
      serverTime,
    );
    this.world.changed();
    return receipt;
  }

  acknowledgeEnrolment(nonce: Bytes): void {
    this.store.directory.acknowledgeEnrolment(nonce, 'ok');
  }

  /** A gateway has dialled in: what it has not acknowledged is delivered (again). */
  dial(gatewayId: GatewayId, end: ChannelEnd): void {
    this.channels.set(toHex(gatewayId), end);
    this.push(gatewayId);
  }

  hangUp(gatewayId: GatewayId): void {
    this.channels.delete(toHex(gatewayId));
  }

  push(gatewayId: GatewayId): void {
    const end = this.channels.get(toHex(gatewayId));
    for (const delivery of end ? this.store.outbox.deliveries(gatewayId, 0, 100) : []) end?.deliver(delivery);
  }

  acknowledge(gatewayId: GatewayId, deliveryId: number): void {
    const [acknowledged] = this.store.outbox.acknowledge([{ gatewayId, deliveryId }]);
    this.world.changed();
    if (acknowledged?.kind !== 'pne-confirm-request') return;
    const row = this.store.registrations.registrationOfJoin(acknowledged.joinId);
    if (row) this.#run(row, () => ({ kind: 'confirmDelivered' }));
  }

  #caller(gatewayId: GatewayId): GatewayFacts {
    const gateway = this.store.directory.gateway(gatewayId);
    if (!gateway) throw new CpnsError('unknown-gateway');
    if (gateway.standing !== 'ok') throw new CpnsError(gateway.standing);
    return gateway;
  }

  /** One input, with facts looked up anew for each attempt. @throws CpnsError a rejection's status */
  #run(key: RegistrationKey, inputOf: () => ServerInput): ServerReply | undefined {
    for (let attempt = 1; ; attempt++) {
      try {
        return this.#attempt(key, inputOf());
      } catch (error) {
        if (!(error instanceof StaleError) || attempt === ATTEMPTS) throw error;
      }
    }
  }

  #attempt(key: RegistrationKey, first: ServerInput): ServerReply | undefined {
    const { operator, limits } = this;
    const { registrations } = this.store;
    const row = registrations.registration(key);
    const terms = { currency: 'EUR', limit: 500, periodDays: 30 };
    const session: ServerSession = {
      ...{
        primitives: this.world.primitives,
        serverKeys: operator.pinned(),
        realm: REALM,
        terms,
        limits,
        row,
      },
    };
    const machine = new Machine(SERVER_MACHINE, session, row?.state ?? 'new', this.world.nowMs);
    let reply: ServerReply | undefined;
    for (let input: ServerInput | undefined = first; input; ) {
      const outputs = machine.handle(input, this.world.nowMs);
      input = undefined;
      for (const output of outputs) {
        if (output.kind === 'sign') {
          const signatures = output.messages.map((message) => operator.server.sign(message));
          input = { kind: 'signed', signatures, kid: operator.kid };
        } else if (output.kind === 'supersede') {
          for (const earlier of output.earlier)
            this.#run(earlier, () => ({ kind: 'superseded', now: this.world.seconds }));
        } else if (output.kind === 'commit') {
          registrations.commit(output.change, () => this.world.seconds);
          this.#committed(output.change.to, 'outbox' in output.change ? output.change.outbox : []);
        } else if (output.kind === 'reply') reply = output.reply;
        else this.channels.get(toHex(key.gatewayId))?.waiting(key.txn, output.status);
      }
    }
    if (reply?.kind === 'rejected') throw new CpnsError(reply.status);
    return reply;
  }

  #committed(to: string, outbox: readonly { readonly to: GatewayId }[]): void {
    this.world.changed();
    this.world.say('server', to);
    for (const gatewayId of outbox.map((entry) => entry.to)) this.push(gatewayId);
    this.#arm();
  }

  /** The clock is looked at when the next deadline has passed, as long as something is open. */
  #arm(): void {
    this.#tick?.cancel();
    const { registrations } = this.store;
    const { seconds } = this.world;
    const [next] = registrations
      .due(0xffff_ffff, 0xffff_ffff, 100)
      .map((key) => registrations.registration(key))
      .map((row) =>
        row?.state === 'verified'
          ? (row.deadline ?? 0)
          : (row?.challengedAt ?? 0) + this.limits.challengeSeconds,
      )
      .sort((a, b) => a - b);
    if (next === undefined) return;
    this.#tick = this.world.after((next - seconds + 1) * 1000, 'server deadline', () => this.#expire());
  }

  #expire(): void {
    const { seconds: now } = this.world;
    for (const key of this.store.registrations.due(now - this.limits.challengeSeconds, now, 100))
      this.#run(key, () => ({ kind: 'deadline', now }));
    this.#arm();
  }
}
