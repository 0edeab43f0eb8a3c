/**
 * A process that has the kernel's sockets of a shared adapter's links, one each, and may block (link-holder.ts). Started by
 * holding-child.ts with N of `hciN`; ends with whoever started it. The package makes such a socket when it reads that a link is
 * up: it is given that to read once the kernel shows the link.
 */
import { execFileSync } from 'node:child_process';
import { closeSync, existsSync, mkdtempSync, openSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { HoldingAnswer, HoldingOrder } from './holding-child.ts';
import {
  closeNativeSocket,
  feedNativeSocket,
  type NativeHciSocket,
  newNativeSocket,
  ownSockets,
} from './native-socket.ts';

const index = Number(process.argv[2]);
const fifo = openFifo();
/** What closes the kernel's sockets, by id. */
const held = new Map<number, () => void>();
/** One order after the other: which socket is new can only be told then. */
let work: Promise<void> = Promise.resolve();

/** @returns the path of a FIFO that nobody else has */
function openFifo(): string {
  const folder = mkdtempSync(join(tmpdir(), 'cpns-links-'));
  try {
    const path = join(folder, 'fifo');
    execFileSync('mkfifo', ['-m', '600', path]);
    return `/proc/self/fd/${openSync(path, 'r+')}`;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function answer(message: HoldingAnswer): void {
  process.send?.(message);
}

/** Has the package make the kernel's socket for a link. @param event LE (Enhanced) Connection Complete @returns what closes it */
async function connect(event: Buffer): Promise<() => void> {
  const socket: NativeHciSocket = newNativeSocket();
  try {
    socket.bindRaw(index);
    const before = ownSockets();
    const done = new Promise<void>((resolve) => socket.on('data', () => resolve()));
    feedNativeSocket(socket, fifo, event);
    await done;
    const made = [...ownSockets()]
      .filter(([inode]) => !before.has(inode))
      .map(([, descriptor]) => descriptor);
    return () => made.forEach(closeSync);
  } finally {
    closeNativeSocket(socket);
  }
}

/** @returns false when the kernel does not have the link, as far as can be known: connect(2) would then look for the peer */
async function hold(id: number, handle: number, event: Buffer): Promise<boolean> {
  if (!existsSync(`/sys/class/bluetooth/hci${index}:${handle}`)) return false;
  try {
    held.set(id, await connect(event));
    return true;
  } catch {
    // The adapter has just gone, and the link with it.
    return false;
  }
}

async function carryOut({ id, handle, event }: HoldingOrder): Promise<void> {
  if (handle !== undefined && event !== undefined) {
    answer({ id, held: await hold(id, handle, Buffer.from(event, 'hex')) });
    return;
  }
  held.get(id)?.();
  held.delete(id);
}

process.on('message', (order: HoldingOrder) => {
  work = work.then(() => carryOut(order));
});
process.on('disconnect', () => process.exit());
// Sent to the whole group, they are for the daemon: it needs its links to end them in order.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => {});
// The package is loaded before there is any hurry.
closeNativeSocket(newNativeSocket());
answer({ ready: true });
