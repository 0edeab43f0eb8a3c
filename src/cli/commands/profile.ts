/**
 * `cpns profile …`: declarations only.
 */
import { Command } from 'commander';
import { examples, withJson } from './options.ts';

const actions = () => import('../actions/profile.ts');

export function profileCommand(): Command {
  const detect = withJson(new Command('detect'))
    .description('which firmware profile an adapter has, why, and what is not known of it')
    .option('--adapter <moniker>', 'hci:N, h4:unix:PATH, h4:tcp:HOST:PORT, virtual[:PATH]', 'hci:0')
    .option('--open', 'ask the controller too: needs the rights and the adapter to itself for a moment')
    .action(async (options) => (await actions()).profileDetect(options));
  const list = withJson(new Command('list'))
    .description('the firmware profiles that come with the program')
    .action(async (options) => (await actions()).profileList(options));
  const show = withJson(new Command('show'))
    .argument('<name>', 'of a profile, or the path of a .json file')
    .description('what a profile holds, with reasons and sources')
    .action(async (name, options) => (await actions()).profileShow(name, options));
  const check = withJson(new Command('check'))
    .argument('[files...]', 'profiles to check; those that come with the program by default')
    .description('check profiles against the schema; exit status 1 when one is wrong')
    .action(async (files, options) => (await actions()).profileCheck(files, options));
  return examples(
    new Command('profile')
      .description('firmware profiles: what is known of each kind of Bluetooth adapter')
      .addCommand(
        examples(
          detect,
          'cpns profile detect',
          'cpns profile detect --adapter hci:1 --open --json',
          'cpns profile detect --adapter virtual',
        ),
      )
      .addCommand(examples(list, 'cpns profile list'))
      .addCommand(examples(show, 'cpns profile show raspberry-pi-4b', 'cpns profile show my.json --json'))
      .addCommand(examples(check, 'cpns profile check my.json')),
    'cpns profile detect',
    'cpns profile show raspberry-pi-4b',
  );
}
