/**
 * What is signed, and what people type: COSE_Sign1, credentials, server key sets, keys, certificate requests,
 * certificates, codes, tokens, addresses, labels. The first part says which and whether the second is a whole message or
 * a payload that is signed here, so that what stands behind the signature is reached too.
 */
import assert from 'node:assert/strict';
import { EMPTY, fromUtf8, toHex, utf8 } from '../../../src/base/bytes.ts';
import type { Status } from '../../../src/base/statuses.ts';
import { CATALOGUE } from '../../../src/messages/catalogue.ts';
import { GatewayCredentialPayload, ServerKeysPayload } from '../../../src/messages/credential.ts';
import { formatHomeAddress, parseHomeAddress } from '../../../src/messages/home-address.ts';
import { isLabel } from '../../../src/messages/label.ts';
import { assembleSign1, parseSign1, verifySign1 } from '../../../src/security/cose.ts';
import { coseKeyOf, kidOf } from '../../../src/security/cose-key.ts';
import { verifyCredential } from '../../../src/security/credential.ts';
import { createEnrolmentCode, parseEnrolmentCode } from '../../../src/security/enrolment-code.ts';
import { createGatewayToken, parseGatewayToken } from '../../../src/security/gateway-token.ts';
import { generateKey, softwareSigner } from '../../../src/security/keystore.ts';
import { pinServerKeys, verifyServerKeys } from '../../../src/security/server-keys.ts';
import { openSigned, toBeSigned } from '../../../src/security/signed-message.ts';
import {
  createCertificateRequest,
  derToPem,
  pemToDer,
  publicKeyOfCertificate,
  verifyCertificateRequest,
} from '../../../src/security/x509.ts';
import { SAMPLES } from '../../messages/samples.ts';
import { identity, newCa } from '../../security/x509-samples.ts';
import { credential1 as credentialVector, partyVectors, root, server } from '../../vectors-src/parties.ts';
import { primitives } from '../../vectors-src/signing.ts';
import { byteAt, documented, type Input, MALFORMED, part, pick, type Target } from '../target.ts';

type Check = (body: Uint8Array) => void;

const pinned = pinServerKeys(primitives, coseKeyOf(root.publicKey), [coseKeyOf(server.publicKey)]);
const kid = kidOf(primitives, server.publicKey);
const signer = softwareSigner(generateKey());
const signedMessages = CATALOGUE.flatMap(({ messages }) => messages).filter(({ info }) => info.signing);
const CREDENTIAL: readonly Status[] = [
  'malformed',
  'oversize',
  'credential-unknown-key',
  'credential-expired',
  'credential-invalid',
];

const textOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString('utf8');

function checkSign1(body: Uint8Array): void {
  const parsed = documented(MALFORMED, () => parseSign1(body));
  if (!parsed) return;
  assert.deepEqual(
    assembleSign1(parsed.payload, parsed.signature, parsed.kid),
    body,
    'another encoding was taken',
  );
  verifySign1(primitives, server.publicKey, 'cpns1/outcome', EMPTY, parsed);
}

/** A payload of whatever bytes, well signed: what is behind the signature must be as strict. */
function checkSignedPayload(body: Uint8Array): void {
  const message = pick(signedMessages, byteAt(body, 0));
  const payload = body.slice(1);
  const wrapped = assembleSign1(
    payload,
    signer.sign(toBeSigned(message, EMPTY, payload)),
    message.info.signing?.kid ? kid : undefined,
  );
  const opened = documented(['malformed', 'oversize', 'internal'], () =>
    openSigned(primitives, message, () => [signer.publicKey], EMPTY, wrapped, 'internal'),
  );
  if (opened && !message.lossy) assert.deepEqual(message.encode(opened.value), payload);
}

function checkCredential(payload: Uint8Array): void {
  const signature = server.sign(toBeSigned(GatewayCredentialPayload, EMPTY, payload));
  documented(CREDENTIAL, () =>
    verifyCredential(primitives, pinned, assembleSign1(payload, signature, kid), { now: 0 }),
  );
}

function checkServerKeys(payload: Uint8Array): void {
  const signature = root.sign(toBeSigned(ServerKeysPayload, EMPTY, payload));
  const keys = documented(['malformed', 'oversize', 'credential-invalid'], () =>
    verifyServerKeys(primitives, pinned, assembleSign1(payload, signature)),
  );
  if (keys) assert.ok(keys.issuedAt > pinned.issuedAt && keys.keys.length <= 4);
}

function checkCode(body: Uint8Array): void {
  const text = textOf(body);
  const code = documented(['enrolment-code-wrong'], () => parseEnrolmentCode(primitives, text));
  if (!code) return;
  const again = createEnrolmentCode(primitives, code.kind, code.thumbprintPrefix, code.secret);
  assert.deepEqual(parseEnrolmentCode(primitives, again), code);
}

function checkToken(body: Uint8Array): void {
  const token = documented(['token-invalid'], () => parseGatewayToken(primitives, textOf(body)));
  if (!token) return;
  const again = createGatewayToken(primitives, token.caThumbprintPrefix, token.id, token.secret);
  assert.deepEqual(parseGatewayToken(primitives, again), token);
}

function checkAddress(body: Uint8Array): void {
  const text = textOf(body);
  const address = documented(['home-address-malformed'], () => parseHomeAddress(text));
  if (address) assert.equal(formatHomeAddress(address), text);
}

function checkLabel(body: Uint8Array): void {
  const text = textOf(body);
  if (!isLabel(text, 32)) return;
  assert.equal(fromUtf8(utf8(text)), text);
  assert.ok(utf8(text).length <= 32);
  // Inert: nothing that a terminal acts upon.
  assert.doesNotMatch(text, /[\p{Cc}\p{Cf}]/u);
}

function checkCertificates(body: Uint8Array): void {
  documented(['malformed', 'response-invalid'], () => verifyCertificateRequest(body));
  documented(MALFORMED, () => publicKeyOfCertificate(body));
  const der = documented(MALFORMED, () => pemToDer(textOf(body)));
  if (der) assert.deepEqual(pemToDer(derToPem(der)), der);
}

function checkPoint(body: Uint8Array): void {
  const [x, y] = [body.slice(1, 33), body.slice(33)];
  const whole = documented(MALFORMED, () =>
    x.length === 32 ? primitives.publicKeyFromX(x, byteAt(body, 0) === 1) : undefined,
  );
  if (whole) assert.deepEqual(coseKeyOf(whole), { x, y: byteAt(body, 0) === 1 });
  if (x.length === 32 && y.length === 32) documented(MALFORMED, () => primitives.publicKey(x, y));
}

const CHECKS: readonly Check[] = [
  ...[checkSign1, checkSignedPayload, checkCredential, checkServerKeys, checkCode, checkToken, checkAddress],
  ...([
    checkLabel,
    checkCertificates,
    checkPoint,
    (body) => void documented(CREDENTIAL, () => verifyCredential(primitives, pinned, body, { now: 0 })),
  ] as Check[]),
];

function seeds(): Input[] {
  const of = (check: Check, body: Uint8Array): Input => [part(CHECKS.indexOf(check)), body];
  const signedPayloads = SAMPLES.filter(({ message }) => message.info.signing).map(({ message, minimal }) =>
    of(checkSignedPayload, Uint8Array.from([signedMessages.indexOf(message), ...message.encode(minimal)])),
  );
  const [credential, serverKeys] = [credentialVector.sign1, partyVectors().serverKeys.sign1];
  const ca = newCa();
  return [
    ...signedPayloads,
    of(checkSign1, credential),
    [part(CHECKS.length - 1), credential],
    of(checkCredential, parseSign1(credential).payload),
    of(checkServerKeys, parseSign1(serverKeys).payload),
    of(
      checkCode,
      utf8(`CPNS:${createEnrolmentCode(primitives, 'pne', new Uint8Array(32).fill(3), new Uint8Array(12))}`),
    ),
    of(
      checkToken,
      utf8(createGatewayToken(primitives, new Uint8Array(32), new Uint8Array(8), new Uint8Array(16))),
    ),
    of(checkAddress, utf8(`${toHex(new Uint8Array(8))}@op.example`)),
    of(checkLabel, utf8('Café №1')),
    of(checkCertificates, createCertificateRequest(softwareSigner(generateKey()), 'van')),
    of(checkCertificates, ca.certificate),
    of(checkCertificates, utf8(identity(ca, 'gateway').cert)),
    of(checkPoint, Uint8Array.from([1, ...signer.publicKey.x, ...signer.publicKey.y])),
  ];
}

export const securityTarget: Target = {
  name: 'security',
  about: 'COSE, credentials, keys, X.509, codes, tokens, addresses, labels',
  sources: ['security/', 'messages/label', 'messages/home-address'],
  open: () => ({
    seeds: seeds(),
    run: ([chosen, body = part()]) => pick(CHECKS, byteAt(chosen, 0))(body),
  }),
};
