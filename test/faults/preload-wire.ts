/**
 * Descriptor 3 of a process under test: lines out, and a synchronous wait for the harness's word. Owns reading and writing
 * that block the whole process, which is what makes a stop a stop: no timer, packet or promise moves meanwhile.
 */
import { readSync, writeSync } from 'node:fs';
import type { FromProcess, ToProcess, When } from './plan.ts';

const WIRE = 3;

/** Writes one line at once. A harness that is gone ends the process through its parent pipe. */
export function tell(line: FromProcess | string): void {
  let bytes = Buffer.from(`${typeof line === 'string' ? line : JSON.stringify(line)}\n`);
  while (bytes.length > 0) {
    try {
      bytes = bytes.subarray(writeSync(WIRE, bytes));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error;
    }
  }
}

/** Stops here until the harness says how to go on. @returns its word */
export function stop(when: When): ToProcess {
  tell({ stopped: when });
  const byte = Buffer.alloc(1);
  let word = '';
  for (;;) {
    const length = readSync(WIRE, byte, 0, 1, null);
    if (length === 0) process.exit(1);
    if (byte[0] === 0x0a) return word as ToProcess;
    word += byte.toString('latin1');
  }
}
