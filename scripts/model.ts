/**
 * Explores the protocol's own machines exhaustively within given bounds: `npm run model`, or with --help.
 * Owns the command line; what is explored is in test/model, what it means in docs/model/exploration.md. Progress goes to
 * stderr. Exit code 0 when everything held, 1 when something was found, 2 when the bound of states came first.
 */
import { parseArgs } from 'node:util';
import { type CellReport, cellReport, MACHINES, trapsOf, watchServer } from '../test/model/cells.ts';
import { explore, type Report } from '../test/model/explore.ts';
import { Scene } from '../test/model/scene.ts';

const HELP = `Usage: npm run model -- [options]

Goes through every state that the four machines can reach together, with crashes, loss, repetition and missed deadlines,
and checks the rules of docs/protocol.md §12 in each, and that the parties come together again once nothing fails any more.

Options:
  --pnes N         PNEs, 1 to 4 (1)
  --users N        users that they belong to, each with a home gateway (1)
  --faults N       how much may go wrong on one path (1)
  --attempts N     establishments with each PNE (2)
  --refusals N     how often a person may say no on one path (0)
  --max-states N   give up behind so many states (10,000,000)
  --json           print the report as JSON
  --help           this text

Examples:
  npm run model
  npm run model -- --faults 2
  npm run model -- --pnes 2 --users 2 --attempts 1
`;

const { values } = parseArgs({
  options: {
    pnes: { type: 'string', default: '1' },
    users: { type: 'string', default: '1' },
    faults: { type: 'string', default: '1' },
    attempts: { type: 'string', default: '2' },
    refusals: { type: 'string', default: '0' },
    'max-states': { type: 'string', default: '10000000' },
    json: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});

function count(name: Exclude<keyof typeof values, 'json' | 'help'>, least: number, most: number): number {
  const text = values[name] ?? '';
  const number = Number(text);
  if (!/^\d+$/.test(text) || number < least || number > most) {
    process.stderr.write(`--${name} is a number from ${least} to ${most}, not ${text}\n`);
    process.exit(64);
  }
  return number;
}

function print(report: Report, cells: readonly CellReport[]): void {
  const { complete, states, transitions, depth, elapsedMs, ends, cut, finding } = report;
  const say = (line: string) => process.stdout.write(`${line}\n`);
  say(`states ${states}, transitions ${transitions}, depth ${depth}, ${(elapsedMs / 1000).toFixed(1)} s`);
  const counts = (of: Readonly<Record<string, number>>) =>
    Object.entries(of)
      .map(([what, n]) => `${n} ${what}`)
      .join('; ') || 'none';
  say(`ends: ${counts(ends)}`);
  say(`ends cut off by the bound of attempts: ${counts(cut)}`);
  for (const { machine, cells: all, gone, excused, holes, unreached } of cells) {
    say(
      `${machine}: ${gone} of ${all} cells gone through, ${excused.length} excused, ${holes.length} not in these bounds`,
    );
    for (const state of unreached) say(`  never in ${state}`);
  }
  if (finding) {
    say(`\nFOUND: ${finding.what}`);
    for (const [index, label] of finding.path.entries()) say(`${String(index + 1).padStart(4)}  ${label}`);
    say(
      `\nAgain: npm run model -- ${process.argv
        .slice(2)
        .filter((word) => word !== '--json')
        .join(' ')}`,
    );
  } else
    say(
      complete
        ? 'Every rule held in every state, and every state leads to a legal end.'
        : 'Given up: nothing is claimed.',
    );
}

async function main(): Promise<number> {
  if (values.help) {
    process.stdout.write(HELP);
    return 0;
  }
  const pnes = count('pnes', 1, 4);
  const users = count('users', 1, pnes);
  const limits = {
    faults: count('faults', 0, 9),
    attempts: count('attempts', 1, 9),
    noes: count('refusals', 0, 9),
    maxStates: count('max-states', 1, 100_000_000),
  };
  const traps = MACHINES.flatMap(trapsOf);
  if (traps.length > 0) throw new Error(`no way out of ${traps.join(', ')}`);
  watchServer();
  const scene = new Scene(Array.from({ length: pnes }, (_, pne) => pne % users));
  const report = await explore(scene, limits, (states, depth, waiting) => {
    process.stderr.write(`\r${states} states, depth ${depth}, ${waiting} at it  `);
  });
  process.stderr.write('\n');
  const cells = MACHINES.map(cellReport);
  if (values.json)
    process.stdout.write(`${JSON.stringify({ pnes, users, ...limits, ...report, cells }, null, 2)}\n`);
  else print(report, cells);
  if (report.finding) return 1;
  return report.complete ? 0 : 2;
}

process.exitCode = await main();
