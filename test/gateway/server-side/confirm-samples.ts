/** A whole, honestly signed join up to step 6, for the home gateway to judge; each part can be spoilt by a test. */
import { type Bytes, EMPTY } from '../../../src/base/bytes.ts';
import { type GatewayId, PnId } from '../../../src/base/ids.ts';
import type { Status } from '../../../src/base/statuses.ts';
import type { HomeGatewaySession } from '../../../src/establishment/home-gateway.ts';
import type { PneConfirmRequest } from '../../../src/messages/confirmation.ts';
import { GatewayCredentialPayload } from '../../../src/messages/credential.ts';
import { formatHomeAddress } from '../../../src/messages/home-address.ts';
import { OutcomePayload } from '../../../src/messages/inventory.ts';
import { LINK_KINDS, Open } from '../../../src/messages/link.ts';
import type { Message } from '../../../src/messages/message.ts';
import {
  AuthenticationChallengePayload,
  AuthenticationResponsePayload,
  PnSetupRequestPayload,
  PnSetupResponse,
} from '../../../src/messages/setup.ts';
import { assembleSign1 } from '../../../src/security/cose.ts';
import { coseKeyOf, gatewayIdOf, kidOf, thumbprintOf } from '../../../src/security/cose-key.ts';
import { transcript1, transcript2, transcript3 } from '../../../src/security/key-schedule.ts';
import { generateKey, type SoftwareSigner, softwareSigner } from '../../../src/security/keystore.ts';
import { nodePrimitives } from '../../../src/security/primitives-node.ts';
import { pinServerKeys } from '../../../src/security/server-keys.ts';
import { toBeSigned } from '../../../src/security/signed-message.ts';

export const primitives = nodePrimitives();
export const NOW = 1_800_000_000;

const newSigner = () => softwareSigner(generateKey());
export const parties = {
  server: newSigner(),
  root: newSigner(),
  initiating: newSigner(),
  home: newSigner(),
  pne: newSigner(),
  stranger: newSigner(),
};

export const HOME_ID: GatewayId = gatewayIdOf(primitives, parties.home.publicKey);
export const PNE = {
  thumbprint: thumbprintOf(primitives, parties.pne.publicKey),
  key: parties.pne.publicKey,
  label: 'heart monitor',
  revoked: false,
};
export const SERVER_KEYS = pinServerKeys(primitives, coseKeyOf(parties.root.publicKey), [
  coseKeyOf(parties.server.publicKey),
]);

export function signMessage<T>(signer: SoftwareSigner, message: Message<T>, th: Bytes, value: T): Bytes {
  const payload = message.encode(value);
  const kid = message.info.signing?.kid ? kidOf(primitives, signer.publicKey) : undefined;
  return assembleSign1(payload, signer.sign(toBeSigned(message, th, payload)), kid);
}

/** What to do wrong. */
export interface Spoiling {
  readonly credentialSigner?: SoftwareSigner;
  readonly credentialExpiresAt?: number;
  readonly setupSigner?: SoftwareSigner;
  readonly challengeSigner?: SoftwareSigner;
  readonly responseSigner?: SoftwareSigner;
  readonly homeAddress?: string;
  readonly kind?: 'establish' | 'enrol';
  readonly deadline?: number;
  readonly change?: (request: PneConfirmRequest) => PneConfirmRequest;
}

export function confirmRequest(spoiling: Spoiling = {}): PneConfirmRequest {
  const { server, initiating, pne } = parties;
  const common = { versions: [1], suites: [1], segmentBytes: 244, credits: 32 };
  const ephemeral = () => primitives.generateEphemeral().x;
  const openP = Open.encode({ ...common, role: 'pne', ephemeral: ephemeral() });
  const kind = spoiling.kind ?? 'establish';
  const openG = Open.encode({ ...common, role: 'gateway', ephemeral: ephemeral(), kind });
  const th1 = transcript1(primitives, LINK_KINDS.establish, openG, openP);
  const credential = signMessage(spoiling.credentialSigner ?? server, GatewayCredentialPayload, EMPTY, {
    expiresAt: spoiling.credentialExpiresAt ?? NOW + 1000,
    gatewayId: gatewayIdOf(primitives, initiating.publicKey),
    confirmation: { key: coseKeyOf(initiating.publicKey) },
    labels: { role: 'gateway', user: 'bob', gateway: 'van' },
  });
  const m1 = signMessage(spoiling.setupSigner ?? initiating, PnSetupRequestPayload, th1, {
    pnId: PnId(new Uint8Array(8).fill(1)),
    setupType: 'join',
    name: 'free beer',
    credential,
  });
  const m2 = PnSetupResponse.encode({
    status: 'ok',
    capability: new Uint8Array(60),
    homeAddress: spoiling.homeAddress ?? formatHomeAddress({ gatewayId: HOME_ID, realm: 'example.org' }),
    thumbprint: PNE.thumbprint,
  });
  const th2 = transcript2(primitives, th1, m1, m2);
  const stated = { nonce: new Uint8Array(16), serverTime: NOW };
  const challenge = signMessage(
    spoiling.challengeSigner ?? server,
    AuthenticationChallengePayload,
    th2,
    stated,
  );
  const th3 = transcript3(primitives, th2, AuthenticationChallengePayload.encode(stated));
  const response = signMessage(spoiling.responseSigner ?? pne, AuthenticationResponsePayload, th3, {
    status: 'ok',
  });
  const request: PneConfirmRequest = {
    th3,
    evidence: { openG, openP, m1, m2, challenge, response },
    deadline: spoiling.deadline ?? NOW + 600,
    terms: { currency: 'EUR', limit: 500, periodDays: 30 },
  };
  return spoiling.change ? spoiling.change(request) : request;
}

export function outcomeOf(request: PneConfirmRequest, status: Status, signer = parties.server): Bytes {
  return signMessage(signer, OutcomePayload, request.th3, { status, serverTime: NOW + 5 });
}

export function sessionOf(
  request: PneConfirmRequest,
  changes: Partial<HomeGatewaySession> = {},
): HomeGatewaySession {
  return {
    primitives,
    serverKeys: SERVER_KEYS,
    gatewayId: HOME_ID,
    request,
    pne: PNE,
    rules: [],
    subscription: 'alice mobile',
    ...changes,
  };
}
