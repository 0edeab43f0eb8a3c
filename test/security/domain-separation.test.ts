/**
 * One identity key signs COSE, TLS and X.509: what it signs in one can never be read as another. Their first bytes
 * differ: 84 (array of four), 20 (TLS 1.3's 64 spaces, RFC 8446 §4.4.3), 30 (DER SEQUENCE). Within COSE, contexts do it.
 */
import assert from 'node:assert/strict';
import { sign, verify, X509Certificate } from 'node:crypto';
import { concat, utf8 } from '../../src/base/bytes.ts';
import { CATALOGUE } from '../../src/messages/catalogue.ts';
import { parseSign1, sign1, sigStructure, verifySign1 } from '../../src/security/cose.ts';
import { createCertificateRequest } from '../../src/security/x509.ts';
import { newSigner, primitives } from './helpers.ts';
import { newCa } from './x509-samples.ts';

const contexts = CATALOGUE.flatMap(({ messages }) => messages).flatMap(({ info }) =>
  info.signing ? [info.signing.context] : [],
);

/** The first item within a DER SEQUENCE, head included: what an issuer or a requester signs. */
function firstItem(der: Uint8Array): Uint8Array {
  const lengthOf = (at: number): { head: number; length: number } => {
    const first = der[at + 1] ?? 0;
    if (first < 0x80) return { head: 2, length: first };
    let length = 0;
    for (let i = 0; i < first - 0x80; i++) length = length * 256 + (der[at + 2 + i] ?? 0);
    return { head: 2 + first - 0x80, length };
  };
  const start = lengthOf(0).head;
  const { head, length } = lengthOf(start);
  return der.slice(start, start + head + length);
}

describe('domain separation', () => {
  const signer = newSigner();
  const th = new Uint8Array(32);
  const certificateVerify = concat(
    new Uint8Array(64).fill(0x20),
    utf8('TLS 1.3, client CertificateVerify\0'),
    new Uint8Array(32),
  );

  it('first bytes: COSE 84, TLS 20, X.509 and PKCS#10 30', () => {
    assert.ok(contexts.length > 5);
    for (const context of contexts) assert.equal(sigStructure(context, th, utf8('x'))[0], 0x84);
    assert.equal(certificateVerify[0], 0x20);
    const request = createCertificateRequest(signer, 'x');
    const { raw } = new X509Certificate(newCa().certificate);
    for (const der of [request, new Uint8Array(raw)]) assert.equal(firstItem(der)[0], 0x30);
  });

  it('what DER wraps is what was signed', () => {
    const request = createCertificateRequest(signer, 'x');
    const info = firstItem(request);
    // info, then 12 bytes of algorithm, then the bit string: 03, length, 00.
    const signature = request.slice(request.indexOf(0x30, 3) + info.length + 12 + 3);
    assert.ok(verify('sha256', info, signer.publicKeyPem, signature));
  });

  it('a signature of TLS or DER is none of COSE, whatever the context', () => {
    for (const message of [certificateVerify, firstItem(createCertificateRequest(signer, 'x'))]) {
      const signature = signer.sign(message);
      assert.ok(primitives.verifyEs256(signer.publicKey, message, signature));
      for (const context of contexts) {
        const as = { payload: message, signature, kid: undefined };
        assert.ok(!verifySign1(primitives, signer.publicKey, context, th, as));
      }
    }
  });

  it('contexts are all different, and none verifies as another', async () => {
    assert.equal(new Set(contexts).size, contexts.length);
    for (const context of contexts) {
      assert.match(context, /^cpns1\/[a-z-]+$/);
      const parsed = parseSign1(await sign1(signer, context, th, utf8('x')));
      for (const other of contexts)
        assert.equal(verifySign1(primitives, signer.publicKey, other, th, parsed), other === context);
    }
  });

  it('a signature in DER form is none of COSE', () => {
    const message = sigStructure('cpns1/test', th, utf8('x'));
    const der = new Uint8Array(sign('sha256', message, signer.privateKey));
    assert.ok(!primitives.verifyEs256(signer.publicKey, message, der));
  });
});
