/**
 * Identity keys in files: P-256, PKCS#8 PEM, mode 0600 in a directory of mode 0700 (docs/protocol.md §4.4, design §3).
 * Owns their form, and refusing files that others can read. Must never replace a key, nor let a
 * key into an error. The private key is there for TLS; everything else only signs.
 */
import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { closeSync, fstatSync, openSync, readFileSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import type { Bytes } from '../base/bytes.ts';
import { CpnsError } from '../base/errors.ts';
import { createFile, exists, makeDirectory } from './durable-file.ts';
import type { PublicKey } from './primitives.ts';
import { nodePrimitives } from './primitives-node.ts';
import type { Signer } from './signer.ts';

const PRIVATE_FILE = 0o600;
const OTHERS = 0o077;
const OTHERS_WRITE = 0o022;
const STICKY = 0o1000;
/** A P-256 key in PEM takes 241 bytes; anything far longer is another file. */
const MAX_FILE_BYTES = 4_096;

/** A key at hand in this process, which signs at once. */
export interface SoftwareSigner extends Signer {
  /** For TLS and for X.509; never logged. */
  readonly privateKey: KeyObject;
  readonly publicKeyPem: string;
  sign(message: Bytes): Bytes;
}

/** A key that lives in a file. */
export interface StoredSigner extends SoftwareSigner {
  readonly path: string;
}

/** A new P-256 private key, in memory only. */
export function generateKey(): KeyObject {
  return generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
}

/**
 * A signer on a private key in memory.
 * @throws TypeError when it is no P-256 private key
 */
export function softwareSigner(privateKey: KeyObject): SoftwareSigner {
  const { namedCurve } = privateKey.asymmetricKeyDetails ?? {};
  if (privateKey.type !== 'private' || namedCurve !== 'prime256v1')
    throw new TypeError('not a P-256 private key');
  const publicKey = createPublicKey(privateKey);
  return {
    privateKey,
    publicKey: coordinatesOf(publicKey),
    publicKeyPem: publicKey.export({ format: 'pem', type: 'spki' }).toString(),
    sign: (message) =>
      new Uint8Array(sign('sha256', message, { key: privateKey, dsaEncoding: 'ieee-p1363' })),
  };
}

/** Both coordinates of a P-256 key. @throws CpnsError malformed for a key of another kind */
export function coordinatesOf(key: KeyObject): PublicKey {
  if (key.asymmetricKeyDetails?.namedCurve !== 'prime256v1')
    throw new CpnsError('malformed', 'not a P-256 key');
  const { x = '', y = '' } = key.export({ format: 'jwk' });
  return nodePrimitives().publicKey(fromBase64Url(x), fromBase64Url(y));
}

const fromBase64Url = (text: string): Bytes => new Uint8Array(Buffer.from(text, 'base64url'));

/**
 * The key of a file, made first when there is none. Two processes that start together end with the same key.
 * @throws CpnsError cannot-persist
 */
export function loadOrCreateKey(path: string): StoredSigner {
  return reporting(path, () => {
    if (!exists(path)) create(path);
    return load(path);
  });
}

/** The key of a file. @throws CpnsError cannot-persist when it isn't there, isn't private or isn't a P-256 key */
export function loadKey(path: string): StoredSigner {
  return reporting(path, () => load(path));
}

function load(path: string): StoredSigner {
  const descriptor = openSync(path, 'r');
  let pem: string;
  try {
    // The mode of what was opened, not of whatever has that name a moment later.
    const { mode, size } = fstatSync(descriptor);
    if (mode & OTHERS) refuse(`${path} is open to other users; run: chmod 600 ${path}`);
    refuseWritableDirectory(dirname(path));
    if (size > MAX_FILE_BYTES) refuse(`${path} is not a private key`);
    pem = readFileSync(descriptor, 'utf8');
  } finally {
    closeSync(descriptor);
  }
  return { ...softwareSigner(parse(path, pem)), path };
}

/** Who may write in the directory may put another key in the place of this one. */
function refuseWritableDirectory(directory: string): void {
  const { mode } = statSync(directory);
  if (mode & OTHERS_WRITE && !(mode & STICKY))
    refuse(`other users may write in ${directory}; run: chmod 700 ${directory}`);
}

function parse(path: string, pem: string): KeyObject {
  let key: KeyObject | undefined;
  try {
    key = createPrivateKey(pem);
  } catch {
    // No cause: what OpenSSL says of the text stays here.
  }
  if (key?.asymmetricKeyDetails?.namedCurve !== 'prime256v1') refuse(`${path} holds no P-256 private key`);
  return key;
}

/** A name that exists already is left as it is. */
function create(path: string): void {
  makeDirectory(dirname(path));
  createFile(path, generateKey().export({ format: 'pem', type: 'pkcs8' }).toString(), PRIVATE_FILE);
}

function refuse(why: string): never {
  throw new CpnsError('cannot-persist', why);
}

function reporting<T>(path: string, work: () => T): T {
  try {
    return work();
  } catch (cause) {
    if (cause instanceof CpnsError) throw cause;
    throw new CpnsError('cannot-persist', `${path}: ${codeOf(cause) ?? 'key file'}`, { cause });
  }
}

function codeOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error ? String(error.code) : undefined;
}
