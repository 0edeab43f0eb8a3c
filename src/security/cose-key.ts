/**
 * Public keys as they travel and are named: COSE_Key in its compressed form, the RFC 9679 thumbprint, and the short names
 * taken from it (docs/protocol.md §4.2). Pure.
 */
import { type Bytes, concat, fromHex } from '../base/bytes.ts';
import { GATEWAY_ID_BYTES, GatewayId, Thumbprint } from '../base/ids.ts';
import type { CoseKey } from '../messages/common.ts';
import type { Primitives, PublicKey } from './primitives.ts';

/** {1: 2, -1: 1, -2: x, -3: y} in deterministic CBOR, up to x; then what stands between x and y. */
const BEFORE_X = fromHex('a40102200121' + '5820');
const BEFORE_Y = fromHex('22' + '5820');
const KID_BYTES = 4;

/** The key to carry in a message. */
export function coseKeyOf(key: PublicKey): CoseKey {
  return { x: key.x, y: ((key.y[key.y.length - 1] ?? 0) & 1) === 1 };
}

/** The key a message carries. @throws CpnsError malformed when it is not on the curve */
export function publicKeyOf(primitives: Primitives, key: CoseKey): PublicKey {
  return primitives.publicKeyFromX(key.x, key.y);
}

/** COSE key thumbprint, SHA-256, y uncompressed (RFC 9679). */
export function thumbprintOf(primitives: Primitives, key: PublicKey): Thumbprint {
  return Thumbprint(primitives.sha256(concat(BEFORE_X, key.x, BEFORE_Y, key.y)));
}

/** First 8 bytes of the thumbprint. */
export function gatewayIdOf(primitives: Primitives, key: PublicKey): GatewayId {
  return GatewayId(thumbprintOf(primitives, key).slice(0, GATEWAY_ID_BYTES));
}

/** First 4 bytes of the thumbprint: the hint in what the server signs. */
export function kidOf(primitives: Primitives, key: PublicKey): Bytes {
  return thumbprintOf(primitives, key).slice(0, KID_BYTES);
}
