/**
 * A process of its own for one party of a benchmark, and the orders it takes: a table of async functions at the party,
 * called by name over IPC. Byte arrays pass as they are. Knows no benchmark.
 */
import { type ChildProcess, fork } from 'node:child_process';

/** What a party can do. Inputs and results must survive a structured clone. */
export type Orders = Readonly<Record<string, (input: never) => unknown>>;

const ORDER_DEADLINE_MS = 60_000;
const STOP_DEADLINE_MS = 3_000;

interface Reply {
  readonly id?: number;
  readonly result?: unknown;
  readonly error?: string;
  readonly note?: unknown;
}

interface Waiting {
  readonly resolve: (result: unknown) => void;
  readonly reject: (error: Error) => void;
}

/** The bench's end. */
export class Child<O extends Orders> {
  readonly #process: ChildProcess;
  readonly #name: string;
  readonly #waiting = new Map<number, Waiting>();
  #ids = 0;

  /**
   * @param onNote what the party says unasked
   * @param nodeOptions beside those of this process
   */
  constructor(
    file: string,
    name: string,
    onNote: (note: unknown) => void = () => {},
    nodeOptions: readonly string[] = [],
  ) {
    this.#name = name;
    this.#process = fork(file, [], {
      execArgv: [...process.execArgv, ...nodeOptions],
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
      serialization: 'advanced',
    });
    this.#process.on('message', (reply: Reply) => {
      if (reply.id === undefined) onNote(reply.note);
      else this.#settle(reply.id, reply);
    });
    this.#process.on('exit', () => {
      for (const { reject } of this.#waiting.values()) reject(new Error(`${name} ended`));
      this.#waiting.clear();
    });
  }

  /** @throws Error what the party threw, or when it takes over a minute */
  async ask<K extends keyof O & string>(
    order: K,
    ...input: Parameters<O[K]>
  ): Promise<Awaited<ReturnType<O[K]>>> {
    if (!this.#process.connected) throw new Error(`${this.#name} ended`);
    const id = ++this.#ids;
    let timer: NodeJS.Timeout | undefined;
    try {
      const result = await new Promise((resolve, reject) => {
        const tooLong = () => reject(new Error(`${this.#name}: ${order} took too long`));
        timer = setTimeout(tooLong, ORDER_DEADLINE_MS);
        this.#waiting.set(id, { resolve, reject });
        this.#process.send({ id, order, input: input[0] });
      });
      return result as Awaited<ReturnType<O[K]>>;
    } finally {
      clearTimeout(timer);
      this.#waiting.delete(id);
    }
  }

  /** Lets the party end by itself; kills it when it does not. */
  async stop(): Promise<void> {
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return;
    const ended = new Promise((resolve) => this.#process.once('exit', resolve));
    if (this.#process.connected) this.#process.disconnect();
    const timer = setTimeout(() => this.#process.kill('SIGKILL'), STOP_DEADLINE_MS);
    await ended;
    clearTimeout(timer);
  }

  #settle(id: number, { error, result }: Reply): void {
    const waiting = this.#waiting.get(id);
    if (error === undefined) waiting?.resolve(result);
    else waiting?.reject(new Error(`${this.#name}: ${error}`));
  }
}

/**
 * The party's end.
 * @param onStop frees what keeps the process alive
 * @returns says something unasked
 */
export function takeOrders(orders: Orders, onStop: () => Promise<void>): (note: unknown) => void {
  const send = (reply: Reply): void => {
    if (process.connected) process.send?.(reply);
  };
  process.on('message', ({ id, order, input }: { id: number; order: string; input: never }) => {
    const carryOut = async (): Promise<unknown> => orders[order]?.(input);
    carryOut().then(
      (result) => send({ id, result }),
      (error: unknown) =>
        send({ id, error: error instanceof Error ? (error.stack ?? error.message) : String(error) }),
    );
  });
  process.on('disconnect', () => {
    onStop().then(
      () => process.exit(0),
      () => process.exit(1),
    );
  });
  return (note) => send({ note });
}

/** The middle one; of an even number the mean of the two in the middle. */
export function medianOf(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const upper = sorted[sorted.length >> 1] ?? Number.NaN;
  const lower = sorted[(sorted.length - 1) >> 1] ?? Number.NaN;
  return (upper + lower) / 2;
}

export const pause = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));
