/**
 * The identifiers of the protocol, branded so that one can't be passed for another.
 * Owns names and lengths only; how each is derived is said where it is derived (docs/protocol.md §4 and §5).
 */
import type { Bytes } from './bytes.ts';

declare const brand: unique symbol;
type Branded<B extends string> = Bytes & { readonly [brand]: B };

/** 8 random bytes minted by the initiating gateway; one Personal Network for ever. */
export type PnId = Branded<'PnId'>;
/** First 8 bytes of the gateway key's thumbprint. */
export type GatewayId = Branded<'GatewayId'>;
/** SHA-256 COSE key thumbprint (RFC 9679), 32 bytes. */
export type Thumbprint = Branded<'Thumbprint'>;
/** First 16 bytes of th2: one registration attempt, scoped by the TLS identity of its gateway. */
export type TransactionId = Branded<'TransactionId'>;
/** First 16 bytes of th3: one join of one PNE, the same at all four parties. */
export type JoinId = Branded<'JoinId'>;

export const PN_ID_BYTES = 8;
export const GATEWAY_ID_BYTES = 8;
export const THUMBPRINT_BYTES = 32;
export const TRANSACTION_ID_BYTES = 16;
export const JOIN_ID_BYTES = 16;

const sized =
  <T extends Bytes>(name: string, length: number) =>
  (bytes: Bytes): T => {
    if (bytes.length !== length) throw new TypeError(`${name} is ${length} bytes, got ${bytes.length}`);
    return bytes as T;
  };

export const PnId = sized<PnId>('PnId', PN_ID_BYTES);
export const GatewayId = sized<GatewayId>('GatewayId', GATEWAY_ID_BYTES);
export const Thumbprint = sized<Thumbprint>('Thumbprint', THUMBPRINT_BYTES);
export const TransactionId = sized<TransactionId>('TransactionId', TRANSACTION_ID_BYTES);
export const JoinId = sized<JoinId>('JoinId', JOIN_ID_BYTES);
