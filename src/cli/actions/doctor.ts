/**
 * `cpns doctor`: looks, tells, and with --fix mends what it may. Wiring, the questions to the person, and running commands.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { CHECKS, type CheckId, checkOf, isFailure } from '../../doctor/checks.ts';
import { type Examination, type ExamineOptions, examine } from '../../doctor/examine.ts';
import { asRunHere, consentFor, type Fixed, type Fixer, mend } from '../../doctor/fix.ts';
import { doctorView, formatDoctor } from '../doctor-view.ts';
import { EXIT, UsageError } from '../exit-codes.ts';
import { print, withProgress } from '../output.ts';
import { Asker } from '../prompt.ts';

interface Options extends ExamineOptions {
  readonly json?: boolean;
  readonly strict?: boolean;
  readonly fix?: boolean;
  readonly yes?: boolean;
  readonly accept: readonly string[];
}

/** An update of package lists may take its time; nothing else does. */
const COMMAND_LIMIT_MS = 120_000;

export async function doctor(options: Options): Promise<void> {
  checkUsage(options);
  endOnInterrupt();
  const look = () => withProgress('looking', examine(options));
  let examination = await look();
  let fixed: readonly Fixed[] | undefined;
  if (options.fix) ({ fixed, examination } = await mendWithConsent(examination, options, look));
  const view = doctorView(examination, fixed);
  print(options.json, view, () => formatDoctor(view));
  process.exitCode = isFailure(examination.findings, options.strict === true) ? EXIT.failure : EXIT.ok;
}

function checkUsage({ role, state, config, fix, yes, accept }: Options): void {
  if (role === undefined && (state ?? config) !== undefined) {
    throw new UsageError('--state and --config are of one role: say which, with --role');
  }
  if (!fix && (yes || accept.length > 0)) throw new UsageError('--yes and --accept go with --fix');
  for (const name of accept) {
    if (!(name in CHECKS) || checkOf(name as CheckId).fix === undefined) {
      const known = Object.entries(CHECKS).flatMap(([id, row]) => ('fix' in row ? id : []));
      throw new UsageError(`--accept ${name}: not one of ${known.join(', ')}`);
    }
  }
}

async function mendWithConsent(first: Examination, { yes, accept }: Options, look: Fixer['look']) {
  let asker: Asker | undefined;
  try {
    return await mend(first, {
      look,
      run: runCommand,
      consents: async (finding, command) => {
        const { title } = checkOf(finding.check);
        process.stderr.write(`${title}:\n  ${asRunHere(command)}\n`);
        if (accept.includes(finding.check) || (yes && consentFor(finding) === 'asked')) return true;
        if (yes) {
          process.stderr.write(`  not run: it changes more than an adapter; add --accept ${finding.check}\n`);
          return false;
        }
        asker ??= new Asker();
        const answer = await asker.ask('  run it? [y/N] ');
        return /^y(es)?$/i.test(answer?.trim() ?? '');
      },
    });
  } finally {
    asker?.close();
  }
}

/** What runs now, and goes with this command. */
let running: ChildProcess | undefined;

/** Between two steps, never within one: what was copied to be looked at is removed before this is heard. */
function endOnInterrupt(): void {
  process.on('SIGINT', () => {
    running?.kill('SIGINT');
    process.exit(EXIT.interrupted);
  });
}

function runCommand(command: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const child = spawn('/bin/sh', ['-c', asRunHere(command)], { stdio: ['inherit', 'pipe', 'inherit'] });
    running = child;
    child.stdout.pipe(process.stderr, { end: false });
    const timer = setTimeout(() => child.kill('SIGTERM'), COMMAND_LIMIT_MS);
    child.on('error', reject);
    child.on('close', (code) => {
      clearTimeout(timer);
      running = undefined;
      resolve(code ?? EXIT.failure);
    });
  });
}
