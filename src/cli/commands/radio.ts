/**
 * `cpns radio`: declaration only.
 */
import { Command } from 'commander';
import { decimal, examples, wholeNumber } from './options.ts';

export function radioCommand(): Command {
  const command = new Command('radio')
    .description(
      'run the virtual radio: Bluetooth controllers on a UNIX socket, one for each client that speaks HCI (H4)',
    )
    .option('--socket <path>', 'where to listen (default: that of the moniker `virtual`)')
    .option(
      '--vhci <n>',
      'also plug n controllers into this kernel as hciN (root, module hci_vhci)',
      wholeNumber(1, 16),
    )
    .option('--interval <ms>', 'pace links by connection events this far apart', decimal(0, 4000))
    .option('--packets <n>', 'packets per connection event', wholeNumber(1, 64), 6)
    .option('--seed <n>', 'of the dice that decide faults', wholeNumber(0, 0xffffffff), 1)
    .option('--advert-loss <p>', 'probability that a scanner misses an advertisement', decimal(0, 1))
    .option('--link-loss <p>', 'probability, per packet, that the link is lost', decimal(0, 1))
    .option('--drop-at <n>', 'lose each link at its n-th packet', wholeNumber(1, 1_000_000))
    .option('--latency <ms>', 'added to every packet', decimal(0, 60_000))
    .option('--max-mtu <n>', 'largest ATT MTU', wholeNumber(23, 517))
    .action(async (options) => (await import('../actions/radio.ts')).radio(options));
  return examples(
    command,
    'cpns radio',
    'cpns radio --interval 7.5 --packets 6',
    'cpns radio --vhci 2',
    'cpns radio --socket /tmp/r.sock --link-loss 0.001 --seed 7',
  );
}
