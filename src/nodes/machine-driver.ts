/**
 * The one async driver of every machine: feeds inputs one at a time, carries outputs out in order, keeps one timer for
 * the machine's deadline. Knows no message and no party; what an output means is in the effects it is given.
 */
import { statusOfError } from '../base/errors.ts';
import type { Status } from '../base/statuses.ts';
import type { Clock } from '../base/time.ts';
import type { Machine } from '../establishment/machine.ts';

/**
 * One handler per kind of output. A promise is awaited before the next output, so a handler returns one only for what
 * must be done before (a durable write, a signature); a request to somebody else is started and its answer fed later.
 * A returned input is handled right after the outputs of this step.
 */
export type Effects<Input, Output extends { readonly kind: string }> = {
  readonly [K in Output['kind']]: (
    output: Extract<Output, { readonly kind: K }>,
  ) => Input | undefined | Promise<Input | undefined> | Promise<void> | void;
};

/** Inputs that every machine must have a word for, because they come from the driver itself. */
export type DriverInput = { readonly kind: 'timeout' } | { readonly kind: 'failed'; readonly status: Status };

export class MachineDriver<
  Data,
  State extends string,
  Input extends { readonly kind: string },
  Output extends { readonly kind: string },
  Action extends string,
> {
  readonly machine: Machine<Data, State, Input | DriverInput, Output, Action>;
  /** Called after each input was handled, with the state before and after. */
  onStep: ((before: State, input: Input | DriverInput, after: State) => void) | undefined;
  /** Called once, when the machine has come to a final state and its outputs were carried out or dropped. */
  onEnded: ((state: State) => void) | undefined;
  readonly #effects: Effects<Input, Output>;
  readonly #clock: Clock;
  readonly #queue: (Input | DriverInput)[] = [];
  #running = false;
  #fault: unknown;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #idle: (() => void)[] = [];

  constructor(
    machine: Machine<Data, State, Input | DriverInput, Output, Action>,
    effects: Effects<Input, Output>,
    clock: Clock,
  ) {
    this.machine = machine;
    this.#effects = effects;
    this.#clock = clock;
    this.#arm();
  }

  /** What our own code threw, if it did: the machine is dead then. */
  get fault(): unknown {
    return this.#fault;
  }

  get state(): State {
    return this.machine.state;
  }

  /** Inputs that wait for the one being carried out. */
  get waiting(): number {
    return this.#queue.length;
  }

  /** Queues an input; it is handled at once unless an earlier one is still being carried out. */
  feed(input: Input | DriverInput): void {
    if (this.machine.ended || this.#fault !== undefined) return;
    this.#queue.push(input);
    if (!this.#running) void this.#run();
  }

  /** Settles when no input is being handled or waiting. */
  settled(): Promise<void> {
    if (!this.#running) return Promise.resolve();
    return new Promise((resolve) => this.#idle.push(resolve));
  }

  async #run(): Promise<void> {
    this.#running = true;
    for (let input = this.#queue.shift(); input !== undefined; input = this.#queue.shift()) {
      if (this.machine.ended) break;
      if (!(await this.#step(input))) break;
    }
    this.#queue.length = 0;
    this.#running = false;
    this.#arm();
    if (this.machine.ended || this.#fault !== undefined) {
      this.onEnded?.(this.machine.state);
      this.onEnded = undefined;
    }
    for (const resolve of this.#idle.splice(0)) resolve();
  }

  /** A defect of ours in a machine ends that machine and nothing else. @returns whether to go on */
  async #step(input: Input | DriverInput): Promise<boolean> {
    const before = this.machine.state;
    try {
      const outputs = this.machine.handle(input, this.#clock.monotonicMs());
      this.onStep?.(before, input, this.machine.state);
      await this.#carryOut(outputs);
    } catch (error) {
      this.#fault = error;
      return false;
    }
    return true;
  }

  async #carryOut(outputs: readonly Output[]): Promise<void> {
    for (const output of outputs) {
      const effect = this.#effects[output.kind as Output['kind']];
      try {
        // The map's type ties each handler to its own output; indexing by a union loses that tie.
        const done = effect(output as never);
        const input = done instanceof Promise ? await done : done;
        if (input) this.#queue.unshift(input);
      } catch (error) {
        this.#queue.unshift({ kind: 'failed', status: statusOfError(error) });
        return;
      }
    }
  }

  #arm(): void {
    clearTimeout(this.#timer);
    const { deadlineAt, ended } = this.machine;
    if (ended || this.#fault !== undefined || deadlineAt === undefined) return;
    const waitMs = Math.max(0, deadlineAt - this.#clock.monotonicMs());
    this.#timer = setTimeout(() => this.feed({ kind: 'timeout' }), waitMs);
  }
}
