/**
 * The operator's X.509: the CA, the server's TLS certificate, the gateways' client certificates, and the PKCS#10 request
 * a gateway asks with (docs/protocol.md §4.4, §7.3, §9; RFC 5280, RFC 2986). P-256 and SHA-256 only. Owns what each
 * certificate says; signatures are node:crypto's, structure is x509-asn1.ts's. Must not keep anything, nor read a clock.
 */
import {
  createHash,
  createPublicKey,
  type KeyObject,
  randomBytes,
  sign,
  verify,
  X509Certificate,
} from 'node:crypto';
import { isIP } from 'node:net';
import { type Bytes, concat, equal, fromHex, toHex } from '../base/bytes.ts';
import { CpnsError } from '../base/errors.ts';
import type { ServerSeconds } from '../base/time.ts';
import { gatewayIdOf } from './cose-key.ts';
import { coordinatesOf, type SoftwareSigner } from './keystore.ts';
import type { PublicKey } from './primitives.ts';
import { nodePrimitives } from './primitives-node.ts';
import {
  type Extension,
  forgeBytes,
  keyIdentifierValue,
  nameOf,
  parseRequest,
  requestInfo,
  signed,
  subjectOf,
  tbsCertificate,
} from './x509-asn1.ts';

/** Begins the URI by which a gateway certificate names its gateway. */
export const GATEWAY_URI_PREFIX = 'urn:cpns:gateway:';

/** SubjectPublicKeyInfo of an uncompressed P-256 point, up to x (RFC 5480). */
const SPKI_PREFIX = fromHex('3059301306072a8648ce3d020106082a8648ce3d03010703420004');
const COORDINATE_BYTES = 32;
const SPKI_BYTES = SPKI_PREFIX.length + 2 * COORDINATE_BYTES;
const SERIAL_BYTES = 16;
const KEY_IDENTIFIER_BYTES = 20;
/** Certificates count from a little earlier, for peers whose clock is a little behind. */
const BACKDATE_SECONDS = 300;
const DAY_SECONDS = 86_400;
const MAX_REQUEST_BYTES = 2_048;
const MAX_COMMON_NAME = 64;
const HOST_NAME = /^(?=.{1,253}$)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*$/i;
/** No zone and no dotted tail: of the first forge makes an address of 17 bytes, at the second it throws. */
const IP_AS_FORGE_READS = /^(?:[0-9.]+|[0-9a-f:]+)$/i;
/** URL parsers take such a host for an IPv4 address, so as a DNS name it would never match. */
const ENDS_IN_NUMBER = /(?:^|\.)[0-9]+$/;

export interface CertificateAuthority {
  /** DER, as createCa made it. */
  readonly certificate: Bytes;
  readonly key: SoftwareSigner;
}

/** How long, from when. A certificate never outlasts its CA's. */
export interface Validity {
  readonly days: number;
  readonly now: ServerSeconds;
}

/** A self-signed CA certificate that may issue for end entities only, DER. @param name its common name, 1 to 64 characters */
export function createCa({
  name,
  key,
  days,
  now,
}: Validity & { readonly name: string; readonly key: SoftwareSigner }): Bytes {
  return issueToSelf(key, { days, now }, name, [
    { name: 'basicConstraints', critical: true, cA: true, pathLenConstraint: 0 },
    { name: 'keyUsage', critical: true, keyCertSign: true, cRLSign: true },
  ]);
}

function issueToSelf(
  key: SoftwareSigner,
  { days, now }: Validity,
  name: string,
  extensions: readonly Extension[],
): Bytes {
  const subject = commonName(name);
  const publicKey = spkiOf(key.publicKey);
  const notAfter = (now + days * DAY_SECONDS) * 1000;
  return issue(key.privateKey, {
    ...{ issuer: subject, subject, publicKey, issuerKey: publicKey },
    ...{ notAfter, now, extensions },
  });
}

/**
 * The server's TLS certificate, DER.
 * @param names DNS names and IP addresses clients reach it under; the first is the common name too
 * @throws CpnsError `name-not-allowed` when there is none or one is neither
 */
export function issueServerCertificate({
  ca,
  publicKey,
  names,
  days,
  now,
}: Validity & {
  readonly ca: CertificateAuthority;
  readonly publicKey: PublicKey;
  readonly names: readonly string[];
}): Bytes {
  const [first] = names;
  if (first === undefined) throw new CpnsError('name-not-allowed', 'a server certificate needs a name');
  const altNames = names.map(alternativeName);
  return issueUnder(ca, { days, now }, publicKey, first.slice(0, MAX_COMMON_NAME), [
    { name: 'extKeyUsage', serverAuth: true },
    { name: 'subjectAltName', altNames },
  ]);
}

/**
 * A TLS certificate that nobody vouches for, DER: whoever accepts it compares its fingerprint.
 * @param names as for {@link issueServerCertificate}
 * @throws CpnsError `name-not-allowed`
 */
export function createSelfSignedCertificate({
  key,
  names,
  days,
  now,
}: Validity & { readonly key: SoftwareSigner; readonly names: readonly string[] }): Bytes {
  const [first] = names;
  if (first === undefined) throw new CpnsError('name-not-allowed', 'a server certificate needs a name');
  return issueToSelf(key, { days, now }, first.slice(0, MAX_COMMON_NAME), [
    { name: 'basicConstraints', critical: true },
    { name: 'keyUsage', critical: true, digitalSignature: true },
    { name: 'extKeyUsage', serverAuth: true },
    { name: 'subjectAltName', altNames: names.map(alternativeName) },
  ]);
}

/** Whether a certificate can hold this name. */
export function isCertifiableName(name: string): boolean {
  try {
    alternativeName(name);
    return true;
  } catch {
    return false;
  }
}

/** A gateway's TLS client certificate, DER; named by the gatewayId of its key. */
export function issueGatewayCertificate({
  ca,
  publicKey,
  days,
  now,
}: Validity & { readonly ca: CertificateAuthority; readonly publicKey: PublicKey }): Bytes {
  const gatewayId = toHex(gatewayIdOf(nodePrimitives(), publicKey));
  return issueUnder(ca, { days, now }, publicKey, gatewayId, [
    { name: 'extKeyUsage', clientAuth: true },
    { name: 'subjectAltName', altNames: [{ type: 6, value: GATEWAY_URI_PREFIX + gatewayId }] },
  ]);
}

/** A PKCS#10 request for the signer's key, DER. */
export function createCertificateRequest(signer: SoftwareSigner, name: string): Bytes {
  const info = requestInfo(commonName(name), spkiOf(signer.publicKey));
  return signed(info, sign('sha256', info, signer.privateKey));
}

/**
 * The key of a PKCS#10 request whose holder proved to have it; its name and attributes count for nothing.
 * @throws CpnsError `malformed`; `response-invalid` when the signature is not of that key
 */
export function verifyCertificateRequest(der: Bytes): PublicKey {
  const parts = der.length <= MAX_REQUEST_BYTES ? parseRequest(der) : undefined;
  if (!parts) throw new CpnsError('malformed', 'not a PKCS#10 request with ECDSA and SHA-256');
  const key = pointOf(parts.publicKey);
  const imported = createPublicKey({ key: Buffer.from(parts.publicKey), format: 'der', type: 'spki' });
  if (!verifyDer(imported, parts.info, parts.signature))
    throw new CpnsError('response-invalid', 'PKCS#10 request');
  return key;
}

/** The key of a certificate. @throws CpnsError `malformed` when it is no certificate of a P-256 key */
export function publicKeyOfCertificate(certificate: Bytes | string): PublicKey {
  let key: KeyObject;
  try {
    key = new X509Certificate(certificate).publicKey;
  } catch {
    throw new CpnsError('malformed', 'not a certificate');
  }
  return coordinatesOf(key);
}

/** PEM of a certificate, or of what the label says. */
export function derToPem(der: Bytes, label = 'CERTIFICATE'): string {
  const lines =
    Buffer.from(der)
      .toString('base64')
      .match(/.{1,64}/g) ?? [];
  return `-----BEGIN ${label}-----\n${lines.join('\n')}\n-----END ${label}-----\n`;
}

/** DER of the first PEM block with the label. @throws CpnsError `malformed` when there is none */
export function pemToDer(pem: string, label = 'CERTIFICATE'): Bytes {
  const [begin, end] = [`-----BEGIN ${label}-----`, `-----END ${label}-----`];
  const from = pem.indexOf(begin);
  const to = pem.indexOf(end, from);
  const body = from < 0 || to < 0 ? '' : pem.slice(from + begin.length, to).replace(/\s+/g, '');
  if (!/^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{4}|[A-Za-z0-9+/]{3}=|[A-Za-z0-9+/]{2}==)$/.test(body))
    throw new CpnsError('malformed', `no PEM of a ${label.toLowerCase()}`);
  return new Uint8Array(Buffer.from(body, 'base64'));
}

function issueUnder(
  ca: CertificateAuthority,
  { days, now }: Validity,
  publicKey: PublicKey,
  name: string,
  extensions: readonly Extension[],
): Bytes {
  const parent = new X509Certificate(ca.certificate);
  if (!parent.checkPrivateKey(ca.key.privateKey)) throw new TypeError("not the CA certificate's key");
  const caEnd = Date.parse(parent.validTo);
  if (caEnd <= now * 1000) throw new CpnsError('internal', 'the CA certificate has expired');
  return issue(ca.key.privateKey, {
    issuer: subjectOf(ca.certificate),
    subject: commonName(name),
    publicKey: spkiOf(publicKey),
    issuerKey: spkiOf(ca.key.publicKey),
    notAfter: Math.min((now + days * DAY_SECONDS) * 1000, caEnd),
    now,
    extensions: [
      { name: 'basicConstraints', critical: true },
      { name: 'keyUsage', critical: true, digitalSignature: true },
      ...extensions,
    ],
  });
}

interface Issue {
  readonly issuer: Bytes;
  readonly subject: Bytes;
  readonly publicKey: Bytes;
  readonly issuerKey: Bytes;
  /** Milliseconds since 1970. */
  readonly notAfter: number;
  readonly now: ServerSeconds;
  readonly extensions: readonly Extension[];
}

function issue(issuerPrivateKey: KeyObject, { issuerKey, now, notAfter, extensions, ...rest }: Issue): Bytes {
  const tbs = tbsCertificate({
    ...rest,
    serial: newSerial(),
    notBefore: new Date((now - BACKDATE_SECONDS) * 1000),
    notAfter: new Date(notAfter),
    extensions: [
      ...extensions,
      { name: 'subjectKeyIdentifier', value: keyIdentifierValue(keyIdentifier(rest.publicKey)) },
      { name: 'authorityKeyIdentifier', keyIdentifier: forgeBytes(keyIdentifier(issuerKey)) },
    ],
  });
  return signed(tbs, sign('sha256', tbs, issuerPrivateKey));
}

/** Random, positive, and of 16 bytes whatever the chance: the first byte is 40 to 7f. */
function newSerial(): Bytes {
  const serial = new Uint8Array(randomBytes(SERIAL_BYTES));
  serial[0] = ((serial[0] ?? 0) & 0x3f) | 0x40;
  return serial;
}

/** RFC 7093 §2, method 1: the left 160 bits of SHA-256 of the point. */
function keyIdentifier(spki: Bytes): Bytes {
  const point = spki.subarray(SPKI_PREFIX.length - 1);
  return new Uint8Array(createHash('sha256').update(point).digest().subarray(0, KEY_IDENTIFIER_BYTES));
}

function spkiOf({ x, y }: PublicKey): Bytes {
  return concat(SPKI_PREFIX, x, y);
}

function pointOf(spki: Bytes): PublicKey {
  const isP256 = spki.length === SPKI_BYTES && equal(spki.subarray(0, SPKI_PREFIX.length), SPKI_PREFIX);
  if (!isP256) throw new CpnsError('malformed', 'not an uncompressed P-256 key');
  const yAt = SPKI_PREFIX.length + COORDINATE_BYTES;
  return nodePrimitives().publicKey(spki.slice(SPKI_PREFIX.length, yAt), spki.slice(yAt));
}

function verifyDer(key: KeyObject, message: Bytes, signature: Bytes): boolean {
  try {
    return verify('sha256', message, key, signature);
  } catch {
    return false;
  }
}

function commonName(name: string): Bytes {
  if (name.length < 1 || name.length > MAX_COMMON_NAME)
    throw new CpnsError('name-not-allowed', 'a common name has 1 to 64 characters');
  return nameOf(name);
}

function alternativeName(name: string): { type: 2; value: string } | { type: 7; ip: string } {
  if (isIP(name) !== 0 && IP_AS_FORGE_READS.test(name)) return { type: 7, ip: name };
  if (!HOST_NAME.test(name) || ENDS_IN_NUMBER.test(name))
    throw new CpnsError('name-not-allowed', 'neither a DNS name nor an IP address');
  return { type: 2, value: name.toLowerCase() };
}
