/**
 * What an operator and the users do before anything runs: users and tokens at the server, each gateway enrolled with its
 * own. Owns the order only; the functions are those behind `user add`, `token create` and `enrol`.
 */
import { enrolGatewayState } from '../../nodes/gateway/state.ts';
import { openServerAdmin } from '../../nodes/server/admin.ts';
import { type Cast, gatewaysOf } from './cast.ts';

/** Enrols every gateway of the cast at the server that runs at `url`; their keys and state are there already. */
export async function enrolGateways(cast: Cast, url: string): Promise<void> {
  const gateways = gatewaysOf(cast);
  const tokens = issueTokens(cast, gateways);
  await Promise.all(gateways.map(({ part }, i) => enrolGatewayState(part.stateDir, url, tokens[i] ?? '')));
}

/** A user and a token for each. @returns the tokens, in the order of the gateways */
export function issueTokens(cast: Cast, gateways: ReturnType<typeof gatewaysOf>): string[] {
  const admin = openServerAdmin(cast.server.stateDir);
  try {
    return gateways.map(({ user, label }) => {
      admin.addUser(user);
      return admin.createToken({ user, gatewayLabel: label }).token;
    });
  } finally {
    admin.close();
  }
}
