/**
 * The state directory of a gateway before it runs: made, and enrolled at a server. Owns the names of its files; the
 * exchange with the server is enrol.ts.
 */
import { join } from 'node:path';
import { toHex } from '../../base/bytes.ts';
import { loadKey, loadOrCreateKey } from '../../security/keystore.ts';
import { nodePrimitives } from '../../security/primitives-node.ts';
import { openGatewayStore } from '../../store/gateway-store.ts';
import { systemClock } from '../system-clock.ts';
import { enrolAtServer } from './enrol.ts';

const IDENTITY_FILE = 'identity.pem';
export const GATEWAY_DATABASE = 'gateway.sqlite';

/** Makes the identity key and the database of a gateway; harmless when they are there. */
export function makeGateway(stateDir: string): void {
  loadOrCreateKey(join(stateDir, IDENTITY_FILE));
  openGatewayStore(join(stateDir, GATEWAY_DATABASE)).close();
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
