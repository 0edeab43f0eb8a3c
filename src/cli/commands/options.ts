/**
 * Options that several commands share, and examples at the end of a help text. Owns their wording.
 */
import { type Command, InvalidArgumentError, Option } from 'commander';

export const examples = (command: Command, ...lines: readonly string[]): Command =>
  command.addHelpText('after', `\nExamples:\n${lines.map((line) => `  ${line}`).join('\n')}`);

export const withState = (command: Command): Command =>
  command.option(
    '--state <dir>',
    'state directory (else CPNS_STATE, systemd STATE_DIRECTORY, ~/.local/state/cpns/ROLE)',
  );

export const withConfig = (command: Command): Command =>
  command.option('--config <file>', 'configuration (else CPNS_CONFIG, ~/.config/cpns/ROLE.toml, /etc/cpns)');

export const withJson = (command: Command): Command =>
  command.option('--json', 'machine-readable output on stdout');

/** What every `run` has. */
export const withDaemon = (command: Command): Command =>
  withConfig(withState(command))
    .option('--trace', 'one JSON line on stdout for each protocol message')
    .option('--log-file <file>', 'log to a file and not to stderr')
    .option('--log-level <level>', 'over [log] level: fatal, error, warn, info, debug, trace, silent')
    .addOption(new Option('--parent-pipe', 'stop when stdin is closed').hideHelp());

export const withRadio = (command: Command): Command =>
  command
    .option(
      '--adapter <moniker>',
      'over [bluetooth] adapter: hci:N[/user|/raw], h4:unix:PATH, virtual[:PATH]',
    )
    .addOption(
      new Option('--as <side>', 'over [bluetooth] as: which side makes the link').choices([
        'central',
        'peripheral',
        'both',
      ]),
    )
    .option('--capture <file>', 'btsnoop file of everything on HCI')
    .option('--keylog <file>', 'link keys for `cpns trace`, mode 0600; anyone with it reads the capture');

/** A whole number between two bounds, for commander. */
export const wholeNumber =
  (least: number, most: number) =>
  (text: string): number => {
    const number = Number(text);
    if (!/^\d+$/.test(text) || number < least || number > most) {
      throw new InvalidArgumentError(`a whole number from ${least} to ${most}`);
    }
    return number;
  };

/** A number between two bounds, fractions allowed. */
export const decimal =
  (least: number, most: number) =>
  (text: string): number => {
    const number = Number(text);
    if (!/^\d+(\.\d+)?$/.test(text) || number < least || number > most) {
      throw new InvalidArgumentError(`a number from ${least} to ${most}`);
    }
    return number;
  };
