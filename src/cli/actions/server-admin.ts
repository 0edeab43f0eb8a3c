/**
 * What an operator does with a server's state directory. Works beside a running server, which sees each change at the
 * next request. Owns the printing; what each does is src/nodes/server/admin.ts.
 */
import { toHex } from '../../base/bytes.ts';
import { ConfigError } from '../../config/config-error.ts';
import { configFile } from '../../config/paths.ts';
import { ServerSchema, serverExample } from '../../config/server-config.ts';
import { initServer, openServerAdmin, type ServerAdmin } from '../../nodes/server/admin.ts';
import { UsageError } from '../exit-codes.ts';
import { formatTime, print, table } from '../output.ts';
import { createState, existingState, loadRoleConfig, type RoleOptions, writeFirstConfig } from '../roles.ts';

interface Options extends RoleOptions {
  readonly json?: boolean;
}

const SECONDS_PER_HOUR = 3600;

export function serverInit(
  options: RoleOptions & { readonly realm?: string; readonly host: string; readonly port: number },
): void {
  if (options.realm !== undefined) {
    writeFirstConfig('server', options, serverExample(options.realm, options.host, options.port));
  } else if (configFile('server', options.config) === undefined) {
    throw new UsageError("say the operator's domain: `cpns server init --realm cpns.example.net`");
  }
  const config = loadRoleConfig('server', ServerSchema, options);
  const realm = options.realm ?? config.realm;
  if (realm === undefined) {
    throw new ConfigError([{ key: 'realm', problem: 'missing', example: 'realm = "cpns.example.net"' }]);
  }
  const stateDir = createState('server', options);
  initServer({ stateDir, realm, hosts: config.names });
  print(false, undefined, () => `server of ${realm} in ${stateDir}\nnext: cpns server user add ann`);
}

function withAdmin<T>(options: RoleOptions, work: (admin: ServerAdmin) => T): T {
  const admin = openServerAdmin(existingState('server', options));
  try {
    return work(admin);
  } finally {
    admin.close();
  }
}

export function userAdd(label: string, options: Options): void {
  const { userId, createdAt } = withAdmin(options, (admin) => admin.addUser(label));
  print(options.json, { userId, label, createdAt }, () => `user ${label} added`);
}

export function userList(options: Options): void {
  const users = withAdmin(options, (admin) => admin.users());
  print(options.json, users, () =>
    table(
      ['user', 'since', 'revoked'],
      users.map(({ label, createdAt, revoked }) => [label, formatTime(createdAt), revoked]),
    ),
  );
}

export function userRevoke(label: string, options: Options): void {
  withAdmin(options, (admin) => admin.revokeUser(label));
  print(false, undefined, () => `user ${label} revoked`);
}

export function tokenCreate(user: string, gatewayLabel: string, options: Options & { hours: number }): void {
  const issued = withAdmin(options, (admin) =>
    admin.createToken({ user, gatewayLabel, ttlSeconds: options.hours * SECONDS_PER_HOUR }),
  );
  // The token alone on stdout, so that it can be piped; what it is goes to stderr.
  print(options.json, issued, () => issued.token);
  if (!options.json) {
    process.stderr.write(
      `one gateway "${gatewayLabel}" of ${user}, until ${formatTime(issued.expiresAt)}; shown this once\n`,
    );
  }
}

export function gatewayList(options: Options): void {
  const gateways = withAdmin(options, (admin) => admin.gateways()).map((gateway) => ({
    gatewayId: toHex(gateway.gatewayId),
    user: gateway.userLabel,
    label: gateway.label,
    standing: gateway.standing,
    createdAt: gateway.createdAt,
  }));
  print(options.json, gateways, () =>
    table(
      ['gateway', 'user', 'label', 'standing', 'since'],
      gateways.map((row) => [row.gatewayId, row.user, row.label, row.standing, formatTime(row.createdAt)]),
    ),
  );
}

export function gatewayRevoke(id: string, options: Options): void {
  withAdmin(options, (admin) => admin.revokeGateway(id));
  print(false, undefined, () => `gateway ${id} revoked`);
}

const pneRows = (admin: ServerAdmin) =>
  admin.pnes().map((pne) => ({
    thumbprint: toHex(pne.thumbprint),
    user: pne.userLabel,
    pneId: pne.pneId,
    home: toHex(pne.homeGatewayId),
    state: pne.state,
    epoch: pne.epoch,
    acknowledged: pne.acknowledged,
    enrolledAt: pne.enrolledAt,
  }));

export function pneList(options: Options): void {
  const pnes = withAdmin(options, pneRows);
  print(options.json, pnes, () =>
    table(
      ['pne', 'user', 'name', 'home gateway', 'state', 'since'],
      pnes.map((row) => [
        row.thumbprint.slice(0, 16),
        row.user,
        row.pneId,
        row.home,
        row.state,
        formatTime(row.enrolledAt),
      ]),
    ),
  );
}

export function pneRevoke(typed: string, options: Options): void {
  const thumbprint = withAdmin(options, (admin) => {
    const known = pneRows(admin).filter((row) => row.thumbprint.startsWith(typed.toLowerCase()));
    const [only] = known;
    if (known.length > 1)
      throw new UsageError(`${typed} is the start of ${known.length} PNEs; type more digits`);
    admin.revokePne(only?.thumbprint ?? typed);
    return only?.thumbprint;
  });
  print(false, undefined, () => `PNE ${thumbprint} revoked`);
}

export function keyList(options: Options): void {
  const keys = withAdmin(options, (admin) => admin.serverKeys());
  print(options.json, keys, () =>
    table(
      ['key', 'kid', 'use'],
      keys.map(({ number, kid, signs }) => [number, kid, signs ? 'signs' : 'believed']),
    ),
  );
}

const RESTART = 'it counts from the next start of the server';

export function keyRoll(options: RoleOptions): void {
  const number = withAdmin(options, (admin) => admin.rollServerKey());
  print(false, undefined, () => `server key ${number} made; ${RESTART}`);
}

export function keyRetire(number: number, options: RoleOptions): void {
  withAdmin(options, (admin) => admin.retireServerKey(number));
  print(false, undefined, () => `server key ${number} retired; ${RESTART}`);
}

export function clockAccept(options: RoleOptions): void {
  const { before, accepted } = withAdmin(options, (admin) => ({
    before: admin.clock().sure,
    accepted: admin.acceptClock(),
  }));
  print(
    false,
    undefined,
    () => `was sure of ${formatTime(before)}, now takes ${formatTime(accepted)} for right`,
  );
}
