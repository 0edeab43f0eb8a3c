/**
 * `cpns gateway init` and `enrol`: keys and state, then the server's word for them. Owns the order; the exchange with the
 * server is src/nodes/gateway-enrol.ts.
 */
import { join } from 'node:path';
import { toHex } from '../../base/bytes.ts';
import { GatewaySchema, gatewayExample } from '../../config/gateway-config.ts';
import { enrolAtServer } from '../../nodes/gateway-enrol.ts';
import { systemClock } from '../../nodes/system-clock.ts';
import { loadKey, loadOrCreateKey } from '../../security/keystore.ts';
import { nodePrimitives } from '../../security/primitives-node.ts';
import { openGatewayStore } from '../../store/gateway-store.ts';
import { fields, print, withProgress } from '../output.ts';
import { readOneLine } from '../prompt.ts';
import { createState, existingState, loadRoleConfig, type RoleOptions, writeFirstConfig } from '../roles.ts';

export const IDENTITY_FILE = 'identity.pem';
export const GATEWAY_DATABASE = 'gateway.sqlite';

/** Makes the identity key and the database of a gateway; harmless when they are there. */
export function makeGateway(stateDir: string): void {
  loadOrCreateKey(join(stateDir, IDENTITY_FILE));
  openGatewayStore(join(stateDir, GATEWAY_DATABASE)).close();
}

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

/** Enrols the gateway of a state directory at a server. @returns what the server calls it */
export async function enrolGatewayState(stateDir: string, serverUrl: string, token: string) {
  const signer = loadKey(join(stateDir, IDENTITY_FILE));
  const store = openGatewayStore(join(stateDir, GATEWAY_DATABASE));
  try {
    const shared = { store, signer, primitives: nodePrimitives(), clock: systemClock };
    const { answer } = await enrolAtServer({ ...shared, serverUrl, token });
    const { gatewayId, userLabel: user, gatewayLabel: label, homeAddress, realm } = answer;
    return { gatewayId: toHex(gatewayId), user, label, homeAddress, realm };
  } finally {
    store.close();
  }
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
