/**
 * Where a daemon's log lines go: one synchronous write each, to a file or a pipe. Owns what happens when that fails. A log
 * is never worth the daemon: on a full disk, or beside a reader that has stopped reading, lines are dropped, and the next
 * one that gets through is preceded by how many were.
 */
import { writeSync } from 'node:fs';

/** A pipe whose reader is slow is waited for this often, this long, a line. */
const TRIES = 10;
const PAUSE_MS = 10;

export interface LogSink {
  write(line: string): void;
}

/** @param descriptor stays open */
export function openLogSink(descriptor: number): LogSink {
  let dropped = 0;
  return {
    write(line) {
      if (dropped > 0) {
        const notice = `${JSON.stringify({ level: 40, time: Date.now(), dropped, msg: 'log lines dropped' })}\n`;
        if (!writeWhole(descriptor, notice)) {
          dropped++;
          return;
        }
        dropped = 0;
      }
      if (!writeWhole(descriptor, line)) dropped++;
    },
  };
}

function writeWhole(descriptor: number, text: string): boolean {
  let rest = Buffer.from(text);
  for (let tries = 0; rest.length > 0; ) {
    try {
      rest = rest.subarray(writeSync(descriptor, rest));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN' || ++tries > TRIES) return false;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, PAUSE_MS);
    }
  }
  return true;
}
