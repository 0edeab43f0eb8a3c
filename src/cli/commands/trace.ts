/**
 * `cpns trace`: declaration only.
 */
import { Command } from 'commander';
import { examples, withJson } from './options.ts';

export function traceCommand(): Command {
  const command = withJson(new Command('trace'))
    .argument(
      '[file]',
      'a btsnoop capture (H4) of `--capture` or `demo --keep`; with --message, a body in hex',
    )
    .description('decode captured messages: segments and links, and with the key log every field')
    .option('--keylog <file>', 'keys of the links, as `--keylog` and `demo --keep` write them')
    .option('--segments', 'a line for each segment too')
    .option(
      '--message <name>',
      'decode one body in place of a capture; without an argument it is read from stdin',
    )
    .action(async (file, options) => (await import('../actions/trace.ts')).traceFile(file, options));
  return examples(
    command,
    'cpns trace pne.btsnoop --keylog keys.txt',
    'cpns trace --message Ack a10100',
    'cpns trace pne.btsnoop --json | jq .name',
  );
}
