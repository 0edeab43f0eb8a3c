/**
 * A browser and its push service, for what the gateway sends: an HTTPS endpoint that answers what it is told to, and the
 * decryption of RFC 8291 and the check of RFC 8292, written from their texts with other libraries than the gateway's.
 */
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gcm } from '@noble/ciphers/aes.js';
import { p256 } from '@noble/curves/nist.js';
import { hkdf } from '@noble/hashes/hkdf.js';
import { sha256 } from '@noble/hashes/sha2.js';

export interface Received {
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: Buffer;
}

export class PushService {
  readonly received: Received[] = [];
  /** HTTP status of the next answers; the last one stays. */
  answers: number[] = [201];
  readonly #folder = mkdtempSync(join(tmpdir(), 'cpns-push-'));
  readonly #server: Server;
  readonly ca: string;

  private constructor() {
    const [cert, key] = [join(this.#folder, 'push.pem'), join(this.#folder, 'push.key')];
    const words = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
    const about = ['-subj', '/CN=push', '-addext', 'subjectAltName=DNS:localhost', '-days', '3'];
    execFileSync('openssl', [...words, ...about, '-keyout', key, '-out', cert], { stdio: 'pipe' });
    this.ca = readFileSync(cert, 'utf8');
    this.#server = createServer({ key: readFileSync(key), cert: this.ca }, (request, response) => {
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('end', () => {
        const { method = '', url: path = '', headers } = request;
        this.received.push({ method, path, headers, body: Buffer.concat(chunks) });
        const status = this.answers.length > 1 ? this.answers.shift() : this.answers[0];
        const elsewhere = { location: 'https://localhost/elsewhere' };
        const other = { connection: 'Upgrade', upgrade: 'another-protocol' };
        response.writeHead(status ?? 500, status === 101 ? other : elsewhere).end('x'.repeat(64));
      });
    });
  }

  static async open(): Promise<PushService> {
    const service = new PushService();
    await new Promise<void>((resolve) => service.#server.listen(0, '127.0.0.1', resolve));
    return service;
  }

  get host(): string {
    return `localhost:${(this.#server.address() as AddressInfo).port}`;
  }

  close(): Promise<void> {
    rmSync(this.#folder, { recursive: true, force: true });
    return new Promise((resolve) => {
      this.#server.close(() => resolve());
      this.#server.closeAllConnections();
    });
  }
}

const b64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64url');

/** The keys of one subscription, as a browser has them. */
export class Subscriber {
  readonly #private: Uint8Array;
  readonly publicKey: Uint8Array;
  readonly auth: Uint8Array;

  constructor(privateKey = p256.utils.randomSecretKey(), auth: Uint8Array = randomBytes(16)) {
    this.#private = privateKey;
    this.publicKey = p256.getPublicKey(privateKey, false);
    this.auth = auth;
  }

  /** As the page posts it. */
  subscription(host: string, more: object = {}) {
    const endpoint = `https://${host}/push/${b64(randomBytes(12))}`;
    const keys = { p256dh: b64(this.publicKey), auth: b64(this.auth) };
    return { name: 'My phone', detail: true, endpoint, ...keys, ...more };
  }

  /** RFC 8188 §2, RFC 8291 §3.4. @throws Error when it is not for this subscription */
  decrypt(body: Uint8Array): Buffer {
    const salt = body.subarray(0, 16);
    const recordBytes = Buffer.from(body.subarray(16, 20)).readUInt32BE();
    const keyId = body.subarray(21, 21 + (body[20] ?? 0));
    const record = body.subarray(21 + keyId.length);
    if (record.length > recordBytes) throw new Error('more than one record');
    const secret = p256.getSharedSecret(this.#private, keyId, false).subarray(1, 33);
    const info = Buffer.concat([Buffer.from('WebPush: info\0'), this.publicKey, keyId]);
    const ikm = hkdf(sha256, secret, this.auth, info, 32);
    const key = hkdf(sha256, ikm, salt, Buffer.from('Content-Encoding: aes128gcm\0'), 16);
    const nonce = hkdf(sha256, ikm, salt, Buffer.from('Content-Encoding: nonce\0'), 12);
    const plain = Buffer.from(gcm(key, nonce).decrypt(record));
    const end = plain.findLastIndex((byte) => byte !== 0);
    if (plain[end] !== 0x02) throw new Error('no delimiter of a last record');
    return plain.subarray(0, end);
  }
}

/** RFC 8292 §2 and §3. @returns the claims and the key @throws Error when it does not verify */
export function readVapid(authorization: string): {
  readonly claims: Record<string, unknown>;
  readonly publicKey: string;
} {
  const [, token = '', publicKey = ''] = /^vapid t=([\w.-]+), k=([\w-]+)$/.exec(authorization) ?? [];
  const [head = '', body = '', signature = ''] = token.split('.');
  const json = (text: string) => JSON.parse(Buffer.from(text, 'base64url').toString('utf8'));
  if (json(head).alg !== 'ES256' || json(head).typ !== 'JWT') throw new Error('not ES256');
  const signed = Buffer.from(`${head}.${body}`);
  const isGood = p256.verify(
    Buffer.from(signature, 'base64url'),
    signed,
    Buffer.from(publicKey, 'base64url'),
    { lowS: false },
  );
  if (!isGood) throw new Error('the signature does not verify');
  return { claims: json(body), publicKey };
}
