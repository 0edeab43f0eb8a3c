/**
 * What a test does with the kernel it runs on: load its Bluetooth, have adapters (by BlueZ's btvirt, or by our own radio
 * behind /dev/vhci), capture with btmon, start bluetoothd. Only for tests that run in the guest, as root, alone.
 */
import { type ChildProcess, execFile, execFileSync, spawn } from 'node:child_process';
import {
  createWriteStream,
  existsSync,
  mkdirSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import {
  type KernelAdapter,
  openVirtualRadio,
  type VirtualRadio,
  type VirtualRadioOptions,
} from '../../src/bluetooth/open.ts';

const KERNEL_BLUETOOTH = '/sys/class/bluetooth';
const WAIT_LIMIT_MS = 30_000;
const LOOK_MS = 50;
const BTVIRT_TRIES = 8;

/** The folder that outlives the guest. */
export const OUT = '/out';

export async function command(program: string, ...args: readonly string[]): Promise<string> {
  const { stdout } = await promisify(execFile)(program, args, { timeout: WAIT_LIMIT_MS });
  return stdout;
}

type Awaitable<T> = T | Promise<T>;

export async function until<T>(
  what: string,
  look: () => Awaitable<T | undefined | false>,
  limitMs = WAIT_LIMIT_MS,
) {
  for (const endAt = performance.now() + limitMs; ; ) {
    const found = await look();
    if (found) return found;
    if (performance.now() > endAt) throw new Error(`${what}: not within ${limitMs} ms`);
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
}

/** Indices of the kernel's adapters, in order. */
export function adapters(): readonly number[] {
  if (!existsSync(KERNEL_BLUETOOTH)) return [];
  return readdirSync(KERNEL_BLUETOOTH)
    .flatMap((name) => /^hci(\d+)$/.exec(name)?.[1] ?? [])
    .map(Number)
    .sort((a, b) => a - b);
}

export function loadKernelBluetooth(): void {
  for (const module of ['bluetooth', 'hci_vhci']) execFileSync('modprobe', [module]);
}

/** A program of the system in the background; its output goes to a file of `OUT`. */
export class Background {
  readonly #child: ChildProcess;
  readonly #ended: Promise<void>;
  running = true;

  constructor(program: string, args: readonly string[], log: string) {
    this.#child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    const file = createWriteStream(join(OUT, log), { flags: 'a' });
    this.#child.stdout?.pipe(file, { end: false });
    this.#child.stderr?.pipe(file, { end: false });
    this.#child.on('error', (error) => file.write(`${error}\n`));
    this.#ended = new Promise((resolve) => {
      this.#child.on('close', () => {
        this.running = false;
        file.end();
        resolve();
      });
    });
  }

  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    if (this.running) this.#child.kill(signal);
    await this.#ended;
  }
}

/** `count` LE adapters by BlueZ's btvirt, which hear each other; fit for one link at a time on each. */
export async function startBtvirt(count: number): Promise<Background> {
  for (let tries = 1; ; tries++) {
    const before = adapters();
    const made = () => adapters().filter((index) => !before.includes(index));
    const btvirt = new Background('btvirt', [`-l${count}`, '-L'], 'btvirt.log');
    try {
      // On two processors it sometimes dies at its start, or takes the kernel's first command for the driver's answer.
      await until('btvirt', () => !btvirt.running || made().length === count, 5000);
      if (btvirt.running) await settled(made());
      if (btvirt.running) return btvirt;
    } catch (error) {
      if (tries >= BTVIRT_TRIES) throw error;
    }
    await btvirt.stop('SIGKILL');
    if (tries >= BTVIRT_TRIES) throw new Error('btvirt does not start; see btvirt.log');
  }
}

/** Our own radio with so many of its controllers plugged into the kernel. */
export async function startRadio(
  count: number,
  options: VirtualRadioOptions = {},
): Promise<
  VirtualRadio & { readonly indices: readonly number[]; readonly plugged: readonly KernelAdapter[] }
> {
  const radio = await openVirtualRadio({ path: '/run/cpns-radio.sock', ...options });
  const plugged = Array.from({ length: count }, () => radio.plugIntoKernel());
  const indices = plugged.map(({ index }) => index);
  await until('adapters', () => indices.every((index) => adapters().includes(index)));
  return { ...radio, indices, plugged };
}

/**
 * The same in a process of its own, for tests that open shared adapters themselves: the package's connect(2) blocks until the
 * kernel has had an answer from the controller, which must not be us.
 */
export async function startRadioProcess(
  count: number,
): Promise<{ readonly indices: readonly number[]; stop(): Promise<void> }> {
  const main = join(import.meta.dirname, '../../src/cli/main.js');
  const before = adapters();
  const words = [
    'radio',
    '--socket',
    '/run/cpns-radio-process.sock',
    '--vhci',
    String(count),
    '--interval',
    '7.5',
  ];
  const radio = new Background(process.execPath, [main, ...words], 'radio.log');
  await until('adapters', () => adapters().length === before.length + count);
  return { indices: adapters().filter((index) => !before.includes(index)), stop: () => radio.stop() };
}

/**
 * Lets the kernel's own first set-up of each adapter come to its end: it opens it, and closes it 2 s later.
 * @throws Error when it did not get through, which it tries once: the controller, often this process, was too busy to answer
 */
export async function settled(indices: readonly number[]): Promise<void> {
  for (const index of indices) {
    let unfinishedFor = 0;
    for (let tries = 1; tries < 75; tries++) {
      const shown = await command('hciconfig', `hci${index}`);
      const working = /INIT|UP/.test(shown);
      const unfinished = !working && /00:00:00:00:00:00/.test(shown);
      if (!working && !unfinished) break;
      unfinishedFor = unfinished ? unfinishedFor + 1 : 0;
      if (unfinishedFor === 15) throw new Error(`the kernel did not set hci${index} up`);
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
  }
}

/** Powers new adapters as a system does that shares them: what raw mode needs. */
export async function powerUp(indices: readonly number[]): Promise<void> {
  await settled(indices);
  await powerUpAgain(indices);
}

/** The same for adapters that were set up long ago, whether they are down or not. */
export async function powerUpAgain(indices: readonly number[]): Promise<void> {
  for (const index of indices) {
    const isUp = /UP RUNNING/.test(await command('hciconfig', `hci${index}`));
    if (!isUp) await command('hciconfig', `hci${index}`, 'up');
  }
}

const COMPLAINT =
  /BUG|WARNING: |Oops|list_(add|del) corruption|general protection|refcount_t|KASAN|UBSAN|hung task/;

/** What the kernel has found wrong with itself so far; a test that provoked it has failed, whatever it saw. */
export function kernelComplaints(): readonly string[] {
  const log = execFileSync('dmesg', { encoding: 'utf8', maxBuffer: 64 * 1024 * 1024 });
  writeFileSync(join(OUT, 'dmesg.log'), log);
  return log.split('\n').filter((line) => COMPLAINT.test(line));
}

/** btmon's own capture of everything that passes between programs, kernel and controllers. */
export async function startBtmon(name: string): Promise<Background> {
  const file = join(OUT, `${name}.btsnoop`);
  const btmon = new Background('btmon', ['-w', file], `${name}.btmon.log`);
  await until('btmon', () => existsSync(file) && statSync(file).size > 0);
  return btmon;
}

/** What btmon reads in its capture, kept beside it. btmon 5.66 may crash on a capture of its own: then undefined. */
export async function decodeCapture(name: string): Promise<string | undefined> {
  try {
    const { stdout } = await promisify(execFile)('btmon', ['-r', join(OUT, `${name}.btsnoop`)], {
      maxBuffer: 256 * 1024 * 1024,
    });
    writeFileSync(join(OUT, `${name}.btmon.txt`), stdout);
    return stdout;
  } catch {
    return undefined;
  }
}

const SYSTEM_BUS = '/run/dbus/system_bus_socket';

/** D-Bus and bluetoothd on whatever adapters no user channel holds. */
export async function startBluetoothd(...args: readonly string[]): Promise<{ stop(): Promise<void> }> {
  mkdirSync('/run/dbus', { recursive: true });
  mkdirSync('/var/lib/bluetooth', { recursive: true });
  if (!existsSync('/etc/machine-id') || statSync('/etc/machine-id').size === 0)
    await command('dbus-uuidgen', '--ensure=/etc/machine-id');
  const bus = new Background('dbus-daemon', ['--system', '--nopidfile', '--nofork'], 'dbus.log');
  await until('the system bus', () => existsSync(SYSTEM_BUS));
  const daemon = new Background('/usr/libexec/bluetooth/bluetoothd', ['-n', ...args], 'bluetoothd.log');
  const stop = async () => {
    await daemon.stop();
    await bus.stop();
    rmSync(SYSTEM_BUS, { force: true });
  };
  for (const endAt = performance.now() + WAIT_LIMIT_MS; !(await answers('org.bluez')); ) {
    if (performance.now() < endAt && daemon.running) continue;
    await stop();
    throw new Error('bluetoothd does not answer; see bluetoothd.log');
  }
  return { stop };
}

/** Whether somebody on the system bus has this name. */
async function answers(name: string): Promise<boolean> {
  const asked = ['--dest=org.freedesktop.DBus', '/', 'org.freedesktop.DBus.NameHasOwner', `string:${name}`];
  return /true/.test(await command('dbus-send', '--system', '--print-reply', ...asked).catch(() => ''));
}
