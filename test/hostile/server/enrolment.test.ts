/**
 * Enrolment under attack: a stranger who guesses tokens, a gateway that claims a PNE that is not its own, by replaying
 * another's claim, by racing for it, by going back in epochs. Who owns a PNE does not change, and the token still works.
 */
import assert from 'node:assert/strict';
import { enrolGateway } from '../../../src/https/server-client-enrol.ts';
import { GatewayEnrolRequest } from '../../../src/messages/enrolment.ts';
import { thumbprintOf } from '../../../src/security/cose-key.ts';
import { parseGatewayToken } from '../../../src/security/gateway-token.ts';
import { generateKey, softwareSigner } from '../../../src/security/keystore.ts';
import { createCertificateRequest } from '../../../src/security/x509.ts';
import { primitives } from '../../support/join.ts';
import { buildEnrolment, hex, refused, type TestGateway } from '../../support/server-kit.ts';
import { ended, readAnswers, request, Site } from './site.ts';

describe('enrolment under attack', function () {
  this.timeout(30_000);
  let site: Site;
  let carol: TestGateway;
  let mallory: TestGateway;

  before(async () => {
    site = await Site.open();
    carol = await site.gateway('Carol', 'Hall');
    mallory = await site.gateway('Mallory');
  });
  after(() => site.close());

  const ownerOf = (pne: ReturnType<typeof softwareSigner>) => {
    const id = hex(thumbprintOf(primitives, pne.publicKey));
    return site.admin.pnes().find(({ thumbprint }) => hex(thumbprint) === id);
  };

  it('by guesses at the secret of a token: a few a minute from one address, and the token stays good', async () => {
    const { token } = site.admin.createToken({ user: 'Carol', gatewayLabel: 'Attic' });
    const parsed = parseGatewayToken(primitives, token);
    const signer = softwareSigner(generateKey());
    const certificationRequest = createCertificateRequest(signer, 'Attic');
    const heard = new Map<string, number>();
    await site.honest.during(async () => {
      for (let guess = 0; guess < 60; guess++) {
        const tokenSecret = primitives.randomBytes(16);
        const body = GatewayEnrolRequest.encode({ tokenId: parsed.id, tokenSecret, certificationRequest });
        const socket = await site.dial(undefined, { localAddress: '127.0.0.9' });
        const answers = ended(socket);
        socket.write(request('POST', '/cpns/v1/gateways', body));
        const [answer] = readAnswers(await answers);
        heard.set(answer?.problem ?? 'ok', (heard.get(answer?.problem ?? 'ok') ?? 0) + 1);
        if (answer?.problem === 'too-many-requests') assert.ok(Number(answer.retryAfter) >= 1);
      }
    });
    assert.deepEqual([...heard.keys()].sort(), ['token-invalid', 'too-many-requests']);
    assert.ok((heard.get('token-invalid') ?? 0) < 45, JSON.stringify([...heard]));
    assert.ok((await site.metric('cpns_limited_total{limit="tokens-per-address"}')) > 0);
    const { answer } = await enrolGateway(primitives, site.url, parsed, certificationRequest);
    assert.equal(answer.userLabel, 'Carol');
  });

  it("by another gateway's claim, whole or under an offer of its own, before and after a restart", async () => {
    const pne = softwareSigner(generateKey());
    const theirs = await buildEnrolment(carol, pne);
    await carol.client.enrolPne(theirs.nonce, theirs.request);
    const before = site.rows(mallory.gatewayId).enrolment;
    for (let life = 0; life < 2; life++) {
      const mine = await buildEnrolment(mallory, pne, { epoch: 5 });
      await site.honest.during(async () => {
        await refused(mallory.client.enrolPne(theirs.nonce, theirs.request), 'unknown-transaction');
        await refused(mallory.client.enrolPne(mine.nonce, theirs.request), 'transcript-mismatch');
        const spliced = { ...mine.request, claim: theirs.request.claim };
        await refused(mallory.client.enrolPne(mine.nonce, spliced), 'response-invalid');
        // The PNE itself goes along: it is Carol's all the same.
        await refused(mallory.client.enrolPne(mine.nonce, mine.request), 'already-owned');
      });
      await site.restart();
    }
    assert.equal(ownerOf(pne)?.userLabel, 'Carol');
    assert.equal(site.rows(mallory.gatewayId).enrolment, before + 2, 'two nonces, of which neither was used');
    assert.equal(site.rows(mallory.gatewayId).pne, 0);
  });

  it('by a race: one of two gets the PNE, the other hears whose it is not', async () => {
    const pne = softwareSigner(generateKey());
    const claims = await Promise.all([carol, mallory].map((home) => buildEnrolment(home, pne)));
    const ends = await Promise.allSettled(
      [carol, mallory].map(async (home, i) => {
        const claim = claims[i];
        assert.ok(claim);
        return home.client.enrolPne(claim.nonce, claim.request);
      }),
    );
    const lost = ends.filter(({ status }) => status === 'rejected');
    assert.equal(lost.length, 1);
    assert.match(String((lost[0] as PromiseRejectedResult).reason), /already-owned/);
    assert.equal(ownerOf(pne)?.userLabel, ends[0]?.status === 'fulfilled' ? 'Carol' : 'Mallory');
  });

  it('by going back: an epoch that was, a claim that was used, a PNE that was released', async () => {
    const pne = softwareSigner(generateKey());
    const old = await buildEnrolment(mallory, pne, { epoch: 1 });
    await mallory.client.enrolPne(old.nonce, old.request);
    const unused = await buildEnrolment(mallory, pne, { epoch: 1 });
    site.admin.releasePne(hex(thumbprintOf(primitives, pne.publicKey)));
    const present = await buildEnrolment(carol, pne, { epoch: 2 });
    await carol.client.enrolPne(present.nonce, present.request);
    site.admin.releasePne(hex(thumbprintOf(primitives, pne.publicKey)));
    // Its receipt is told again, and makes it nobody's.
    await mallory.client.enrolPne(old.nonce, old.request);
    await refused(mallory.client.enrolPne(unused.nonce, unused.request), 'enrolment-code-spent');
    assert.equal(ownerOf(pne)?.state, 'released');
    assert.equal(ownerOf(pne)?.epoch, 2);
  });
});
