/**
 * Runs a machine as src/nodes/machine-driver.ts does, without its promises: inputs one at a time, outputs in order, a
 * returned input next, and behind an output that failed nothing but the input `failed`. Notes each cell it comes through.
 */
import { statusOfError } from '../../src/base/errors.ts';
import { Machine, type MachineDefinition } from '../../src/establishment/machine.ts';
import type { DriverInput, Effects } from '../../src/nodes/machine-driver.ts';
import { Crash } from './gate.ts';
import type { Side, World } from './world.ts';

/** Cells that were gone through: `machine: state × input`, and the states that were reached. */
export class Coverage {
  readonly cells = new Map<string, number>();
  readonly states = new Set<string>();

  note(machine: string, state: string, kind: string, to: string): void {
    const cell = `${machine}: ${state} × ${kind}`;
    this.cells.set(cell, (this.cells.get(cell) ?? 0) + 1);
    this.states.add(`${machine}: ${to}`);
  }
}

/** What has been gone through since the program began, or since it was emptied. */
export const COVERAGE = new Coverage();

/** What a machine throws is a defect of it, and ends the world. @throws Crash when the party died on the way */
export function drive<
  Data,
  State extends string,
  Input extends { readonly kind: string },
  Output extends { readonly kind: string },
  Action extends string,
>(
  world: World,
  definition: MachineDefinition<Data, State, Input | DriverInput, Output, Action>,
  side: Side<State, Data>,
  first: Input | DriverInput,
  effects: Effects<Input, Output>,
): void {
  const queue: (Input | DriverInput)[] = [first];
  for (let input = queue.shift(); input !== undefined; input = queue.shift()) {
    if (definition.final.includes(side.state)) return;
    const machine = new Machine(definition, side.data, side.state);
    let outputs: readonly Output[];
    try {
      outputs = machine.handle(input, 0);
    } catch (error) {
      world.violation ??= `a machine threw in ${side.state} × ${input.kind}: ${error instanceof Error ? error.message : error}`;
      return;
    }
    COVERAGE.note(definition.name, side.state, input.kind, machine.state);
    side.state = machine.state;
    for (const output of outputs) {
      try {
        const next = effects[output.kind as Output['kind']](output as never) as Input | undefined;
        if (next) queue.unshift(next);
      } catch (error) {
        if (error instanceof Crash) throw error;
        queue.unshift({ kind: 'failed', status: statusOfError(error) });
        break;
      }
    }
  }
}
