/** The gateway credential and the server key set: each status, in the order of cost, and the context that binds each. */
import assert from 'node:assert/strict';
import { EMPTY } from '../../src/base/bytes.ts';
import { GatewayId } from '../../src/base/ids.ts';
import { GatewayCredentialPayload, ServerKeysPayload } from '../../src/messages/credential.ts';
import { parseSign1, sign1 } from '../../src/security/cose.ts';
import { coseKeyOf, gatewayIdOf, kidOf, thumbprintOf } from '../../src/security/cose-key.ts';
import { verifyCredential } from '../../src/security/credential.ts';
import type { SoftwareSigner } from '../../src/security/keystore.ts';
import { keysFor, pinServerKeys, verifyServerKeys } from '../../src/security/server-keys.ts';
import { fault, flipped, newSigner, primitives } from './helpers.ts';

const NOW = 1_893_456_000;
const CREDENTIAL = 'cpns1/gateway-credential';
const KEYS = 'cpns1/server-keys';

const root = newSigner();
const server = newSigner();
const gateway = newSigner();
const stranger = newSigner();
const kid = kidOf(primitives, server.publicKey);
const pinned = pinServerKeys(primitives, coseKeyOf(root.publicKey), [coseKeyOf(server.publicKey)], NOW - 100);

interface Forgery {
  readonly signer?: SoftwareSigner;
  readonly context?: string;
  readonly th?: Uint8Array;
  readonly kid?: Uint8Array | undefined;
  readonly payload?: Partial<GatewayCredentialPayload>;
}

function credential(forgery: Forgery = {}): Promise<Uint8Array> {
  const payload = GatewayCredentialPayload.encode({
    expiresAt: NOW,
    gatewayId: gatewayIdOf(primitives, gateway.publicKey),
    confirmation: { key: coseKeyOf(gateway.publicKey) },
    labels: { role: 'gateway', user: 'Ada', gateway: 'Kitchen' },
    ...forgery.payload,
  });
  const hint = 'kid' in forgery ? forgery.kid : kid;
  return sign1(forgery.signer ?? server, forgery.context ?? CREDENTIAL, forgery.th ?? EMPTY, payload, hint);
}

const verify = (bytes: Uint8Array, now = NOW) => verifyCredential(primitives, pinned, bytes, { now });

describe('gateway credential', () => {
  it('says whose gateway it is', async () => {
    assert.deepEqual(verify(await credential()), {
      gatewayId: gatewayIdOf(primitives, gateway.publicKey),
      key: gateway.publicKey,
      thumbprint: thumbprintOf(primitives, gateway.publicKey),
      userLabel: 'Ada',
      gatewayLabel: 'Kitchen',
      expiresAt: NOW,
    });
  });

  it('is refused without kid: it would cost a verification for each pinned key', async () => {
    const bytes = await credential({ kid: undefined });
    assert.throws(() => verify(bytes), fault('malformed'));
  });

  it('lives up to its last second', async () => {
    const bytes = await credential();
    verify(bytes, NOW);
    verify(bytes, 0);
    assert.throws(() => verify(bytes, NOW + 1), fault('credential-expired'));
  });

  it('of a key that is not pinned', async () => {
    const bytes = await credential({ signer: stranger, kid: kidOf(primitives, stranger.publicKey) });
    // Before its age: a fresh key set mends it, so the gateway must hear of that first.
    for (const now of [NOW, NOW + 1])
      assert.throws(() => verify(bytes, now), fault('credential-unknown-key'));
  });

  const invalid: readonly (readonly [string, Forgery])[] = [
    ['by another key under a pinned kid', { signer: stranger }],
    ['by the root', { signer: root }],
    ['by the gateway itself', { signer: gateway }],
    ['in another context', { context: KEYS }],
    ['over a session', { th: new Uint8Array(32) }],
    ['with the gatewayId of another key', { payload: { gatewayId: GatewayId(new Uint8Array(8)) } }],
    ["with another gateway's key", { payload: { confirmation: { key: coseKeyOf(stranger.publicKey) } } }],
  ];
  for (const [name, forgery] of invalid)
    it(`signed ${name}`, async () => {
      const bytes = await credential(forgery);
      assert.throws(() => verify(bytes), fault('credential-invalid'));
    });

  it('with a key off the curve, or no payload of this kind', async () => {
    const bad = await credential({
      payload: { confirmation: { key: { x: new Uint8Array(32).fill(255), y: true } } },
    });
    assert.throws(() => verify(bad), fault('malformed'));
    assert.throws(() => verify(bad.slice(0, -1)), fault('malformed'));
    const keys = ServerKeysPayload.encode({ keys: [coseKeyOf(server.publicKey)], issuedAt: NOW });
    const other = await sign1(server, CREDENTIAL, EMPTY, keys, kid);
    assert.throws(() => verify(other), fault('malformed'));
  });

  it('with any byte of the payload changed', async () => {
    const bytes = await credential();
    const { payload } = parseSign1(bytes);
    const from = bytes.length - 66 - payload.length;
    for (let i = from; i < from + payload.length; i++)
      assert.throws(() => verify(flipped(bytes, i)), `byte ${i}`);
  });
});

describe('server key set', () => {
  const next = newSigner();

  function statement(issuedAt: number, signer = root, context = KEYS): Promise<Uint8Array> {
    const keys = [next, server].map(({ publicKey }) => coseKeyOf(publicKey));
    return sign1(signer, context, EMPTY, ServerKeysPayload.encode({ keys, issuedAt }));
  }

  it('replaces the pinned one when newer, and its keys count at once', async () => {
    const newer = verifyServerKeys(primitives, pinned, await statement(NOW));
    assert.equal(newer.issuedAt, NOW);
    assert.deepEqual(newer.root, root.publicKey);
    assert.deepEqual(keysFor(newer)(kidOf(primitives, next.publicKey)), [next.publicKey]);
    assert.deepEqual(keysFor(newer)(undefined), [next.publicKey, server.publicKey]);
    const bytes = await credential({ signer: next, kid: kidOf(primitives, next.publicKey) });
    assert.throws(() => verify(bytes), fault('credential-unknown-key'));
    assert.equal(verifyCredential(primitives, newer, bytes, { now: NOW }).userLabel, 'Ada');
  });

  it('is refused when as old or older', async () => {
    for (const issuedAt of [pinned.issuedAt, pinned.issuedAt - 1]) {
      const bytes = await statement(issuedAt);
      assert.throws(() => verifyServerKeys(primitives, pinned, bytes), fault('credential-invalid', /newer/));
    }
  });

  it("is refused when not the root's, or in another context", async () => {
    for (const bytes of [await statement(NOW, server), await statement(NOW, root, CREDENTIAL)])
      assert.throws(() => verifyServerKeys(primitives, pinned, bytes), fault('credential-invalid'));
  });

  it('is refused when a key is off the curve', async () => {
    const keys = [{ x: new Uint8Array(32).fill(255), y: false }];
    const bytes = await sign1(root, KEYS, EMPTY, ServerKeysPayload.encode({ keys, issuedAt: NOW }));
    assert.throws(() => verifyServerKeys(primitives, pinned, bytes), fault('malformed'));
    assert.throws(() => pinServerKeys(primitives, coseKeyOf(root.publicKey), keys), fault('malformed'));
  });

  it('pins by default at no time, so that any statement is newer', () => {
    const fresh = pinServerKeys(primitives, coseKeyOf(root.publicKey), [coseKeyOf(server.publicKey)]);
    assert.equal(fresh.issuedAt, 0);
  });
});
