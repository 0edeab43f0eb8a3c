/**
 * What is wrong with a configuration, said so that the reader can mend it: the file, the line, the key, what was
 * expected, an example. Owns the sentence. Must not print or exit; the command does (exit code 2).
 */

export interface ConfigFault {
  /** The file as the user would name it; absent when there was no file. */
  readonly file?: string | undefined;
  /** From 1. */
  readonly line?: number | undefined;
  /** `bluetooth.adapter`, `approvals.rule[2].user`. */
  readonly key?: string | undefined;
  readonly problem: string;
  readonly expected?: string | undefined;
  /** A line that would be right. */
  readonly example?: string | undefined;
}

export class ConfigError extends Error {
  override readonly name = 'ConfigError';
  readonly faults: readonly ConfigFault[];

  constructor(faults: readonly ConfigFault[], options?: ErrorOptions) {
    super(faults.map(formatFault).join('\n'), options);
    this.faults = faults;
  }
}

/** One fault in one to three lines. */
export function formatFault({ file, line, key, problem, expected, example }: ConfigFault): string {
  const place = [file, line].filter((part) => part !== undefined).join(':');
  const head = [place, key].filter((part) => part !== undefined && part !== '').join(': ');
  const lines = [head === '' ? problem : `${head}: ${problem}`];
  if (expected !== undefined) lines.push(`  expected: ${expected}`);
  if (example !== undefined) lines.push(`  example:  ${example}`);
  return lines.join('\n');
}
