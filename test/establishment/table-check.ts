/**
 * How a machine's table is tested: each row is one real path through one cell, with the next state and everything that is
 * to be carried out, in order. What the rows leave out of the table, or add to it, is found here: a new cell without a row
 * fails, and so does an absent cell that does not end the link.
 */
import assert from 'node:assert/strict';
import type { Status } from '../../src/base/statuses.ts';
import type { Machine, MachineDefinition } from '../../src/establishment/machine.ts';

interface AnyOutput {
  readonly kind: string;
}

/** One path: `says` are the outputs as {@link summary} puts them. */
export interface Row<Bench, State extends string, Input extends { readonly kind: string }> {
  readonly at: State;
  readonly on: Input['kind'];
  readonly when?: string;
  /** A way to `at` other than the usual one. */
  readonly bench?: () => Bench;
  readonly input: (bench: Bench) => Input;
  readonly to: State;
  readonly says: readonly string[];
}

/** Outputs in one line each: what is sent, how a link is closed, otherwise the kind. */
export function summary(outputs: readonly AnyOutput[]): string[] {
  return outputs.map((output) => {
    const { kind, message, status, abort, bytes } = output as Record<string, unknown> & AnyOutput;
    if (kind === 'send') return `send ${message}`;
    if (kind === 'limit') return `limit ${bytes}`;
    if (kind === 'close') return `close ${status}${abort ? ', abort' : ''}`;
    return kind;
  });
}

/** What a bench gives: the machine, and a way to feed it that keeps a record of what became durable. */
export interface AnyBench<State extends string, Input extends { readonly kind: string }, Output> {
  readonly machine: Pick<Machine<unknown, State, Input, Output, string>, 'state' | 'deadlineAt' | 'ended'>;
  feed(input: Input): readonly Output[];
}

interface Suite<Bench, State extends string, Input extends { readonly kind: string }> {
  readonly enter: (state: State) => Bench;
  readonly rows: readonly Row<Bench, State, Input>[];
  /** Any input of a kind, for cells that are absent. */
  readonly stray: (kind: Input['kind'], bench: Bench) => Input;
  readonly kinds: readonly Input['kind'][];
  /** Status with which an input that does not belong ends the link. */
  readonly unexpected: Status;
}

/** Declares the tests of a whole table. */
export function checkTable<
  Data,
  State extends string,
  Input extends { readonly kind: string },
  Output extends AnyOutput,
  Action extends string,
  Bench extends AnyBench<State, Input, Output>,
>(
  definition: MachineDefinition<Data, State, Input, Output, Action>,
  suite: Suite<Bench, State, Input>,
): void {
  const { enter, rows, stray, kinds, unexpected } = suite;
  const states = Object.keys(definition.table) as State[];
  const cells = definition.table as Readonly<
    Record<State, Readonly<Record<string, { to: readonly State[] } | undefined>>>
  >;

  describe(`table of the ${definition.name}: each cell`, () => {
    for (const row of rows) {
      it(`${row.at} × ${row.on}${row.when ? ` (${row.when})` : ''} → ${row.to}`, () => {
        const bench = row.bench ? row.bench() : enter(row.at);
        assert.equal(bench.machine.state, row.at, 'the bench is not where the row begins');
        const outputs = bench.feed(row.input(bench));
        assert.equal(bench.machine.state, row.to);
        assert.deepEqual(summary(outputs), row.says);
        if (bench.machine.ended) assert.equal(bench.machine.deadlineAt, undefined, 'a timer is left armed');
      });
    }

    it('is reached, and each of its next states', () => {
      const reached = new Set(rows.map(({ at, on, to }) => `${at} × ${on} → ${to}`));
      const missing = states.flatMap((state) =>
        Object.entries(cells[state]).flatMap(([kind, cell]) =>
          (cell?.to ?? []).map((to) => `${state} × ${kind} → ${to}`).filter((name) => !reached.has(name)),
        ),
      );
      assert.deepEqual(missing, []);
      for (const kind of states.flatMap((state) => Object.keys(cells[state])))
        assert.ok((kinds as readonly string[]).includes(kind), `${kind} is not among the kinds tested`);
    });
  });

  describe(`table of the ${definition.name}: absent cells`, () => {
    for (const state of states) {
      const absent = kinds.filter((kind) => !cells[state][kind]);
      const final = definition.final.includes(state);
      it(`${state}: ${absent.length} kinds ${final ? 'are ignored' : `end with ${unexpected}`}`, () => {
        for (const kind of absent) {
          const bench = enter(state);
          const outputs = bench.feed(stray(kind, bench));
          assert.equal(bench.machine.state, final ? state : 'closed', kind);
          assert.deepEqual(
            summary(outputs).filter((line) => line.startsWith('close')),
            final ? [] : [`close ${unexpected}, abort`],
            kind,
          );
          assert.equal(bench.machine.deadlineAt, undefined, kind);
        }
      });
    }
  });
}
