/** `cpns hil …` as a process of its own, with all that it says. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

/** The entry of the program, built when the test is. */
export const MAIN = fileURLToPath(
  new URL(`../../src/cli/main.${import.meta.url.endsWith('.ts') ? 'ts' : 'js'}`, import.meta.url),
);

export interface HilCommand {
  readonly child: ChildProcess;
  readonly said: { out: string; progress: string };
  readonly ended: Promise<number | null>;
}

export function startHil(args: readonly string[], env: NodeJS.ProcessEnv = {}): HilCommand {
  const child = spawn(process.execPath, [...process.execArgv, MAIN, 'hil', ...args], {
    stdio: ['pipe', 'pipe', 'pipe'],
    env: { ...process.env, ...env },
  });
  const said = { out: '', progress: '' };
  child.stdout.on('data', (chunk) => {
    said.out += chunk;
  });
  child.stderr.on('data', (chunk) => {
    said.progress += chunk;
  });
  const ended = once(child, 'close').then(([code]) => code as number | null);
  return { child, said, ended };
}
