/**
 * What a run was made on: host, kernel, Node, this very program and the adapter, for the report. What the system does not
 * say stays null. Who an adapter is and which profile it has is found out in src/bluetooth.
 */
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { arch, cpus, hostname, release, type, version } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { ChosenProfile } from '../bluetooth/adapter-profile.ts';
import { parseMoniker } from '../bluetooth/hci/moniker.ts';
import type { HciVersion } from '../profiles/identity.ts';
import { profileFolder } from '../profiles/load.ts';

export interface ProgramIdentity {
  readonly name: string;
  readonly version: string;
  /** SHA-256 over the names and bytes of the program's own files and profiles, 16 digits of it. */
  readonly build: string;
}

export interface HostIdentity {
  readonly host: string;
  /** As `uname -srm` says it. */
  readonly kernel: string;
  readonly kernelBuild: string;
  /** Of the device tree: `Raspberry Pi 4 Model B Rev 1.5`. */
  readonly model: string | null;
  readonly cpu: string | null;
  readonly node: string;
}

/** An adapter that was opened: what kernel, controller and its firmware profile say. */
export interface AdapterRecord {
  readonly moniker: string;
  /** Public address, as the controller says. */
  readonly address: string | null;
  readonly bus: string | null;
  /** Vendor and product, `0a12:0001`. */
  readonly usb: string | null;
  readonly product: string | null;
  readonly driver: string | null;
  /** Name of its firmware profile. */
  readonly profile: string;
  /** The kernel's channel that is used; null for a controller behind a socket. */
  readonly channel: 'user' | 'raw' | null;
  readonly controller: HciVersion | null;
}

const SOURCE = fileURLToPath(new URL('..', import.meta.url));
const PACKAGE = fileURLToPath(
  new URL(import.meta.url.endsWith('.ts') ? '../../package.json' : '../../../package.json', import.meta.url),
);

/** This program. Two that differ in one byte of code have another build. */
export function programIdentity(): ProgramIdentity {
  const { name, version: number } = JSON.parse(readFileSync(PACKAGE, 'utf8')) as Record<string, string>;
  const extension = import.meta.url.endsWith('.ts') ? '.ts' : '.js';
  const hash = createHash('sha256');
  for (const [folder, ending] of [
    [SOURCE, extension],
    [profileFolder(), '.json'],
  ] as const) {
    const files = readdirSync(folder, { recursive: true, encoding: 'utf8' });
    for (const file of files.filter((name) => name.endsWith(ending) && !name.endsWith('.d.ts')).sort()) {
      const bytes = readFileSync(join(folder, file));
      hash.update(`${file}\n${bytes.length}\n`).update(bytes);
    }
  }
  return { name: name ?? '', version: number ?? '', build: hash.digest('hex').slice(0, 16) };
}

export function hostIdentity(): HostIdentity {
  return {
    host: hostname(),
    kernel: `${type()} ${release()} ${arch()}`,
    kernelBuild: version(),
    model: textOf('/proc/device-tree/model') ?? textOf('/sys/class/dmi/id/product_name'),
    cpu: cpus()[0]?.model.trim() || null,
    node: process.version,
  };
}

/** Without the address, which only a capture shows. @param root where sysfs is, `/` but in tests @throws MonikerError */
export function adapterRecord(
  moniker: string,
  { identity, detection, settings }: ChosenProfile,
  root = '/',
): AdapterRecord {
  const parsed = parseMoniker(moniker);
  const { bus, usb, driver, hci: controller } = identity;
  const known = { driver, controller, profile: detection.profile.name };
  if (parsed.kind !== 'hci') {
    const behind = parsed.kind === 'unix' && parsed.virtual ? 'virtual radio' : bus;
    return { moniker, ...known, bus: behind, ...{ address: null, usb: null, product: null, channel: null } };
  }
  const device = join(root, 'sys/class/bluetooth', `hci${parsed.index}`, 'device');
  const hex = (number: number): string => number.toString(16).padStart(4, '0');
  return {
    moniker,
    address: null,
    bus,
    usb: usb && `${hex(usb.vendor)}:${hex(usb.product)}`,
    // The adapter hangs on an interface of the USB device; `join` would take the `..` by the name.
    product: usb && textOf(`${device}/../product`),
    ...known,
    channel: parsed.channel ?? settings.channel.use,
  };
}

function textOf(path: string): string | null {
  try {
    return readFileSync(path, 'utf8').replaceAll('\0', '').trim() || null;
  } catch {
    return null;
  }
}
