/**
 * A browser's calls for passkeys: logging in by one, and making one. Owns what a person is told when a browser or an
 * authenticator says no.
 */
import type { PasskeyOptionsView } from '../../console/view.ts';
import { bytes, text } from './base64url.ts';
import { post, Refused } from './client.ts';

const CANCELLED = 'That was cancelled, took too long, or this device has no passkey for this name.';
const NOT_LET_IN = 'This passkey is not let in: it was removed here, or its count went back.';
const WARNED =
  'This browser makes no passkeys behind a certificate warning. Trust the gateway’s certificate on this device first: docs/console.md says how.';

/** @throws Error with what a person can do about it */
export async function loginByPasskey(): Promise<void> {
  const { rpId, challenge } = (await post('passkey-challenge', {})) as { rpId: string; challenge: string };
  const publicKey = { rpId, challenge: bytes(challenge), userVerification: 'required' } as const;
  const found = (await told(navigator.credentials.get({ publicKey }))) as PublicKeyCredential;
  const { clientDataJSON, authenticatorData, signature } = found.response as AuthenticatorAssertionResponse;
  const assertion = {
    id: found.id,
    clientData: text(clientDataJSON),
    authenticatorData: text(authenticatorData),
    signature: text(signature),
  };
  await post('login-passkey', assertion).catch((error) => {
    throw error instanceof Refused && error.status === 'not-authenticated' ? new Error(NOT_LET_IN) : error;
  });
}

/** @throws Error with what a person can do about it */
export async function addPasskey(name: string): Promise<void> {
  const { rpId, challenge, user, algorithms, known } = (await post('passkey-new', {})) as PasskeyOptionsView;
  const made = (await told(
    navigator.credentials.create({
      publicKey: {
        rp: { id: rpId, name: 'CPNS gateway' },
        user: { ...user, id: bytes(user.id) },
        challenge: bytes(challenge),
        pubKeyCredParams: algorithms.map((alg) => ({ type: 'public-key', alg })),
        excludeCredentials: known.map((id) => ({ type: 'public-key', id: bytes(id) })),
        authenticatorSelection: { residentKey: 'required', userVerification: 'required' },
        attestation: 'none',
      },
    }),
  )) as PublicKeyCredential;
  const response = made.response as AuthenticatorAttestationResponse;
  const publicKey = response.getPublicKey();
  if (!publicKey) throw new Error('This authenticator makes keys that the gateway does not know.');
  await post('passkey-add', {
    name,
    passkey: {
      id: made.id,
      clientData: text(response.clientDataJSON),
      authenticatorData: text(response.getAuthenticatorData()),
      publicKey: text(publicKey),
      algorithm: response.getPublicKeyAlgorithm(),
    },
  });
}

/** What the browser says is for developers; this is for the person. */
async function told(asked: Promise<Credential | null>): Promise<Credential> {
  try {
    const credential = await asked;
    if (credential) return credential;
  } catch (error) {
    const { name, message } = error instanceof Error ? error : { name: '', message: '' };
    if (/certificate/i.test(message)) throw new Error(WARNED);
    if (name === 'InvalidStateError') throw new Error('This device has a passkey for this gateway already.');
    if (name !== 'NotAllowedError') throw error;
  }
  throw new Error(CANCELLED);
}
