/** Consent that was not given: keys pressed before a question. */
import assert from 'node:assert/strict';
import { PassThrough } from 'node:stream';
import { Asker } from '../../src/cli/prompt.ts';

describe('a question at a terminal', () => {
  const real = Object.getOwnPropertyDescriptor(process, 'stdin');
  let typing: PassThrough;

  beforeEach(() => {
    typing = Object.assign(new PassThrough(), { isTTY: true, unref() {} });
    Object.defineProperty(process, 'stdin', { configurable: true, value: typing });
  });
  afterEach(() => {
    if (real) Object.defineProperty(process, 'stdin', real);
  });

  const turn = () => new Promise((resolve) => setTimeout(resolve, 5));

  it('is not answered by what was typed before it was put', async () => {
    const asker = new Asker();
    const first = asker.ask('');
    typing.write('y\n');
    assert.equal(await first, 'y');
    // The same person presses the key again: nothing is asked at this moment.
    typing.write('y\n');
    await turn();
    let answer: string | undefined = 'none yet';
    const later = asker.ask('').then((line) => {
      answer = line;
    });
    await turn();
    assert.equal(answer, 'none yet', 'somebody else was let in with a key pressed before they asked');
    typing.write('n\n');
    await later;
    assert.equal(answer, 'n');
    asker.close();
  });

  it('takes what a pipe brought before it was put', async () => {
    Object.assign(typing, { isTTY: false });
    const asker = new Asker();
    typing.write('CPNS:CODE\n');
    await turn();
    assert.equal(await asker.ask(''), 'CPNS:CODE');
    asker.close();
  });
});
