/** An authenticator in software, for what no browser lets anybody do: every algorithm, any flag, any count, anybody's origin. */
import { createHash, generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto';
import type { Algorithm, Assertion, NewPasskey } from '../../src/console/webauthn.ts';

export const PRESENT = 0x01;
export const VERIFIED = 0x04;
export const BACKED_UP = 0x10;
const ATTESTED = 0x40;

/** What to say; the rest is as an honest browser has it. */
export interface Said {
  readonly challenge: string;
  readonly origin: string;
  readonly rpId?: string;
  readonly type?: string;
  readonly flags?: number;
  readonly more?: object;
}

const PAIRS: Readonly<
  Record<Algorithm, () => { readonly publicKey: KeyObject; readonly privateKey: KeyObject }>
> = {
  [-7]: () => generateKeyPairSync('ec', { namedCurve: 'P-256' }),
  [-8]: () => generateKeyPairSync('ed25519'),
  [-257]: () => generateKeyPairSync('rsa', { modulusLength: 2_048 }),
};

export class SoftAuthenticator {
  readonly id = randomBytes(32);
  readonly #algorithm: Algorithm;
  readonly #pair;
  count: number;

  constructor(algorithm: Algorithm = -7, count = 1) {
    this.#algorithm = algorithm;
    this.#pair = PAIRS[algorithm]();
    this.count = count;
  }

  register(said: Said): NewPasskey {
    const length = Buffer.alloc(2);
    length.writeUInt16BE(this.id.length);
    const attested = Buffer.concat([Buffer.alloc(16), length, this.id]);
    return {
      id: this.id.toString('base64url'),
      clientData: clientData(said, 'webauthn.create').toString('base64url'),
      authenticatorData: Buffer.concat([this.#head(said, ATTESTED), attested]).toString('base64url'),
      publicKey: this.#pair.publicKey.export({ format: 'der', type: 'spki' }).toString('base64url'),
      algorithm: this.#algorithm,
    };
  }

  login(said: Said): Assertion {
    const json = clientData(said, 'webauthn.get');
    const data = this.#head(said, 0);
    const signed = Buffer.concat([data, createHash('sha256').update(json).digest()]);
    const digest = this.#algorithm === -8 ? null : 'sha256';
    return {
      id: this.id.toString('base64url'),
      clientData: json.toString('base64url'),
      authenticatorData: data.toString('base64url'),
      signature: sign(digest, signed, this.#pair.privateKey).toString('base64url'),
    };
  }

  #head({ origin, rpId = new URL(origin).hostname, flags = PRESENT | VERIFIED }: Said, more: number): Buffer {
    const head = Buffer.alloc(37);
    createHash('sha256').update(rpId).digest().copy(head);
    head[32] = flags | more;
    head.writeUInt32BE(this.count, 33);
    return head;
  }
}

function clientData({ challenge, origin, type, more = {} }: Said, usual: string): Buffer {
  return Buffer.from(JSON.stringify({ type: type ?? usual, challenge, origin, crossOrigin: false, ...more }));
}
