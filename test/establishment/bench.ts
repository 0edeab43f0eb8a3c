/**
 * A PNE, a gateway and an operator on a table: both machines of one link without the link, and every word that is said
 * to them, right or wrong in one place. Real crypto; the only thing made up is the shared secret PRK1.
 */
import { type Bytes, EMPTY, toHex } from '../../src/base/bytes.ts';
import { type GatewayId, JoinId, PnId, TransactionId } from '../../src/base/ids.ts';
import { Prng } from '../../src/base/prng.ts';
import type { Status } from '../../src/base/statuses.ts';
import type { Invitation } from '../../src/establishment/gateway-types.ts';
import type { KnownJoin } from '../../src/establishment/pne-types.ts';
import { InventoryPayload, type Member, OutcomePayload } from '../../src/messages/inventory.ts';
import { Open } from '../../src/messages/link.ts';
import { FreshnessPayload } from '../../src/messages/resumption.ts';
import type { Failure } from '../../src/messages/schema-status.ts';
import {
  AuthenticationChallengePayload,
  AuthenticationResponsePayload,
  PnSetupNotify,
  PnSetupRequestPayload,
  PnSetupResponse,
  padPnSetupResponse,
} from '../../src/messages/setup.ts';
import { gatewayIdOf } from '../../src/security/cose-key.ts';
import { transcript1, transcript2, transcript3 } from '../../src/security/key-schedule.ts';
import type { SoftwareSigner } from '../../src/security/keystore.ts';
import {
  Operator,
  START_SECONDS,
  seededPrimitives,
  seededSigner,
} from '../support/virtual-world-operator.ts';

export const PRIMITIVES = seededPrimitives(new Prng(0x5eed));
export const NOW = START_SECONDS;
export const CAPABILITY = new Uint8Array(60).fill(0xca);
export const PN = PnId(Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8));
export const OTHER_PN = PnId(Uint8Array.of(8, 7, 6, 5, 4, 3, 2, 1));
export const INVITATION: Invitation = { pnId: PN, setupType: 'new', name: 'living room' };
export const STRANGER = seededSigner(PRIMITIVES);
/** Bytes that are no message: an indefinite-length map. */
export const GARBAGE = Uint8Array.of(0xbf, 0xff);

const OPEN = { versions: [1], suites: [1], segmentBytes: 244, credits: 32 };

/** Who takes part, and what they have said so far. */
export class Table {
  readonly operator = new Operator(PRIMITIVES);
  readonly gateway: SoftwareSigner = seededSigner(PRIMITIVES);
  readonly pne: SoftwareSigner = seededSigner(PRIMITIVES);
  readonly gatewayId: GatewayId = gatewayIdOf(PRIMITIVES, this.gateway.publicKey);
  readonly homeAddress = this.operator.homeAddressOf(this.gateway);
  readonly serverKeys = this.operator.pinned();
  readonly credential = this.operator.credential(this.gateway);
  readonly prk1 = new Uint8Array(32).fill(0x11);
  readonly openG = Open.encode({
    ...OPEN,
    role: 'gateway',
    ephemeral: new Uint8Array(32).fill(1),
    kind: 'establish',
  });
  readonly openP = Open.encode({ ...OPEN, role: 'pne', ephemeral: new Uint8Array(32).fill(2) });
  readonly th1 = transcript1(PRIMITIVES, 1, this.openG, this.openP);
  /** Bodies of steps 1 and 2 as they were said, step 2 without padding. */
  m1: Bytes = EMPTY;
  m2: Bytes = EMPTY;
  challenge: Bytes = EMPTY;
  challengePayload: Bytes = EMPTY;

  get opened() {
    const { th1, prk1, openG, openP } = this;
    return { kind: 'opened', th1, prk1: prk1.slice(), openG, openP } as const;
  }

  get th2(): Bytes {
    return transcript2(PRIMITIVES, this.th1, this.m1, this.m2);
  }

  get th3(): Bytes {
    return transcript3(PRIMITIVES, this.th2, this.challengePayload);
  }

  get txn(): TransactionId {
    return TransactionId(this.th2.slice(0, 16));
  }

  get joinId(): JoinId {
    return JoinId(this.th3.slice(0, 16));
  }

  /** Step 1. */
  setupRequest(
    wrong: { credential?: Bytes; by?: SoftwareSigner; th1?: Bytes; pnId?: PnId; name?: string } = {},
  ): Bytes {
    const {
      credential = this.credential,
      by = this.gateway,
      th1 = this.th1,
      pnId = PN,
      name = 'living room',
    } = wrong;
    const value = { pnId, setupType: 'new', name, credential } as const;
    this.m1 = this.operator.sign(PnSetupRequestPayload, th1, value, by);
    return this.m1;
  }

  /** Step 2, padded. */
  setupResponse(): Bytes {
    const { homeAddress } = this;
    const thumbprint = this.operator.thumbprintOf(this.pne);
    this.m2 = PnSetupResponse.encode({ status: 'ok', capability: CAPABILITY, homeAddress, thumbprint });
    return padPnSetupResponse(this.m2);
  }

  decline(status: Exclude<PnSetupResponse['status'], 'ok'>): Bytes {
    return padPnSetupResponse(PnSetupResponse.encode({ status }));
  }

  /** Steps 4 and 5. */
  makeChallenge(wrong: { by?: SoftwareSigner; th2?: Bytes; serverTime?: number } = {}): Bytes {
    const { by, th2 = this.th2, serverTime = NOW } = wrong;
    const value = { nonce: new Uint8Array(16).fill(7), serverTime };
    this.challengePayload = AuthenticationChallengePayload.encode(value);
    this.challenge = this.operator.sign(AuthenticationChallengePayload, th2, value, by);
    return this.challenge;
  }

  /** Step 6. */
  response(by: SoftwareSigner = this.pne, th3: Bytes = this.th3): Bytes {
    return this.operator.sign(AuthenticationResponsePayload, th3, { status: 'ok' }, by);
  }

  inventory(
    wrong: Partial<InventoryPayload> & { member?: Partial<Member>; by?: SoftwareSigner } = {},
  ): Bytes {
    const { member, by, ...over } = wrong;
    const value: InventoryPayload = {
      pnId: PN,
      version: 1,
      issuedAt: NOW,
      gatewayId: this.gatewayId,
      name: 'living room',
      members: [{ handle: 1, joinId: this.joinId, capability: CAPABILITY, ...member }],
      ...over,
    };
    return this.operator.sign(InventoryPayload, EMPTY, value, by);
  }

  outcome(status: Status, wrong: { th3?: Bytes; by?: SoftwareSigner } = {}): Bytes {
    const value = { status, serverTime: NOW };
    return this.operator.sign(OutcomePayload, wrong.th3 ?? this.th3, value, wrong.by);
  }

  /** Step 13, and step 15. */
  notify(inventory: Bytes = this.inventory()): Bytes {
    return PnSetupNotify.encode({ status: 'ok', inventory });
  }

  notifyRefused(status: Failure, outcome: Bytes = this.outcome(status)): Bytes {
    return PnSetupNotify.encode({ status, outcome });
  }

  freshness(
    wrong: { status?: Status; th1?: Bytes; serverTime?: number; joinId?: JoinId; by?: SoftwareSigner } = {},
  ): Bytes {
    const { status = 'ok', th1 = this.th1, serverTime = NOW + 3600, joinId = this.joinId, by } = wrong;
    return this.operator.sign(FreshnessPayload, th1, { status, version: 1, serverTime, joinId }, by);
  }

  /** The join as the PNE has it on disk when it resumes. */
  knownJoin(over: Partial<KnownJoin> = {}): KnownJoin {
    return {
      state: 'member',
      pnId: PN,
      gatewayId: this.gatewayId,
      th3: this.th3,
      rms: new Uint8Array(32).fill(3),
      capability: CAPABILITY,
      version: 1,
      ...over,
    };
  }
}

/** Signs when a machine asks for it, and remembers which pending joins its outputs leave on disk. */
export class Disk {
  readonly pending = new Set<string>();
  readonly members = new Set<string>();
  signed = 0;

  carryOut(outputs: readonly { readonly kind: string }[]): void {
    for (const output of outputs) {
      const { join, th3, message } = output as { join?: { th3: Bytes }; th3?: Bytes; message?: unknown };
      if (output.kind === 'persistPending' && join) this.pending.add(toHex(join.th3));
      if (output.kind === 'forgetPending' && th3) this.pending.delete(toHex(th3));
      if (output.kind === 'persistMember' && join) {
        this.pending.delete(toHex(join.th3));
        this.members.add(toHex(join.th3));
      }
      if (output.kind === 'send' && message === 'AuthenticationResponse') this.signed++;
    }
  }
}
