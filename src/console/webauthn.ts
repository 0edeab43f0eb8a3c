/**
 * What a browser says of a passkey, judged: a new one, and a login by one (Web Authentication Level 3, §7.1 and §7.2).
 * No attestation is asked for, so nothing here depends on who made an authenticator: what is left are two fixed layouts and
 * one signature (docs/decisions/0010). User verification is required. Pure; challenges and what is kept are passkeys.ts.
 */
import { createHash, createPublicKey, type KeyObject, verify } from 'node:crypto';
import * as v from 'valibot';
import { CpnsError } from '../base/errors.ts';

/** What it has to be about. */
export interface Expected {
  /** `https://HOST[:PORT]`, as the page has it. */
  readonly origin: string;
  /** The host's name alone. */
  readonly rpId: string;
  /** Whether this challenge was given out for this. */
  readonly isOurs: (challenge: string) => boolean;
}

/** COSE numbers, as pages offer them: ES256, EdDSA (Ed25519), RS256. */
export const ALGORITHMS = [-7, -8, -257] as const;
export type Algorithm = (typeof ALGORITHMS)[number];

export interface Credential {
  /** Base64url, as authenticators choose it. */
  readonly id: string;
  /** SubjectPublicKeyInfo in DER, base64url. */
  readonly publicKey: string;
  readonly algorithm: Algorithm;
  /** 0 where the authenticator does not count, as those that synchronise. */
  readonly signCount: number;
}

const base64url = (maxChars: number) => v.pipe(v.string(), v.regex(/^[\w-]+$/), v.maxLength(maxChars));

/** As the page posts `AuthenticatorAttestationResponse`. */
export const NewPasskey = v.strictObject({
  id: base64url(1_364),
  clientData: base64url(1_024),
  authenticatorData: base64url(2_400),
  publicKey: base64url(1_024),
  algorithm: v.picklist(ALGORITHMS),
});
export type NewPasskey = v.InferOutput<typeof NewPasskey>;

/** As the page posts `AuthenticatorAssertionResponse`. */
export const Assertion = v.strictObject({
  id: base64url(1_364),
  clientData: base64url(1_024),
  authenticatorData: base64url(1_024),
  signature: base64url(1_024),
});
export type Assertion = v.InferOutput<typeof Assertion>;

/** @throws CpnsError malformed, not-authenticated */
export function verifyNew(passkey: NewPasskey, expected: Expected): Credential {
  const { id, publicKey, algorithm } = passkey;
  checkClientData(bytes(passkey.clientData), 'webauthn.create', expected);
  const data = bytes(passkey.authenticatorData);
  const { flags, signCount } = readAuthenticatorData(data, expected);
  if (!(flags & ATTESTED) || !credentialIdOf(data).equals(bytes(id)))
    throw new CpnsError('malformed', 'the authenticator speaks of another passkey');
  readKey(publicKey, algorithm);
  return { id, publicKey, algorithm, signCount };
}

/**
 * @returns the new sign count
 * @throws CpnsError malformed, not-authenticated
 */
export function verifyAssertion(assertion: Assertion, credential: Credential, expected: Expected): number {
  const clientData = bytes(assertion.clientData);
  checkClientData(clientData, 'webauthn.get', expected);
  const data = bytes(assertion.authenticatorData);
  const { signCount } = readAuthenticatorData(data, expected);
  const signed = Buffer.concat([data, sha256(clientData)]);
  const key = readKey(credential.publicKey, credential.algorithm);
  const digest = credential.algorithm === -8 ? null : 'sha256';
  if (!verify(digest, signed, key, bytes(assertion.signature)))
    throw new CpnsError('not-authenticated', 'the signature of the passkey does not verify');
  return signCount;
}

/** Whether a count went back, which a copy of an authenticator makes it do; 0 both times: it does not count. */
export function isCountBack(before: number, now: number): boolean {
  return (before > 0 || now > 0) && now <= before;
}

const ClientData = v.object({
  type: v.string(),
  challenge: v.string(),
  origin: v.string(),
  crossOrigin: v.optional(v.boolean(), false),
  topOrigin: v.optional(v.string()),
});

function checkClientData(json: Buffer, type: string, { origin, isOurs }: Expected): void {
  let said: v.InferOutput<typeof ClientData>;
  try {
    said = v.parse(ClientData, JSON.parse(json.toString('utf8')));
  } catch {
    throw new CpnsError('malformed');
  }
  if (said.type !== type) throw new CpnsError('malformed', 'another kind of answer');
  if (said.origin !== origin || said.crossOrigin || said.topOrigin !== undefined)
    throw new CpnsError('not-authenticated', 'the passkey was asked by another page');
  if (!isOurs(said.challenge)) throw new CpnsError('not-authenticated', 'not our challenge, or an old one');
}

const PRESENT = 0x01;
const VERIFIED = 0x04;
const BACKUP_ELIGIBLE = 0x08;
const BACKED_UP = 0x10;
const ATTESTED = 0x40;
/** SHA-256 of the RP ID, flags, sign count. */
const HEAD_BYTES = 32 + 1 + 4;
const AAGUID_BYTES = 16;

function readAuthenticatorData(
  data: Buffer,
  { rpId }: Expected,
): { readonly flags: number; readonly signCount: number } {
  if (data.length < HEAD_BYTES) throw new CpnsError('malformed');
  if (!data.subarray(0, 32).equals(sha256(Buffer.from(rpId))))
    throw new CpnsError('not-authenticated', 'a passkey of another name');
  const flags = data[32] ?? 0;
  if (!(flags & PRESENT) || !(flags & VERIFIED))
    throw new CpnsError('not-authenticated', 'the authenticator did not verify its user');
  if (flags & BACKED_UP && !(flags & BACKUP_ELIGIBLE)) throw new CpnsError('malformed');
  return { flags, signCount: data.readUInt32BE(33) };
}

/** Of attested credential data: AAGUID, length, ID; the key behind it is the one that the page posts as well. */
function credentialIdOf(data: Buffer): Buffer {
  const at = HEAD_BYTES + AAGUID_BYTES;
  if (data.length < at + 2) throw new CpnsError('malformed');
  const length = data.readUInt16BE(at);
  if (data.length < at + 2 + length) throw new CpnsError('malformed');
  return data.subarray(at + 2, at + 2 + length);
}

/** @throws CpnsError malformed when it is no key of this algorithm */
function readKey(spki: string, algorithm: Algorithm): KeyObject {
  let key: KeyObject;
  try {
    key = createPublicKey({ key: bytes(spki), format: 'der', type: 'spki' });
  } catch {
    throw new CpnsError('malformed');
  }
  const { asymmetricKeyType: type, asymmetricKeyDetails: { namedCurve, modulusLength = 0 } = {} } = key;
  const fits = {
    [-7]: type === 'ec' && namedCurve === 'prime256v1',
    [-8]: type === 'ed25519',
    [-257]: type === 'rsa' && modulusLength >= 2_048 && modulusLength <= 4_096,
  };
  if (!fits[algorithm]) throw new CpnsError('malformed', 'no key of this algorithm');
  return key;
}

const bytes = (text: string): Buffer => Buffer.from(text, 'base64url');
const sha256 = (data: Buffer): Buffer => createHash('sha256').update(data).digest();
