/**
 * The token with which a gateway enrols at the server: which CA to believe, and a secret to spend once
 * (docs/protocol.md §7.3). Owns its layout and its text. Must not know whether it has been spent.
 *
 *   0                    16        24               40          42
 *   | CA pin, 16 bytes   | id, 8   | secret, 16     | checksum  |      68 characters of base32
 */
import { type Bytes, concat } from '../base/bytes.ts';
import { CpnsError } from '../base/errors.ts';
import { decodeCodeText, encodeCodeText } from './code-text.ts';
import type { Primitives } from './primitives.ts';

export const TOKEN_CA_PIN_BYTES = 16;
export const TOKEN_ID_BYTES = 8;
export const TOKEN_SECRET_BYTES = 16;
const TOKEN_BYTES = TOKEN_CA_PIN_BYTES + TOKEN_ID_BYTES + TOKEN_SECRET_BYTES;
const PREFIX = 'CPNSGW:';

export interface GatewayToken {
  /** First 16 bytes of the thumbprint of the CA's key. */
  readonly caThumbprintPrefix: Bytes;
  /** 8 bytes; names the token at the server. */
  readonly id: Bytes;
  /** 16 bytes. */
  readonly secret: Bytes;
}

/**
 * The token as text, prefix included.
 * @param caThumbprint of the CA's key; its first 16 bytes are taken
 */
export function createGatewayToken(
  primitives: Primitives,
  caThumbprint: Bytes,
  id: Bytes,
  secret: Bytes,
): string {
  if (caThumbprint.length < TOKEN_CA_PIN_BYTES) throw new TypeError('a CA pin is 16 bytes');
  if (id.length !== TOKEN_ID_BYTES) throw new TypeError('a token id is 8 bytes');
  if (secret.length !== TOKEN_SECRET_BYTES) throw new TypeError('a token secret is 16 bytes');
  return (
    PREFIX + encodeCodeText(primitives, concat(caThumbprint.subarray(0, TOKEN_CA_PIN_BYTES), id, secret))
  );
}

/** Reads a token as typed or pasted, as tolerantly as an enrolment code. @throws CpnsError `token-invalid` */
export function parseGatewayToken(primitives: Primitives, text: string): GatewayToken {
  const bytes = decodeCodeText(primitives, text, PREFIX, TOKEN_BYTES);
  if (!bytes) throw new CpnsError('token-invalid', 'not a token: check that it is whole');
  const secretAt = TOKEN_CA_PIN_BYTES + TOKEN_ID_BYTES;
  return {
    caThumbprintPrefix: bytes.slice(0, TOKEN_CA_PIN_BYTES),
    id: bytes.slice(TOKEN_CA_PIN_BYTES, secretAt),
    secret: bytes.slice(secretAt),
  };
}
