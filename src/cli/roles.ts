/**
 * From options to a state directory and a checked configuration, the same way for every command of a role.
 * Owns the advice when there is no configuration.
 */
import { chmodSync, existsSync, statSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import type { GenericSchema, InferOutput } from 'valibot';
import { ConfigError } from '../config/config-error.ts';
import { parseConfig, readConfig } from '../config/load.ts';
import { configFile, configPlaces, type Role, stateDirectory } from '../config/paths.ts';
import { createFile, makeDirectory } from '../security/durable-file.ts';

export interface RoleOptions {
  readonly state?: string;
  readonly config?: string;
}

export function stateOf(role: Role, { state }: RoleOptions): string {
  return stateDirectory(role, state);
}

/**
 * The state directory of a role that was set up.
 * @param file of which there is no state without: systemd makes the directory before anybody has set anything up
 * @throws ConfigError when there is none
 */
export function existingState(role: Role, options: RoleOptions, file = ''): string {
  const stateDir = stateOf(role, options);
  if (existsSync(join(stateDir, file))) return stateDir;
  throw new ConfigError([
    { file: stateDir, problem: `no state of a ${role}; make it with \`cpns ${role} init\`` },
  ]);
}

/** Makes a state directory that only its owner may enter. */
export function createState(role: Role, options: RoleOptions): string {
  const stateDir = stateOf(role, options);
  makeDirectory(stateDir);
  if ((statSync(stateDir).mode & 0o077) !== 0) chmodSync(stateDir, 0o700);
  return stateDir;
}

/**
 * The configuration of a role: the file that was named or found; without one the defaults, where they suffice.
 * @throws ConfigError
 */
export function loadRoleConfig<const S extends GenericSchema>(
  role: Role,
  schema: S,
  options: RoleOptions,
): InferOutput<S> {
  const file = configFile(role, options.config);
  if (file !== undefined) return readConfig(schema, file);
  try {
    return parseConfig(schema, { text: '' });
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    const [place = ''] = configPlaces(role);
    const problem = `no configuration; looked for ${configPlaces(role).join(' and ')}. \`cpns ${role} init\` writes one`;
    throw new ConfigError([{ file: place, problem }, ...error.faults]);
  }
}

/** Writes a first configuration, unless there is one. @returns its path, and whether it is new */
export function writeFirstConfig(
  role: Role,
  options: RoleOptions,
  text: string,
): { readonly file: string; readonly written: boolean } {
  const { CPNS_CONFIG } = process.env;
  const named = options.config ?? CPNS_CONFIG;
  const found = named ? undefined : configFile(role);
  const file = resolve(named || found || configPlaces(role)[0] || `${role}.toml`);
  if (existsSync(file)) return { file, written: false };
  makeDirectory(dirname(file));
  return { file, written: createFile(file, text, 0o600) };
}
