/**
 * The strict CBOR reader against an acceptor of our own and two lenient decoders: it takes exactly the deterministic
 * encodings, and what it takes is the encoding of what it gives. Source: docs/protocol.md §4.1.
 */
import assert from 'node:assert/strict';
import { decodeCbor, encodeCbor } from '../../../src/messages/cbor.ts';
import { cborItemLength } from '../../../src/messages/cbor-scan.ts';
import { readCbor } from '../../messages/cbor-reader.ts';
import { isDeterministic } from '../cbor-tree.ts';
import { documented, type Input, MALFORMED, type Target } from '../target.ts';

const hex = (text: string): Input => [new Uint8Array(Buffer.from(text, 'hex'))];

const SEEDS = [
  ...['00', '1818', '1903e8', '1b001fffffffffffff', '3b001ffffffffffffe', 'f4', 'f6', '4401020304', '62c3bc'],
  ...['83010203', '8301820203820405', 'a201020304', 'a16161820203', 'a3010020016161a0', '8181818181818180'],
  `6a${'41'.repeat(10)}`,
  `590100${'07'.repeat(256)}`,
].map(hex);

export function checkCbor(bytes: Uint8Array): void {
  const value = documented(MALFORMED, () => decodeCbor(bytes));
  assert.equal(
    value !== undefined,
    isDeterministic(bytes),
    'accepted what is not deterministic, or the other way',
  );
  const length = documented(MALFORMED, () => cborItemLength(bytes));
  if (length !== undefined) decodeCbor(bytes.subarray(0, length));
  if (value === undefined) return;
  assert.deepEqual(encodeCbor(value), bytes, 'not the encoding of its value');
  assert.deepEqual(encodeCbor(readCbor(bytes)), bytes, 'a second decoder reads another value');
}

export const cborTarget: Target = {
  name: 'cbor',
  about: 'strict CBOR against a second acceptor and a second decoder',
  sources: ['messages/cbor'],
  open: () => ({
    seeds: SEEDS,
    run: (input) => {
      for (const bytes of input) checkCbor(bytes);
    },
  }),
};
