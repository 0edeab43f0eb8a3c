/**
 * Whole messages: a named schema with `encode` and `decode`, the facts that the CDDL and the documentation print, and
 * byte strings that hold another message untouched.
 * Owns the size bound before decoding. Must not know any message. Source: docs/protocol.md §4.
 */
import type { Bytes } from '../base/bytes.ts';
import { CpnsError } from '../base/errors.ts';
import { decodeCbor, encodeCbor } from './cbor.ts';
import { bytes, headBytes, misuse, type Named, type Schema } from './schema.ts';
import { type FieldRow, fieldTables, ruleText } from './schema-map.ts';

/** How the payload is signed when it travels inside a COSE_Sign1 (docs/protocol.md §4.2). */
export interface Signing {
  readonly context: string;
  readonly signer: 'server' | 'root' | 'GW1' | 'GW2' | 'PNE';
  /** What th is in external_aad; '' stands for h''. */
  readonly over: string;
  /** The server's signatures carry the first four bytes of its key's thumbprint. */
  readonly kid: boolean;
}

export interface MessageInfo {
  readonly doc: string;
  /** Section of docs/protocol.md. */
  readonly section: string;
  /** Step of the flow, where there is one. */
  readonly step?: string;
  /** A bound tighter than the one that follows from the fields. */
  readonly maxBytes?: number;
  readonly signing?: Signing;
}

export interface Message<T> extends Schema<T>, Named {
  readonly info: MessageInfo;
  /** The table of its fields; a choice has one list for each alternative. */
  readonly tables: readonly (readonly FieldRow[])[];
  /** @throws TypeError when the value breaks the declaration or its size bound */
  encode(value: T): Bytes;
  /** @throws CpnsError oversize, or malformed with the path and the rule */
  decode(bytes: Bytes): T;
  /** Bytes of the encoding, whatever the size bound; for a sender that must know before it commits. */
  measure(value: T): number;
}

/** Payloads of signed messages are named after the message, with this behind it. */
const PAYLOAD = 'Payload';

/** The name of the signed message that carries a payload. */
export function signedName(payload: string): string {
  return payload.slice(0, -PAYLOAD.length);
}

/** A message, or the payload of a signed one. */
export function message<T>(name: string, info: MessageInfo, schema: Schema<T>): Message<T> {
  const maxBytes = Math.min(info.maxBytes ?? schema.maxBytes, schema.maxBytes);
  const limits = { maxDepth: schema.depth, maxItems: schema.maxItems, what: name };
  const named = { name, doc: info.doc, rule: ruleText(schema), refers: schema.refers };
  const write = (value: T) => encodeCbor(schema.toCbor(value, name));
  if (info.signing && !name.endsWith(PAYLOAD)) throw new TypeError(`${name} is signed: call it a ${PAYLOAD}`);
  return {
    ...schema,
    ...named,
    info,
    maxBytes,
    cddl: name,
    refers: [named],
    tables: fieldTables(schema),
    encode(value) {
      const out = write(value);
      return out.length > maxBytes ? misuse(name, `longer than ${maxBytes} bytes`) : out;
    },
    decode(encoded) {
      if (encoded.length > maxBytes)
        throw new CpnsError('oversize', `${name}: longer than ${maxBytes} bytes`);
      return schema.fromCbor(decodeCbor(encoded, limits), name);
    },
    measure: (value) => write(value).length,
  };
}

/** Bytes that COSE_Sign1 adds around a payload of `payloadBytes`. */
export function signedBytes(payloadBytes: number, kid: boolean): number {
  const [array, protectedHeader, unprotected, signature] = [1, 4, kid ? 7 : 1, 66];
  return array + protectedHeader + unprotected + headBytes(payloadBytes) + payloadBytes + signature;
}

/** A byte string that holds an encoded message, kept exactly as received: whoever needs its value decodes it. */
export function embedded(inner: Named & Schema<unknown>, { max }: { readonly max: number }): Schema<Bytes> {
  return holding(inner.name, inner, max);
}

/** A byte string that holds the COSE_Sign1 of a payload, kept exactly as received. */
export function signed(payload: Message<unknown>, { max }: { readonly max: number }): Schema<Bytes> {
  return holding(signedName(payload.name), payload, max);
}

function holding(content: string, inner: Named, max: number): Schema<Bytes> {
  const base = bytes({ min: 1, max });
  return { ...base, cddl: `(${base.cddl}) .and (bstr .cbor ${content})`, refers: [inner] };
}
