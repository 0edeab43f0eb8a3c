/**
 * What all machines of the project are: a table of state × input, actions that look at the input and choose among the
 * states the table allows, and outputs for a driver to carry out in order. Pure: no clock, no I/O, no randomness, no
 * await. The tables are data, so that documents, tests and the model checker read the same thing that runs.
 *
 * Contract with a driver: outputs are carried out one after the other; when one fails (a write to disk, say), those
 * behind it are dropped and the machine is told by an input. Thus "persist, then send" is the order of two outputs.
 */
import type { MonotonicMs } from '../base/time.ts';

/** One cell of a table: the action's name and every state it may lead to. */
export interface Cell<State extends string, Action extends string> {
  readonly do: Action;
  readonly to: readonly State[];
}

/** Rows are states, columns kinds of input. An absent cell means that the input does not belong there. */
export type TransitionTable<State extends string, Kind extends string, Action extends string> = {
  readonly [S in State]: { readonly [K in Kind]?: Cell<State, Action> };
};

/** What an action decides: the next state and what the driver has to do. */
export interface Step<State extends string, Output> {
  readonly to: State;
  readonly outputs: readonly Output[];
}

export interface MachineDefinition<
  Data,
  State extends string,
  Input extends { readonly kind: string },
  Output,
  Action extends string,
> {
  readonly name: string;
  readonly initial: State;
  /** States that end the machine's life: every input is ignored there. */
  readonly final: readonly State[];
  /** Milliseconds after entering (or re-entering) a state at which the input `timeout` is due. */
  readonly deadlines: { readonly [S in State]?: number };
  readonly table: TransitionTable<State, Input['kind'], Action>;
  readonly actions: {
    readonly [A in Action]: (
      data: Data,
      input: Input,
      state: State,
      nowMs: MonotonicMs,
    ) => Step<State, Output>;
  };
  /** What to do with an input whose cell is absent. */
  readonly unexpected: (data: Data, input: Input, state: State, nowMs: MonotonicMs) => Step<State, Output>;
}

/** A machine at work: definition, its data and where it stands. */
export class Machine<
  Data,
  State extends string,
  Input extends { readonly kind: string },
  Output,
  Action extends string,
> {
  readonly definition: MachineDefinition<Data, State, Input, Output, Action>;
  readonly data: Data;
  #state: State;
  #deadlineAt: MonotonicMs | undefined;

  /** @param state where to start: the initial state, or what was read back from disk */
  constructor(
    definition: MachineDefinition<Data, State, Input, Output, Action>,
    data: Data,
    state: State = definition.initial,
    nowMs: MonotonicMs = 0,
  ) {
    this.definition = definition;
    this.data = data;
    this.#state = state;
    this.#arm(nowMs);
  }

  get state(): State {
    return this.#state;
  }

  get ended(): boolean {
    return this.definition.final.includes(this.#state);
  }

  /** When the input `timeout` is due, on the caller's monotonic clock; undefined when nothing is awaited. */
  get deadlineAt(): MonotonicMs | undefined {
    return this.#deadlineAt;
  }

  /** Takes one input at one instant and says what to do about it. */
  handle(input: Input, nowMs: MonotonicMs): readonly Output[] {
    if (this.ended) return [];
    const kind = input.kind as Input['kind'];
    const cell = this.definition.table[this.#state][kind];
    const step = cell
      ? this.definition.actions[cell.do](this.data, input, this.#state, nowMs)
      : this.definition.unexpected(this.data, input, this.#state, nowMs);
    if (cell && !cell.to.includes(step.to)) {
      throw new Error(
        `${this.definition.name}: ${this.#state} × ${kind} led to ${step.to}, not in its table`,
      );
    }
    this.#state = step.to;
    this.#arm(nowMs);
    return step.outputs;
  }

  #arm(nowMs: MonotonicMs): void {
    const afterMs = this.definition.deadlines[this.#state];
    this.#deadlineAt = afterMs === undefined ? undefined : nowMs + afterMs;
  }
}
