/**
 * A name on the network, which is not localhost (browsers are lenient there), and a certificate for it that a browser trusts
 * without a warning, as one that its owner has put into the trust store: what WebAuthn and service workers want. Chromium is
 * told by its public key.
 */
import { execFileSync } from 'node:child_process';
import { createHash, X509Certificate } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export const NAME = 'hall.local';
/** Chromium finds the name at this host. */
export const NAME_FLAG = `--host-resolver-rules=MAP ${NAME} 127.0.0.1`;

export interface Trusted {
  /** For `[console]`. */
  readonly config: { readonly cert: string; readonly key: string; readonly names: readonly string[] };
  /** For Chromium. */
  readonly flags: readonly string[];
  remove(): void;
}

export function trustedCertificate(): Trusted {
  const folder = mkdtempSync(join(tmpdir(), 'cpns-trusted-'));
  const [cert, key] = [join(folder, 'console.pem'), join(folder, 'console.key')];
  const names = `subjectAltName=DNS:${NAME},IP:127.0.0.1`;
  const words = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
  const about = ['-subj', '/CN=console', '-addext', names, '-days', '3', '-keyout', key, '-out', cert];
  execFileSync('openssl', [...words, ...about], { stdio: 'pipe' });
  const spki = new X509Certificate(readFileSync(cert)).publicKey.export({ format: 'der', type: 'spki' });
  const hash = createHash('sha256').update(spki).digest('base64');
  return {
    config: { cert, key, names: [NAME] },
    flags: [NAME_FLAG, `--ignore-certificate-errors-spki-list=${hash}`],
    remove: () => rmSync(folder, { recursive: true }),
  };
}
