/**
 * `cpns hil …`: declarations only.
 */
import { Command } from 'commander';
import { decimal, examples, wholeNumber, withJson } from './options.ts';

const actions = () => import('../actions/hil.ts');

export function hilCommand(): Command {
  return examples(
    new Command('hil')
      .description('hardware in the loop: the same suite against real adapters, many times, with statistics')
      .addCommand(run())
      .addCommand(compare())
      .addCommand(pne()),
    'cpns hil run --gateway-adapter hci0 --pne-adapter hci1',
    'cpns hil run --gateway-adapter hci0 --pne-host pi@kitchen.local --pne-adapter hci0',
    'cpns hil compare before.json after.json',
  );
}

const another = (name: string, before: readonly string[] = []): readonly string[] => [...before, name];

function run(): Command {
  const command = withJson(new Command('run'))
    .description('connect, establish, transfer, disconnect and resume, N times, and report')
    .requiredOption('--gateway-adapter <name>', "this host's adapter for the gateway: hci0, or any moniker")
    .requiredOption(
      '--pne-adapter <name>',
      "the PNE host's adapter; given five times, five links at once are tried as well",
      another,
    )
    .option(
      '--pne-host <user@host>',
      'run the PNE there, over ssh; its keys have to let you in without a question',
    )
    .option('--pne-command <command>', 'how cpns is started on that host', 'cpns')
    .option('--ssh-config <file>', 'configuration file for ssh')
    .option('--runs <n>', 'how many', wholeNumber(1, 10_000), 40)
    .option('--html <file>', 'write a page with plots')
    .option(
      '--keep <dir>',
      'where captures of failed runs are kept (default: a new directory in the system’s)',
    )
    .addHelpText(
      'after',
      `
The bar: p95 of connect ≤ 1 s, 95 % linked within two tries, 95 % of the runs through every phase, five links at once.
Exit codes: 0 every bar that could be tested is met, 1 one is missed or the runs were stopped, 130 Ctrl-C (what was run
so far is reported).`,
    )
    .action(async (options) => (await actions()).hilRun(options));
  return examples(
    command,
    'cpns hil run --gateway-adapter hci0 --pne-adapter hci1 --html hil.html --json > hil.json',
    'cpns hil run --gateway-adapter hci0 --pne-host pi@kitchen.local --pne-adapter hci0 --runs 100',
    'cpns hil run --gateway-adapter virtual --pne-adapter virtual --runs 3      with `cpns radio` running',
  );
}

function compare(): Command {
  const command = withJson(new Command('compare'))
    .argument('<before>', 'a report of `cpns hil run --json`')
    .argument('<after>', 'another one')
    .description('say what changed from one report to another, and whether it is more than chance')
    .option(
      '--threshold <percent>',
      'a median or p95 this much longer, beyond chance, is a regression',
      decimal(0, 1000),
      20,
    )
    .addHelpText(
      'after',
      '\nExit codes: 0 no regression, 1 a regression beyond the threshold and beyond chance.',
    )
    .action(async (before, after, options) => (await actions()).hilCompare(before, after, options));
  return examples(
    command,
    'cpns hil compare before.json after.json',
    'cpns hil compare a.json b.json --threshold 10 --json',
  );
}

function pne(): Command {
  const command = new Command('pne')
    .description("the PNE's side of a run: takes orders on stdin, answers on stdout; `hil run` starts it")
    .requiredOption('--adapter <name>', 'hci0, or any moniker')
    .action(async (options) => (await actions()).hilPne(options));
  return examples(command, 'cpns hil pne --adapter hci1');
}
