/**
 * One join made by hand, with real keys and signatures and without Bluetooth: what a gateway would bring to the server in
 * steps 3 and 7, and a home gateway in step 9. Every part can be spoilt by naming it.
 */
import type { Bytes } from '../../src/base/bytes.ts';
import { JoinId, PnId, type Thumbprint, TransactionId } from '../../src/base/ids.ts';
import type { Content } from '../../src/messages/common.ts';
import { PneConfirmResponsePayload } from '../../src/messages/confirmation.ts';
import { LINK_KINDS, type LinkKind, Open } from '../../src/messages/link.ts';
import type { Message } from '../../src/messages/message.ts';
import { PnRegistrationRequest } from '../../src/messages/registration.ts';
import {
  AuthenticationResponsePayload,
  PnSetupRequestPayload,
  PnSetupResponse,
} from '../../src/messages/setup.ts';
import { assembleSign1, parseSign1 } from '../../src/security/cose.ts';
import { thumbprintOf } from '../../src/security/cose-key.ts';
import { transcript1, transcript2, transcript3 } from '../../src/security/key-schedule.ts';
import type { SoftwareSigner } from '../../src/security/keystore.ts';
import { nodePrimitives } from '../../src/security/primitives-node.ts';
import { toBeSigned } from '../../src/security/signed-message.ts';

export const primitives = nodePrimitives(256);

/** A signed message of the protocol by any key, without kid. */
export function signMessage<T>(message: Message<T>, th: Bytes, value: T, signer: SoftwareSigner): Bytes {
  const payload = message.encode(value);
  return assembleSign1(payload, signer.sign(toBeSigned(message, th, payload)));
}

/** OPENs of a link of some kind, the gateway central. @param changes spoils either of them */
export function buildOpens(
  kind: LinkKind = 'establish',
  changes: { readonly openG?: Partial<Open>; readonly openP?: Partial<Open> } = {},
): { readonly openG: Bytes; readonly openP: Bytes } {
  const common = { versions: [1], suites: [1], segmentBytes: 244, credits: 32 };
  const x = () => primitives.generateEphemeral().x;
  return {
    openG: Open.encode({ ...common, role: 'gateway', ephemeral: x(), kind, ...changes.openG }),
    openP: Open.encode({ ...common, role: 'pne', ephemeral: x(), ...changes.openP }),
  };
}

export interface JoinOptions {
  readonly gateway: { readonly signer: SoftwareSigner; readonly credential: Bytes };
  readonly pne: SoftwareSigner;
  readonly homeAddress: string;
  readonly pnId?: PnId;
  readonly setupType?: 'new' | 'join';
  readonly name?: string;
  readonly capability?: Bytes;
  readonly contents?: readonly Content[];
  readonly pneId?: string;
  /** Named in step 2 in the place of the PNE's own. */
  readonly thumbprint?: Thumbprint;
  /** Signs step 1 in the place of the gateway. */
  readonly setupSigner?: SoftwareSigner;
  readonly linkKind?: LinkKind;
  readonly openG?: Partial<Open>;
  readonly openP?: Partial<Open>;
  readonly gatewayCapability?: Bytes;
}

export interface Join {
  readonly pnId: PnId;
  readonly txn: TransactionId;
  readonly th2: Bytes;
  readonly request: PnRegistrationRequest;
  /** Body of step 3. */
  readonly body: Bytes;
  /** Step 6 for a step 4. @param signer signs in the place of the PNE */
  respond(challenge: Bytes, signer?: SoftwareSigner): JoinResponse;
}

export interface JoinResponse {
  readonly th3: Bytes;
  readonly joinId: JoinId;
  readonly response: Bytes;
}

/** Steps 0–2 of a join. */
export function buildJoin(options: JoinOptions): Join {
  const { gateway, pne, homeAddress, setupType = 'new', name = 'Kitchen', contents, pneId } = options;
  const { pnId = PnId(primitives.randomBytes(8)), capability = Uint8Array.of(0xa0) } = options;
  const { openG, openP } = buildOpens(options.linkKind, options);
  const th1 = transcript1(primitives, LINK_KINDS.establish, openG, openP);
  const m1 = signMessage(
    PnSetupRequestPayload,
    th1,
    { pnId, setupType, name, credential: gateway.credential },
    options.setupSigner ?? gateway.signer,
  );
  const m2 = PnSetupResponse.encode({
    status: 'ok',
    capability,
    homeAddress,
    thumbprint: options.thumbprint ?? thumbprintOf(primitives, pne.publicKey),
    ...(contents && { contents }),
    ...(pneId !== undefined && { pneId }),
  });
  const th2 = transcript2(primitives, th1, m1, m2);
  const gatewayInfo = { capability: options.gatewayCapability ?? Uint8Array.of(1), subscription: 'sub-b' };
  const request: PnRegistrationRequest = { openG, openP, m1, m2, gatewayInfo };
  return {
    ...{ pnId, th2, request },
    txn: TransactionId(th2.slice(0, 16)),
    body: PnRegistrationRequest.encode(request),
    respond(challenge, signer = pne) {
      const th3 = transcript3(primitives, th2, parseSign1(challenge).payload);
      const response = signMessage(AuthenticationResponsePayload, th3, { status: 'ok' }, signer);
      return { th3, joinId: JoinId(th3.slice(0, 16)), response };
    },
  };
}

/** Step 9, a yes. */
export function sayYes(home: SoftwareSigner, th3: Bytes, limit = 500, decidedAt = 1_800_000_000): Bytes {
  return signMessage(
    PneConfirmResponsePayload,
    th3,
    { yours: true, chargeable: true, reason: 'ok', subscription: 'sub-a', limit, decidedAt },
    home,
  );
}

/** Step 9, a no. */
export function sayNo(
  home: SoftwareSigner,
  th3: Bytes,
  no: Pick<Extract<PneConfirmResponsePayload, { reason: unknown }>, 'yours' | 'chargeable' | 'reason'>,
  decidedAt = 1_800_000_000,
): Bytes {
  const { yours, chargeable, reason } = no;
  if (reason === 'ok') throw new TypeError('a no has a reason');
  return signMessage(PneConfirmResponsePayload, th3, { yours, chargeable, reason, decidedAt }, home);
}
