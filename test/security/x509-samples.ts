/** A CA and what it issues, and openssl's opinion of it. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  type CertificateAuthority,
  createCa,
  derToPem,
  issueGatewayCertificate,
  issueServerCertificate,
} from '../../src/security/x509.ts';
import { newSigner } from './helpers.ts';

export const DAY = 86_400;
/** The hosts' date: openssl and TLS judge certificates by no other. */
export const now = Math.floor(Date.now() / 1000);
export const NAMES = ['localhost', '127.0.0.1'];

export interface Identity {
  readonly cert: string;
  readonly key: string;
}

export function newCa(name = 'Example Operator CA', days = 3650): CertificateAuthority {
  const key = newSigner();
  return { key, certificate: createCa({ name, key, days, now }) };
}

/** A key and its certificate as TLS takes them. @param from when it is issued */
export function identity(ca: CertificateAuthority, kind: 'server' | 'gateway', from = now): Identity {
  const { privateKey, publicKey } = newSigner();
  const common = { ca, publicKey, days: 7, now: from };
  const der =
    kind === 'server' ? issueServerCertificate({ ...common, names: NAMES }) : issueGatewayCertificate(common);
  return { cert: derToPem(der), key: privateKey.export({ format: 'pem', type: 'pkcs8' }).toString() };
}

/** Runs openssl beside these files; what it printed, and whether it was content. */
export function openssl(
  files: Readonly<Record<string, string | Uint8Array>>,
  ...args: readonly string[]
): { readonly ok: boolean; readonly text: string; readonly bytes: Uint8Array } {
  const folder = mkdtempSync(join(tmpdir(), 'cpns-x509-'));
  try {
    for (const [name, content] of Object.entries(files)) writeFileSync(join(folder, name), content);
    const { status, stdout, stderr } = spawnSync('openssl', args, { cwd: folder });
    return { ok: status === 0, text: `${stdout}${stderr}`, bytes: new Uint8Array(stdout) };
  } finally {
    rmSync(folder, { recursive: true });
  }
}
