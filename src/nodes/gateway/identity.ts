/**
 * Who this gateway is and whom it believes, read from what its enrolment at the server left on disk
 * (docs/protocol.md §4.4, §9 GatewayEnrolment).
 */
import { X509Certificate } from 'node:crypto';
import type { Bytes } from '../../base/bytes.ts';
import { CpnsError } from '../../base/errors.ts';
import type { GatewayId } from '../../base/ids.ts';
import type { Offer } from '../../enrolment/gateway.ts';
import type { TlsIdentity } from '../../https/server-client.ts';
import { coseKeyOf } from '../../security/cose-key.ts';
import type { StoredSigner } from '../../security/keystore.ts';
import type { Primitives } from '../../security/primitives.ts';
import { pinServerKeys, type ServerKeys } from '../../security/server-keys.ts';
import type { GatewayStore } from '../../store/gateway-store.ts';

export interface GatewayIdentity {
  readonly gatewayId: GatewayId;
  readonly userLabel: string;
  readonly gatewayLabel: string;
  readonly homeAddress: string;
  readonly serverUrl: string;
  readonly caPem: string;
  readonly tls: TlsIdentity;
  readonly credential: Bytes;
  readonly serverKeys: ServerKeys;
  /** The root's word about them, for a PNE that has older ones (type 33). */
  readonly serverKeysStatement: Bytes | undefined;
  /** What E1 says, apart from its nonce. */
  readonly offer: Omit<Offer, 'nonce'>;
}

/** @throws CpnsError not-enrolled when the gateway has not been enrolled at a server */
export function readGatewayIdentity(
  store: GatewayStore,
  primitives: Primitives,
  signer: StoredSigner,
): GatewayIdentity {
  const enrolment = store.enrolment();
  if (!enrolment) throw new CpnsError('not-enrolled', 'run `cpns gateway enrol` first');
  const { answer, serverUrl } = enrolment;
  const { gatewayId, userLabel, gatewayLabel, homeAddress, credential, rootKey, serverKeys } = answer;
  const gatewayKey = coseKeyOf(signer.publicKey);
  return {
    gatewayId,
    userLabel,
    gatewayLabel,
    homeAddress,
    serverUrl,
    caPem: new X509Certificate(answer.certificates.ca).toString(),
    tls: {
      certPem: new X509Certificate(answer.certificates.gateway).toString(),
      keyPem: signer.privateKey.export({ format: 'pem', type: 'pkcs8' }).toString(),
    },
    credential,
    serverKeys: pinServerKeys(primitives, rootKey, serverKeys),
    serverKeysStatement: answer.serverKeysStatement,
    offer: { gatewayKey, rootKey, serverKeys, homeAddress, userLabel, credential },
  };
}
