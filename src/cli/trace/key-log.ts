/**
 * The key log: a line for each secret of a link, `PRK1 TH1 SECRET` or `PRK2 TH1 SECRET`, in hexadecimal, 32 bytes each.
 * Whoever has it reads the links it names, so it is written only when asked for and with mode 0600.
 * Source: docs/protocol.md §5.3.
 */
import { type Bytes, fromHex } from '../../base/bytes.ts';
import { UsageError } from '../exit-codes.ts';

export interface LinkSecrets {
  readonly prk1?: Bytes;
  readonly prk2?: Bytes;
}

const LINE = /^PRK([12]) ([0-9a-f]{64}) ([0-9a-f]{64})$/i;

/** Secrets by th1 in hex. @throws UsageError naming the line that is none */
export function parseKeyLog(text: string): ReadonlyMap<string, LinkSecrets> {
  const secrets = new Map<string, LinkSecrets>();
  for (const [index, line] of text.split('\n').entries()) {
    if (line.trim() === '' || line.startsWith('#')) continue;
    const [, which, th1 = '', secret = ''] = LINE.exec(line.trim()) ?? [];
    if (which === undefined) throw new UsageError(`key log, line ${index + 1}: not "PRK1|PRK2 TH1 SECRET"`);
    const key = th1.toLowerCase();
    secrets.set(key, { ...secrets.get(key), [which === '1' ? 'prk1' : 'prk2']: fromHex(secret) });
  }
  return secrets;
}
