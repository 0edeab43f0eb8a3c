/**
 * `cpns gateway …`: declarations only.
 */
import { Command } from 'commander';
import { examples, withConfig, withDaemon, withJson, withRadio, withState } from './options.ts';

const setup = () => import('../actions/gateway-setup.ts');
const ask = () => import('../actions/gateway-ask.ts');

export function gatewayCommand(): Command {
  return examples(
    new Command('gateway')
      .description("a user's gateway: opens a PN, and is the home of its user's PNEs")
      .addCommand(init())
      .addCommand(enrol())
      .addCommand(run())
      .addCommand(status())
      .addCommand(pair())
      .addCommand(qr())
      .addCommand(pnes())
      .addCommand(approvals())
      .addCommand(reports())
      .addCommand(consoleLink()),
    'cpns gateway init --server https://cpns.example.net:8443',
    'cpns gateway enrol < token.txt',
    'cpns gateway run',
    'cpns gateway pair',
  );
}

function init(): Command {
  const command = withConfig(withState(new Command('init')))
    .description('make the identity key and state, and a configuration where there is none')
    .option('--server <url>', "the server's address, for a new configuration")
    .option('--adapter <moniker>', 'Bluetooth controller, for a new configuration', 'hci:0')
    .action(async (options) => (await setup()).gatewayInit(options));
  return examples(command, 'cpns gateway init --server https://cpns.example.net:8443 --adapter hci:1');
}

function enrol(): Command {
  const command = withJson(withConfig(withState(new Command('enrol'))))
    .description('enrol at the server with the token it issued; the token is read from stdin or a prompt')
    .option('--server <url>', 'over [server] url')
    .action(async (options) => (await setup()).gatewayEnrol(options));
  return examples(
    command,
    'cpns gateway enrol < token.txt',
    'cpns gateway enrol          asks for the token',
  );
}

function run(): Command {
  const command = withRadio(withDaemon(new Command('run')))
    .description('serve until SIGTERM or Ctrl-C')
    .option('--with-pne <dir>', "run this host's PNE as well, on the same adapter: its state directory")
    .option('--pne-config <file>', 'its configuration (else where `cpns pne run` looks)')
    .action(async (options) => (await import('../actions/gateway-run.ts')).gatewayRun(options));
  return examples(
    command,
    'cpns gateway run --adapter hci:1',
    'cpns gateway run --as both                for phones as well',
    'cpns gateway run --capture gw.btsnoop --keylog gw.keys',
    'cpns gateway run --with-pne ~/.local/state/cpns/pne',
  );
}

function status(): Command {
  const command = withJson(withState(new Command('status')))
    .description('ask the running gateway how it is')
    .action(async (options) => (await import('../actions/status.ts')).showStatus('gateway', options));
  return examples(command, 'cpns gateway status');
}

function pair(): Command {
  const command = withJson(withState(new Command('pair')))
    .description(
      'make a PNE yours: reads the code it shows from a prompt or stdin, and finds it over Bluetooth',
    )
    .action(async (options) => (await ask()).gatewayPair(options));
  return examples(command, 'cpns gateway pair', 'cpns gateway pair < code.txt');
}

function qr(): Command {
  const command = withJson(withState(new Command('qr')))
    .description(
      'show a code, as text and QR, for a phone or PNE that connects by itself; asks whether it shows the same digits; ends when it was used',
    )
    .option('--page <url>', 'the QR opens this page with the code behind its #')
    .option('--png <file>', 'also write the QR as a picture, mode 0600, removed when it was used')
    .option('--print', 'show it although stdout is no terminal')
    .action(async (options) => (await import('../actions/gateway-qr.ts')).gatewayQr(options));
  return examples(
    command,
    'cpns gateway qr',
    'cpns gateway qr --page https://gateway.local:8444/pne/',
    'cpns gateway qr --print --png code.png',
  );
}

function pnes(): Command {
  const revoke = examples(
    withState(new Command('revoke'))
      .argument('<thumbprint>', 'of the PNE, or its first digits, four at least')
      .description('take a PNE off: this home answers "not owned" from now on, until it is enrolled again')
      .action(async (thumbprint, _options, command: Command) => {
        await (await ask()).pnesRevoke(thumbprint, command.optsWithGlobals());
      }),
    'cpns gateway pnes revoke 5f1c',
  );
  const command = withJson(withState(new Command('pnes')))
    .description('list the PNEs whose home this gateway is')
    .action(async (options) => (await ask()).gatewayPnes(options))
    .addCommand(revoke);
  return examples(command, 'cpns gateway pnes', 'cpns gateway pnes --json');
}

function approvals(): Command {
  const answer = (name: 'allow' | 'deny', what: string, always: string) =>
    examples(
      withState(new Command(name))
        .argument('<id>', 'join ID, or its first digits')
        .option('--always', always)
        .description(what)
        .action(async (id, _options, command: Command) => {
          // --state may stand behind `approvals` or behind `allow`.
          await (await ask()).approvalsAnswer(name, id, command.optsWithGlobals());
        }),
      `cpns gateway approvals ${name} 5f1c`,
      `cpns gateway approvals ${name} 5f1c --always`,
    );
  const report = examples(
    withState(new Command('report'))
      .argument('<id>', 'join ID, or its first digits')
      .description(
        'no, and it should not have been asked: its gateway hears no until you withdraw the report',
      )
      .action(async (id, _options, command: Command) => {
        await (await ask()).approvalsReport(id, command.optsWithGlobals());
      }),
    'cpns gateway approvals report 5f1c',
  );
  const command = withJson(withState(new Command('approvals')))
    .description("what waits for your answer: someone's gateway wants to take in one of your PNEs")
    .option('--watch', 'stay, and ask at each request (y, n, always, never, report)')
    .action(async (options) => (await ask()).approvalsShow(options))
    .addCommand(
      answer(
        'allow',
        'yes: it is yours and may be charged to you',
        'also from now on, for this PNE and this very gateway, at no higher cost',
      ),
    )
    .addCommand(
      answer(
        'deny',
        'no: it may not join, nor be charged to you',
        'also from now on, for this PNE and this very gateway',
      ),
    )
    .addCommand(report);
  return examples(command, 'cpns gateway approvals', 'cpns gateway approvals --watch');
}

function reports(): Command {
  const withdraw = examples(
    withState(new Command('withdraw'))
      .argument('<id>', 'join ID, or its first digits')
      .description('take a report back: its gateway may ask again')
      .action(async (id, _options, command: Command) => {
        await (await ask()).reportsWithdraw(id, command.optsWithGlobals());
      }),
    'cpns gateway reports withdraw 5f1c',
  );
  const command = withJson(withState(new Command('reports')))
    .description('what you reported; with --json all of the evidence, to hand to your operator')
    .action(async (options) => (await ask()).gatewayReports(options))
    .addCommand(withdraw);
  return examples(command, 'cpns gateway reports', 'cpns gateway reports --json > reports.json');
}

function consoleLink(): Command {
  const command = withJson(withState(new Command('console')))
    .description('a link, as text and QR, that opens the page of the running gateway and logs in, once')
    .option('--print', 'show it although stdout is no terminal')
    .option(
      '--reset',
      'before that remove the password, passkeys and notified browsers, and log everybody out',
    )
    .action(async (options) => (await import('../actions/gateway-console.ts')).gatewayConsole(options));
  return examples(
    command,
    'cpns gateway console',
    'cpns gateway console --json',
    'cpns gateway console --reset',
  );
}
