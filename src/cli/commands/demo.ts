/**
 * `cpns demo`: declaration only.
 */
import { Command } from 'commander';
import { decimal, examples, wholeNumber } from './options.ts';

export function demoCommand(): Command {
  const command = new Command('demo')
    .description('establish a PN between separate processes on the virtual radio, and draw every message')
    .option('--pnes <n>', 'PNEs, each of a user of its own', wholeNumber(1, 5), 1)
    .option('--json <file>', 'one JSON object per message and result')
    .option('--keep <dir>', 'keep state, logs, captures and the key log there')
    .option('--interval <ms>', 'pace links by connection events this far apart', decimal(0, 4000))
    .option('--packets <n>', 'packets per connection event', wholeNumber(1, 64), 6)
    .option('--timeout <seconds>', 'give up after', wholeNumber(5, 600), 60)
    .action(async (options) => (await import('../demo/demo.ts')).demo(options));
  return examples(
    command,
    'cpns demo',
    'cpns demo --pnes 5 --interval 7.5',
    'cpns demo --keep /tmp/d --json flow.jsonl',
  );
}
