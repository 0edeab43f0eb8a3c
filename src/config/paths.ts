/**
 * Where a role keeps its state and its configuration when nobody says otherwise: systemd's and XDG's places.
 * Owns the order of precedence. Creates nothing.
 * Source: XDG Base Directory Specification 0.8; systemd.exec(5), STATE_DIRECTORY.
 */
import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { isAbsolute, join, resolve } from 'node:path';
import { ConfigError } from './config-error.ts';

export type Role = 'server' | 'gateway' | 'pne';

/** What is read of the process's environment. */
export interface Environment {
  readonly CPNS_STATE?: string | undefined;
  readonly CPNS_CONFIG?: string | undefined;
  readonly STATE_DIRECTORY?: string | undefined;
  readonly XDG_STATE_HOME?: string | undefined;
  readonly XDG_CONFIG_HOME?: string | undefined;
}

/** XDG says that a relative path in one of its variables is to be ignored. */
const absolute = (path: string | undefined): string | undefined =>
  path !== undefined && path !== '' && isAbsolute(path) ? path : undefined;
const given = (text: string | undefined): string | undefined => (text ? text : undefined);

/**
 * The state directory of a role: --state, CPNS_STATE, STATE_DIRECTORY, XDG_STATE_HOME/cpns/ROLE,
 * ~/.local/state/cpns/ROLE.
 */
export function stateDirectory(role: Role, option?: string, environment: Environment = process.env): string {
  const direct = given(option) ?? given(environment.CPNS_STATE);
  if (direct !== undefined) return resolve(direct);
  const [systemd] = (environment.STATE_DIRECTORY ?? '').split(':');
  if (systemd) return systemd;
  const home = absolute(environment.XDG_STATE_HOME) ?? join(homedir(), '.local', 'state');
  return join(home, 'cpns', role);
}

/** Where a configuration is looked for when no one names it, best first. */
export function configPlaces(role: Role, environment: Environment = process.env): readonly string[] {
  const home = absolute(environment.XDG_CONFIG_HOME) ?? join(homedir(), '.config');
  return [join(home, 'cpns', `${role}.toml`), join('/etc', 'cpns', `${role}.toml`)];
}

/**
 * The configuration file of a role: --config, CPNS_CONFIG, then the first of {@link configPlaces} that exists.
 * @returns nothing when no file was named and none exists
 * @throws ConfigError when a named file does not exist
 */
export function configFile(
  role: Role,
  option?: string,
  environment: Environment = process.env,
): string | undefined {
  const named = given(option) ?? given(environment.CPNS_CONFIG);
  if (named === undefined) return configPlaces(role, environment).find((place) => existsSync(place));
  const file = resolve(named);
  if (!existsSync(file)) {
    const by = given(option) !== undefined ? '--config' : 'CPNS_CONFIG';
    throw new ConfigError([{ file, problem: `named by ${by}, but there is no such file` }]);
  }
  return file;
}
