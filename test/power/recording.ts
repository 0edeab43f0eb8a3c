/**
 * Runs a program under the recorder (shim.c) and reads what it did to its disk: every write, truncation, sync and change
 * of a name below one directory, in order, with what the program acknowledged in between.
 * Owns compiling the recorder and the record format. A recording it can't vouch for is an error, never a shorter one.
 */
import { spawnSync } from 'node:child_process';
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export type DiskEvent =
  | { readonly kind: 'unlink' | 'mkdir' | 'rmdir' | 'sync-directory'; readonly path: string }
  | { readonly kind: 'create' | 'sync'; readonly path: string; readonly inode: bigint }
  | {
      readonly kind: 'write';
      readonly path: string;
      readonly inode: bigint;
      readonly offset: number;
      readonly data: Buffer;
    }
  | { readonly kind: 'truncate'; readonly path: string; readonly inode: bigint; readonly length: number }
  | { readonly kind: 'rename' | 'link'; readonly path: string; readonly to: string }
  | { readonly kind: 'mark'; readonly text: string };

const KINDS = [
  ...['', 'create', 'write', 'truncate', 'sync', 'sync-directory', 'unlink', 'rename', 'link', 'mkdir'],
  ...['rmdir', 'mark', 'unknown'],
] as const;
const HEADER_BYTES = 40;

export interface Recording {
  /** Names are relative to the recorded directory, which was empty at the beginning. */
  readonly events: readonly DiskEvent[];
  /** The directory as the program left it; goes away with {@link Recording.close}. */
  readonly root: string;
  readonly stdout: string;
  close(): void;
}

/** Why no recording can be made here; undefined when it can. */
export function recorderMissing(): string | undefined {
  if (process.platform !== 'linux') return 'the recorder is for Linux';
  if (!['x64', 'arm64', 'riscv64'].includes(process.arch)) return 'the recorder is for 64-bit machines';
  if (spawnSync('cc', ['--version']).status !== 0) return 'there is no C compiler (cc)';
  return undefined;
}

function compile(folder: string): string {
  const library = join(folder, 'recorder.so');
  const source = fileURLToPath(new URL('shim.c', import.meta.url));
  const { status, stderr } = spawnSync(
    'cc',
    ['-shared', '-fPIC', '-O2', '-Wall', '-Werror', '-o', library, source, '-pthread'],
    { encoding: 'utf8' },
  );
  if (status !== 0) throw new Error(`the recorder does not compile: ${stderr}`);
  return library;
}

/**
 * Runs node with these arguments; what it and its children do below `$CPNS_POWER_ROOT` is recorded, and what they write to
 * the file `$CPNS_POWER_MARKS` counts as acknowledged. @throws Error when it fails
 */
export function record(args: (root: string) => readonly string[], timeoutMs = 60_000): Recording {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), 'cpns-power-')));
  const close = () => rmSync(folder, { recursive: true, force: true });
  try {
    const library = compile(folder);
    const [root, log, marks] = ['root', 'log', 'marks'].map((name) => join(folder, name)) as [
      ...[string, string, string],
    ];
    mkdirSync(root, { mode: 0o700 });
    writeFileSync(marks, '');
    const { status, signal, stdout, stderr } = spawnSync(process.execPath, args(root), {
      encoding: 'utf8',
      timeout: timeoutMs,
      env: {
        ...process.env,
        LD_PRELOAD: library,
        CPNS_POWER_ROOT: root,
        CPNS_POWER_LOG: log,
        CPNS_POWER_MARKS: marks,
      },
    });
    if (status !== 0) throw new Error(`the recorded program ended with ${status ?? signal}: ${stderr}`);
    return { events: parse(readFileSync(log), root), root, stdout, close };
  } catch (error) {
    close();
    throw error;
  }
}

function parse(log: Buffer, root: string): readonly DiskEvent[] {
  const events: DiskEvent[] = [];
  for (let at = 0; at < log.length; at += log.readUInt32LE(at)) {
    const kind = KINDS[log.readUInt32LE(at + 4)];
    const [first, second, size] = [8, 12, 16].map((offset) => log.readUInt32LE(at + offset)) as [
      ...[number, number, number],
    ];
    const inode = log.readBigUInt64LE(at + 24);
    const offset = Number(log.readBigInt64LE(at + 32));
    const names = at + HEADER_BYTES;
    const text = (from: number, length: number) => log.toString('utf8', from, from + length);
    const full = text(names, first);
    const path = relativeTo(root, full);
    const to = relativeTo(root, text(names + first, second));
    const data = log.subarray(names + first + second, names + first + second + size);
    switch (kind) {
      case 'unlink':
      case 'mkdir':
      case 'rmdir':
      case 'sync-directory':
        events.push({ kind, path });
        break;
      case 'create':
      case 'sync':
        events.push({ kind, path, inode });
        break;
      case 'write':
        events.push({ kind, path, inode, offset, data });
        break;
      case 'truncate':
        events.push({ kind, path, inode, length: offset });
        break;
      case 'rename':
      case 'link':
        events.push({ kind, path, to });
        break;
      case 'mark':
        events.push({ kind, text: data.toString('utf8') });
        break;
      default:
        throw new Error(`the program did what is not recorded: ${full} ${text(names + first, second)}`);
    }
  }
  return events;
}

function relativeTo(root: string, path: string): string {
  if (path === root) return '';
  // The kernel's name of an open file that has no name any more.
  return path.startsWith(`${root}/`) ? path.slice(root.length + 1).replace(/ \(deleted\)$/, '') : path;
}

/** Regular files below a directory, save SQLite's shared memory, which means nothing after a crash. */
export function readTree(root: string, under = ''): Map<string, Buffer> {
  const found = new Map<string, Buffer>();
  for (const entry of readdirSync(join(root, under), { withFileTypes: true })) {
    const name = under === '' ? entry.name : `${under}/${entry.name}`;
    if (entry.isDirectory()) for (const [path, data] of readTree(root, name)) found.set(path, data);
    else if (entry.isFile() && !name.endsWith('-shm')) found.set(name, readFileSync(join(root, name)));
  }
  return found;
}
