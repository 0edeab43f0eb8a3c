/** The opaque data of a transfer: whole and in order both ways, bounded whatever the other side sends. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { askBack, blocksOf, digestIn, Echo, Gatherer, TRANSFER_BYTES } from '../../src/hil/transfer.ts';
import { nodePrimitives } from '../../src/security/primitives-node.ts';

const sha256 = (bytes: Uint8Array) => nodePrimitives().sha256(bytes);

describe('the data of a transfer', () => {
  const content = new Uint8Array(randomBytes(TRANSFER_BYTES));

  it('is answered with its digest, and comes back as it went', () => {
    const echo = new Echo(sha256);
    const answers = blocksOf(content).map((block) => echo.take(block));
    assert.deepEqual(
      answers.map(({ length }) => length),
      [0, 0, 0, 1],
    );
    assert.deepEqual(digestIn(answers[3]?.[0] ?? new Uint8Array()), sha256(content));
    const gatherer = new Gatherer();
    const back = echo.take(askBack()).map((block) => gatherer.push(block));
    assert.deepEqual(back, [undefined, undefined, undefined, content]);
  });

  it('is gathered up to its length and no further; what is no block is no part of it', () => {
    const gatherer = new Gatherer();
    const [block = new Uint8Array()] = blocksOf(content);
    for (let i = 0; i < 4; i++) assert.equal(gatherer.push(block), undefined);
    assert.equal(gatherer.push(block)?.length, 5 * (block.length - 1));
    for (const other of [new Uint8Array(), Uint8Array.of(9, 9), askBack()])
      assert.equal(gatherer.push(other), undefined);
    assert.deepEqual(new Echo(sha256).take(askBack()), []);
    assert.equal(digestIn(Uint8Array.of(3, 1)), undefined);
  });
});
