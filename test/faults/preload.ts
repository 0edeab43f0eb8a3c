/**
 * Loaded into a process under test before the program (`node --import`): reads the plan from the environment and puts
 * journal, trap, network faults, clock and planted defect in place. The product knows nothing of it.
 */
import { PLAN_VARIABLE, type Plan, type ToProcess } from './plan.ts';
import { installClock } from './preload-clock.ts';
import { installDefect } from './preload-defects.ts';
import { installJournal } from './preload-journal.ts';
import { installNetwork, resetAll } from './preload-network.ts';
import { installTraps } from './preload-traps.ts';

const text = process.env[PLAN_VARIABLE];
if (text !== undefined) {
  // A program that this one starts is not under test.
  delete process.env[PLAN_VARIABLE];
  const plan = JSON.parse(text) as Plan;
  installClock(plan.clockFile);
  installNetwork(plan.fault);
  if (plan.defect) installDefect(plan.defect);
  installTraps(plan.trap, obey, installJournal(plan));
  // Not loaded for nothing: it brings a whole node with it.
  if (plan.errands !== undefined) await (await import('./preload-errands.ts')).installErrands(plan);
  process.on('SIGUSR2', resetAll);
}

function obey(word: ToProcess): void {
  if (word === 'reset') resetAll();
}
