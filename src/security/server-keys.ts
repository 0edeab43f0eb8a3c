/**
 * The operator's COSE keys as a PNE or gateway pins them, and how the root replaces them (docs/protocol.md §4.4). Pure.
 */
import { type Bytes, EMPTY, equal } from '../base/bytes.ts';
import { CpnsError } from '../base/errors.ts';
import type { ServerSeconds } from '../base/time.ts';
import type { CoseKey } from '../messages/common.ts';
import { ServerKeysPayload } from '../messages/credential.ts';
import { kidOf, publicKeyOf } from './cose-key.ts';
import type { Primitives, PublicKey } from './primitives.ts';
import { openSigned } from './signed-message.ts';

export interface ServerKeys {
  readonly root: PublicKey;
  /** When the root stated this set, or at a PNE the server's time of the enrolment that pinned it. */
  readonly issuedAt: ServerSeconds;
  readonly keys: readonly { readonly kid: Bytes; readonly key: PublicKey }[];
}

/** Pins a set that enrolment brought. @throws CpnsError malformed when a key is not on the curve */
export function pinServerKeys(
  primitives: Primitives,
  rootKey: CoseKey,
  serverKeys: readonly CoseKey[],
  issuedAt: ServerSeconds = 0,
): ServerKeys {
  return { root: publicKeyOf(primitives, rootKey), issuedAt, keys: withKids(primitives, serverKeys) };
}

function withKids(primitives: Primitives, serverKeys: readonly CoseKey[]): ServerKeys['keys'] {
  return serverKeys.map((coseKey) => {
    const key = publicKeyOf(primitives, coseKey);
    return { kid: kidOf(primitives, key), key };
  });
}

/** The pinned keys a kid points at; all of them when there is no kid. None means the kid is unknown. */
export function keysFor(pinned: ServerKeys): (kid: Bytes | undefined) => readonly PublicKey[] {
  return (kid) => pinned.keys.filter((entry) => !kid || equal(entry.kid, kid)).map(({ key }) => key);
}

/**
 * The newer set in a statement of the root.
 * @throws CpnsError `credential-invalid` when the root did not sign it or it is not newer, `malformed`
 */
export function verifyServerKeys(primitives: Primitives, pinned: ServerKeys, statement: Bytes): ServerKeys {
  const root = () => [pinned.root];
  const { value } = openSigned(primitives, ServerKeysPayload, root, EMPTY, statement, 'credential-invalid');
  if (value.issuedAt <= pinned.issuedAt)
    throw new CpnsError('credential-invalid', 'server keys are not newer');
  return { root: pinned.root, issuedAt: value.issuedAt, keys: withKids(primitives, value.keys) };
}
