/**
 * What the exit code of `cpns` says. Owns the numbers; nothing else may make one up.
 */
export const EXIT = {
  ok: 0,
  /** Something failed; a status is named on stderr. */
  failure: 1,
  /** The command line or the configuration is wrong; nothing was done. */
  usage: 2,
  /** Ctrl-C, as shells count it: 128 + SIGINT. */
  interrupted: 130,
} as const;

/** The command line or what was typed is wrong: exit code 2. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

/** The user stopped it: exit code 130 and no further words. */
export class InterruptedError extends Error {
  override readonly name = 'InterruptedError';
}
