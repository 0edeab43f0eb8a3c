/**
 * Where a daemon's log lines go: one synchronous write each, to a file or a pipe. Owns what happens when that fails. A log
 * is never worth the daemon: on a full disk, or beside a reader that has stopped reading, lines are dropped, and the next
 * one that gets through is preceded by how many were.
 */
import { writeSync } from 'node:fs';

/** A pipe whose reader is slow is waited for this often, this long; not again before it has taken something. */
const TRIES = 10;
const PAUSE_MS = 10;

export interface LogSink {
  write(line: string): void;
}

const STDERR = 2;

/**
 * @param descriptor stays open
 * @param form what each line of JSON becomes on its way; nothing else by default
 */
export function openLogSink(descriptor: number, form = (line: string) => line): LogSink {
  // Node makes a pipe non-blocking when it first looks at it; until then a write waits for the reader, for ever.
  if (descriptor === STDERR) void process.stderr;
  let dropped = 0;
  return {
    write(line) {
      if (dropped > 0) {
        const notice = `${JSON.stringify({ level: 40, time: Date.now(), dropped, msg: 'log lines dropped' })}\n`;
        if (!writeWhole(descriptor, form(notice), 0)) {
          dropped++;
          return;
        }
        dropped = 0;
      }
      if (!writeWhole(descriptor, form(line), TRIES)) dropped++;
    },
  };
}

function writeWhole(descriptor: number, text: string, patience: number): boolean {
  let rest = Buffer.from(text);
  for (let tries = 0; rest.length > 0; ) {
    try {
      rest = rest.subarray(writeSync(descriptor, rest));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN' || ++tries > patience) return false;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, PAUSE_MS);
    }
  }
  return true;
}
