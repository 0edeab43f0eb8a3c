/**
 * The small size of the exploration (docs/model/exploration.md): every state of one PNE with one fault, every state of two
 * PNEs with none; the tables read for traps and cells gone through; and the mutants, each of which must be found.
 */
import assert from 'node:assert/strict';
import { cellReport, cellsOf, EXCUSES, MACHINES, trapsOf, watchServer } from './cells.ts';
import { explore, type Report } from './explore.ts';
import { Graph } from './graph.ts';
import { MUTANTS } from './mutants.ts';
import { Scene } from './scene.ts';

const MAX_STATES = 100_000;

function assertHeld({ finding, complete, ends }: Report): void {
  assert.equal(finding && [finding.what, ...finding.path].join('\n'), undefined);
  assert.ok(complete, 'more states than allowed for');
  assert.ok((ends['registered'] ?? 0) > 0, 'nobody was ever registered');
}

describe('the model of the protocol', function () {
  this.timeout(600_000);
  let mend = () => {};
  before(() => {
    mend = watchServer();
  });
  after(() => mend());

  it('holds in every state of one PNE with one fault and one no', async () => {
    const report = await explore(new Scene([0]), { faults: 1, attempts: 1, noes: 1, maxStates: MAX_STATES });
    assertHeld(report);
    assert.ok((report.ends['absent'] ?? 0) > 0, 'nothing ever came to nothing');
    assert.ok(report.states > 3000, `only ${report.states} states`);
  });

  it('holds in every state of two PNEs of two users, without a fault', async () => {
    const report = await explore(new Scene([0, 1]), {
      faults: 0,
      attempts: 1,
      noes: 0,
      maxStates: MAX_STATES,
    });
    assertHeld(report);
    assert.ok(report.states > 10_000, `only ${report.states} states`);
  });

  it('enters every state of the four tables', () => {
    for (const machine of MACHINES) assert.deepEqual(cellReport(machine).unreached, []);
  });

  it('goes through no cell that is said to be out of its reach', () => {
    for (const machine of MACHINES) {
      const { cells, gone, excused, holes } = cellReport(machine);
      assert.equal(gone + excused.length + holes.length, cells);
      const excusable = cellsOf(machine).filter((cell) => EXCUSES.some(({ covers }) => covers(cell)));
      assert.equal(excused.length, excusable.length, machine.name);
    }
  });

  it('has a way out of every state of the tables that is no end', () => {
    assert.deepEqual(MACHINES.flatMap(trapsOf), []);
    const [pne] = MACHINES;
    assert.ok(pne);
    const trap = { ...pne, table: { ...pne.table, member: { Data: { to: ['member'] } } } };
    assert.deepEqual(trapsOf(trap), ['member']);
  });

  it('knows from where a target can be reached', () => {
    const graph = new Graph();
    for (const [from, to] of [
      [0, 1],
      [1, 2],
      [3, 3],
    ] as const)
      graph.add(from, to);
    assert.equal(graph.firstAstray(3, [2]), undefined);
    assert.equal(graph.firstAstray(4, [2]), 3);
  });
});

describe('the model finds', function () {
  this.timeout(600_000);
  for (const { what, finds, homeOf, limits, apply } of MUTANTS)
    it(what, async () => {
      const mend = apply();
      try {
        const { finding } = await explore(new Scene(homeOf), { ...limits, maxStates: MAX_STATES });
        assert.match(finding?.what ?? 'nothing', finds);
      } finally {
        mend();
      }
    });
});
