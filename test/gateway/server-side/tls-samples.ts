/** Certificates for tests, made by openssl: a CA, and what it or an impostor issues. P-256 everywhere, valid for a day. */
import { execFileSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { thumbprintOf } from '../../../src/security/cose-key.ts';
import { nodePrimitives } from '../../../src/security/primitives-node.ts';

export interface Issued {
  readonly certPem: string;
  readonly keyPem: string;
}

export interface TestCa extends Issued {
  /** First 16 bytes of the key's thumbprint, as a token has it. */
  readonly pin: Uint8Array;
  /** @param names subjectAltName, such as `DNS:localhost,IP:127.0.0.1` */
  issue(name: string, names?: string): Issued;
}

export const LOCAL_NAMES = 'DNS:localhost,IP:127.0.0.1';

/** A throwaway CA. */
export function testCa(name: string): TestCa {
  const subject = ['-subj', `/CN=${name}`];
  const ca = inFolder((folder, run) => {
    const key = newKey(run);
    const constraints = [
      '-addext',
      'basicConstraints=critical,CA:TRUE',
      '-addext',
      'keyUsage=critical,keyCertSign',
    ];
    run(
      'req',
      '-x509',
      '-new',
      '-key',
      'key.pem',
      '-out',
      'cert.pem',
      '-days',
      '1',
      ...subject,
      ...constraints,
    );
    return { keyPem: key(folder), certPem: readFileSync(join(folder, 'cert.pem'), 'utf8') };
  });
  return {
    ...ca,
    pin: thumbprintOfPem(ca.certPem).slice(0, 16),
    issue: (leaf, names = LOCAL_NAMES) =>
      inFolder((folder, run) => {
        const key = newKey(run);
        writeFileSync(join(folder, 'ca.pem'), ca.certPem);
        writeFileSync(join(folder, 'ca-key.pem'), ca.keyPem);
        writeFileSync(join(folder, 'ext'), `subjectAltName=${names}\n`);
        run('req', '-new', '-key', 'key.pem', '-out', 'csr.pem', '-subj', `/CN=${leaf}`);
        const signing = [
          '-CA',
          'ca.pem',
          '-CAkey',
          'ca-key.pem',
          '-CAcreateserial',
          '-days',
          '1',
          '-extfile',
          'ext',
        ];
        run('x509', '-req', '-in', 'csr.pem', '-out', 'cert.pem', ...signing);
        return { keyPem: key(folder), certPem: readFileSync(join(folder, 'cert.pem'), 'utf8') };
      }),
  };
}

/** DER of a PEM certificate. */
export function derOf(certPem: string): Uint8Array {
  return new Uint8Array(new X509Certificate(certPem).raw);
}

function thumbprintOfPem(certPem: string): Uint8Array {
  const { x = '', y = '' } = new X509Certificate(certPem).publicKey.export({ format: 'jwk' });
  const primitives = nodePrimitives();
  const key = primitives.publicKey(Buffer.from(x, 'base64url'), Buffer.from(y, 'base64url'));
  return thumbprintOf(primitives, key);
}

type Run = (...args: string[]) => void;

function newKey(run: Run): (folder: string) => string {
  run('genpkey', '-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-256', '-out', 'key.pem');
  return (folder) => readFileSync(join(folder, 'key.pem'), 'utf8');
}

function inFolder<T>(work: (folder: string, run: Run) => T): T {
  const folder = mkdtempSync(join(tmpdir(), 'cpns-tls-'));
  try {
    return work(folder, (...args) => {
      execFileSync('openssl', args, { cwd: folder, stdio: ['ignore', 'ignore', 'pipe'] });
    });
  } finally {
    rmSync(folder, { recursive: true });
  }
}
