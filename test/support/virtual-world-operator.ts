/**
 * Keys and words of an operator for tests: root, server key, credentials, and everything the server signs, made by hand.
 * Also the cryptographic port with seeded randomness, so that a seed gives the same identifiers again. Test code only:
 * a seeded key is no secret.
 */
import { createECDH, createPrivateKey } from 'node:crypto';
import { type Bytes, EMPTY } from '../../src/base/bytes.ts';
import { CpnsError } from '../../src/base/errors.ts';
import type { Prng } from '../../src/base/prng.ts';
import { GatewayCredentialPayload, ServerKeysPayload } from '../../src/messages/credential.ts';
import { formatHomeAddress } from '../../src/messages/home-address.ts';
import type { Message } from '../../src/messages/message.ts';
import { assembleSign1 } from '../../src/security/cose.ts';
import { coseKeyOf, gatewayIdOf, kidOf, thumbprintOf } from '../../src/security/cose-key.ts';
import { type SoftwareSigner, softwareSigner } from '../../src/security/keystore.ts';
import type { Ephemeral, Primitives } from '../../src/security/primitives.ts';
import { nodePrimitives } from '../../src/security/primitives-node.ts';
import { pinServerKeys, type ServerKeys } from '../../src/security/server-keys.ts';
import { toBeSigned } from '../../src/security/signed-message.ts';

export const REALM = 'cpns.example';
export const START_SECONDS = 1_800_000_000;
export const CREDENTIAL_SECONDS = 7 * 86_400;

const NODE = nodePrimitives(1024);

/** The real primitives, but for randomness, which is the seed's. */
export function seededPrimitives(prng: Prng): Primitives {
  const randomBytes = (length: number) => Uint8Array.from({ length }, () => Math.floor(prng.next() * 256));
  return { ...NODE, randomBytes, generateEphemeral: () => ephemeralOf(randomBytes(32)) };
}

function ephemeralOf(scalar: Bytes): Ephemeral {
  const ecdh = createECDH('prime256v1');
  ecdh.setPrivateKey(scalar);
  return {
    x: new Uint8Array(ecdh.getPublicKey().subarray(1, 33)),
    agree: (peerX) => {
      try {
        return new Uint8Array(ecdh.computeSecret(Uint8Array.of(2, ...peerX)));
      } catch (cause) {
        throw new CpnsError('malformed', 'not a point', { cause });
      }
    },
  };
}

/** An identity key of the seed. */
export function seededSigner(primitives: Primitives): SoftwareSigner {
  const scalar = primitives.randomBytes(32);
  const ecdh = createECDH('prime256v1');
  ecdh.setPrivateKey(scalar);
  const point = ecdh.getPublicKey();
  const text = (bytes: Uint8Array) => Buffer.from(bytes).toString('base64url');
  const jwk = {
    kty: 'EC',
    crv: 'P-256',
    d: text(scalar),
    x: text(point.subarray(1, 33)),
    y: text(point.subarray(33)),
  };
  return softwareSigner(createPrivateKey({ key: jwk, format: 'jwk' }));
}

export class Operator {
  readonly primitives: Primitives;
  readonly root: SoftwareSigner;
  server: SoftwareSigner;

  constructor(primitives: Primitives) {
    this.primitives = primitives;
    this.root = seededSigner(primitives);
    this.server = seededSigner(primitives);
  }

  /** The keys as a PNE or gateway pins them at enrolment. */
  pinned(): ServerKeys {
    const { root, server } = this;
    return pinServerKeys(this.primitives, coseKeyOf(root.publicKey), [coseKeyOf(server.publicKey)]);
  }

  get kid(): Bytes {
    return kidOf(this.primitives, this.server.publicKey);
  }

  /** Signs any message of the protocol; with a kid when it is the server who signs. */
  sign<T>(message: Message<T>, th: Bytes, value: T, signer: SoftwareSigner = this.server): Bytes {
    const payload = message.encode(value);
    const kid = message.info.signing?.kid ? kidOf(this.primitives, signer.publicKey) : undefined;
    return assembleSign1(payload, signer.sign(toBeSigned(message, th, payload)), kid);
  }

  credential(gateway: SoftwareSigner, labels: Partial<CredentialFields> = {}): Bytes {
    const {
      user = 'bob',
      gateway: label = 'kitchen',
      expiresAt = START_SECONDS + CREDENTIAL_SECONDS,
      by,
    } = labels;
    const { publicKey } = gateway;
    return this.sign(
      GatewayCredentialPayload,
      EMPTY,
      {
        expiresAt,
        gatewayId: labels.gatewayId ?? gatewayIdOf(this.primitives, publicKey),
        confirmation: { key: coseKeyOf(publicKey) },
        labels: { role: 'gateway', user, gateway: label },
      },
      by,
    );
  }

  /** The root states that these are the server's keys now. */
  serverKeysStatement(
    issuedAt: number,
    keys: readonly SoftwareSigner[] = [this.server],
    by = this.root,
  ): Bytes {
    const value = { keys: keys.map(({ publicKey }) => coseKeyOf(publicKey)), issuedAt };
    return this.sign(ServerKeysPayload, EMPTY, value, by);
  }

  homeAddressOf(gateway: SoftwareSigner): string {
    return formatHomeAddress({ gatewayId: gatewayIdOf(this.primitives, gateway.publicKey), realm: REALM });
  }

  thumbprintOf(signer: SoftwareSigner) {
    return thumbprintOf(this.primitives, signer.publicKey);
  }
}

export interface CredentialFields {
  readonly user: string;
  readonly gateway: string;
  readonly expiresAt: number;
  readonly gatewayId: ReturnType<typeof gatewayIdOf>;
  readonly by: SoftwareSigner;
}
