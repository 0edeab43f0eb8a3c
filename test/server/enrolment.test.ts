/** Enrolment at a real server: gateways by token, PNEs by claim, and everything that must not work. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'mocha';
import type { Status } from '../../src/base/statuses.ts';
import { enrolGateway } from '../../src/https/server-client-enrol.ts';
import { ServerKeysPayload } from '../../src/messages/credential.ts';
import { parseSign1 } from '../../src/security/cose.ts';
import { coseKeyOf, thumbprintOf } from '../../src/security/cose-key.ts';
import { verifyCredential } from '../../src/security/credential.ts';
import { parseGatewayToken } from '../../src/security/gateway-token.ts';
import { generateKey, softwareSigner } from '../../src/security/keystore.ts';
import { createCertificateRequest, publicKeyOfCertificate } from '../../src/security/x509.ts';
import { primitives } from '../support/join.ts';
import {
  buildEnrolment,
  type EnrolmentKnobs,
  hex,
  refused,
  ServerKit,
  type TestGateway,
} from '../support/server-kit.ts';

const newSigner = () => softwareSigner(generateKey());

describe('server: enrolment of gateways', () => {
  const kit = new ServerKit();
  before(async () => {
    await kit.start();
    kit.addUser('bob');
  });
  after(() => kit.close());

  const enrol = (text: string, signer = newSigner(), csrSigner = signer) =>
    enrolGateway(
      primitives,
      kit.server.url,
      parseGatewayToken(primitives, text),
      createCertificateRequest(csrSigner, 'gateway'),
    );
  const token = (ttlSeconds?: number) =>
    kit.admin.createToken({
      user: 'bob',
      gatewayLabel: 'kitchen',
      ...(ttlSeconds !== undefined && { ttlSeconds }),
    }).token;

  it('gives certificate and credential for the key of the request', async () => {
    const signer = newSigner();
    const { answer } = await enrol(token(), signer);
    assert.deepEqual(publicKeyOfCertificate(answer.certificates.gateway), signer.publicKey);
    assert.equal(answer.userLabel, 'bob');
    assert.equal(answer.gatewayLabel, 'kitchen');
    assert.equal(answer.homeAddress, `${hex(answer.gatewayId)}@op.example`);
    assert.equal(kit.admin.gateways().length, 1);
  });

  it('answers the same token and key with the same bytes, and another key with token-invalid', async () => {
    const [signer, text] = [newSigner(), token()];
    const first = await enrol(text, signer);
    const second = await enrol(text, signer);
    assert.deepEqual(second.answer, first.answer);
    await refused(enrol(text), 'token-invalid');
  });

  it('refuses unknown, expired and altered tokens', async () => {
    const expiring = token(10);
    kit.clock.offsetSeconds += 11;
    await refused(enrol(expiring), 'token-invalid');
    const good = parseGatewayToken(primitives, token());
    const csr = createCertificateRequest(newSigner(), 'gateway');
    const altered = { ...good, secret: primitives.randomBytes(16) };
    await refused(enrolGateway(primitives, kit.server.url, altered, csr), 'token-invalid');
    const unknown = { ...good, id: primitives.randomBytes(8) };
    await refused(enrolGateway(primitives, kit.server.url, unknown, csr), 'token-invalid');
  });

  it('takes a gateway back with a new token of its user, and refuses the key to another user', async () => {
    kit.addUser('carol');
    const signer = newSigner();
    await enrol(token(), signer);
    await enrol(token(), signer);
    const theirs = kit.admin.createToken({ user: 'carol', gatewayLabel: 'x' });
    await refused(enrol(theirs.token, signer), 'conflict');
  });

  it('renews certificate and credential of the connection’s key only', async () => {
    const gateway = await kit.addGateway('bob', 'attic');
    kit.clock.offsetSeconds += 86_400 / 2;
    const renewed = await gateway.client.renew(createCertificateRequest(gateway.signer, 'x'));
    const now = kit.clock.wallSeconds();
    const credential = verifyCredential(primitives, gateway.serverKeys, renewed.credential, { now });
    assert.equal(credential.expiresAt, now + 7 * 86_400);
    await refused(gateway.client.renew(createCertificateRequest(newSigner(), 'x')), 'conflict');
  });
});

describe('server: enrolment of PNEs', () => {
  const kit = new ServerKit();
  let gw1: TestGateway;
  let gw2: TestGateway;
  before(async () => {
    await kit.start();
    kit.addUser('alice');
    kit.addUser('bob');
    gw1 = await kit.addGateway('alice', 'home');
    gw2 = await kit.addGateway('bob', 'kitchen');
  });
  after(() => kit.close());

  const claim = async (home: TestGateway, signer = newSigner(), knobs: EnrolmentKnobs = {}) => {
    const { nonce, request } = await buildEnrolment(home, signer, knobs);
    return home.client.enrolPne(nonce, request);
  };
  const recordOf = (signer = newSigner()) => {
    const thumbprint = hex(thumbprintOf(primitives, signer.publicKey));
    return kit.admin.pnes().find((pne) => hex(pne.thumbprint) === thumbprint);
  };

  it('commits ownership with the receipt; not acknowledged until E4', async () => {
    const signer = newSigner();
    const { nonce, request } = await buildEnrolment(gw1, signer);
    const receipt = await gw1.client.enrolPne(nonce, request);
    assert.equal(recordOf(signer)?.acknowledged, false);
    assert.deepEqual(await gw1.client.enrolPne(nonce, request), receipt);
    await gw1.client.ackEnrolment(nonce, 'declined');
    assert.equal(recordOf(signer)?.acknowledged, false);
    await gw1.client.ackEnrolment(nonce, 'ok');
    assert.equal(recordOf(signer)?.acknowledged, true);
    assert.equal(recordOf(signer)?.userLabel, 'alice');
  });

  it('takes a nonce once, from its own gateway, for fifteen minutes', async () => {
    const { nonce, request } = await buildEnrolment(gw1, newSigner());
    await refused(gw2.client.enrolPne(nonce, request), 'unknown-transaction');
    await gw1.client.enrolPne(nonce, request);
    const other = await buildEnrolment(gw1, newSigner(), { nonce });
    await refused(gw1.client.enrolPne(nonce, other.request), 'conflict');
    const late = await buildEnrolment(gw1, newSigner());
    kit.clock.offsetSeconds += 901;
    await refused(gw1.client.enrolPne(late.nonce, late.request), 'enrolment-code-spent');
    const invented = await buildEnrolment(gw1, newSigner(), { nonce: primitives.randomBytes(16) });
    await refused(gw1.client.enrolPne(invented.nonce, invented.request), 'unknown-transaction');
  });

  const spoilt: readonly [
    Status,
    string,
    (kits: { gw1: TestGateway; gw2: TestGateway }) => EnrolmentKnobs,
  ][] = [
    ['transcript-mismatch', 'E1 signed by another', () => ({ offerSigner: newSigner() })],
    ['response-invalid', 'E2 signed by another', () => ({ claimSigner: newSigner() })],
    ['transcript-mismatch', 'OPENs of an establishment', () => ({ linkKind: 'establish' })],
    ['transcript-mismatch', 'another user label', () => ({ offer: { userLabel: 'bob' } })],
    ['transcript-mismatch', 'another address', (all) => ({ offer: { homeAddress: all.gw2.homeAddress } })],
    ['transcript-mismatch', 'another root', () => ({ offer: { rootKey: coseKeyOf(newSigner().publicKey) } })],
    [
      'credential-unknown-key',
      'a server key of its own',
      () => ({ offer: { serverKeys: [coseKeyOf(newSigner().publicKey)] } }),
    ],
    [
      'credential-unknown-key',
      'a server key too many',
      ({ gw1: { enrolment } }) => ({
        offer: { serverKeys: [...enrolment.serverKeys, coseKeyOf(newSigner().publicKey)] },
      }),
    ],
    ['transcript-mismatch', 'another nonce', () => ({ offer: { nonce: new Uint8Array(16) } })],
    [
      'credential-invalid',
      "another gateway's credential",
      (all) => ({ offer: { credential: all.gw2.credential } }),
    ],
  ];
  for (const [status, what, knobs] of spoilt)
    it(`refuses ${what}: ${status}`, async () => {
      const signer = newSigner();
      await refused(claim(gw1, signer, knobs({ gw1, gw2 })), status);
      assert.equal(recordOf(signer), undefined);
    });

  it('lets the same user enrol again with a higher epoch, and nobody else', async () => {
    const signer = newSigner();
    await claim(gw1, signer);
    // A new code, the same owner, the same epoch: idempotent.
    await claim(gw1, signer);
    await claim(gw1, signer, { epoch: 3 });
    await refused(claim(gw1, signer, { epoch: 2 }), 'enrolment-code-spent');
    await refused(claim(gw2, signer, { epoch: 9 }), 'already-owned');
    assert.equal(recordOf(signer)?.epoch, 3);
  });

  it('lets another user have it when it was released, never when it was revoked', async () => {
    const signer = newSigner();
    await claim(gw1, signer);
    const id = hex(thumbprintOf(primitives, signer.publicKey));
    kit.admin.releasePne(id);
    await refused(claim(gw2, signer, { epoch: 1 }), 'enrolment-code-spent');
    await claim(gw2, signer, { epoch: 2 });
    assert.equal(recordOf(signer)?.userLabel, 'bob');
    kit.admin.revokePne(id);
    await refused(claim(gw2, signer, { epoch: 3 }), 'revoked-pne');
  });

  it('keeps 16 open nonces a gateway', async () => {
    for (let i = 0; i < 16; i++) await gw2.client.enrolmentNonce().catch(() => undefined);
    await refused(gw2.client.enrolmentNonce(), 'quota-exceeded');
  });
});

describe('server: the statement of its keys', () => {
  const kit = new ServerKit();
  after(() => kit.close());

  it('is later than any enrolment that pinned the old ones, though the clock was set back', async () => {
    kit.clock.offsetSeconds = -100;
    await kit.start();
    kit.addUser('alice');
    const home = await kit.addGateway('alice', 'home');
    kit.clock.offsetSeconds = -40;
    const { nonce, request } = await buildEnrolment(home, newSigner());
    await home.client.enrolPne(nonce, request);
    const enrolledAt = kit.clock.wallSeconds();
    kit.clock.offsetSeconds = -240;
    kit.admin.rollServerKey();
    await kit.restart();
    const { serverKeysStatement } = await home.client.renew(createCertificateRequest(home.signer, 'x'));
    assert.ok(serverKeysStatement);
    const { issuedAt } = ServerKeysPayload.decode(parseSign1(serverKeysStatement).payload);
    assert.ok(issuedAt > enrolledAt, 'or no PNE of then would ever take it');
  });
});
