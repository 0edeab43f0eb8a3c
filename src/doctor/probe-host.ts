/**
 * Looks at the host and the installation: Node, native modules, permissions, clock. Opens no adapter.
 */
import { execFile } from 'node:child_process';
import { statSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { HCI_SOCKET_PACKAGE, nativeModuleFault } from '../bluetooth/hci/native-socket.ts';
import { openDatabase } from '../store/sqlite.ts';
import { type HostFacts, type Seen, seen, unseen } from './facts.ts';
import { codeOf, exists, textOf } from './files.ts';

const CAP_NET_ADMIN = 12n;
const CAP_NET_RAW = 13n;
const CHILD_LIMIT_MS = 10_000;
export const SQLITE_PACKAGE = 'better-sqlite3';

export async function probeHost(root = ''): Promise<HostFacts> {
  return {
    node: { version: process.versions.node, path: process.execPath },
    nativeFaults: nativeFaults(),
    capabilities: await capabilities(),
    clock: {
      wallSeconds: Math.floor(Date.now() / 1000),
      synchronised: synchronised(root),
      madeAtSeconds: madeAt(),
    },
  };
}

function nativeFaults(): Record<string, string> {
  const faults: Record<string, string> = {};
  const bluetooth = nativeModuleFault();
  if (bluetooth !== undefined) faults[HCI_SOCKET_PACKAGE] = bluetooth;
  try {
    openDatabase(':memory:', []).close();
  } catch (error) {
    faults[SQLITE_PACKAGE] = codeOf(error instanceof Error && error.cause ? error.cause : error);
  }
  return faults;
}

/** Of a fresh process: what was given to Node's file since this one started counts as well. */
async function capabilities(): Promise<HostFacts['capabilities']> {
  const look = "process.stdout.write(require('fs').readFileSync('/proc/self/status','utf8'))";
  try {
    const { stdout } = await promisify(execFile)(process.execPath, ['-e', look], { timeout: CHILD_LIMIT_MS });
    return parseCapabilities(stdout);
  } catch (error) {
    return unseen(`/proc/self/status could not be read (${codeOf(error)})`);
  }
}

/** @param status text of /proc/PID/status */
export function parseCapabilities(status: string): HostFacts['capabilities'] {
  const hex = /^CapEff:\s*([0-9a-f]{1,16})$/m.exec(status)?.[1];
  if (hex === undefined) return unseen('this kernel does not say what a process may do');
  const bits = BigInt(`0x${hex}`);
  const has = (bit: bigint): boolean => ((bits >> bit) & 1n) === 1n;
  return seen({ netRaw: has(CAP_NET_RAW), netAdmin: has(CAP_NET_ADMIN) });
}

/** systemd-timesyncd and chrony leave a trace once the clock was set. */
function synchronised(root: string): Seen<boolean> {
  if (exists(`${root}/run/systemd/timesync/synchronized`) || exists(`${root}/var/lib/chrony/drift`)) {
    return seen(true);
  }
  if (exists(`${root}/run/systemd/timesync`)) return seen(false);
  const name = textOf(`${root}/proc/1/comm`);
  return unseen(
    name === 'systemd' ? 'neither timesyncd nor chrony runs here' : 'no systemd here that would know',
  );
}

function madeAt(): number {
  return Math.floor(statSync(fileURLToPath(import.meta.url)).mtimeMs / 1000);
}
