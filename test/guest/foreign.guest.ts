/**
 * Programs in another language, written from docs/protocol.md alone (test/guest/foreign): what they make of keys, transcript,
 * links and messages is what the vectors say. It needs Debian's python3-cbor2 and python3-cryptography, which the guest has.
 */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { command } from './kernel.ts';

const FOLDER = join(process.cwd(), 'test/guest/foreign');
const VECTORS = join(process.cwd(), 'test/vectors');

describe('programs of another make', function () {
  this.timeout(120_000);

  it('agree with the vectors', async () => {
    const said = await command('/usr/bin/python3', '-B', join(FOLDER, 'check_vectors.py'), VECTORS);
    assert.match(said, /^\d+ values as in the vectors$/m);
  });
});
