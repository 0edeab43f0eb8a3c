/**
 * What a run was made on: host, kernel, Node, this very program and the adapter. Read from the system as it is; what it
 * does not say stays null. What the controller says of itself comes over HCI (instants.ts).
 */
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { arch, cpus, hostname, release, type, version } from 'node:os';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseMoniker } from '../bluetooth/hci/moniker.ts';

export interface ProgramIdentity {
  readonly name: string;
  readonly version: string;
  /** SHA-256 over the names and bytes of the program's own files, 16 digits of it. */
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

export interface AdapterIdentity {
  readonly moniker: string;
  /** Public address as the kernel knows it. */
  readonly address: string | null;
  /** `usb`, `uart`, `virtual`, …: the bus the kernel has it on. */
  readonly bus: string | null;
  /** Vendor and product, `0a12:0001`. */
  readonly usb: string | null;
  readonly product: string | null;
  readonly driver: string | null;
}

const SOURCE = fileURLToPath(new URL('..', import.meta.url));
const PACKAGE = fileURLToPath(
  new URL(import.meta.url.endsWith('.ts') ? '../../package.json' : '../../../package.json', import.meta.url),
);

/** This program. Two that differ in one byte of code have another build. */
export function programIdentity(): ProgramIdentity {
  const { name, version: number } = JSON.parse(readFileSync(PACKAGE, 'utf8')) as Record<string, string>;
  const extension = import.meta.url.endsWith('.ts') ? '.ts' : '.js';
  const files = readdirSync(SOURCE, { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith(extension) && !file.endsWith('.d.ts'))
    .sort();
  const hash = createHash('sha256');
  for (const file of files) {
    const bytes = readFileSync(join(SOURCE, file));
    hash.update(`${file}\n${bytes.length}\n`).update(bytes);
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

/** @param sysfs where the kernel shows its adapters @throws MonikerError */
export function adapterIdentity(moniker: string, sysfs = '/sys/class/bluetooth'): AdapterIdentity {
  const parsed = parseMoniker(moniker);
  const nothing = { address: null, usb: null, product: null, driver: null };
  if (parsed.kind !== 'hci') {
    const bus = parsed.kind === 'unix' && parsed.virtual ? 'virtual radio' : parsed.kind;
    return { moniker, ...nothing, bus };
  }
  const adapter = join(sysfs, `hci${parsed.index}`);
  const device = join(adapter, 'device');
  // The adapter hangs on an interface of the USB device, whose ids are one level up.
  const [vendor, product] = [textOf(join(device, '../idVendor')), textOf(join(device, '../idProduct'))];
  return {
    moniker,
    address: textOf(join(adapter, 'address')),
    bus: linkName(join(device, 'subsystem')) ?? busByPath(adapter),
    usb: vendor !== null && product !== null ? `${vendor}:${product}` : null,
    product: textOf(join(device, '../product')),
    driver: linkName(join(device, 'driver')),
  };
}

/** An adapter of /dev/vhci is no device of a bus. */
function busByPath(adapter: string): string | null {
  try {
    return readlinkSync(adapter).includes('/virtual/') ? 'virtual' : null;
  } catch {
    return null;
  }
}

function linkName(path: string): string | null {
  try {
    return basename(readlinkSync(path));
  } catch {
    return null;
  }
}

function textOf(path: string): string | null {
  try {
    return readFileSync(path, 'utf8').replaceAll('\0', '').trim() || null;
  } catch {
    return null;
  }
}
