/** Certificates by openssl's strictest check and by node:crypto; PKCS#10 in both directions, and what is refused. */
import assert from 'node:assert/strict';
import { generateKeyPairSync, type KeyObject, X509Certificate } from 'node:crypto';
import fc from 'fast-check';
import { concat, toHex } from '../../src/base/bytes.ts';
import { CpnsError } from '../../src/base/errors.ts';
import { gatewayIdOf } from '../../src/security/cose-key.ts';
import {
  createCa,
  createCertificateRequest,
  derToPem,
  issueGatewayCertificate,
  issueServerCertificate,
  pemToDer,
  publicKeyOfCertificate,
  verifyCertificateRequest,
} from '../../src/security/x509.ts';
import { check, fault, flipped, newSigner, onlyStatuses, primitives } from './helpers.ts';
import { DAY, identity, newCa, now, openssl } from './x509-samples.ts';

const ca = newCa();
const caPem = derToPem(ca.certificate);
const STRICT = ['verify', '-x509_strict', '-check_ss_sig', '-CAfile', 'ca.pem'];

function verify(cert: string, ...more: string[]): { ok: boolean; text: string } {
  return openssl({ 'ca.pem': caPem, 'cert.pem': cert }, ...STRICT, ...more, 'cert.pem');
}

describe('certificates', () => {
  const server = identity(ca, 'server').cert;
  const gateway = identity(ca, 'gateway').cert;

  it('openssl verify -x509_strict is content with each for its purpose', () => {
    for (const [cert, ...more] of [
      [caPem],
      [server, '-purpose', 'sslserver', '-verify_hostname', 'localhost'],
      [server, '-purpose', 'sslserver', '-verify_ip', '127.0.0.1'],
      [gateway, '-purpose', 'sslclient'],
    ] as const) {
      const { ok, text } = verify(cert, ...more);
      assert.ok(ok, text);
    }
  });

  it('and with none for another purpose, name, time or CA', () => {
    const soon = ['-attime', String(now + 8 * DAY)];
    const before = ['-attime', String(now - DAY)];
    assert.match(verify(server, '-purpose', 'sslclient').text, /unsuitable certificate purpose/);
    assert.match(verify(gateway, '-purpose', 'sslserver').text, /unsuitable certificate purpose/);
    assert.match(verify(server, '-verify_hostname', 'example.org').text, /hostname mismatch/i);
    assert.match(verify(server, ...soon).text, /certificate has expired/);
    assert.match(verify(server, ...before).text, /not yet valid/);
    // The same name, another key: the key identifier tells them apart.
    const impostor = identity(newCa(), 'gateway').cert;
    assert.match(verify(impostor).text, /unable to get local issuer certificate/);
  });

  it('a gateway cannot issue', () => {
    const gatewayKey = newSigner();
    const certificate = issueGatewayCertificate({ ca, publicKey: gatewayKey.publicKey, days: 7, now });
    const leaf = identity({ certificate, key: gatewayKey }, 'gateway').cert;
    const files = { 'ca.pem': caPem, 'between.pem': derToPem(certificate), 'cert.pem': leaf };
    const { ok, text } = openssl(files, ...STRICT, '-untrusted', 'between.pem', 'cert.pem');
    assert.ok(!ok);
    assert.match(text, /invalid CA certificate|path length|issuer/i);
  });

  it('says what it should', () => {
    const root = new X509Certificate(ca.certificate);
    assert.ok(root.ca && root.checkIssued(root) && root.verify(root.publicKey));
    const { publicKey } = newSigner();
    const names = ['CPNS.example.org', '192.0.2.7', '2001:db8::7'];
    const serverCert = new X509Certificate(issueServerCertificate({ ca, publicKey, names, days: 7, now }));
    const ip6 = '2001:DB8:0:0:0:0:0:7';
    assert.equal(serverCert.subjectAltName, `DNS:cpns.example.org, IP Address:192.0.2.7, IP Address:${ip6}`);
    const gatewayId = toHex(gatewayIdOf(primitives, publicKey));
    const gatewayCert = new X509Certificate(issueGatewayCertificate({ ca, publicKey, days: 7, now }));
    assert.equal(gatewayCert.subject, `CN=${gatewayId}`);
    assert.equal(gatewayCert.subjectAltName, `URI:urn:cpns:gateway:${gatewayId}`);
    for (const [cert, eku] of [
      [serverCert, '1.3.6.1.5.5.7.3.1'],
      [gatewayCert, '1.3.6.1.5.5.7.3.2'],
    ] as const) {
      assert.ok(!cert.ca && cert.checkIssued(root) && cert.verify(root.publicKey));
      // keyUsage, says Node, is the extended one.
      assert.deepEqual(cert.keyUsage, [eku]);
      assert.equal(Date.parse(cert.validFrom), (now - 300) * 1000);
      assert.equal(Date.parse(cert.validTo), (now + 7 * DAY) * 1000);
      assert.deepEqual(publicKeyOfCertificate(new Uint8Array(cert.raw)), publicKey);
      assert.deepEqual(publicKeyOfCertificate(cert.toString()), publicKey);
    }
    const printed = openssl({ 'cert.pem': caPem }, 'x509', '-in', 'cert.pem', '-noout', '-text').text;
    assert.match(printed, /Basic Constraints: critical\s+CA:TRUE, pathlen:0/);
    assert.match(printed, /Key Usage: critical\s+Certificate Sign, CRL Sign\n/);
    const leaf = openssl({ 'cert.pem': gateway }, 'x509', '-in', 'cert.pem', '-noout', '-text').text;
    assert.match(leaf, /Basic Constraints: critical\s+CA:FALSE/);
    assert.match(leaf, /Key Usage: critical\s+Digital Signature\n/);
  });

  it('has a serial of 16 bytes, positive, never the same', () => {
    const { publicKey } = newSigner();
    const serials = Array.from(
      { length: 32 },
      () => new X509Certificate(issueGatewayCertificate({ ca, publicKey, days: 1, now })).serialNumber,
    );
    for (const serial of serials) assert.match(serial, /^[4-7][0-9A-F]{31}$/);
    assert.equal(new Set(serials).size, serials.length);
  });

  it('runs past 2049, and a leaf never past its CA', () => {
    const key = newSigner();
    const long = { key, certificate: createCa({ name: 'Long', key, days: 40 * 365, now }) };
    const longEnd = new X509Certificate(long.certificate).validTo;
    assert.equal(Date.parse(longEnd), (now + 40 * 365 * DAY) * 1000);
    const { ok, text } = openssl({ 'ca.pem': derToPem(long.certificate) }, ...STRICT, 'ca.pem');
    assert.ok(ok, text);
    const { publicKey } = newSigner();
    const leaf = issueGatewayCertificate({ ca: long, publicKey, days: 99 * 365, now });
    assert.equal(new X509Certificate(leaf).validTo, longEnd);
    const late = { ca: long, publicKey, days: 1, now: now + 41 * 365 * DAY };
    assert.throws(() => issueGatewayCertificate(late), fault('internal', /CA certificate has expired/));
  });

  it('carries a name beyond ASCII', () => {
    const { certificate } = newCa('Opérateur – 運営者');
    assert.equal(new X509Certificate(certificate).subject, 'CN=Opérateur – 運営者');
  });

  it('refuses names, and a key that is not the CA’s', () => {
    const { publicKey } = newSigner();
    const notHosts = ['', 'a b', '-x.org', 'x..org', '*', 'é.org', 'x/y'];
    // What isIP takes and forge cannot write, and what looks like an address and is none.
    const notAddresses = ['fe80::1%eth0', '::ffff:192.0.2.1', '256.1.1.1', '1.2.3.4.5', '7'];
    const notNames = [...notHosts, ...notAddresses];
    for (const names of [[], ...notNames.map((name) => [name]), ['ok.org', 'x/y']])
      assert.throws(
        () => issueServerCertificate({ ca, publicKey, names, days: 1, now }),
        fault('name-not-allowed'),
      );
    for (const name of ['', 'x'.repeat(65)])
      assert.throws(() => createCa({ name, key: newSigner(), days: 1, now }), fault('name-not-allowed'));
    const mixed = { certificate: ca.certificate, key: newSigner() };
    assert.throws(() => issueGatewayCertificate({ ca: mixed, publicKey, days: 1, now }), TypeError);
  });

  it('reads no key from what is no certificate, or has another kind of key', () => {
    const key = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey;
    const rsa = openssl(
      { 'key.pem': pemOf(key) },
      'req',
      '-x509',
      '-new',
      '-key',
      'key.pem',
      '-subj',
      '/CN=x',
    );
    for (const bad of [new Uint8Array(0), ca.certificate.slice(1), 'x', rsa.text])
      assert.throws(() => publicKeyOfCertificate(bad), fault('malformed'));
  });
});

describe('PEM', () => {
  it('goes there and back', () => {
    check(
      fc.property(fc.uint8Array({ minLength: 1 }), (der) => {
        assert.deepEqual(pemToDer(`first\n${derToPem(der, 'X Y')}${derToPem(der)}`), der);
      }),
      200,
    );
    assert.equal(derToPem(ca.certificate), new X509Certificate(ca.certificate).toString());
  });

  it('refuses another label, no end, no base64', () => {
    const pem = derToPem(ca.certificate);
    for (const bad of [
      '',
      pem.replaceAll('CERTIFICATE', 'OTHER'),
      pem.slice(0, -20),
      pem.replace('\nM', '\n*'),
    ])
      assert.throws(() => pemToDer(bad), fault('malformed'));
  });
});

const pemOf = (key: KeyObject): string => key.export({ format: 'pem', type: 'pkcs8' }).toString();

describe('PKCS#10', () => {
  const signer = newSigner();
  const request = createCertificateRequest(signer, 'gateway');

  function opensslRequest(key: KeyObject, ...more: string[]): Uint8Array {
    const args = ['req', '-new', '-key', 'key.pem', '-outform', 'DER', '-subj', '/O=x/CN=y', ...more];
    return openssl({ 'key.pem': pemOf(key) }, ...args).bytes;
  }

  it('gives the key it was made with', () =>
    assert.deepEqual(verifyCertificateRequest(request), signer.publicKey));

  it('openssl takes ours', () => {
    const pem = derToPem(request, 'CERTIFICATE REQUEST');
    const { ok, text } = openssl({ 'r.pem': pem }, 'req', '-in', 'r.pem', '-verify', '-noout', '-text');
    assert.ok(ok && /verify OK/.test(text), text);
  });

  it("we take openssl's, attributes and all", () => {
    for (const more of [[], ['-addext', 'subjectAltName=DNS:evil.example.org']])
      assert.deepEqual(
        verifyCertificateRequest(opensslRequest(signer.privateKey, ...more)),
        signer.publicKey,
      );
  });

  it('refuses other keys and hashes', () => {
    const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey;
    const p384 = generateKeyPairSync('ec', { namedCurve: 'P-384' }).privateKey;
    const ed = generateKeyPairSync('ed25519').privateKey;
    const requests = [
      opensslRequest(rsa),
      opensslRequest(p384),
      opensslRequest(p384, '-sha256'),
      opensslRequest(ed),
      opensslRequest(signer.privateKey, '-sha384'),
    ];
    for (const bad of requests) {
      assert.ok(bad.length > 100);
      assert.throws(() => verifyCertificateRequest(bad), fault('malformed'));
    }
  });

  it('no byte can change without notice', () => {
    for (let i = 0; i < request.length; i++) {
      let status = 'ok';
      try {
        verifyCertificateRequest(flipped(request, i));
      } catch (error) {
        assert.ok(error instanceof CpnsError, `byte ${i}: ${String(error)}`);
        ({ status } = error);
      }
      assert.ok(status === 'malformed' || status === 'response-invalid', `byte ${i}: ${status}`);
    }
  });

  it('refuses a signature that is not of its key', () => {
    // The structure stays as it is; the subject's last letter does not.
    const at = Buffer.from(request).indexOf('gateway') + 6;
    assert.throws(() => verifyCertificateRequest(flipped(request, at)), fault('response-invalid'));
    // Another's key under my signature.
    const { x, y } = newSigner().publicKey;
    const keyAt = Buffer.from(request).indexOf(signer.publicKey.x);
    const stolen = concat(request.slice(0, keyAt), x, y, request.slice(keyAt + 64));
    assert.throws(() => verifyCertificateRequest(stolen), fault('response-invalid'));
    const offCurve = flipped(request, keyAt + 63);
    assert.throws(() => verifyCertificateRequest(offCurve), fault('malformed'));
  });

  it('refuses what is not DER to the byte, or too long', () => {
    const long = opensslRequest(signer.privateKey, '-addext', `nsComment=${'x'.repeat(2000)}`);
    // The last length in its long form, where the short one would do: BER, and the signature still holds.
    const algorithm = Buffer.from('300a06082a8648ce3d040302', 'hex');
    const at = Buffer.from(request).lastIndexOf(algorithm) + algorithm.length;
    assert.deepEqual([request[1], request[at]], [0x81, 0x03]);
    const ber = concat(
      Uint8Array.of(0x30, 0x81, (request[2] ?? 0) + 1),
      request.slice(3, at + 1),
      Uint8Array.of(0x81),
      request.slice(at + 1),
    );
    for (const bad of [concat(request, Uint8Array.of(0)), request.slice(0, -1), long, ber, new Uint8Array(0)])
      assert.throws(() => verifyCertificateRequest(bad), fault('malformed'));
  });

  it('any bytes, and any changes of a good one: a key of ours, malformed or response-invalid', () => {
    const statuses = ['malformed', 'response-invalid'] as const;
    const judge = (bytes: Uint8Array) => onlyStatuses(statuses, () => verifyCertificateRequest(bytes));
    check(fc.property(fc.uint8Array({ maxLength: 300 }), judge));
    // Nested far deeper than any request.
    check(
      fc.property(fc.nat(1000), (depth) => judge(new Uint8Array(2 * depth).fill(0x30))),
      50,
    );
    const change = fc.tuple(fc.nat(request.length - 1), fc.nat(7));
    check(
      fc.property(fc.array(change, { minLength: 1, maxLength: 4 }), (changes) =>
        judge(changes.reduce((bytes, [at, bit]) => flipped(bytes, at, bit), request)),
      ),
    );
  });
});
