/**
 * The gateway credential: a CWT (RFC 8392) with a confirmation key (RFC 8747) that the server signs, and its checks in
 * the order of cost (docs/protocol.md §4.4, §13). Pure.
 */
import { type Bytes, EMPTY, equal } from '../base/bytes.ts';
import { CpnsError } from '../base/errors.ts';
import { GATEWAY_ID_BYTES, type GatewayId, type Thumbprint } from '../base/ids.ts';
import type { ServerSeconds } from '../base/time.ts';
import { GatewayCredentialPayload } from '../messages/credential.ts';
import { parseSign1 } from './cose.ts';
import { publicKeyOf, thumbprintOf } from './cose-key.ts';
import type { Primitives, PublicKey } from './primitives.ts';
import { keysFor, type ServerKeys } from './server-keys.ts';
import { openSigned } from './signed-message.ts';

/** A verified credential: whose gateway this is, in the server's word. */
export interface GatewayCredential {
  readonly gatewayId: GatewayId;
  readonly key: PublicKey;
  readonly thumbprint: Thumbprint;
  readonly userLabel: string;
  readonly gatewayLabel: string;
  readonly expiresAt: ServerSeconds;
}

/**
 * Verifies a credential at a time of the server's.
 * @param now 0 where an expiry can't be judged
 * @throws CpnsError `credential-unknown-key`, `credential-expired`, `credential-invalid`, `malformed`
 */
export function verifyCredential(
  primitives: Primitives,
  pinned: ServerKeys,
  credential: Bytes,
  { now }: { readonly now: ServerSeconds },
): GatewayCredential {
  const { kid, payload } = parseSign1(credential);
  const trusted = keysFor(pinned);
  if (trusted(kid).length === 0) throw new CpnsError('credential-unknown-key');
  const claimed = GatewayCredentialPayload.decode(payload);
  if (claimed.expiresAt < now) throw new CpnsError('credential-expired');
  openSigned(primitives, GatewayCredentialPayload, trusted, EMPTY, credential, 'credential-invalid');
  const key = publicKeyOf(primitives, claimed.confirmation.key);
  const thumbprint = thumbprintOf(primitives, key);
  if (!equal(claimed.gatewayId, thumbprint.slice(0, GATEWAY_ID_BYTES))) {
    throw new CpnsError('credential-invalid', 'gatewayId is not of its key');
  }
  return {
    gatewayId: claimed.gatewayId,
    key,
    thumbprint,
    userLabel: claimed.labels.user,
    gatewayLabel: claimed.labels.gateway,
    expiresAt: claimed.expiresAt,
  };
}
