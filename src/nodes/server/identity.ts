/**
 * The operator's keys in the server's state directory: CA, TLS, root and the COSE keys the server signs with, each in a
 * file of its own with mode 0600; and what of them goes into certificates, credentials and enrolments.
 * Owns file names and lifetimes. Must not decide who gets a certificate. Source: docs/protocol.md §4.4, §7.3.
 */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Bytes, EMPTY } from '../../base/bytes.ts';
import { CpnsError } from '../../base/errors.ts';
import type { Thumbprint } from '../../base/ids.ts';
import type { ServerSeconds } from '../../base/time.ts';
import type { ServerTls } from '../../https/server.ts';
import type { CoseKey } from '../../messages/common.ts';
import { GatewayCredentialPayload } from '../../messages/credential.ts';
import type { Message } from '../../messages/message.ts';
import { assembleSign1 } from '../../security/cose.ts';
import { coseKeyOf, gatewayIdOf, kidOf, thumbprintOf } from '../../security/cose-key.ts';
import { createFile } from '../../security/durable-file.ts';
import { loadKey, loadOrCreateKey, type SoftwareSigner } from '../../security/keystore.ts';
import type { Primitives, PublicKey } from '../../security/primitives.ts';
import { pinServerKeys, type ServerKeys } from '../../security/server-keys.ts';
import { toBeSigned } from '../../security/signed-message.ts';
import {
  type CertificateAuthority,
  createCa,
  derToPem,
  issueGatewayCertificate,
  issueServerCertificate,
  pemToDer,
} from '../../security/x509.ts';
import { loadServerKeys, rollServerKey, serverKeysStatement } from './key-set.ts';

const CA_DAYS = 20 * 365;
/** The TLS certificate is made anew at each start and while running long before it ends. */
const TLS_DAYS = 90;
/** How long a gateway may be away before it needs a new token. */
const GATEWAY_CERTIFICATE_DAYS = 90;
const DAY_SECONDS = 86_400;
const CREDENTIAL_SECONDS = 7 * DAY_SECONDS;

const file = (stateDir: string, name: string): string => join(stateDir, name);

/** Makes what is missing. Running it again after a crash goes on where it stopped and replaces nothing. */
export function createOperator(stateDir: string, realm: string, now: ServerSeconds): void {
  const key = loadOrCreateKey(file(stateDir, 'ca.key'));
  for (const name of ['tls.key', 'root.key']) loadOrCreateKey(file(stateDir, name));
  if (loadServerKeys(stateDir).length === 0) rollServerKey(stateDir);
  const path = file(stateDir, 'ca.crt');
  if (existsSync(path)) return;
  const certificate = createCa({ name: `CPNS ${realm}`, key, days: CA_DAYS, now });
  createFile(path, derToPem(certificate), 0o644);
}

/** The operator at work. */
export class Operator {
  readonly caPem: string;
  readonly caThumbprint: Thumbprint;
  readonly rootKey: CoseKey;
  readonly coseKeys: readonly CoseKey[];
  readonly serverKeys: ServerKeys;
  readonly kid: Bytes;
  readonly #ca: CertificateAuthority;
  readonly #tls: SoftwareSigner;
  readonly #root: SoftwareSigner;
  readonly #signer: SoftwareSigner;
  readonly #primitives: Primitives;
  readonly #stateDir: string;
  #statement: Bytes | undefined;

  /** @throws CpnsError cannot-persist when a file is missing or open to others */
  constructor(stateDir: string, primitives: Primitives) {
    this.#primitives = primitives;
    this.#stateDir = stateDir;
    this.#ca = { certificate: readCertificate(stateDir), key: loadKey(file(stateDir, 'ca.key')) };
    this.#tls = loadKey(file(stateDir, 'tls.key'));
    this.#root = loadKey(file(stateDir, 'root.key'));
    const signers = loadServerKeys(stateDir).map(({ signer }) => signer);
    const [newest] = signers;
    if (!newest) throw new CpnsError('cannot-persist', 'no server key: run `cpns server init` first');
    this.#signer = newest;
    this.caPem = derToPem(this.#ca.certificate);
    this.caThumbprint = thumbprintOf(primitives, this.#ca.key.publicKey);
    this.rootKey = coseKeyOf(this.#root.publicKey);
    this.coseKeys = signers.map(({ publicKey }) => coseKeyOf(publicKey));
    this.serverKeys = pinServerKeys(primitives, this.rootKey, this.coseKeys);
    this.kid = kidOf(primitives, newest.publicKey);
  }

  get caCertificate(): Bytes {
    return this.#ca.certificate;
  }

  /** Signs with the newest server key: r ‖ s, 64 bytes. */
  sign(message: Bytes): Bytes {
    return this.#signer.sign(message);
  }

  /** A signed message of the server's, ready to send. */
  signed<T>(message: Message<T>, th: Bytes, value: T): Bytes {
    const payload = message.encode(value);
    return assembleSign1(payload, this.sign(toBeSigned(message, th, payload)), this.kid);
  }

  /**
   * A fresh TLS certificate for these names, with its key.
   * @param sure the last time the server was sure of: it counts from then, so that a clock that has leapt ahead does not
   * lock the gateways out
   */
  tls(hosts: readonly string[], sure: ServerSeconds, wall: ServerSeconds = sure): ServerTls {
    const { publicKey, privateKey } = this.#tls;
    const days = TLS_DAYS + Math.max(0, Math.ceil((wall - sure) / DAY_SECONDS));
    const now = Math.min(sure, wall);
    const leaf = issueServerCertificate({ ca: this.#ca, publicKey, names: hosts, days, now });
    return {
      keyPem: privateKey.export({ format: 'pem', type: 'pkcs8' }).toString(),
      certPem: derToPem(leaf) + this.caPem,
      caPem: this.caPem,
    };
  }

  gatewayCertificate(publicKey: PublicKey, now: ServerSeconds): Bytes {
    return issueGatewayCertificate({ ca: this.#ca, publicKey, days: GATEWAY_CERTIFICATE_DAYS, now });
  }

  /** A credential of 7 days. */
  credential(key: PublicKey, user: string, gateway: string, now: ServerSeconds): Bytes {
    return this.signed(GatewayCredentialPayload, EMPTY, {
      expiresAt: now + CREDENTIAL_SECONDS,
      gatewayId: gatewayIdOf(this.#primitives, key),
      confirmation: { key: coseKeyOf(key) },
      labels: { role: 'gateway', user, gateway },
    });
  }

  /**
   * The root's word about the server keys (type 33), made anew if they are not those of the last one.
   * @param laterThan what a new one's issuedAt is later than: now, and any enrolment so far
   */
  serverKeysStatement(laterThan: () => ServerSeconds): Bytes {
    this.#statement ??= serverKeysStatement(
      this.#stateDir,
      this.serverKeys.keys.map(({ key }) => key),
      this.#root,
      laterThan,
    );
    return this.#statement;
  }
}

function readCertificate(stateDir: string): Bytes {
  try {
    return pemToDer(readFileSync(file(stateDir, 'ca.crt'), 'utf8'));
  } catch (cause) {
    throw new CpnsError('cannot-persist', 'no CA certificate: run `cpns server init` first', { cause });
  }
}
