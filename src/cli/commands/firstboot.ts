/**
 * `cpns firstboot`: declaration only.
 */
import { Command } from 'commander';
import { examples, withJson } from './options.ts';

export function firstbootCommand(): Command {
  const command = withJson(new Command('firstboot'))
    .argument('<file>', 'cpns.toml: role, and for a gateway server and token')
    .description(
      'set a headless device up from a file; cpns-firstboot.service runs it for the boot partition',
    )
    .action(async (file, options) => (await import('../actions/firstboot.ts')).firstboot(file, options));
  return examples(command, 'cpns firstboot cpns.toml');
}
