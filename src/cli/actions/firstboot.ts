/**
 * `cpns firstboot`: a headless device becomes what the file on its boot partition says. Owns the order: configuration, keys
 * and state, the server's word. Each step is harmless when it was done before, so that it can be cut off anywhere and
 * run again. Must not delete the file nor enable a unit: that needs root, and is done after this has succeeded.
 */
import { join } from 'node:path';
import { ConfigError } from '../../config/config-error.ts';
import { type FirstbootConfig, FirstbootSchema } from '../../config/firstboot-config.ts';
import { gatewayExample } from '../../config/gateway-config.ts';
import { readConfig } from '../../config/load.ts';
import { pneExample } from '../../config/pne-config.ts';
import { enrolGatewayState, GATEWAY_DATABASE, makeGateway } from '../../nodes/gateway/state.ts';
import { replaceFile } from '../../security/durable-file.ts';
import { openGatewayStore } from '../../store/gateway-store.ts';
import { print, withProgress } from '../output.ts';
import { createState, writeFirstConfig } from '../roles.ts';
import { makePne } from './pne-setup.ts';

export async function firstboot(file: string, options: { readonly json?: boolean }): Promise<void> {
  const wanted = readConfig(FirstbootSchema, file);
  const done = wanted.role === 'pne' ? setUpPne(wanted) : await setUpGateway(wanted, file);
  const { RUNTIME_DIRECTORY } = process.env;
  // For whoever enables the unit.
  if (RUNTIME_DIRECTORY) replaceFile(join(RUNTIME_DIRECTORY, 'role'), `${wanted.role}\n`, 0o600);
  print(options.json, { role: wanted.role, ...done }, () =>
    [`${wanted.role} set up: state in ${done.stateDir}, configuration ${done.config}`, done.next].join('\n'),
  );
}

interface Done {
  readonly stateDir: string;
  readonly config: string;
  readonly next: string;
}

function setUpPne({ adapter }: Extract<FirstbootConfig, { role: 'pne' }>): Done {
  const { file: config } = writeFirstConfig('pne', {}, pneExample(adapter));
  const stateDir = createState('pne', {});
  makePne(stateDir);
  return { stateDir, config, next: 'next: cpns pne enrol, with `cpns gateway pair` at the home gateway' };
}

async function setUpGateway(
  { server, token, adapter }: Extract<FirstbootConfig, { role: 'gateway' }>,
  named: string,
): Promise<Done> {
  const { file: config } = writeFirstConfig('gateway', {}, gatewayExample(server, adapter));
  const stateDir = createState('gateway', {});
  makeGateway(stateDir);
  const known = enrolledAt(stateDir);
  if (known !== undefined && known !== server) {
    const problem = `this gateway is enrolled at ${known} already; move ${stateDir} away first`;
    throw new ConfigError([{ file: named, key: 'server', problem }]);
  }
  // Enrolled, and cut off before the file was gone: the token is spent and not needed again.
  if (known === undefined) await withProgress(`asking ${server}`, enrolGatewayState(stateDir, server, token));
  return { stateDir, config, next: `enrolled at ${server}` };
}

/** @returns the server's address; undefined before an enrolment */
function enrolledAt(stateDir: string): string | undefined {
  const store = openGatewayStore(join(stateDir, GATEWAY_DATABASE));
  try {
    return store.enrolment()?.serverUrl;
  } finally {
    store.close();
  }
}
