/**
 * What a user reads when a command fails: what happened, its status, and what mends it. Owns the sentences about mending.
 * Must not print a stack unless CPNS_DEBUG is set, nor anything secret: errors of this project hold none.
 */
import { CpnsError } from '../base/errors.ts';
import type { Status } from '../base/statuses.ts';
import { ConfigError } from '../config/config-error.ts';
import { EXIT, InterruptedError, UsageError } from './exit-codes.ts';

const MENDS: Partial<Record<Status, string>> = {
  'not-enrolled':
    'Enrol first: `cpns gateway enrol` with a token of the operator, `cpns pne enrol` with the home gateway.',
  'server-unreachable': 'Check that the server runs (`cpns server status`) and the address in [server] url.',
  'cannot-persist': 'Check owner, mode and free space of the state directory.',
  'token-invalid': 'Ask the operator for a new token: `cpns server token create`.',
  'enrolment-code-wrong': 'Type the code again as the device shows it; it has 50 letters and digits.',
  'enrolment-code-spent': 'Show a new code: `cpns pne enrol`.',
  'clock-implausible': 'Set the host clock, or accept it as it is: `cpns server clock accept`.',
};

interface Described {
  readonly message: string;
  readonly mend?: string | undefined;
  readonly code: number;
}

function describe(error: unknown): Described {
  if (error instanceof ConfigError || error instanceof UsageError) {
    return { message: error.message, code: EXIT.usage };
  }
  if (error instanceof CpnsError) {
    // An error with a detail of its own says it better than the table does.
    return { message: error.message, mend: error.mend ?? MENDS[error.status], code: EXIT.failure };
  }
  if (!(error instanceof Error)) return { message: String(error), code: EXIT.failure };
  switch (error.name) {
    case 'ControlError': {
      const status = 'status' in error ? (error.status as Status) : 'internal';
      const message = error.message.startsWith(status) ? error.message : `${status}: ${error.message}`;
      return { message, mend: MENDS[status], code: EXIT.failure };
    }
    case 'NoDaemonError':
      return {
        message: error.message,
        mend: 'Start it with `cpns server|gateway|pne run`, or name its state directory with --state.',
        code: EXIT.failure,
      };
    case 'MonikerError':
    case 'ProfileError':
    case 'BtsnoopError':
      return { message: error.message, code: EXIT.usage };
    case 'BluetoothUnavailableError':
      return { message: error.message, code: EXIT.failure };
    default: {
      const status = 'status' in error && typeof error.status === 'string' ? error.status : 'internal';
      return { message: `${status}: ${error.message}`, code: EXIT.failure };
    }
  }
}

/** Prints to stderr. @returns the exit code */
export function reportError(error: unknown): number {
  if (error instanceof InterruptedError) return EXIT.interrupted;
  const { message, mend, code } = describe(error);
  process.stderr.write(`cpns: ${message}\n`);
  if (mend !== undefined) process.stderr.write(`  ${mend}\n`);
  const { CPNS_DEBUG } = process.env;
  if (CPNS_DEBUG && error instanceof Error) process.stderr.write(`${error.stack}\n`);
  return code;
}
