/** Log lines for the journal: a priority, one line, and nothing that a stranger chose can look like another line. */
import assert from 'node:assert/strict';
import { closeSync, fstatSync, mkdtempSync, openSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { isJournal, journalLine } from '../../src/cli/journal-line.ts';

const logged = (log: (logger: pino.Logger) => void): string => {
  const lines: string[] = [];
  const stream = { write: (line: string) => void lines.push(journalLine(line)) };
  log(pino({ name: 'cpns-x', level: 'trace' }, stream));
  return lines.join('');
};

describe('log lines for the journal', () => {
  it('have the priority of their level', () => {
    const priorities = (['fatal', 'error', 'warn', 'info', 'debug', 'trace'] as const).map((level) =>
      logged((logger) => logger[level]('x')),
    );
    assert.deepEqual(priorities, ['<2>x\n', '<3>x\n', '<4>x\n', '<6>x\n', '<7>x\n', '<7>x\n']);
  });

  it('hold what happened and its values, without what the journal knows', () => {
    const line = logged((logger) =>
      logger.info({ address: '00:11', up: true, why: 'far away', none: null }, 'link'),
    );
    assert.equal(line, '<6>link address=00:11 up=true why="far away" none=null\n');
  });

  it('stay one line and one value, whatever is in them', () => {
    const hostile = 'x\n<0>fake a=b "\u2028\u202e\u0007';
    const line = logged((logger) => logger.warn({ name: 'shadow', user: hostile }, hostile));
    assert.equal(line.indexOf('\n'), line.length - 1);
    assert.match(line, /^<4>x\\n<0>fake/);
    assert.doesNotMatch(line.slice(0, -1), /[\p{C}\p{Zl}\p{Zp}]/u);
    assert.equal(JSON.parse(/ user=(".*")$/m.exec(line)?.[1] ?? ''), hostile);
  });
});

describe('the stream of the journal', () => {
  it('is known by device and inode, and by nothing less', () => {
    const folder = mkdtempSync(join(tmpdir(), 'cpns-journal-'));
    const descriptor = openSync(join(folder, 'stream'), 'w');
    try {
      const { dev, ino } = fstatSync(descriptor);
      assert.equal(isJournal(descriptor, { JOURNAL_STREAM: `${dev}:${ino}` }), true);
      assert.equal(isJournal(descriptor, { JOURNAL_STREAM: `${dev}:${ino + 1}` }), false);
      assert.equal(isJournal(descriptor, {}), false);
    } finally {
      closeSync(descriptor);
      rmSync(folder, { recursive: true });
    }
    assert.equal(isJournal(descriptor, { JOURNAL_STREAM: '1:2' }), false);
  });
});
