/**
 * `cpns server …`: declarations only.
 */
import { Command } from 'commander';
import { examples, wholeNumber, withConfig, withDaemon, withJson, withState } from './options.ts';

const admin = () => import('../actions/server-admin.ts');

export function serverCommand(): Command {
  return examples(
    new Command('server')
      .description("the operator's CPNS server")
      .addCommand(init())
      .addCommand(run())
      .addCommand(status())
      .addCommand(user())
      .addCommand(token())
      .addCommand(gateway())
      .addCommand(pne())
      .addCommand(report())
      .addCommand(key())
      .addCommand(clock()),
    'cpns server init --realm cpns.example.net',
    'cpns server user add ann',
    'cpns server token create ann "living room"',
    'cpns server run',
  );
}

function init(): Command {
  const command = withConfig(withState(new Command('init')))
    .description("make the operator's keys, CA and database, and a configuration where there is none")
    .option('--realm <domain>', "the operator's domain: what home addresses end in")
    .option('--host <address>', 'where to listen, for a new configuration', '127.0.0.1')
    .option('--port <port>', 'TCP port, for a new configuration', wholeNumber(0, 65_535), 8443)
    .action(async (options) => (await admin()).serverInit(options));
  return examples(command, 'cpns server init --realm cpns.example.net --host 0.0.0.0');
}

function run(): Command {
  const command = withDaemon(new Command('run'))
    .description('serve gateways until SIGTERM or Ctrl-C')
    .action(async (options) => (await import('../actions/server-run.ts')).serverRun(options));
  return examples(
    command,
    'cpns server run --config /etc/cpns/server.toml',
    'cpns server run --log-level debug',
  );
}

function status(): Command {
  const command = withJson(withState(new Command('status')))
    .description('ask the running server how it is')
    .action(async (options) => (await import('../actions/status.ts')).showStatus('server', options));
  return examples(command, 'cpns server status --json');
}

function user(): Command {
  const add = withJson(withState(new Command('add')))
    .argument('<label>', 'name that gateways and PNEs show, at most 24 bytes')
    .description('add a user')
    .action(async (label, options) => (await admin()).userAdd(label, options));
  const list = withJson(withState(new Command('list')))
    .description('list the users')
    .action(async (options) => (await admin()).userList(options));
  const revoke = withState(new Command('revoke'))
    .argument('<label>')
    .description("end a user's subscription; their gateways and PNEs are refused from then on")
    .action(async (label, options) => (await admin()).userRevoke(label, options));
  return examples(
    new Command('user')
      .description('users')
      .addCommand(examples(add, 'cpns server user add ann'))
      .addCommand(examples(list, 'cpns server user list --json'))
      .addCommand(examples(revoke, 'cpns server user revoke ann')),
    'cpns server user add ann',
  );
}

function token(): Command {
  const create = withJson(withState(new Command('create')))
    .argument('<user>', 'whose gateway it will be')
    .argument('<label>', "the gateway's name, at most 24 bytes")
    .option('--hours <n>', 'how long it can be used', wholeNumber(1, 720), 24)
    .description('make a one-time token that enrols one gateway; shown this once')
    .action(async (user, label, options) => (await admin()).tokenCreate(user, label, options));
  return examples(
    new Command('token')
      .description('tokens that enrol gateways')
      .addCommand(examples(create, 'cpns server token create ann "living room"')),
    'cpns server token create ann "living room" > token.txt',
  );
}

function gateway(): Command {
  const list = withJson(withState(new Command('list')))
    .description('list the gateways')
    .action(async (options) => (await admin()).gatewayList(options));
  const revoke = withState(new Command('revoke'))
    .argument('<id>', 'its 16 hex digits')
    .description('refuse a gateway from now on')
    .action(async (id, options) => (await admin()).gatewayRevoke(id, options));
  return examples(
    new Command('gateway')
      .description('enrolled gateways')
      .addCommand(examples(list, 'cpns server gateway list'))
      .addCommand(examples(revoke, 'cpns server gateway revoke 0123456789abcdef')),
    'cpns server gateway list --json',
  );
}

function pne(): Command {
  const list = withJson(withState(new Command('list')))
    .description('list the PNEs')
    .action(async (options) => (await admin()).pneList(options));
  const revoke = withState(new Command('revoke'))
    .argument('<thumbprint>', 'its 64 hex digits, or the first 8 and more')
    .description('refuse a PNE from now on')
    .action(async (thumbprint, options) => (await admin()).pneRevoke(thumbprint, options));
  return examples(
    new Command('pne')
      .description('enrolled PNEs')
      .addCommand(examples(list, 'cpns server pne list'))
      .addCommand(examples(revoke, 'cpns server pne revoke 8a53c0de')),
    'cpns server pne list --json',
  );
}

function key(): Command {
  const list = withJson(withState(new Command('list')))
    .description('list the keys: the newest signs, all are believed')
    .action(async (options) => (await admin()).keyList(options));
  const roll = withState(new Command('roll'))
    .description('make a new key to sign with; gateways and PNEs learn it by themselves')
    .action(async (options) => (await admin()).keyRoll(options));
  const retire = withState(new Command('retire'))
    .argument('<number>', 'as `cpns server key list` shows it', wholeNumber(1, 1_000_000))
    .description(
      'believe an older key no more: at once if it leaked, else when no join is open and all members were there since',
    )
    .action(async (number, options) => (await admin()).keyRetire(number, options));
  return examples(
    new Command('key')
      .description('the keys the server signs challenges, inventories and outcomes with')
      .addCommand(examples(list, 'cpns server key list'))
      .addCommand(examples(roll, 'cpns server key roll'))
      .addCommand(examples(retire, 'cpns server key retire 1')),
    'cpns server key roll',
  );
}

function report(): Command {
  const command = withJson(withState(new Command('report')))
    .argument('<file...>', 'from `cpns gateway reports --json`, or the console of a gateway')
    .description(
      'verify what users reported: who asked for whose PNE, by the signatures alone; copies count once',
    )
    .action(async (files, options) =>
      (await import('../actions/server-report.ts')).serverReport(files, options),
    );
  return examples(command, 'cpns server report reports.json', 'cpns server report cpns-report-*.json');
}

function clock(): Command {
  const accept = withState(new Command('accept'))
    .description('believe the host clock as it is now, after it was found implausible')
    .action(async (options) => (await admin()).clockAccept(options));
  return examples(
    new Command('clock')
      .description("the server's trust in its clock")
      .addCommand(examples(accept, 'cpns server clock accept')),
    'cpns server clock accept',
  );
}
