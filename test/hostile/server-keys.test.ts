/** An operator's key leaked and was replaced; its old statement of keys is as validly signed by the root as ever. */
import assert from 'node:assert/strict';
import { EMPTY } from '../../src/base/bytes.ts';
import { CpnsError } from '../../src/base/errors.ts';
import { ServerKeysPayload } from '../../src/messages/credential.ts';
import { EnrolOfferPayload } from '../../src/messages/enrolment.ts';
import { formatHomeAddress } from '../../src/messages/home-address.ts';
import { readOwner } from '../../src/nodes/pne/trust.ts';
import { coseKeyOf, gatewayIdOf } from '../../src/security/cose-key.ts';
import { generateKey, type SoftwareSigner, softwareSigner } from '../../src/security/keystore.ts';
import { verifyServerKeys } from '../../src/security/server-keys.ts';
import { openPneStore, type PneStore } from '../../src/store/pne-store.ts';
import { primitives, signMessage } from '../support/join.ts';

const ENROLLED_AT = 1_800_000_000;

describe('server keys at a PNE', () => {
  const [root, leaked, present, gateway] = [0, 1, 2, 3].map(() => softwareSigner(generateKey()));

  function enrolled(): PneStore {
    assert.ok(root && present && gateway);
    const store = openPneStore(':memory:');
    const offer = EnrolOfferPayload.encode({
      gatewayKey: coseKeyOf(gateway.publicKey),
      rootKey: coseKeyOf(root.publicKey),
      serverKeys: [coseKeyOf(present.publicKey)],
      homeAddress: formatHomeAddress({
        gatewayId: gatewayIdOf(primitives, gateway.publicKey),
        realm: 'op.example',
      }),
      userLabel: 'Alice',
      nonce: new Uint8Array(16),
      credential: new Uint8Array(1),
    });
    const ownership = { offer, userLabel: 'Alice', epoch: 1, homeRms: new Uint8Array(32) };
    store.saveOwnership({ ...ownership, serverKeysStatement: undefined }, ENROLLED_AT, 0);
    return store;
  }

  function statement(keys: readonly (SoftwareSigner | undefined)[], issuedAt: number): Uint8Array {
    assert.ok(root);
    const coseKeys = keys.flatMap((key) => (key ? [coseKeyOf(key.publicKey)] : []));
    return signMessage(ServerKeysPayload, EMPTY, { keys: coseKeys, issuedAt }, root);
  }

  it('are not put back by a statement from before the enrolment that pinned them', () => {
    const owner = readOwner(enrolled(), primitives);
    assert.ok(owner);
    const old = statement([leaked], ENROLLED_AT - 86_400);
    assert.throws(
      () => verifyServerKeys(primitives, owner.serverKeys, old),
      (error) => error instanceof CpnsError && error.status === 'credential-invalid',
    );
  });

  it('are replaced by a later statement, which survives a restart', () => {
    const store = enrolled();
    const later = statement([leaked, present], ENROLLED_AT + 1);
    const owner = readOwner(store, primitives);
    assert.ok(owner);
    assert.equal(verifyServerKeys(primitives, owner.serverKeys, later).keys.length, 2);
    store.saveServerKeys(later);
    assert.equal(readOwner(store, primitives)?.serverKeys.issuedAt, ENROLLED_AT + 1);
  });
});
