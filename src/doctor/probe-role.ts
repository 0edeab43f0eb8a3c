/**
 * Looks at one role of this host: its configuration, state directory, daemon, enrolment, unit and, of a gateway, its server.
 * Writes nothing: databases are opened to look only, and no lock is taken.
 */
import { X509Certificate } from 'node:crypto';
import { accessSync, constants, copyFileSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { statfs } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { parseMoniker } from '../bluetooth/hci/moniker.ts';
import { ConfigError } from '../config/config-error.ts';
import { GatewaySchema } from '../config/gateway-config.ts';
import { readConfig } from '../config/load.ts';
import { configFile, type Role, stateDirectory } from '../config/paths.ts';
import { PneSchema } from '../config/pne-config.ts';
import { ServerSchema } from '../config/server-config.ts';
import { callControl, NoDaemonError } from '../nodes/control-socket.ts';
import { openGatewayStore } from '../store/gateway-store.ts';
import { openPneStore } from '../store/pne-store.ts';
import { known, type RoleFacts, type Seen, type StateFacts, seen, unseen } from './facts.ts';
import { codeOf, exists, textOf } from './files.ts';
import { probeServer } from './probe-server.ts';

const DAEMON_LIMIT_MS = 5_000;
const UNIT_FOLDERS = ['/etc/systemd/system', '/usr/lib/systemd/system', '/lib/systemd/system'];

export interface RolePlaces {
  readonly state?: string | undefined;
  readonly config?: string | undefined;
}

/** Where the package's units keep the state of roles. */
const SERVICE_STATE = '/var/lib/cpns';

/** Whether anything of a role is on this host. */
export function isRoleHere(role: Role): boolean {
  return configFile(role) !== undefined || exists(statePlace(role, undefined));
}

/** The state that was named, this user's own, or that of a service. */
function statePlace(role: Role, named: string | undefined): string {
  const own = stateDirectory(role, named);
  const { CPNS_STATE, STATE_DIRECTORY } = process.env;
  if (named || CPNS_STATE || STATE_DIRECTORY || exists(own)) return own;
  const ofService = join(SERVICE_STATE, role);
  return exists(ofService) ? ofService : own;
}

export async function probeRole(role: Role, places: RolePlaces = {}, root = ''): Promise<RoleFacts> {
  const config = readRoleConfig(role, places.config);
  const stateDir = statePlace(role, places.state);
  const unit = unitOf(role, root);
  const user = unit !== undefined && dirname(stateDir) === SERVICE_STATE ? unit.user : undefined;
  const state = await probeState(stateDir, user);
  const daemon: RoleFacts['daemon'] = state.exists ? await probeDaemon(stateDir) : seen('none');
  const store = state.visible ? readStore(role, stateDir, known(daemon) === 'none') : undefined;
  const url = config.url ?? store?.url;
  return {
    role,
    configFile: config.file,
    configFault: config.fault,
    adapter: config.adapter,
    radio: config.adapter === undefined ? undefined : await probeRadio(config.adapter),
    randomAddress: config.randomAddress ?? true,
    profile: config.profile,
    backEnd: config.backEnd,
    stateDir,
    state,
    daemon,
    enrolled: store?.enrolled ?? unseen(`${stateDir} can't be read`),
    unit,
    server: url === undefined ? undefined : await probeServer(url, store?.caPem),
  };
}

interface ReadConfig {
  readonly file?: string | undefined;
  readonly fault?: string;
  readonly adapter?: string;
  readonly randomAddress?: boolean;
  readonly profile?: string | undefined;
  readonly backEnd?: string | undefined;
  readonly url?: string;
}

function readRoleConfig(role: Role, named: string | undefined): ReadConfig {
  let file: string | undefined;
  try {
    file = configFile(role, named);
    if (file === undefined) return {};
    if (role === 'server') {
      readConfig(ServerSchema, file);
      return { file };
    }
    const config = role === 'gateway' ? readConfig(GatewaySchema, file) : readConfig(PneSchema, file);
    const { adapter, randomAddress, profile, backEnd } = config.bluetooth;
    return {
      file,
      adapter,
      randomAddress,
      profile,
      backEnd,
      ...('server' in config && { url: config.server.url }),
    };
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return { file: file ?? named, fault: error.message };
  }
}

/** Whether somebody listens at the socket of a virtual radio; undefined for any other controller. */
export async function probeRadio(adapter: string): Promise<boolean | undefined> {
  const moniker = parseMoniker(adapter);
  if (moniker.kind !== 'unix' || !moniker.virtual) return undefined;
  return new Promise((resolve) => {
    const socket = connect(moniker.path);
    const end = (listens: boolean) => {
      socket.destroy();
      resolve(listens);
    };
    socket.once('connect', () => end(true)).once('error', () => end(false));
  });
}

/** @param user whose service it belongs to; undefined for whoever runs this */
async function probeState(path: string, user: string | undefined): Promise<StateFacts> {
  let place = path;
  while (!exists(place) && dirname(place) !== place) place = dirname(place);
  const freeBytes = await freeOf(place);
  try {
    const { mode, uid } = statSync(path);
    const owner = ownerOf(uid);
    const visible = mayUse(path);
    const usable = user === undefined ? visible : owner === user;
    return { exists: true, visible, usable, open: (mode & 0o077) !== 0, owner, user, freeBytes };
  } catch (error) {
    // Behind a directory that this user may not enter there may well be one.
    const hidden = codeOf(error) === 'EACCES';
    return {
      ...{ exists: hidden, visible: false, usable: hidden && user !== undefined, open: false },
      ...{ owner: 'somebody else', user, freeBytes },
    };
  }
}

async function freeOf(path: string): Promise<Seen<number>> {
  try {
    const { bavail, bsize } = await statfs(path);
    return seen(bavail * bsize);
  } catch (error) {
    return unseen(`the file system of ${path} can't be asked (${codeOf(error)})`);
  }
}

function ownerOf(uid: number): string {
  const line = (textOf('/etc/passwd') ?? '').split('\n').find((text) => text.split(':')[2] === String(uid));
  return line?.split(':')[0] ?? `user ${uid}`;
}

function mayUse(path: string): boolean {
  try {
    accessSync(path, constants.R_OK | constants.W_OK | constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

async function probeDaemon(stateDir: string): Promise<RoleFacts['daemon']> {
  const limit = AbortSignal.timeout(DAEMON_LIMIT_MS);
  try {
    const status = await callControl(stateDir, 'status', {}, { signal: limit });
    if (typeof status === 'object' && status !== null) return seen(status as Record<string, unknown>);
    return unseen('the daemon answered something else than its status');
  } catch (error) {
    if (limit.aborted) return seen('silent');
    if (!(error instanceof NoDaemonError)) return unseen(`the daemon answered ${codeOf(error)}`);
    const code = codeOf(error.cause);
    return code === 'EACCES' ? unseen('its control socket is for its own user') : seen('none');
  }
}

interface ReadStore {
  readonly enrolled: Seen<boolean>;
  readonly caPem?: string | undefined;
  readonly url?: string | undefined;
}

/** @param resting no daemon has the database open */
function readStore(role: Role, stateDir: string, resting: boolean): ReadStore | undefined {
  if (role === 'server') return undefined;
  const path = join(stateDir, `${role}.sqlite`);
  if (!exists(path)) return { enrolled: seen(false) };
  // Even to read a database that rests SQLite makes files beside it: a copy is looked at then, and nothing is touched.
  const folder = resting ? mkdtempSync(join(tmpdir(), 'cpns-doctor-')) : undefined;
  try {
    const file = folder === undefined ? path : copyDatabase(path, folder);
    return role === 'pne' ? readPneStore(file) : readGatewayStore(file);
  } catch (error) {
    return { enrolled: unseen(`${path} can't be read (${codeOf(error)})`) };
  } finally {
    if (folder !== undefined) rmSync(folder, { recursive: true, force: true });
  }
}

function copyDatabase(path: string, folder: string): string {
  const copy = join(folder, 'copy.sqlite');
  copyFileSync(path, copy);
  if (exists(`${path}-wal`)) copyFileSync(`${path}-wal`, `${copy}-wal`);
  return copy;
}

const TO_LOOK = { readOnly: true, skipIntegrityCheck: true, busyTimeoutMs: 0 } as const;

function readPneStore(path: string): ReadStore {
  const store = openPneStore(path, TO_LOOK);
  try {
    return { enrolled: seen(store.ownership() !== undefined) };
  } finally {
    store.close();
  }
}

function readGatewayStore(path: string): ReadStore {
  const store = openGatewayStore(path, TO_LOOK);
  try {
    const enrolment = store.enrolment();
    if (enrolment === undefined) return { enrolled: seen(false) };
    const ca = new X509Certificate(enrolment.answer.certificates.ca);
    return { enrolled: seen(true), caPem: ca.toString(), url: enrolment.serverUrl };
  } finally {
    store.close();
  }
}

function unitOf(role: Role, root: string): RoleFacts['unit'] {
  const name = `cpns-${role}.service`;
  for (const folder of UNIT_FOLDERS) {
    const text = textOf(`${root}${folder}/${name}`);
    if (text === undefined) continue;
    const given = /^AmbientCapabilities=(.*)$/m.exec(text)?.[1] ?? '';
    const user = /^User=([a-z_][a-z0-9_-]*)$/m.exec(text)?.[1];
    return { name, user, capable: /CAP_NET_RAW/.test(given) && /CAP_NET_ADMIN/.test(given) };
  }
  return undefined;
}
