/** The record on the second back-end says of each defect what the conformance suite shows. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { DEFECTS } from '../bluetooth/defects.ts';

const RECORD = readFileSync(new URL('../../docs/decisions/0007-second-back-end.md', import.meta.url), 'utf8');

describe('docs/decisions/0007-second-back-end.md', () => {
  it('has the table of the conformance suite', () => {
    const yes = (there: boolean) => (there ? 'yes' : 'no');
    const expected = DEFECTS.map(({ number, what, abandonware, stoprocent, inFork }) => {
      const fork = inFork === '' ? yes(stoprocent) : `${yes(stoprocent)}: ${inFork}`;
      return `| ${number} | ${what} | ${yes(abandonware)} | ${fork} |`;
    });
    assert.deepEqual(RECORD.match(/^\| [NBXS]\d+ \|.*$/gm), expected);
  });
});
