/**
 * What the long commands of this folder have in common: Ctrl-C that ends them in good order, and how a failure is told.
 * Owns exit statuses; knows no command.
 */
import { setMaxListeners } from 'node:events';
import { EXIT, UsageError } from '../src/cli/exit-codes.ts';

/** Ctrl-C and its kin: what is under way ends at once, with its processes. The second one does not wait. */
export function interruptible(): AbortController {
  const interrupt = new AbortController();
  // Everything that waits listens, and each world watches over its processes until this one exits.
  setMaxListeners(0, interrupt.signal, process);
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => {
      if (interrupt.signal.aborted) process.exit(EXIT.interrupted);
      interrupt.abort();
    });
  }
  return interrupt;
}

/** Runs a command to its exit status: 2 and one line for wrong usage, 1 and the stack for a defect. */
export function runCommand(main: () => Promise<number>): void {
  main().then(
    (code) => {
      process.exitCode = code;
    },
    (error: unknown) => {
      const usage = error instanceof UsageError;
      const told = usage ? `${error.message}; see --help` : String((error as Error)?.stack ?? error);
      process.stderr.write(`${told}\n`);
      process.exitCode = usage ? EXIT.usage : EXIT.failure;
    },
  );
}
