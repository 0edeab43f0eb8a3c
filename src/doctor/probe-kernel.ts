/**
 * Looks at the kernel's Bluetooth and at the programs that use it, in /sys, /proc and /boot. Any user may; what only root
 * sees is said to be unseen.
 */
import { release as kernelRelease } from 'node:os';
import { type KernelFacts, type ProcessFact, type Seen, seen, unseen } from './facts.ts';
import { exists, linkOf, namesIn, textOf } from './files.ts';

/** Where the firmware of a Raspberry Pi reads its configuration, since Bookworm and before. */
const FIRMWARE_CONFIGS = ['/boot/firmware/config.txt', '/boot/config.txt'];
/** They listen to what passes and use no adapter. */
const LISTENERS = ['btmon'];

export function probeKernel(root = '', release = kernelRelease()): KernelFacts {
  return {
    release,
    bluetooth: bluetoothOf(root, release),
    disabledBy: FIRMWARE_CONFIGS.find((path) =>
      /^\s*dtoverlay=disable-bt\b/m.test(textOf(root + path) ?? ''),
    ),
    bluetoothd: processes(root).find(({ name }) => name === 'bluetoothd'),
    hciPrograms: hciPrograms(root),
  };
}

function bluetoothOf(root: string, release: string): KernelFacts['bluetooth'] {
  if (exists(`${root}/sys/class/bluetooth`)) return 'there';
  const modules = `${root}/lib/modules/${release}`;
  const known = textOf(`${modules}/modules.dep`) ?? '';
  return /^kernel\/net\/bluetooth\/bluetooth\.ko/m.test(known) ? 'not-loaded' : 'none';
}

function processes(root: string): readonly ProcessFact[] {
  return namesIn(`${root}/proc`)
    .filter((name) => /^\d+$/.test(name))
    .flatMap((pid) => processOf(root, Number(pid)) ?? []);
}

function processOf(root: string, pid: number): ProcessFact | undefined {
  const name = textOf(`${root}/proc/${pid}/comm`);
  if (name === undefined) return undefined;
  const words = (textOf(`${root}/proc/${pid}/cmdline`) ?? '').split('\0');
  const cgroup = textOf(`${root}/proc/${pid}/cgroup`) ?? '';
  return {
    pid,
    name,
    unit: /\/([\w@.:-]+\.service)(?:\/|$)/m.exec(cgroup)?.[1],
    own: words.slice(0, 4).some((word) => /(?:^|\/)cpns$|\/cli\/main\.[jt]s$/.test(word)),
  };
}

/**
 * The kernel lists HCI sockets for everybody, by their inode; whose they are is in /proc/PID/fd, which only root may read
 * for other users' processes.
 */
function hciPrograms(root: string): Seen<readonly ProcessFact[]> {
  const table = textOf(`${root}/proc/net/hci`);
  if (table === undefined) return unseen('this kernel does not list Bluetooth sockets');
  const inodes = parseSocketTable(table);
  if (inodes.size === 0) return seen([]);
  const found: ProcessFact[] = [];
  const open = new Set(inodes);
  for (const name of namesIn(`${root}/proc`)) {
    if (!/^\d+$/.test(name)) continue;
    const sockets = namesIn(`${root}/proc/${name}/fd`)
      .map((fd) => /^socket:\[(\d+)\]$/.exec(linkOf(`${root}/proc/${name}/fd/${fd}`) ?? '')?.[1])
      .filter((inode) => inode !== undefined && inodes.has(inode));
    for (const inode of sockets) open.delete(inode ?? '');
    const holder = sockets.length > 0 ? processOf(root, Number(name)) : undefined;
    if (holder && holder.pid !== process.pid && !LISTENERS.includes(holder.name)) found.push(holder);
  }
  if (found.length > 0 || open.size === 0) return seen(found);
  return unseen('programs of other users have Bluetooth sockets open, and only root sees which');
}

/** Inodes in /proc/net/hci: `sk RefCnt Rmem Wmem User Inode Parent`. */
export function parseSocketTable(table: string): ReadonlySet<string> {
  const [head = '', ...lines] = table.split('\n');
  const column = head.trim().split(/\s+/).indexOf('Inode');
  if (column < 0) return new Set();
  return new Set(
    lines.map((line) => line.trim().split(/\s+/)[column] ?? '').filter((text) => /^\d+$/.test(text)),
  );
}
