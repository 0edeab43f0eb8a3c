/**
 * `cpns gateway init` and `enrol`: keys and state, then the server's word for them. Owns what is asked and printed; the
 * doing is src/nodes/gateway/state.ts.
 */
import { GatewaySchema, gatewayExample } from '../../config/gateway-config.ts';
import { enrolGatewayState, makeGateway } from '../../nodes/gateway/state.ts';
import { fields, print, withProgress } from '../output.ts';
import { readOneLine } from '../prompt.ts';
import { createState, existingState, loadRoleConfig, type RoleOptions, writeFirstConfig } from '../roles.ts';

export function gatewayInit(
  options: RoleOptions & { readonly server?: string; readonly adapter: string },
): void {
  const stateDir = createState('gateway', options);
  makeGateway(stateDir);
  const { file, written } = writeFirstConfig(
    'gateway',
    options,
    gatewayExample(options.server, options.adapter),
  );
  print(false, undefined, () =>
    [
      `gateway state in ${stateDir}`,
      `configuration ${written ? 'written to' : 'is'} ${file}${written && !options.server ? "; put the server's address there" : ''}`,
      'next: cpns gateway enrol < token.txt',
    ].join('\n'),
  );
}

export async function gatewayEnrol(
  options: RoleOptions & { readonly server?: string; readonly json?: boolean },
): Promise<void> {
  const stateDir = existingState('gateway', options);
  const url = options.server ?? loadRoleConfig('gateway', GatewaySchema, options).server.url;
  const token = await readOneLine('token: ', 'token');
  const enrolled = await withProgress(`asking ${url}`, enrolGatewayState(stateDir, url, token));
  print(options.json, enrolled, () => fields(enrolled));
}
