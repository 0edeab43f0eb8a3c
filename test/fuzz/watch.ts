/**
 * The watch over a run that never gives the processor back: a thread with a copy of the input under test, which writes it
 * down and ends the process. Owns that thread and the memory they share. A run that only waits is the engine's to catch.
 */
import { Worker } from 'node:worker_threads';
import type { Input } from './target.ts';

/** Instant of the deadline, number of the target, count of parts; then each part with its length in front. */
const HEADER_BYTES = 24;
const SHARED_BYTES = 1024 * 1024;

/** Runs in the thread; plain JavaScript, since it is handed over as text. */
const THREAD = `
const { workerData } = require('node:worker_threads');
const { mkdirSync, writeFileSync } = require('node:fs');
const { dirname } = require('node:path');
const { shared, names, file, command } = workerData;
const head = new Float64Array(shared, 0, 3);
const view = new DataView(shared);
setInterval(() => {
  const [deadline, target, count] = head;
  if (deadline === 0 || Date.now() < deadline) return;
  const parts = [];
  for (let i = 0, at = ${HEADER_BYTES}; i < count; i++) {
    const length = view.getUint32(at);
    parts.push(Buffer.from(shared, at + 4, length).toString('hex'));
    at += 4 + length;
  }
  const path = file.replace('TARGET', names[target]);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, JSON.stringify({ target: names[target], error: 'does not come back', parts }, null, 2) + '\\n');
  require('node:fs').writeSync(2, '\\n' + names[target] + ' does not come back; written to ' + path + '\\n  ' + command + ' ' + path + '\\n');
  process.kill(process.pid, 'SIGKILL');
}, 500);
`;

export class Watch {
  readonly #shared = new SharedArrayBuffer(SHARED_BYTES);
  readonly #head = new Float64Array(this.#shared, 0, 3);
  readonly #view = new DataView(this.#shared);
  readonly #bytes = new Uint8Array(this.#shared);
  readonly #worker: Worker;

  /** @param file where the find goes, `TARGET` in it replaced; @param command what to say that runs it again */
  constructor(names: readonly string[], file: string, command: string) {
    this.#worker = new Worker(THREAD, {
      eval: true,
      execArgv: [],
      workerData: { shared: this.#shared, names, file, command },
    });
    this.#worker.unref();
  }

  /** A run begins; it has to end within so many milliseconds. */
  begin(target: number, input: Input, limitMs: number): void {
    let at = HEADER_BYTES;
    let count = 0;
    for (const bytes of input) {
      if (at + 4 + bytes.length > SHARED_BYTES) break;
      this.#view.setUint32(at, bytes.length);
      this.#bytes.set(bytes, at + 4);
      at += 4 + bytes.length;
      count++;
    }
    this.#head[1] = target;
    this.#head[2] = count;
    this.#head[0] = Date.now() + limitMs;
  }

  end(): void {
    this.#head[0] = 0;
  }

  async close(): Promise<void> {
    await this.#worker.terminate();
  }
}
