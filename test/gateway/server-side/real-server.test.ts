/**
 * The gateway's server side against the real server: two gateways enrol by token, a PNE enrols with its home gateway, and
 * a join goes from step 3 to step 12 and to the outcome at the home gateway. Bluetooth is played by this file.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join as joinPath } from 'node:path';
import { type Bytes, toHex } from '../../../src/base/bytes.ts';
import { JoinId, PnId, TransactionId } from '../../../src/base/ids.ts';
import { claimTranscript } from '../../../src/enrolment/transcript.ts';
import { verifyChallenge } from '../../../src/establishment/server-words.ts';
import { type ChannelClient, openChannelClient } from '../../../src/https/channel-client.ts';
import { openServerClient, type ServerClient } from '../../../src/https/server-client.ts';
import { encodeCbor } from '../../../src/messages/cbor.ts';
import type { ChannelFrame } from '../../../src/messages/channel.ts';
import { CoseKey } from '../../../src/messages/common.ts';
import { EnrolClaimPayload, EnrolOfferPayload } from '../../../src/messages/enrolment.ts';
import { LINK_KINDS, type LinkKind, Open } from '../../../src/messages/link.ts';
import { PnRegistrationRequest } from '../../../src/messages/registration.ts';
import {
  AuthenticationResponsePayload,
  PnSetupRequestPayload,
  PnSetupResponse,
} from '../../../src/messages/setup.ts';
import { joinIdsOf, verifyInventory } from '../../../src/network/inventory.ts';
import { enrolAtServer } from '../../../src/nodes/gateway/enrol.ts';
import { HomeGatewayNode } from '../../../src/nodes/gateway/home-gateway.ts';
import { type GatewayIdentity, readGatewayIdentity } from '../../../src/nodes/gateway/identity.ts';
import { initServer, openServerAdmin, type ServerAdmin } from '../../../src/nodes/server/admin.ts';
import { type CpnsServer, openServer } from '../../../src/nodes/server/server.ts';
import { systemClock } from '../../../src/nodes/system-clock.ts';
import { coseKeyOf, thumbprintOf } from '../../../src/security/cose-key.ts';
import { transcript1, transcript2, transcript3 } from '../../../src/security/key-schedule.ts';
import { generateKey, softwareSigner } from '../../../src/security/keystore.ts';
import { nodePrimitives } from '../../../src/security/primitives-node.ts';
import { createCertificateRequest } from '../../../src/security/x509.ts';
import { type GatewayStore, openGatewayStore } from '../../../src/store/gateway-store.ts';
import { signMessage } from './confirm-samples.ts';

const primitives = nodePrimitives();
const CAPABILITY = new Uint8Array(60).fill(3);
const newSigner = () => ({ ...softwareSigner(generateKey()), path: '' });

interface Gateway {
  readonly signer: ReturnType<typeof newSigner>;
  readonly store: GatewayStore;
  readonly identity: GatewayIdentity;
  readonly client: ServerClient;
}

describe('gateway and real server', () => {
  let folder: string;
  let server: CpnsServer;
  let admin: ServerAdmin;
  let alice: Gateway;
  let bob: Gateway;
  const pne = newSigner();
  const channels: ChannelClient[] = [];
  const nodes: HomeGatewayNode[] = [];

  const url = () => `https://localhost:${new URL(server.url).port}`;

  async function newGateway(user: string, gatewayLabel: string): Promise<Gateway> {
    const signer = newSigner();
    const store = openGatewayStore(':memory:');
    const { token } = admin.createToken({ user, gatewayLabel });
    const options = { serverUrl: url(), token, store, signer, primitives, clock: systemClock };
    const first = await enrolAtServer(options);
    // The same token and key again: the same gateway, not a second one.
    assert.deepEqual((await enrolAtServer(options)).answer.gatewayId, first.answer.gatewayId);
    const identity = readGatewayIdentity(store, primitives, signer);
    const client = openServerClient({ baseUrl: url(), caPem: identity.caPem, identity: identity.tls });
    return { signer, store, identity, client };
  }

  before(async () => {
    folder = mkdtempSync(joinPath(tmpdir(), 'cpns-server-'));
    initServer({ stateDir: folder, realm: 'example.org' });
    server = await openServer({ stateDir: folder, port: 0 });
    admin = openServerAdmin(folder);
    for (const user of ['alice', 'bob']) admin.addUser(user);
    alice = await newGateway('alice', 'kitchen');
    bob = await newGateway('bob', 'van');
  });
  after(async () => {
    for (const channel of channels) await channel.close();
    for (const node of nodes) await node.close();
    for (const gateway of [alice, bob]) {
      gateway.client.close();
      gateway.store.close();
    }
    admin.close();
    await server.close();
    rmSync(folder, { recursive: true });
  });

  function opens(kind: LinkKind) {
    const common = { versions: [1], suites: [1], segmentBytes: 244, credits: 32 };
    const ephemeral = () => primitives.generateEphemeral().x;
    const openP = Open.encode({ ...common, role: 'pne', ephemeral: ephemeral() });
    const openG = Open.encode({ ...common, role: 'gateway', ephemeral: ephemeral(), kind });
    return { openG, openP, th1: transcript1(primitives, LINK_KINDS[kind], openG, openP) };
  }

  it('refuses a spent token with another key', async () => {
    const { token } = admin.createToken({ user: 'bob', gatewayLabel: 'shed' });
    const options = { serverUrl: url(), token, primitives, clock: systemClock };
    const store = openGatewayStore(':memory:');
    await enrolAtServer({ ...options, store, signer: newSigner() });
    await assert.rejects(enrolAtServer({ ...options, store, signer: newSigner() }), {
      status: 'token-invalid',
    });
  });

  it('renews certificate and credential', async () => {
    const answer = await bob.client.renew(createCertificateRequest(bob.signer, 'bob'));
    assert.deepEqual(answer.gatewayId, bob.identity.gatewayId);
  });

  it('asks for a client certificate', async () => {
    const nobody = openServerClient({ baseUrl: url(), caPem: server.caPem });
    await assert.rejects(nobody.enrolmentNonce(), { status: 'not-authenticated' });
    nobody.close();
  });

  it('knows no transaction that never was', async () => {
    const txn = TransactionId(new Uint8Array(16));
    await assert.rejects(bob.client.transaction(txn), { status: 'unknown-transaction' });
  });

  it('enrols a PNE with its home gateway', async () => {
    const { nonce } = await alice.client.enrolmentNonce();
    const { openG, openP, th1 } = opens('enrol');
    const offer = signMessage(alice.signer, EnrolOfferPayload, th1, { ...alice.identity.offer, nonce });
    const key = coseKeyOf(pne.publicKey);
    const claim = signMessage(pne, EnrolClaimPayload, claimTranscript(primitives, th1, offer), {
      key,
      pneId: 'heart monitor',
      epoch: 1,
    });
    const receipt = await alice.client.enrolPne(nonce, { openG, openP, offer, claim });
    assert.deepEqual(await alice.client.enrolPne(nonce, { openG, openP, offer, claim }), receipt);
    alice.store.home.savePne({
      thumbprint: thumbprintOf(primitives, pne.publicKey),
      key: encodeCbor(CoseKey.toCbor(key, 'CoseKey')),
      pneId: 'heart monitor',
      epoch: 1,
      rms: new Uint8Array(32),
      enrolledAt: systemClock.wallSeconds(),
    });
    assert.equal(await alice.client.ackEnrolment(nonce, 'ok'), 'ok');
  });

  /** Steps 1 to 7 with this PN; what GW2 would have on disk before step 7 is on disk. */
  async function joinUpToStep7(pnId: PnId): Promise<{ joinId: JoinId; txn: TransactionId }> {
    const { signer, identity, store, client } = bob;
    const { openG, openP, th1 } = opens('establish');
    const { credential } = identity;
    const claim = { pnId, setupType: 'new', name: 'van', credential } as const;
    const m1 = signMessage(signer, PnSetupRequestPayload, th1, claim);
    const thumbprint = thumbprintOf(primitives, pne.publicKey);
    const { homeAddress } = alice.identity;
    const m2 = PnSetupResponse.encode({ status: 'ok', capability: CAPABILITY, homeAddress, thumbprint });
    const th2 = transcript2(primitives, th1, m1, m2);
    const txn = TransactionId(th2.slice(0, 16));
    const gatewayInfo = { capability: new Uint8Array(3), subscription: 'bob mobile' };
    const registration = PnRegistrationRequest.encode({ openG, openP, m1, m2, gatewayInfo });
    const step4 = await client.registerPn(txn, registration);
    assert.deepEqual(await client.registerPn(txn, registration), step4);
    const challenge = verifyChallenge(primitives, identity.serverKeys, th2, step4.challenge);
    const th3 = transcript3(primitives, th2, challenge.payload);
    const response: Bytes = signMessage(pne, AuthenticationResponsePayload, th3, { status: 'ok' });
    const joinId = JoinId(th3.slice(0, 16));
    if (!store.networks.pn(pnId)) store.networks.createPn({ pnId, name: 'van', inviting: true }, 1);
    const rms = new Uint8Array(32);
    store.networks.saveJoin({ joinId, txn, th3, pnId, thumbprint, registration, response, rms }, 1);
    const state = await client.respond(txn, response);
    assert.ok(['verified', 'registered', 'refused'].includes(state.state));
    return { joinId, txn };
  }

  /** Alice's home gateway, deciding by rule; resolves with the status of the next join it was asked about. */
  function homeAnswers(decision: 'allow' | 'deny'): Promise<string> {
    return new Promise((resolve) => {
      const node = new HomeGatewayNode({
        store: alice.store,
        client: alice.client,
        signer: alice.signer,
        primitives,
        gatewayId: alice.identity.gatewayId,
        serverKeys: () => alice.identity.serverKeys,
        rules: [{ decision, user: 'bob' }],
        subscription: 'alice mobile',
        clock: systemClock,
        onEvent: (event) => {
          if (event.kind === 'settled') resolve(event.status);
        },
      });
      nodes.push(node);
      listen(alice, async (frame) => {
        if (frame.kind === 'pne-confirm-request') node.onConfirmRequest(frame.body);
        if (frame.kind === 'join-outcome') await node.onJoinOutcome(frame.body);
      });
    });
  }

  function listen({ identity }: Gateway, onFrame: (frame: ChannelFrame) => Promise<void>): void {
    const { caPem, tls } = identity;
    channels.push(openChannelClient({ baseUrl: url(), caPem, identity: tls, onFrame }));
  }

  const answered = (gateway: Gateway) =>
    new Promise<Extract<ChannelFrame, { kind: 'pn-registration-response' }>['body']>((resolve) => {
      listen(gateway, async (frame) => {
        if (frame.kind === 'pn-registration-response') resolve(frame.body);
      });
    });

  it('takes a join to its inventory, and to the outcome at the home gateway', async () => {
    const pnId = PnId(primitives.randomBytes(8));
    const settled = homeAnswers('allow');
    const response = answered(bob);
    const { joinId, txn } = await joinUpToStep7(pnId);
    const step11 = await response;
    assert.equal(toHex(step11.txn), toHex(txn));
    assert.equal(step11.status, 'ok');
    const bytes = 'inventory' in step11 ? step11.inventory : new Uint8Array();
    const { gatewayId, serverKeys } = bob.identity;
    const expected = { pnId, gatewayId, atLeastVersion: 0, joinId, capability: CAPABILITY };
    const inventory = verifyInventory(primitives, serverKeys, bytes, expected);
    const change = bob.store.networks.saveInventory(
      { pnId, version: inventory.version, bytes, joinIds: joinIdsOf(inventory) },
      2,
    );
    assert.deepEqual(change.live, [joinId]);
    assert.equal(await settled, 'ok');
    assert.equal((await bob.client.transaction(txn)).state, 'registered');
    assert.ok((await bob.client.freshness(new Uint8Array(32), joinId)).length > 0);
    for (const [name, wrong] of Object.entries({
      'another PN': { pnId: PnId(new Uint8Array(8)) },
      'another gateway': { gatewayId: alice.identity.gatewayId },
      'a version that goes back': { atLeastVersion: inventory.version + 1 },
      'another join': { joinId: JoinId(new Uint8Array(16)) },
      'another capability': { capability: new Uint8Array(60) },
    })) {
      const check = () => verifyInventory(primitives, serverKeys, bytes, { ...expected, ...wrong });
      assert.throws(check, { status: 'inventory-invalid' }, name);
    }
  });

  it('hears that the user refused, with the signed outcome', async () => {
    for (const channel of channels.splice(0)) await channel.close();
    const settled = homeAnswers('deny');
    const response = answered(bob);
    const { joinId } = await joinUpToStep7(PnId(primitives.randomBytes(8)));
    const step11 = await response;
    assert.equal(step11.status, 'user-refused');
    assert.equal(await settled, 'user-refused');
    const outcome = 'outcome' in step11 ? step11.outcome : new Uint8Array();
    assert.equal(bob.store.networks.refuseJoin(joinId, step11.status, outcome, 3)?.status, 'user-refused');
  });
});
