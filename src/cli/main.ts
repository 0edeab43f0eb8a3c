#!/usr/bin/env -S node --max-semi-space-size=1 --disable-warning=ExperimentalWarning
/**
 * Entry of the `cpns` command. Owns turning the end of a command into an exit code; loads nothing that `--help` does not
 * need. Every action is imported when it runs.
 */
import { CommanderError } from 'commander';
import { EXIT } from './exit-codes.ts';
import { exitSoon } from './exit-soon.ts';
import { buildProgram } from './program.ts';

// `cpns trace … | head`: whoever reads has enough. The demo's children go with its exit.
process.stdout.on('error', (error: NodeJS.ErrnoException) =>
  process.exit(error.code === 'EPIPE' ? EXIT.ok : EXIT.failure),
);

try {
  await buildProgram().parseAsync(process.argv);
} catch (error) {
  if (error instanceof CommanderError) process.exitCode = error.exitCode === 0 ? EXIT.ok : EXIT.usage;
  else {
    process.exitCode = (await import('./report-error.ts')).reportError(error);
    exitSoon();
  }
}
