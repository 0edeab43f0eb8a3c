/**
 * A gateway that shows what it has no right to: credentials that are forged, self-signed, of another operator, expired,
 * altered or another gateway's. Each is refused at step 3 and leaves nothing. A revocation holds from the next request on,
 * wherever a join stands. (TLS certificates of the same kinds: test/server/transport.test.ts.)
 */
import assert from 'node:assert/strict';
import { type Bytes, EMPTY } from '../../../src/base/bytes.ts';
import type { Status } from '../../../src/base/statuses.ts';
import { GatewayCredentialPayload } from '../../../src/messages/credential.ts';
import { Operator } from '../../../src/nodes/server/identity.ts';
import { assembleSign1, parseSign1 } from '../../../src/security/cose.ts';
import { kidOf } from '../../../src/security/cose-key.ts';
import { generateKey, type SoftwareSigner, softwareSigner } from '../../../src/security/keystore.ts';
import { toBeSigned } from '../../../src/security/signed-message.ts';
import { primitives, sayYes } from '../../support/join.ts';
import { hex, joinOf, refused, type TestGateway, type TestPne } from '../../support/server-kit.ts';
import { Site } from './site.ts';

const DAY = 86_400;

describe('a gateway with a credential that is none', function () {
  this.timeout(30_000);
  const stranger = softwareSigner(generateKey());
  let site: Site;
  let home: TestGateway;
  let mallory: TestGateway;
  let pne: TestPne;

  before(async () => {
    site = await Site.open();
    home = await site.gateway('Carol', 'Hall');
    mallory = await site.gateway('Mallory');
    pne = await site.pne(home);
  });
  after(() => site.close());

  const own = () => {
    const { payload, signature, kid } = parseSign1(mallory.credential);
    assert.ok(kid);
    return { value: GatewayCredentialPayload.decode(payload), signature, kid };
  };
  const ownKid = (signer: SoftwareSigner) => kidOf(primitives, signer.publicKey);

  /** What Mallory's own says, signed by whoever. */
  function signedBy(signer: SoftwareSigner, kid?: Bytes): Bytes {
    const payload = GatewayCredentialPayload.encode(own().value);
    return assembleSign1(payload, signer.sign(toBeSigned(GatewayCredentialPayload, EMPTY, payload)), kid);
  }

  /** Mallory's own with something else in it, under the signature that it has. */
  function altered(change: Partial<GatewayCredentialPayload>): Bytes {
    const { value, signature, kid } = own();
    return assembleSign1(GatewayCredentialPayload.encode({ ...value, ...change }), signature, kid);
  }

  const shown: readonly [string, Status, () => Bytes][] = [
    ['it signed itself', 'credential-unknown-key', () => signedBy(mallory.signer, ownKid(mallory.signer))],
    [
      "it signed itself, under the server's kid",
      'credential-invalid',
      () => signedBy(mallory.signer, own().kid),
    ],
    [
      "another operator's server signed",
      'credential-unknown-key',
      () => signedBy(stranger, ownKid(stranger)),
    ],
    ['has no kid', 'malformed', () => signedBy(mallory.signer)],
    [
      'ends later than the server said',
      'credential-invalid',
      () => altered({ expiresAt: own().value.expiresAt + DAY }),
    ],
    [
      'names another user',
      'credential-invalid',
      () => altered({ labels: { role: 'gateway', user: 'Alice', gateway: 'Hall' } }),
    ],
    ["is another gateway's", 'credential-invalid', () => home.credential],
    [
      'has expired',
      'credential-expired',
      () => {
        const operator = new Operator(site.honest.network.serverDir, primitives);
        const longAgo = site.clock.wallSeconds() - 30 * DAY;
        return operator.credential(mallory.signer.publicKey, 'Mallory', 'Cellar', longAgo);
      },
    ],
  ];

  for (const [what, status, credential] of shown)
    it(`that ${what}: ${status}`, async () => {
      const before = site.rows(mallory.gatewayId);
      const gateway = { signer: mallory.signer, credential: credential() };
      const join = joinOf(mallory, pne, { gateway });
      await refused(mallory.client.registerPn(join.txn, join.body), status);
      assert.deepEqual(site.rows(mallory.gatewayId), before);
    });

  it('is refused the same while others establish', () =>
    site.honest.during(async () => {
      for (let round = 0; round < 5; round++)
        for (const [, status, credential] of shown) {
          const join = joinOf(mallory, pne, {
            gateway: { signer: mallory.signer, credential: credential() },
          });
          await refused(mallory.client.registerPn(join.txn, join.body), status);
        }
    }));

  it('that was revoked between two steps gets no further, and the question to the user is not answered for it', async () => {
    const rogue = await site.gateway('Trudy', 'Den');
    const [first, second] = [joinOf(rogue, pne), joinOf(rogue, await site.pne(home))];
    const [one, two] = await Promise.all(
      [first, second].map((join) => rogue.client.registerPn(join.txn, join.body)),
    );
    assert.ok(one && two);
    const asked = first.respond(one.challenge);
    await rogue.client.respond(first.txn, asked.response);
    site.admin.revokeGateway(hex(rogue.gatewayId));
    await site.honest.during(async () => {
      await refused(
        rogue.client.respond(second.txn, second.respond(two.challenge).response),
        'revoked-gateway',
      );
      await refused(rogue.client.transaction(first.txn), 'revoked-gateway');
      await refused(rogue.client.enrolmentNonce(), 'revoked-gateway');
      // User A said yes in good faith: it is taken, and nothing is registered on it.
      assert.equal(await home.client.confirm(asked.joinId, sayYes(home.signer, asked.th3)), 'ok');
    });
    const { pn, evidence, registration } = site.rows(rogue.gatewayId);
    assert.deepEqual([pn, evidence, registration], [0, 0, 2]);
  });
});
