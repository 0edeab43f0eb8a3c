/**
 * The PNE's side of a run, a process of its own on this host or another: opens, enrols and closes a real PNE as it is told
 * over stdin, answers on stdout, and sends application data back as it came. Ends, with nothing left behind, when stdin
 * closes or falls silent. Writes nothing but the lines to stdout.
 */
import { closeSync, cpSync, mkdtempSync, openSync, readSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { CpnsError, statusOfError } from '../base/errors.ts';
import { encodeCapability } from '../config/capability.ts';
import type { PneConfig } from '../config/pne-config.ts';
import { LineCutter, parseRequest } from '../nodes/control-lines.ts';
import type { PneEvent } from '../nodes/pne/events.ts';
import { openPne, type PneNode } from '../nodes/pne/pne.ts';
import { makeDirectory } from '../security/durable-file.ts';
import { nodePrimitives } from '../security/primitives-node.ts';
import { adapterRecord, hostIdentity, programIdentity } from './identity.ts';
import { openPatiently } from './patience.ts';
import { CAPTURE_CHUNK_BYTES, type Order, type OrderResult, SILENCE_LIMIT_MS } from './pne-wire.ts';
import { Echo } from './transfer.ts';

export interface PneProcessOptions {
  readonly adapter: string;
  readonly input: Readable;
  readonly output: Writable;
  /** Ends it as a closed input does. */
  readonly signal: AbortSignal;
}

/** Serves until the input ends. @returns once the adapter is free and the state is gone */
export async function servePne(options: PneProcessOptions): Promise<void> {
  const party = new PneParty(options);
  try {
    await party.served;
  } finally {
    await party.end();
  }
}

type Parameters = Readonly<Record<string, unknown>>;
type Handlers = { readonly [O in Order]: (params: Parameters) => OrderResult<O> | Promise<OrderResult<O>> };

class PneParty {
  /** Settles when nobody gives orders any more. */
  readonly served: Promise<void>;
  readonly #options: PneProcessOptions;
  readonly #dir = mkdtempSync(join(tmpdir(), 'cpns-hil-pne-'));
  readonly #removeAtExit = () => rmSync(this.#dir, { recursive: true, force: true });
  #node: PneNode | undefined;
  /** Orders are carried out one after the other. */
  #work: Promise<void> = Promise.resolve();
  #silence: NodeJS.Timeout | undefined;
  #finish: () => void = () => {};

  constructor(options: PneProcessOptions) {
    this.#options = options;
    process.on('exit', this.#removeAtExit);
    const { input, output, signal } = options;
    this.served = new Promise((resolve) => {
      this.#finish = resolve;
    });
    const cutter = new LineCutter();
    input.on('data', (chunk: Buffer) => {
      this.#hear();
      if (!cutter.push(chunk, (line) => this.#take(line))) this.#finish();
    });
    for (const event of ['end', 'close', 'error']) input.on(event, this.#finish);
    // A reader that is gone gives no orders either.
    output.on('error', this.#finish);
    signal.addEventListener('abort', this.#finish);
    if (signal.aborted) this.#finish();
    this.#hear();
  }

  async end(): Promise<void> {
    clearTimeout(this.#silence);
    await this.#work;
    await this.#close();
    this.#removeAtExit();
    process.off('exit', this.#removeAtExit);
  }

  #hear(): void {
    clearTimeout(this.#silence);
    this.#silence = setTimeout(this.#finish, SILENCE_LIMIT_MS);
  }

  #take(line: string): void {
    const request = parseRequest(line);
    if (request === undefined) return;
    const { id, method, params } = request;
    const handler = Object.hasOwn(this.#handlers, method) ? this.#handlers[method as Order] : undefined;
    const act = async (): Promise<void> => {
      try {
        if (!handler) throw new CpnsError('unexpected-message', 'no such order');
        this.#say({ id, result: await handler(params) });
      } catch (error) {
        const message = error instanceof Error ? error.message : String(error);
        this.#say({ id, error: { status: statusOfError(error), message } });
      }
    };
    // The clock is read at once: it must not wait for an adapter.
    if (method === 'clock') void act();
    else this.#work = this.#work.then(act);
  }

  #say(line: object): void {
    this.#options.output.write(`${JSON.stringify(line)}\n`);
  }

  readonly #handlers: Handlers = {
    hello: () => ({
      program: programIdentity(),
      host: hostIdentity(),
    }),
    clock: () => ({ atMs: performance.now() }),
    enrol: async () => {
      await this.#open('enrolled');
      if (!this.#node) throw new CpnsError('internal');
      const adapter = adapterRecord(this.#options.adapter, this.#node.adapter);
      return { code: this.#node.startEnrolment().code, adapter };
    },
    open: async () => {
      await this.#close();
      const [from, to] = [join(this.#dir, 'enrolled'), join(this.#dir, 'run')];
      rmSync(to, { recursive: true, force: true });
      // Each run begins with the same PNE, whatever became of the one before.
      cpSync(from, to, { recursive: true });
      await this.#open('run');
      return { atMs: performance.now() };
    },
    close: async () => {
      await this.#close();
      return null;
    },
    capture: ({ offset }) => this.#captured(Number(offset)),
  };

  get #capture(): string {
    return join(this.#dir, 'pne.btsnoop');
  }

  async #open(state: string): Promise<void> {
    await this.#close();
    const stateDir = join(this.#dir, state);
    makeDirectory(stateDir);
    const echo = new Echo((bytes) => nodePrimitives().sha256(bytes));
    this.#node = await openPatiently(() =>
      openPne({
        stateDir,
        config: configOf(this.#options.adapter),
        capture: this.#capture,
        ask: () => Promise.resolve('ok'),
        onEvent: (event) => this.#tell(event, echo),
        onRadioGone: () => this.#say({ id: 0, event: { atMs: performance.now(), kind: 'radio-gone' } }),
      }),
    );
  }

  async #close(): Promise<void> {
    const node = this.#node;
    this.#node = undefined;
    await node?.close();
  }

  #tell(event: PneEvent, echo: Echo): void {
    if (event.kind === 'data') {
      for (const answer of echo.take(event.bytes)) this.#node?.sendData(answer);
      return;
    }
    const atMs = performance.now();
    const { kind } = event;
    const more =
      kind === 'link'
        ? { state: event.state, ...(event.status && { status: event.status }) }
        : 'status' in event
          ? { status: event.status, ...('what' in event && { what: event.what }) }
          : {};
    this.#say({ id: 0, event: { atMs, kind, ...more } });
  }

  #captured(offset: number): OrderResult<'capture'> {
    if (!Number.isSafeInteger(offset) || offset < 0) throw new CpnsError('malformed', 'offset');
    const chunk = Buffer.alloc(CAPTURE_CHUNK_BYTES);
    const file = openSync(this.#capture, 'r');
    try {
      const read = readSync(file, chunk, 0, chunk.length, offset);
      return { data: chunk.toString('base64', 0, read), end: read < chunk.length };
    } finally {
      closeSync(file);
    }
  }
}

function configOf(adapter: string): PneConfig {
  return {
    bluetooth: { adapter, capture: undefined, randomAddress: true },
    device: {
      ...{ kind: 'hil', model: undefined, pneId: 'PNE under test', contents: [] },
      capability: encodeCapability({ class: 'hil' }),
    },
    join: { policy: 'accept', rules: [] },
    log: { level: 'silent' },
  };
}
