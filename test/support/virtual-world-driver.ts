/**
 * The driver of a machine in the virtual world, by the rules of src/nodes/machine-driver.ts: one input at a time, outputs
 * in order, a returned input handled next, a failure drops the outputs behind it and is fed as `failed`; one timer.
 */
import { CpnsError, statusOfError } from '../../src/base/errors.ts';
import type { Machine } from '../../src/establishment/machine.ts';
import type { DriverInput } from '../../src/nodes/machine-driver.ts';
import type { Timer, VirtualWorld } from './virtual-world.ts';

/** Kinds of output that write to a disk. */
const DURABLE = /^(persist|forget|save|settle)/;

export type VirtualEffects<Input, Output extends { readonly kind: string }> = {
  // biome-ignore lint/suspicious/noConfusingVoidType: a handler may return nothing, or an input
  readonly [K in Output['kind']]: (output: Extract<Output, { readonly kind: K }>) => Input | undefined | void;
};

export class VirtualDriver<
  Data,
  State extends string,
  Input extends { readonly kind: string },
  Output extends { readonly kind: string },
  Action extends string,
> {
  readonly machine: Machine<Data, State, Input | DriverInput, Output, Action>;
  readonly #world: VirtualWorld;
  readonly #effects: VirtualEffects<Input, Output>;
  /** Says which kinds of output can't be carried out now. */
  readonly #broken: (kind: string) => boolean;
  readonly #queue: (Input | DriverInput)[] = [];
  onEnded: (() => void) | undefined;
  #running = false;
  #dead = false;
  #timer: Timer | undefined;

  constructor(
    world: VirtualWorld,
    machine: Machine<Data, State, Input | DriverInput, Output, Action>,
    effects: VirtualEffects<Input, Output>,
    broken: (kind: string) => boolean = () => false,
  ) {
    this.machine = machine;
    this.#world = world;
    this.#effects = effects;
    this.#broken = broken;
    this.#arm();
  }

  feed(input: Input | DriverInput): void {
    if (this.#dead || this.machine.ended) return;
    this.#queue.push(input);
    if (!this.#running) this.#run();
  }

  /** The program ends without a word. */
  kill(): void {
    this.#dead = true;
    this.#timer?.cancel();
  }

  #run(): void {
    this.#running = true;
    for (let input = this.#queue.shift(); input && !this.machine.ended; input = this.#queue.shift())
      this.#carryOut(this.machine.handle(input, this.#world.nowMs));
    this.#queue.length = 0;
    this.#running = false;
    this.#arm();
    if (!this.machine.ended) return;
    this.onEnded?.();
    this.onEnded = undefined;
  }

  #carryOut(outputs: readonly Output[]): void {
    for (const output of outputs) {
      if (DURABLE.test(output.kind)) this.#world.changed();
      try {
        if (this.#broken(output.kind)) throw new CpnsError('cannot-persist');
        // The map's type ties each handler to its own output; indexing by a union loses that tie.
        const input = this.#effects[output.kind as Output['kind']](output as never);
        if (input) this.#queue.unshift(input);
      } catch (error) {
        if (!(error instanceof CpnsError)) throw error;
        this.#queue.unshift({ kind: 'failed', status: statusOfError(error) });
        return;
      }
    }
  }

  #arm(): void {
    this.#timer?.cancel();
    const { deadlineAt, ended } = this.machine;
    if (this.#dead || ended || deadlineAt === undefined) return;
    const { name } = this.machine.definition;
    this.#timer = this.#world.after(deadlineAt - this.#world.nowMs, `${name} in ${this.machine.state}`, () =>
      this.feed({ kind: 'timeout' }),
    );
  }
}
