/**
 * What to think of the host, the installation, the roles' state and the server. Pure: facts in, findings out.
 */
import { parseMoniker } from '../bluetooth/hci/moniker.ts';
import { HCI_SOCKET_PACKAGE } from '../bluetooth/hci/native-socket.ts';
import { shellWord } from './check.ts';
import type { Finding } from './checks.ts';
import { type HostFacts, known, type RoleFacts, type ServerFacts } from './facts.ts';
import { SQLITE_PACKAGE } from './probe-host.ts';
import { statusOf, waitsFor } from './use.ts';

/** package.json says the same to npm; a test holds the two together. */
export const LEAST_NODE = '20.19.0';
/** Less than this and a database that grows, or its log, does not fit. */
const DISK_ERROR_BYTES = 16 * 1024 * 1024;
const DISK_WARNING_BYTES = 128 * 1024 * 1024;
/** How far a server lets its own clock be behind before it signs nothing (docs/protocol.md §4.3). */
export const CLOCK_TOLERANCE_SECONDS = 300;
const MEBIBYTE = 1024 * 1024;

export function judgeHost(host: HostFacts, wantsAdapter: boolean): readonly Finding[] {
  const findings: Finding[] = [];
  const { version } = host.node;
  if (isOlder(version, LEAST_NODE)) {
    findings.push({ check: 'node-too-old', values: { version, least: LEAST_NODE } });
  }
  const bluetooth = host.nativeFaults[HCI_SOCKET_PACKAGE];
  if (bluetooth !== undefined && wantsAdapter) {
    findings.push({ check: 'bluetooth-not-built', values: { code: bluetooth } });
  }
  const sqlite = host.nativeFaults[SQLITE_PACKAGE];
  if (sqlite !== undefined) findings.push({ check: 'sqlite-not-built', values: { code: sqlite } });
  return [...findings, ...judgeClock(host.clock)];
}

function judgeClock({ wallSeconds, madeAtSeconds, synchronised }: HostFacts['clock']): readonly Finding[] {
  if (wallSeconds < madeAtSeconds - 86_400) {
    return [clockOff(wallSeconds, 'this program is newer than that')];
  }
  return known(synchronised) === false ? [{ check: 'clock-not-synchronised' }] : [];
}

function clockOff(wallSeconds: number, why: string): Finding {
  const here = `${new Date(wallSeconds * 1000).toISOString().slice(0, 16).replace('T', ' ')} UTC`;
  return { check: 'clock-off', values: { here, why } };
}

/** `20.18.1` is older than `20.19.0`. */
export function isOlder(version: string, least: string): boolean {
  const [a, b] = [version, least].map((text) => text.split('.').map((part) => Number.parseInt(part, 10)));
  for (let i = 0; i < 3; i++) {
    const difference = (a?.[i] ?? 0) - (b?.[i] ?? 0);
    if (difference !== 0) return difference < 0;
  }
  return false;
}

export function judgeRole(facts: RoleFacts, host: HostFacts): readonly Finding[] {
  const { role, stateDir, configFile, configFault } = facts;
  const findings: Finding[] = [];
  if (configFault !== undefined) {
    const [fault = ''] = configFault.split('\n');
    findings.push({
      check: 'configuration-wrong',
      values: { role, fault, file: shellWord(configFile ?? `${role}.toml`) },
    });
  }
  if (facts.radio === false && facts.adapter !== undefined) findings.push(radioMissing(role, facts.adapter));
  findings.push(...judgeState(facts));
  if (facts.daemon.seen && facts.daemon.value === 'silent') {
    findings.push({ check: 'daemon-silent', ...restartOf(facts, { role }) });
  }
  const why = waitsFor(facts);
  if (why !== undefined) findings.push({ check: 'daemon-waits', values: { role, why } });
  const dir = shellWord(stateDir);
  if (known(facts.enrolled) === false && facts.state.exists && role !== 'server') {
    findings.push({ check: `${role}-not-enrolled`, values: { dir } });
  }
  if (facts.server) findings.push(...judgeServer(facts.server, facts, host));
  return findings;
}

/** @param by who names that radio */
export function radioMissing(by: string, moniker: string): Finding {
  const parsed = parseMoniker(moniker);
  const path = shellWord(parsed.kind === 'unix' ? parsed.path : '');
  return { check: 'radio-missing', values: { by, moniker, path } };
}

/** How a daemon is started anew: one that a person started, by that person. */
export function restartOf(
  { role, unit }: Pick<RoleFacts, 'role' | 'unit'>,
  values: Finding['values'] = {},
): Pick<Finding, 'values' | 'byHand'> {
  const restart = unit ? `sudo systemctl restart ${unit.name}` : `cpns ${role} run`;
  return { values: { ...values, restart }, byHand: unit === undefined };
}

function judgeState({ role, stateDir, state }: RoleFacts): readonly Finding[] {
  const { owner, user } = state;
  const values = {
    ...{ role, dir: shellWord(stateDir), owner, who: user ?? 'this user' },
    user: user ?? '"$(id -un)"',
  };
  const findings: Finding[] = [];
  if (!state.exists) findings.push({ check: 'state-missing', values });
  else if (!state.usable) findings.push({ check: 'state-not-usable', values });
  else if (state.open) findings.push({ check: 'state-open', values });
  const free = known(state.freeBytes);
  if (free !== undefined && free < DISK_WARNING_BYTES) {
    findings.push({
      check: 'disk-full',
      severity: free < DISK_ERROR_BYTES ? 'error' : 'warning',
      values: { ...values, megabytes: Math.floor(free / MEBIBYTE) },
    });
  }
  return findings;
}

const NOT_REACHED =
  /^(ECONN|ENOTFOUND|EAI_|EHOST|ENET|ETIMEDOUT|EPIPE|EPROTO|EADDR|EACCES|EPERM|ERR_SSL_WRONG_VERSION)/;
const OF_THE_CLOCK = ['CERT_NOT_YET_VALID', 'CERT_HAS_EXPIRED'];

function judgeServer(server: ServerFacts, facts: RoleFacts, host: HostFacts): readonly Finding[] {
  const { url, fault: code, aheadSeconds } = server;
  const { wallSeconds } = host.clock;
  if (code !== undefined && OF_THE_CLOCK.includes(code)) {
    const when = code === 'CERT_NOT_YET_VALID' ? 'not valid yet' : 'no longer valid';
    return [clockOff(wallSeconds, `by it the certificate of ${url} is ${when}`)];
  }
  if (code !== undefined) {
    if (NOT_REACHED.test(code)) return [{ check: 'server-unreachable', values: { url, code } }];
    return [{ check: 'server-not-believed', values: { url, code, host: hostOf(url) } }];
  }
  const ahead = known(aheadSeconds) ?? 0;
  if (Math.abs(ahead) > CLOCK_TOLERANCE_SECONDS) {
    const way = ahead > 0 ? 'ahead of' : 'behind';
    return [clockOff(wallSeconds, `${inWords(Math.abs(ahead))} ${way} the clock of the server`)];
  }
  return statusOf(facts)?.['channel'] === 'down' ? [{ check: 'channel-down', values: { url } }] : [];
}

function hostOf(url: string): string {
  const { hostname, port } = new URL(url);
  return `${hostname}:${port || 443}`;
}

function inWords(seconds: number): string {
  if (seconds < 7_200) return `${Math.round(seconds / 60)} minutes`;
  if (seconds < 172_800) return `${Math.round(seconds / 3_600)} hours`;
  return `${Math.round(seconds / 86_400)} days`;
}
