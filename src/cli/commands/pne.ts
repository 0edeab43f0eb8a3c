/**
 * `cpns pne …`: declarations only.
 */
import { Command } from 'commander';
import { examples, withConfig, withDaemon, withJson, withRadio, withState } from './options.ts';

export function pneCommand(): Command {
  return examples(
    new Command('pne')
      .description('a device that joins personal networks')
      .addCommand(init())
      .addCommand(enrol())
      .addCommand(run())
      .addCommand(status())
      .addCommand(answer())
      .addCommand(forget()),
    'cpns pne init',
    'cpns pne enrol',
    'cpns pne run',
  );
}

function init(): Command {
  const command = withConfig(withState(new Command('init')))
    .description('make the identity key and state, and a configuration where there is none')
    .option('--adapter <moniker>', 'Bluetooth controller, for a new configuration', 'hci:0')
    .action(async (options) => (await import('../actions/pne-setup.ts')).pneInit(options));
  return examples(command, 'cpns pne init --adapter hci:0');
}

function enrol(): Command {
  const command = withRadio(withConfig(withState(new Command('enrol'))))
    .description(
      'show a code, as text and QR, to be typed in at the home gateway, or take the one it shows (as central); ends when enrolled',
    )
    .option('--print', 'show it although stdout is no terminal')
    .action(async (options) => (await import('../actions/pne-enrol.ts')).pneEnrol(options));
  return examples(
    command,
    'cpns pne enrol',
    'cpns pne enrol --print > code.txt',
    'cpns pne enrol --as central < code.txt      with the code of `cpns gateway qr`',
  );
}

function run(): Command {
  const command = withRadio(withDaemon(new Command('run')))
    .description('advertise or connect, and join what the rules or the person at the terminal accept')
    .option('--enrol', 'first show an enrolment code on stdout, when it has no home gateway yet')
    .action(async (options) => (await import('../actions/pne-run.ts')).pneRun(options));
  return examples(
    command,
    'cpns pne run',
    'cpns pne run --as central                   connects to gateways that are GATT peripherals',
    'cpns pne run --adapter virtual --trace',
  );
}

function status(): Command {
  const command = withJson(withState(new Command('status')))
    .description('ask the running PNE how it is')
    .action(async (options) => (await import('../actions/status.ts')).showStatus('pne', options));
  return examples(command, 'cpns pne status --json');
}

function forget(): Command {
  const command = withState(new Command('forget'))
    .argument('<pn-id>', 'the PN, 16 hexadecimal digits')
    .description('leave a PN from this side: erase its keys and inventory, end the link')
    .action(async (pnId, options) => (await import('../actions/pne-setup.ts')).pneForget(pnId, options));
  return examples(command, 'cpns pne forget 0e5f0bb7fd8bf184');
}

function answer(): Command {
  const command = withState(new Command('answer'))
    .argument('<answer>', 'join or decline')
    .description('answer the gateway that asks now, when `cpns pne run` has no terminal')
    .action(async (text, options) => (await import('../actions/pne-setup.ts')).pneAnswer(text, options));
  return examples(command, 'cpns pne answer join');
}
