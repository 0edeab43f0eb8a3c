/** The parties of the vectors: keys with every form they travel in, and the credential of each gateway. */
import { EMPTY } from '../../src/base/bytes.ts';
import { encodeCbor } from '../../src/messages/cbor.ts';
import { CoseKey } from '../../src/messages/common.ts';
import { GatewayCredentialPayload, ServerKeysPayload } from '../../src/messages/credential.ts';
import { formatHomeAddress } from '../../src/messages/home-address.ts';
import { coseKeyOf, gatewayIdOf, kidOf, thumbprintOf } from '../../src/security/cose-key.ts';
import { type FixedSigner, fixedSigner } from './fixed-keys.ts';
import { primitives, signVector } from './signing.ts';

export const SERVER_TIME = 1_893_456_000;
export const REALM = 'op.example';

export const root = fixedSigner('root');
export const server = fixedSigner('server');
export const gw1 = fixedSigner('gateway 1');
export const gw2 = fixedSigner('gateway 2');
export const pne = fixedSigner('pne');

export const gw1Id = gatewayIdOf(primitives, gw1.publicKey);
export const gw2Id = gatewayIdOf(primitives, gw2.publicKey);
export const pneThumbprint = thumbprintOf(primitives, pne.publicKey);
export const homeAddress = formatHomeAddress({ gatewayId: gw1Id, realm: REALM });

function credentialOf(signer: FixedSigner, user: string, gateway: string) {
  return signVector(GatewayCredentialPayload, server, EMPTY, {
    expiresAt: SERVER_TIME + 7 * 86_400,
    gatewayId: gatewayIdOf(primitives, signer.publicKey),
    confirmation: { key: coseKeyOf(signer.publicKey) },
    labels: { role: 'gateway', user, gateway },
  });
}

export const credential1 = credentialOf(gw1, 'Alice Example', 'Hall');
export const credential2 = credentialOf(gw2, 'Bob Example', 'Kitchen');

function keyVector(signer: FixedSigner) {
  const { privateKey, publicKey } = signer;
  return {
    privateKey,
    x: publicKey.x,
    y: publicKey.y,
    coseKey: encodeCbor(CoseKey.toCbor(coseKeyOf(publicKey), 'CoseKey')),
    thumbprint: thumbprintOf(primitives, publicKey),
    kid: kidOf(primitives, publicKey),
  };
}

export function partyVectors() {
  return {
    about: 'Keys: private scalar = SHA-256("cpns1 vector " + name). Signatures: RFC 6979. Bytes in hex.',
    keys: {
      root: keyVector(root),
      server: keyVector(server),
      'gateway 1': keyVector(gw1),
      'gateway 2': keyVector(gw2),
      pne: keyVector(pne),
    },
    gatewayIds: { 'gateway 1': gw1Id, 'gateway 2': gw2Id },
    homeAddress,
    credentials: { 'gateway 1': credential1, 'gateway 2': credential2 },
    serverKeys: signVector(ServerKeysPayload, root, EMPTY, {
      keys: [coseKeyOf(server.publicKey)],
      issuedAt: SERVER_TIME,
    }),
  };
}
