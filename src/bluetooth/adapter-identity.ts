/**
 * Asks the system who an adapter is: sysfs, the device tree and the kernel's release, all readable by anybody. The numbers
 * of the controller itself come from whoever opened it. Owns the paths; judges nothing and throws nothing.
 */
import { readFileSync, realpathSync } from 'node:fs';
import { release } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { type AdapterIdentity, type Bus, type HciVersion, UNKNOWN_ADAPTER } from '../profiles/identity.ts';
import type { Moniker } from './hci/moniker.ts';

export interface SystemView {
  /** Where sysfs and procfs are, `/` but in tests. */
  readonly root: string;
  /** `uname -r`. */
  readonly kernel: string;
}

const BUSES: Readonly<Record<string, Bus>> = { usb: 'usb', serial: 'uart', tty: 'uart' };

/** Whether the kernel has this adapter; true of a controller behind a socket. */
export function isPresent(moniker: Moniker, { root = '/' }: Partial<SystemView> = {}): boolean {
  return moniker.kind !== 'hci' || real(adapterPath(moniker.index, root)) !== null;
}

const adapterPath = (index: number, root: string): string => join(root, 'sys/class/bluetooth', `hci${index}`);

/** What can be known without opening the adapter. */
export function systemIdentity(moniker: Moniker, system: Partial<SystemView> = {}): AdapterIdentity {
  const { root = '/', kernel = release() } = system;
  const deviceTreeModel = read(join(root, 'proc/device-tree/model'));
  const here: AdapterIdentity = { ...UNKNOWN_ADAPTER, deviceTreeModel, kernel };
  if (moniker.kind !== 'hci') return { ...here, bus: 'socket' };
  const adapter = adapterPath(moniker.index, root);
  const device = real(join(adapter, 'device'));
  if (device === null) {
    const virtual = real(adapter)?.includes('/devices/virtual/') === true;
    return { ...here, bus: virtual ? 'virtual' : null };
  }
  const subsystem = real(join(device, 'subsystem'));
  const driver = real(join(device, 'driver'));
  const bus = (subsystem && BUSES[basename(subsystem)]) || null;
  const usb = bus === 'usb' ? usbIdentity(dirname(device)) : null;
  return { ...here, bus, usb, driver: driver && basename(driver) };
}

/** The interface's parent is the device. */
function usbIdentity(device: string): AdapterIdentity['usb'] {
  const [vendor, product, bcdDevice] = ['idVendor', 'idProduct', 'bcdDevice'].map((name) => {
    const text = read(join(device, name));
    return text !== null && /^[0-9a-f]{4}$/i.test(text) ? Number.parseInt(text, 16) : null;
  });
  if (vendor == null || product == null) return null;
  return { vendor, product, bcdDevice: bcdDevice ?? null };
}

/** Return parameters of HCI Read Local Version Information, status first; undefined when they are none. */
export function parseHciVersion(answer: Buffer): HciVersion | undefined {
  if (answer.length < 9 || answer[0] !== 0) return undefined;
  return {
    version: answer.readUInt8(1),
    revision: answer.readUInt16LE(2),
    lmpVersion: answer.readUInt8(4),
    manufacturer: answer.readUInt16LE(5),
    lmpSubversion: answer.readUInt16LE(7),
  };
}

function read(file: string): string | null {
  try {
    // The device tree ends its strings with a NUL.
    return readFileSync(file, 'utf8').replaceAll('\0', '').trim().slice(0, 128) || null;
  } catch {
    return null;
  }
}

function real(path: string): string | null {
  try {
    return realpathSync(path);
  } catch {
    return null;
  }
}
