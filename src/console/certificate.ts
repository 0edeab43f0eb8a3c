/**
 * The console's TLS certificate: the owner's own files, or one that is made at the first start and kept, so that its
 * fingerprint stays. Owns the two files in the state directory and when a new one is made. The gateway's certificate of
 * enrolment is a client's, of the operator's CA: it does not serve here, and no browser knows that CA.
 */
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { join } from 'node:path';
import { ConfigError } from '../config/config-error.ts';
import type { ConsoleConfig } from '../config/console-config.ts';
import { exists, replaceFile } from '../security/durable-file.ts';
import { loadOrCreateKey } from '../security/keystore.ts';
import { createSelfSignedCertificate, derToPem, isCertifiableName } from '../security/x509.ts';

const KEY_FILE = 'console-key.pem';
const CERTIFICATE_FILE = 'console-cert.pem';
/** Browsers of Apple accept no longer life even of a certificate that its user trusts (support.apple.com/103769: 825 days). */
const LIFE_DAYS = 800;
const RENEW_BEFORE_MS = 30 * 86_400_000;

export interface ConsoleCertificate {
  readonly keyPem: string;
  readonly certPem: string;
  /** SHA-256 of the certificate as browsers show it: `AA:BB:…`. */
  readonly fingerprint: string;
  /** Not one of ours. */
  readonly isOwn: boolean;
}

/**
 * @param names what a new one is for, best first
 * @param nowMs since 1970
 * @throws ConfigError when the owner's files are none; CpnsError cannot-persist
 */
export function consoleCertificate(
  stateDir: string,
  config: Pick<ConsoleConfig, 'cert' | 'key' | 'names'>,
  names: readonly string[],
  nowMs: number,
): ConsoleCertificate {
  const { cert, key } = config;
  if (cert !== undefined && key !== undefined) return ownFiles(cert, key, 'console');
  const signer = loadOrCreateKey(join(stateDir, KEY_FILE));
  const file = join(stateDir, CERTIFICATE_FILE);
  const kept = exists(file) ? parse(readFileSync(file, 'utf8')) : undefined;
  const keyPem = signer.privateKey.export({ format: 'pem', type: 'pkcs8' }).toString();
  const isGood =
    kept?.checkPrivateKey(signer.privateKey) &&
    Date.parse(kept.validTo) - nowMs > RENEW_BEFORE_MS &&
    config.names.every((name) => covers(kept, name));
  if (kept && isGood) return certificate(keyPem, kept, false);
  const der = createSelfSignedCertificate({
    key: signer,
    names: names.filter(isCertifiableName),
    days: LIFE_DAYS,
    now: Math.floor(nowMs / 1000),
  });
  const certPem = derToPem(der);
  replaceFile(file, certPem, 0o600);
  return certificate(keyPem, new X509Certificate(certPem), false);
}

/**
 * What somebody's own files hold.
 * @param key of the configuration that names them
 * @throws ConfigError when they are no certificate with its key
 */
export function ownFiles(certFile: string, keyFile: string, key: string): ConsoleCertificate {
  const fault = (file: string, problem: string) => new ConfigError([{ file, key, problem }]);
  const read = (file: string): string => {
    try {
      return readFileSync(file, 'utf8');
    } catch {
      throw fault(file, 'can not be read');
    }
  };
  const certPem = read(certFile);
  const keyPem = read(keyFile);
  const leaf = parse(certPem);
  if (!leaf) throw fault(certFile, 'holds no certificate in PEM');
  let matches = false;
  try {
    matches = leaf.checkPrivateKey(createPrivateKey(keyPem));
  } catch {
    // Said below; what OpenSSL says of the text of a key stays here.
  }
  if (!matches) throw fault(keyFile, `holds no private key of ${certFile}`);
  // The chain, and not the leaf alone.
  return { keyPem, certPem, fingerprint: leaf.fingerprint256, isOwn: true };
}

function certificate(keyPem: string, leaf: X509Certificate, isOwn: boolean): ConsoleCertificate {
  return { keyPem, certPem: leaf.toString(), fingerprint: leaf.fingerprint256, isOwn };
}

function parse(pem: string): X509Certificate | undefined {
  try {
    return new X509Certificate(pem);
  } catch {
    return undefined;
  }
}

function covers(leaf: X509Certificate, name: string): boolean {
  return (isIP(name) === 0 ? leaf.checkHost(name) : leaf.checkIP(name)) !== undefined;
}
