/**
 * `npm run soak`: five PNEs join, leave and talk for minutes while things go wrong. Owns the command line, progress and exit
 * status; the run is test/soak/soak.ts and shown by report.ts and soak-page.ts beside it.
 */
import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { EXIT, UsageError } from '../src/cli/exit-codes.ts';
import { DEFECTS, type Defect } from '../test/faults/plan.ts';
import { duration, passed, seconds, soakJson, soakText } from '../test/soak/report.ts';
import { CONVERGE_MS, runSoak, type SoakOptions } from '../test/soak/soak.ts';
import { soakPage } from '../test/soak/soak-page.ts';
import { interruptible, runCommand } from './command-line.ts';

const COMMAND = 'npm run soak --';
const MAX_PNES = 5;
const ROLES = ['pne', 'gateway', 'server'] as const;
const HELP = `The soak: PNEs join, leave and talk while processes, radio, disks and clocks fail at random, in bursts. After each
burst everybody has to converge within ${CONVERGE_MS / 1000} s; the safety rules are checked after every commit; no process may grow.
docs/soak.md says more.

usage: ${COMMAND} [options]

  --minutes M     how long, once all have joined; default 5. It takes some quiet spans, and so some ten
                  minutes, until the growth of a process can be judged
  --pnes N        1 to ${MAX_PNES}, each with a home gateway of its own; default ${MAX_PNES}
  --seed N        where chance comes from; default: a new one, printed. Equal seeds choose alike, not at the same instants
  --defect R:NAME plants a defect in all processes of role ${ROLES.join(', ')}, to see it found: ${DEFECTS.join(', ')}
  --keep DIR      where state and logs are kept when something was found; default test/output/soak
  --html FILE     also writes the report with its curves as a page
  --json          prints the report as JSON
  --help

examples
  ${COMMAND} --minutes 30 --html soak.html
  ${COMMAND} --minutes 1 --pnes 2 --seed 7
  ${COMMAND} --minutes 1 --pnes 1 --defect pne:pending-not-written

exit status: 0 nothing found, 1 a violation or growth, 2 wrong usage, 130 interrupted (the report so far is printed)
`;

function readArguments() {
  try {
    const { values } = parseArgs({
      options: {
        minutes: { type: 'string' },
        pnes: { type: 'string' },
        seed: { type: 'string' },
        defect: { type: 'string' },
        keep: { type: 'string', default: 'test/output/soak' },
        html: { type: 'string' },
        json: { type: 'boolean', default: false },
        help: { type: 'boolean', short: 'h', default: false },
      },
    });
    return {
      ...values,
      minutes: minutesOf(values.minutes ?? '5'),
      pnes: numberOf('pnes', values.pnes, 1, MAX_PNES) ?? MAX_PNES,
      seed: numberOf('seed', values.seed, 0, 0xffffffff) ?? randomBytes(4).readUInt32BE(),
      defect: defectOf(values.defect),
    };
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}

/** A part of one is as good. */
function minutesOf(text: string): number {
  const minutes = Number(text);
  if (!/^\d{1,4}(\.\d+)?$/.test(text) || minutes <= 0)
    throw new UsageError(`--minutes wants a number above 0, not ${text}`);
  return minutes;
}

function numberOf(name: string, text: string | undefined, least: number, most: number): number | undefined {
  if (text === undefined) return undefined;
  if (!/^\d{1,10}$/.test(text) || Number(text) < least || Number(text) > most)
    throw new UsageError(`--${name} wants a number from ${least} to ${most}, not ${text}`);
  return Number(text);
}

function defectOf(text: string | undefined): SoakOptions['defect'] {
  if (text === undefined) return undefined;
  const [role = '', kind] = text.split(':');
  if (!ROLES.includes(role as (typeof ROLES)[number]) || !DEFECTS.includes(kind as Defect))
    throw new UsageError(
      `--defect wants a role of ${ROLES.join(', ')} and a defect of ${DEFECTS.join(', ')}`,
    );
  return { role, kind: kind as Defect };
}

async function main(): Promise<number> {
  const options = readArguments();
  if (options.help) {
    process.stdout.write(HELP);
    return EXIT.ok;
  }
  const { minutes, pnes, seed, json } = options;
  const say = (text: string): void => void (json ? process.stderr : process.stdout).write(text);
  const showProgress = process.stdout.isTTY && !json;
  const clear = showProgress ? '\r\x1b[K' : '';
  say(`seed ${seed}, ${pnes} PNEs, ${minutes} min\n`);
  const report = await runSoak({
    ...options,
    signal: interruptible().signal,
    onFinding: ({ atMs, kind, what }) => say(`${clear}${seconds(atMs)} ${kind}: ${what}\n`),
    onProgress: ({ phase, atMs, operations, faults, findings }) => {
      if (showProgress)
        say(
          `${clear}${duration(atMs)} of ${minutes} min: ${phase}; ${operations} operations, ${faults} faults, ${findings} violations`,
        );
    },
  });
  say(clear);
  process.stdout.write(json ? soakJson(report) : soakText(report));
  if (options.html !== undefined) writeFileSync(options.html, soakPage(report));
  if (!passed(report)) return EXIT.failure;
  return report.interrupted ? EXIT.interrupted : EXIT.ok;
}

runCommand(main);
