/**
 * Reading from a person or a pipe: one secret line, or answers to questions. Owns the prompts; they go to stderr, so that
 * stdout holds results only. Nothing secret is ever an argument of a command.
 */
import { createInterface, type Interface } from 'node:readline';
import { InterruptedError, UsageError } from './exit-codes.ts';

const MAX_LINE_CHARS = 4096;

/**
 * One line, typed at the prompt or piped in.
 * @throws UsageError when there is none; InterruptedError on Ctrl-C
 */
export async function readOneLine(prompt: string, what: string): Promise<string> {
  const asker = new Asker();
  try {
    const line = (await asker.ask(prompt))?.trim();
    if (!line) throw new UsageError(`no ${what} given: type it at the prompt, or pipe it in as one line`);
    if (line.length > MAX_LINE_CHARS) throw new UsageError(`that is no ${what}: too long`);
    return line;
  } finally {
    asker.close();
  }
}

/** Asks questions one after the other on one terminal. */
export class Asker {
  readonly #lines: Interface;
  readonly #waiting: ((line: string | undefined) => void)[] = [];
  readonly #typed: string[] = [];
  #closed = false;
  #interrupted = false;

  constructor() {
    const terminal = process.stdin.isTTY === true;
    this.#lines = createInterface({ input: process.stdin, output: process.stderr, terminal });
    this.#lines.on('line', (line) => {
      const next = this.#waiting.shift();
      if (next) next(line);
      // A pipe may be early; a person who presses a key twice has not consented to a question that comes later.
      else if (!terminal && this.#typed.length < 16) this.#typed.push(line);
    });
    this.#lines.on('SIGINT', () => {
      this.#interrupted = true;
      this.close();
    });
    this.#lines.on('close', () => {
      this.#closed = true;
      for (const resolve of this.#waiting.splice(0)) resolve(undefined);
    });
  }

  /** @returns undefined when input has ended @throws InterruptedError on Ctrl-C */
  async ask(question: string): Promise<string | undefined> {
    const typed = this.#typed.shift();
    if (typed !== undefined) return typed;
    if (this.#closed) return undefined;
    if (process.stdin.isTTY) {
      this.#lines.setPrompt(question);
      this.#lines.prompt();
    }
    const line = await new Promise<string | undefined>((resolve) => this.#waiting.push(resolve));
    if (this.#interrupted) throw new InterruptedError();
    return line;
  }

  close(): void {
    this.#lines.close();
    process.stdin.unref?.();
  }
}
