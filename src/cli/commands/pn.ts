/**
 * `cpns pn …`: declarations only.
 */
import { Command } from 'commander';
import { examples, withJson, withState } from './options.ts';

const actions = () => import('../actions/pn.ts');

export function pnCommand(): Command {
  const list = withJson(withState(new Command('list')))
    .description('list the PNs that a state directory of a server, gateway or PNE holds')
    .action(async (options) => (await actions()).pnList(options));
  const show = withJson(withState(new Command('show')))
    .argument('<pn-id>', '16 hex digits, or the first ones')
    .description('the signed inventory of a PN: members, capabilities, SHA-256 of its exact bytes')
    .action(async (pnId, options) => (await actions()).pnShow(pnId, options));
  return examples(
    new Command('pn')
      .description('personal networks, read from a state directory; no daemon needed')
      .addCommand(examples(list, 'cpns pn list --state ~/.local/state/cpns/gateway'))
      .addCommand(examples(show, 'cpns pn show 5f1c --json'))
      .addCommand(auditCommand('cpns pn audit')),
    'cpns pn list',
    'cpns pn audit 5f1c0123456789ab',
  );
}

/** Also a command of its own: whoever audits need not know where it belongs. */
export function auditCommand(name = 'cpns audit'): Command {
  const audit = withJson(withState(new Command('audit')))
    .argument('<pn-id>', '16 hex digits, or the first ones')
    .description("verify a registered PN again from the server's stored evidence, and say what was checked")
    .action(async (pnId, options) => (await actions()).pnAudit(pnId, options));
  return examples(audit, `${name} 5f1c --state ~/.local/state/cpns/server`);
}
