/**
 * `cpns doctor`: declaration only.
 */
import { Command, Option } from 'commander';
import { examples, withConfig, withJson, withState } from './options.ts';

export function doctorCommand(): Command {
  const command = withJson(withConfig(withState(new Command('doctor'))))
    .description('look for what keeps this host from working, and say the one command that mends each thing')
    .option(
      '--adapter <moniker>',
      'only this controller (else what the configurations name, or all there are)',
    )
    .addOption(
      new Option('--role <role>', 'only this role (else those with a configuration or state)').choices([
        'server',
        'gateway',
        'pne',
      ]),
    )
    .option('--strict', 'exit code 1 for warnings too')
    .option('--fix', 'mend what can be mended safely: shows each command, asks, runs it, looks again')
    .option('--yes', 'with --fix: answer yes to what touches only an adapter, the clock or a file of ours')
    .option(
      '--accept <check>',
      'with --fix: answer yes to this check too, which changes more; may be repeated',
      (name: string, earlier: readonly string[]) => [...earlier, name],
      [],
    )
    .action(async (options) => (await import('../actions/doctor.ts')).doctor(options));
  command.addHelpText(
    'after',
    `
Exit codes: 0 nothing that keeps it from working (hints and warnings may be there), 1 an error, or with --strict a
warning, 2 wrong usage, 130 Ctrl-C. No root needed; what only root can see is named. docs/troubleshooting.md explains
each check.`,
  );
  return examples(
    command,
    'cpns doctor',
    'cpns doctor --adapter hci:0 --json',
    'cpns doctor --fix',
    'cpns doctor --fix --yes --accept bluetoothd-holds',
  );
}
