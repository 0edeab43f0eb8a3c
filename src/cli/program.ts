/**
 * The command tree of `cpns`: names, options, help and examples. Owns the declarations' common parts.
 * Must not import an action: each is loaded when its command runs, so that `--help` stays quick.
 */
import { Command } from 'commander';
import { demoCommand } from './commands/demo.ts';
import { doctorCommand } from './commands/doctor.ts';
import { firstbootCommand } from './commands/firstboot.ts';
import { gatewayCommand } from './commands/gateway.ts';
import { hilCommand } from './commands/hil.ts';
import { auditCommand, pnCommand } from './commands/pn.ts';
import { pneCommand } from './commands/pne.ts';
import { profileCommand } from './commands/profile.ts';
import { radioCommand } from './commands/radio.ts';
import { serverCommand } from './commands/server.ts';
import { traceCommand } from './commands/trace.ts';
import { programVersion } from './version.ts';

export function buildProgram(): Command {
  const program = new Command('cpns')
    .description('Personal Networks over Bluetooth LE: server, gateway and PNE of OMA CPNS')
    .version(programVersion(), '--version', 'print the version')
    .addCommand(serverCommand())
    .addCommand(gatewayCommand())
    .addCommand(pneCommand())
    .addCommand(pnCommand())
    .addCommand(auditCommand())
    .addCommand(doctorCommand())
    .addCommand(traceCommand())
    .addCommand(profileCommand())
    .addCommand(radioCommand())
    .addCommand(hilCommand())
    .addCommand(firstbootCommand())
    .addCommand(demoCommand())
    .addHelpText(
      'after',
      `
Exit codes: 0 done, 1 failed (a status is named), 2 wrong usage or configuration, 130 Ctrl-C.

Examples:
  cpns demo                       the whole flow in processes of its own, no hardware needed
  cpns gateway run                a gateway with the configuration of ~/.config/cpns/gateway.toml
  cpns doctor                     what keeps this host from working, and what mends it
  cpns pn list --state DIR        the personal networks a gateway or server holds`,
    );
  everyCommand(program, (command) => {
    command
      .exitOverride()
      .configureHelp({ showGlobalOptions: false })
      .showHelpAfterError('(--help says more)');
  });
  return program;
}

function everyCommand(command: Command, act: (command: Command) => void): void {
  act(command);
  for (const inner of command.commands) everyCommand(inner, act);
}
