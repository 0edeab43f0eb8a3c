/**
 * The ASN.1 of certificates and PKCS#10 requests (RFC 5280, RFC 5480, RFC 5758, RFC 2986), and the only import of
 * node-forge. Owns structure alone: forge has no elliptic curves, so keys come in as SubjectPublicKeyInfo and signatures
 * as DER, both of node:crypto. Must not sign, verify or decide what a certificate says (x509.ts does).
 */
import forge from 'node-forge';
import type { Bytes } from '../base/bytes.ts';
import { equal } from '../base/bytes.ts';

type Asn1 = forge.asn1.Asn1;

/** An extension as forge names it. */
export type Extension = { readonly name: string } & Readonly<Record<string, unknown>>;

export interface CertificateFields {
  /** Big-endian, positive. */
  readonly serial: Bytes;
  /** DER of a Name, as nameOf or subjectOf give it. */
  readonly issuer: Bytes;
  readonly subject: Bytes;
  readonly notBefore: Date;
  readonly notAfter: Date;
  /** DER of SubjectPublicKeyInfo. */
  readonly publicKey: Bytes;
  readonly extensions: readonly Extension[];
}

export interface CertificateRequestParts {
  /** The bytes that are signed, as they came. */
  readonly info: Bytes;
  /** DER of SubjectPublicKeyInfo. */
  readonly publicKey: Bytes;
  /** DER of an ECDSA signature. */
  readonly signature: Bytes;
}

/** What forge has and its types don't say. */
interface Unlisted {
  readonly pki: { certificateExtensionToAsn1(extension: unknown): Asn1 };
  readonly asn1: { fromDer(bytes: string, options: { strict: boolean; decodeBitStrings: boolean }): Asn1 };
}

const { asn1, pki } = forge;
const { Class, Type } = asn1;
const unlisted = forge as unknown as Unlisted;

const COMMON_NAME = '2.5.4.3';
const ECDSA_WITH_SHA256 = '1.2.840.10045.4.3.2';
const V3 = 2;
const REQUEST_V1 = 0;
/** From this year on, GeneralizedTime (RFC 5280 §4.1.2.5). */
const GENERALIZED_TIME_FROM = 2050;
const NO_UNUSED_BITS = '\0';

const text = (bytes: Bytes): string => Buffer.from(bytes).toString('latin1');
const bytesOf = (binary: string): Bytes => new Uint8Array(Buffer.from(binary, 'latin1'));
const toDer = (value: Asn1): Bytes => bytesOf(asn1.toDer(value).getBytes());
const fromDer = (bytes: Bytes): Asn1 =>
  unlisted.asn1.fromDer(text(bytes), { strict: true, decodeBitStrings: false });

const primitive = (type: forge.asn1.Type, value: string): Asn1 =>
  asn1.create(Class.UNIVERSAL, type, false, value);
const sequence = (...items: Asn1[]): Asn1 => asn1.create(Class.UNIVERSAL, Type.SEQUENCE, true, items);
const context = (tag: number, items: Asn1[]): Asn1 => asn1.create(Class.CONTEXT_SPECIFIC, tag, true, items);
const integer = (value: number): Asn1 => primitive(Type.INTEGER, asn1.integerToDer(value).getBytes());
const bitString = (bytes: Bytes): Asn1 => primitive(Type.BITSTRING, NO_UNUSED_BITS + text(bytes));
const algorithm = (): Asn1 => sequence(primitive(Type.OID, asn1.oidToDer(ECDSA_WITH_SHA256).getBytes()));

/** DER of a Name that holds a common name only. */
export function nameOf(commonName: string): Bytes {
  const attribute = { type: COMMON_NAME, value: commonName, valueTagClass: Type.UTF8 };
  // The types want the tag class where forge itself takes the type of string.
  return toDer(
    pki.distinguishedNameToAsn1({ attributes: [attribute as unknown as forge.pki.CertificateField] }),
  );
}

/** DER of the subject of a certificate of ours. */
export function subjectOf(certificate: Bytes): Bytes {
  // version, serial, algorithm, issuer, validity, subject
  return toDer(child(child(fromDer(certificate), 0), 5));
}

/** Octet string of a key identifier, for the extension of the subject's. */
export function keyIdentifierValue(identifier: Bytes): unknown {
  return primitive(Type.OCTETSTRING, text(identifier));
}

/** Bytes as forge's extensions take them. */
export function forgeBytes(bytes: Bytes): string {
  return text(bytes);
}

/** DER of a TBSCertificate: what the issuer signs. */
export function tbsCertificate(fields: CertificateFields): Bytes {
  const filler = pki.createCertificate();
  filler.setExtensions(fields.extensions.map((extension) => ({ ...extension })));
  const extensions = filler.extensions.map((extension) => unlisted.pki.certificateExtensionToAsn1(extension));
  return toDer(
    sequence(
      context(0, [integer(V3)]),
      primitive(Type.INTEGER, text(fields.serial)),
      algorithm(),
      fromDer(fields.issuer),
      sequence(time(fields.notBefore), time(fields.notAfter)),
      fromDer(fields.subject),
      fromDer(fields.publicKey),
      context(3, [sequence(...extensions)]),
    ),
  );
}

function time(date: Date): Asn1 {
  return date.getUTCFullYear() < GENERALIZED_TIME_FROM
    ? primitive(Type.UTCTIME, asn1.dateToUtcTime(date))
    : primitive(Type.GENERALIZEDTIME, asn1.dateToGeneralizedTime(date));
}

/** DER of a CertificationRequestInfo without attributes: what the requester signs. */
export function requestInfo(subject: Bytes, publicKey: Bytes): Bytes {
  return toDer(sequence(integer(REQUEST_V1), fromDer(subject), fromDer(publicKey), context(0, [])));
}

/** A certificate or a request: what was signed, the algorithm, the signature. */
export function signed(body: Bytes, signature: Bytes): Bytes {
  return toDer(sequence(fromDer(body), algorithm(), bitString(signature)));
}

/** Takes a PKCS#10 request apart; undefined when it is not one in DER, signed by ECDSA with SHA-256. */
export function parseRequest(der: Bytes): CertificateRequestParts | undefined {
  try {
    const request = fromDer(der);
    // Only what forge writes back unchanged is DER, and only then are these the bytes that were signed.
    if (!equal(toDer(request), der)) return undefined;
    const [info, algorithmUsed, signature] = children(request, 3);
    const [version, , publicKey, attributes] = children(info, 4);
    if (!same(algorithmUsed, algorithm()) || !same(version, integer(REQUEST_V1))) return undefined;
    if (attributes?.tagClass !== Class.CONTEXT_SPECIFIC || attributes.type !== Type.NONE) return undefined;
    if (!info || !publicKey) return undefined;
    return { info: toDer(info), publicKey: toDer(publicKey), signature: bitsOf(signature) };
  } catch {
    // forge throws plain errors, some with the input in them.
    return undefined;
  }
}

function children(of: Asn1 | undefined, count: number): readonly Asn1[] {
  if (of?.tagClass !== Class.UNIVERSAL || of.type !== Type.SEQUENCE || typeof of.value === 'string')
    throw new TypeError('not a sequence');
  if (of.value.length !== count) throw new TypeError('not so many items');
  return of.value;
}

function child(of: Asn1, index: number): Asn1 {
  const found = typeof of.value === 'string' ? undefined : of.value[index];
  if (!found) throw new TypeError('not the structure expected');
  return found;
}

function same(a: Asn1 | undefined, b: Asn1): boolean {
  return a !== undefined && equal(toDer(a), toDer(b));
}

function bitsOf(value: Asn1 | undefined): Bytes {
  if (value?.type !== Type.BITSTRING || typeof value.value !== 'string') throw new TypeError('no bit string');
  if (!value.value.startsWith(NO_UNUSED_BITS)) throw new TypeError('unused bits');
  return bytesOf(value.value.slice(NO_UNUSED_BITS.length));
}
