/** The owner names a question by the start of its join id: it must be one question, and never another one. */
import assert from 'node:assert/strict';
import { fromHex } from '../../src/base/bytes.ts';
import { CpnsError } from '../../src/base/errors.ts';
import { JoinId } from '../../src/base/ids.ts';
import type { Status } from '../../src/base/statuses.ts';
import { questionOf } from '../../src/nodes/gateway/question-of.ts';

const view = (start: string) => ({ joinId: JoinId(fromHex(start.padEnd(32, '0'))) });
const wrong = (status: Status) => (error: unknown) => error instanceof CpnsError && error.status === status;

describe('an approval by the start of a join id', () => {
  // Whoever runs the asking gateway can try transcripts until one begins as another's does.
  const waiting = [view('5f1c00'), view('5f1caa'), view('77ee')];

  it('is refused when two questions begin so', () => {
    assert.throws(() => questionOf(waiting, '5f1c'), wrong('conflict'));
    assert.equal(questionOf(waiting, '5f1ca'), waiting[1]);
  });

  it('is refused when it names nothing, or too little', () => {
    for (const start of ['', '7', '77e', 'zzzz', '77ef']) {
      assert.throws(() => questionOf(waiting, start), wrong('unknown-transaction'), start);
    }
    assert.equal(questionOf(waiting, '77ee'), waiting[2]);
  });
});
