/**
 * Mending with consent: each command is shown before it runs, runs as it was shown, and is judged by looking again.
 * Owns the loop and what may run at all; how a person is asked and a command is run is the caller's.
 */
import { fillIn } from './check.ts';
import { checkOf, type Finding } from './checks.ts';
import type { Examination } from './examine.ts';

export interface Fixer {
  /** Shows the command and asks; false leaves things as they are. */
  consents(finding: Finding, command: string): Promise<boolean>;
  /** @returns its exit status */
  run(command: string): Promise<number>;
  look(): Promise<Examination>;
}

export interface Fixed {
  readonly finding: Finding;
  readonly command: string;
  /** `mended`: the finding is gone. `remains`: the command ended well and it is not. */
  readonly result: 'mended' | 'remains' | 'failed' | 'declined';
}

/** The command of a finding. */
export function commandOf(finding: Finding): string {
  return fillIn(checkOf(finding.check).command, finding);
}

/**
 * A command as this process is to run it: root needs no sudo, and where nobody can type a password sudo must not ask.
 * @param root whether this process is root
 */
export function asRunHere(
  command: string,
  root = process.geteuid?.() === 0,
  terminal = process.stdin.isTTY === true,
): string {
  if (root) return command.replaceAll(/\bsudo (?!-)/g, '');
  return terminal ? command : command.replaceAll(/\bsudo (?!-)/g, 'sudo -n ');
}

/** Whether `--fix` may run its command, and by which consent. */
export function consentFor(finding: Finding): 'asked' | 'named' | undefined {
  return finding.byHand ? undefined : checkOf(finding.check).fix;
}

/** @returns what was done, and how things are now */
export async function mend(
  first: Examination,
  fixer: Fixer,
): Promise<{ readonly fixed: readonly Fixed[]; readonly examination: Examination }> {
  const fixed: Fixed[] = [];
  let examination = first;
  const tried = new Set<string>();
  const next = () =>
    examination.findings.find((finding) => consentFor(finding) && !tried.has(keyOf(finding)));
  for (let finding = next(); finding !== undefined; finding = next()) {
    const command = commandOf(finding);
    const key = keyOf(finding);
    tried.add(key);
    if (!(await fixer.consents(finding, command))) {
      fixed.push({ finding, command, result: 'declined' });
      continue;
    }
    const status = await fixer.run(command);
    examination = await fixer.look();
    const there = examination.findings.some((other) => keyOf(other) === key);
    fixed.push({ finding, command, result: !there ? 'mended' : status === 0 ? 'remains' : 'failed' });
  }
  return { fixed, examination };
}

/** One fault of one adapter is the same whatever its details are. */
const keyOf = (finding: Finding): string => `${finding.check} ${finding.adapter} ${commandOf(finding)}`;
