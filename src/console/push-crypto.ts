/**
 * The bytes of Web Push: the encryption of a message to one browser (RFC 8291, over RFC 8188), and what tells its push
 * service who sends (VAPID, RFC 8292). Pure, given keys and salt; sending is push-send.ts.
 */
import {
  createCipheriv,
  createECDH,
  createPublicKey,
  generateKeyPairSync,
  hkdfSync,
  type KeyObject,
  randomBytes,
  sign,
} from 'node:crypto';
import { CpnsError } from '../base/errors.ts';

const CURVE = 'prime256v1';
const POINT_BYTES = 65;
export const AUTH_BYTES = 16;
const SALT_BYTES = 16;
const TAG_BYTES = 16;
/** Every message has this length, whatever it says: the push service learns no more of it. */
export const PLAIN_BYTES = 1_024;
/** In front of the padding of the last record. */
const LAST = 0x02;

export interface Receiver {
  /** `p256dh` of the subscription: an uncompressed point. */
  readonly publicKey: Buffer;
  /** `auth` of the subscription. */
  readonly auth: Buffer;
}

/** What a test fixes. */
export interface Chosen {
  readonly privateKey: Buffer;
  readonly salt: Buffer;
  readonly plainBytes: number;
}

/**
 * One record of `aes128gcm` with its header.
 * @param text at most {@link PLAIN_BYTES} − 1 bytes
 * @throws CpnsError malformed when the receiver's key is no point of the curve, oversize
 */
export function encryptPush(text: Buffer, receiver: Receiver, chosen?: Chosen): Buffer {
  const { plainBytes = PLAIN_BYTES, salt = randomBytes(SALT_BYTES) } = chosen ?? {};
  if (text.length + 1 > plainBytes) throw new CpnsError('oversize');
  const sender = createECDH(CURVE);
  if (chosen) sender.setPrivateKey(chosen.privateKey);
  else sender.generateKeys();
  const own = sender.getPublicKey();
  const info = Buffer.concat([Buffer.from('WebPush: info\0'), receiver.publicKey, own]);
  const ikm = hkdf(agree(sender, receiver.publicKey), receiver.auth, info, 32);
  const key = hkdf(ikm, salt, Buffer.from('Content-Encoding: aes128gcm\0'), 16);
  const nonce = hkdf(ikm, salt, Buffer.from('Content-Encoding: nonce\0'), 12);
  const plain = Buffer.alloc(plainBytes);
  text.copy(plain);
  plain[text.length] = LAST;
  const cipher = createCipheriv('aes-128-gcm', key, nonce);
  const sealed = Buffer.concat([cipher.update(plain), cipher.final(), cipher.getAuthTag()]);
  const recordBytes = Buffer.alloc(4);
  recordBytes.writeUInt32BE(Math.max(4_096, plainBytes + TAG_BYTES));
  return Buffer.concat([salt, recordBytes, Buffer.of(own.length), own, sealed]);
}

/** Whether a key is one that a message can be encrypted to. */
export function isPoint(publicKey: Buffer): boolean {
  if (publicKey.length !== POINT_BYTES) return false;
  const own = createECDH(CURVE);
  own.generateKeys();
  try {
    agree(own, publicKey);
    return true;
  } catch {
    return false;
  }
}

function agree(own: ReturnType<typeof createECDH>, publicKey: Buffer): Buffer {
  try {
    return own.computeSecret(publicKey);
  } catch {
    throw new CpnsError('malformed', 'no point of the curve');
  }
}

function hkdf(secret: Buffer, salt: Buffer, info: Buffer, bytes: number): Buffer {
  return Buffer.from(hkdfSync('sha256', secret, salt, info, bytes));
}

export function newVapidKey(): KeyObject {
  return generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
}

/** The public key as browsers take it: an uncompressed point, base64url. */
export function vapidPublicKey(key: KeyObject): string {
  const { x = '', y = '' } = createPublicKey(key).export({ format: 'jwk' });
  const point = Buffer.concat([Buffer.of(4), Buffer.from(x, 'base64url'), Buffer.from(y, 'base64url')]);
  return point.toString('base64url');
}

const VAPID_LIFE_SECONDS = 12 * 3_600;

/** The value of `Authorization`. @param audience origin of the push service @param contact `mailto:…` or `https://…` */
export function vapidHeader(key: KeyObject, audience: string, contact: string, nowSeconds: number): string {
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const claims = { aud: audience, exp: nowSeconds + VAPID_LIFE_SECONDS, sub: contact };
  const signed = `${part({ typ: 'JWT', alg: 'ES256' })}.${part(claims)}`;
  const signature = sign('sha256', Buffer.from(signed), { key, dsaEncoding: 'ieee-p1363' });
  return `vapid t=${signed}.${signature.toString('base64url')}, k=${vapidPublicKey(key)}`;
}
