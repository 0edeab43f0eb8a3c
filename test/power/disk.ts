/**
 * A disk as a crash leaves it: what was synced is there; of what was not, any part may be, in any order, torn at 512 bytes.
 * Owns that model and nothing of SQLite. It grants less than ext4, XFS or btrfs do: a file's sync does not make its name
 * durable, only its directory's does; a length may outrun the data, and what was never written there is any bytes.
 * It trusts one thing: that data and names are on the disk once fsync or fdatasync has returned.
 */
import type { DiskEvent } from './recording.ts';

const SECTOR_BYTES = 512;

type FileChange =
  | { readonly kind: 'write'; readonly offset: number; readonly data: Buffer }
  | { readonly kind: 'truncate'; readonly length: number };

class File {
  durable: Buffer = Buffer.alloc(0);
  pending: FileChange[] = [];

  sync(): void {
    this.durable = this.content(WRITTEN);
    this.pending = [];
  }

  content(fate: Fate): Buffer {
    const content = new Content(this.durable, fate);
    for (const change of this.pending) {
      if (change.kind === 'truncate') {
        if (fate.keeps()) content.resize(change.length);
        continue;
      }
      const { offset, data } = change;
      if (fate.lengthens()) content.reach(offset + data.length);
      for (let from = 0; from < data.length; ) {
        const to = Math.min(data.length, from + SECTOR_BYTES - ((offset + from) % SECTOR_BYTES));
        if (fate.keepsSector(from === 0)) content.write(data.subarray(from, to), offset + from);
        from = to;
      }
    }
    return content.bytes();
  }
}

/** A file's bytes while its fate is worked out; the durable ones are copied before the first change. */
class Content {
  readonly #fate: Fate;
  #buffer: Buffer;
  #length: number;
  #own = false;

  constructor(durable: Buffer, fate: Fate) {
    this.#fate = fate;
    this.#buffer = durable;
    this.#length = durable.length;
  }

  write(data: Buffer, offset: number): void {
    this.reach(offset + data.length);
    this.#hold(this.#length);
    data.copy(this.#buffer, offset);
  }

  /** Makes it at least so long; what is in between was never written. */
  reach(length: number): void {
    if (length <= this.#length) return;
    this.#hold(length);
    this.#fate.fill(this.#buffer.fill(0, this.#length, length).subarray(this.#length, length));
    this.#length = length;
  }

  /** Zeros where it grows: the file system's promise. */
  resize(length: number): void {
    if (length > this.#length) {
      this.#hold(length);
      this.#buffer.fill(0, this.#length, length);
    }
    this.#length = length;
  }

  bytes(): Buffer {
    return this.#buffer.subarray(0, this.#length);
  }

  #hold(length: number): void {
    if (this.#own && this.#buffer.length >= length) return;
    const larger = Buffer.alloc(Math.max(length, this.#own ? 2 * this.#buffer.length : length));
    this.#buffer.copy(larger, 0, 0, this.#length);
    this.#buffer = larger;
    this.#own = true;
  }
}

type Node = File | Directory;

type NameChange =
  | { readonly kind: 'set'; readonly name: string; readonly node: Node }
  | { readonly kind: 'drop'; readonly name: string }
  | { readonly kind: 'move'; readonly name: string; readonly to: string; readonly node: Node };

class Directory {
  durable = new Map<string, Node>();
  readonly present = new Map<string, Node>();
  pending: NameChange[] = [];

  sync(): void {
    this.durable = new Map(this.present);
    this.pending = [];
  }

  /** Changes of one name come in their order; those of different names in any. */
  names(fate: Fate): ReadonlyMap<string, Node> {
    const names = new Map(this.durable);
    const stuck = new Set<string>();
    for (const change of this.pending) {
      const touched = change.kind === 'move' ? [change.name, change.to] : [change.name];
      if (touched.some((name) => stuck.has(name)) || !fate.keeps()) {
        for (const name of touched) stuck.add(name);
        continue;
      }
      if (change.kind === 'set') names.set(change.name, change.node);
      else names.delete(change.name);
      if (change.kind === 'move') names.set(change.to, change.node);
    }
    return names;
  }
}

/** What becomes of each change that was not synced. */
export interface Fate {
  keeps(): boolean;
  /** Of a write's next sector; `first` begins a new write. */
  keepsSector(first: boolean): boolean;
  /** The length reaches the end of the write, whether its data does or not. */
  lengthens(): boolean;
  /** What is found where nothing was written. */
  fill(hole: Buffer): void;
}

const no = () => false;
const yes = () => true;
export const SYNCED: Fate = { keeps: no, keepsSector: no, lengthens: no, fill: () => {} };
export const WRITTEN: Fate = { keeps: yes, keepsSector: yes, lengthens: yes, fill: () => {} };

/** One of the many disks that may be found. @param random 0 ≤ x < 1, seeded */
export function seededFate(random: () => number): Fate {
  const share = [0.1, 0.5, 0.9][Math.floor(random() * 3)] ?? 0.5;
  const [torn, garbage, lengthens] = [random() < 0.5, random() < 0.5, random() < 0.3];
  let whole = false;
  return {
    keeps: () => random() < share,
    keepsSector: (first) => {
      if (torn) return random() < share;
      if (first) whole = random() < share;
      return whole;
    },
    lengthens: () => lengthens && random() < 0.5,
    fill: (hole) => {
      if (garbage) for (let i = 0; i < hole.length; i++) hole[i] = Math.floor(random() * 256);
    },
  };
}

export type Image = ReadonlyMap<string, Buffer | 'directory'>;

export class Disk {
  readonly #root = new Directory();
  readonly #inodes = new Map<bigint, File>();

  apply(event: DiskEvent): void {
    if (event.kind === 'mark' || event.path.endsWith('-shm')) return;
    const { path } = event;
    switch (event.kind) {
      case 'create': {
        const file = new File();
        this.#inodes.set(event.inode, file);
        this.#change(path, (name) => ({ kind: 'set', name, node: file }));
        break;
      }
      case 'write':
        this.#file(event.inode).pending.push(event);
        break;
      case 'truncate':
        this.#file(event.inode).pending.push(event);
        break;
      case 'sync':
        this.#file(event.inode).sync();
        break;
      case 'sync-directory':
        this.#directory(path).sync();
        break;
      case 'mkdir':
        this.#change(path, (name) => ({ kind: 'set', name, node: new Directory() }));
        break;
      case 'unlink':
      case 'rmdir':
        // Sockets are made by bind, which is not recorded: they mean nothing after a crash.
        if (!this.#find(path)) break;
        this.#change(path, (name) => ({ kind: 'drop', name }));
        break;
      case 'link': {
        const node = this.#existing(path);
        this.#change(event.to, (name) => ({ kind: 'set', name, node }));
        break;
      }
      case 'rename': {
        const node = this.#existing(path);
        if (parentOf(path) !== parentOf(event.to)) throw new Error(`moved to another directory: ${path}`);
        this.#change(path, (name) => ({ kind: 'move', name, to: nameOf(event.to), node }));
        break;
      }
    }
  }

  /** What is found below `under` after a crash now. */
  image(fate: Fate, under = ''): Image {
    const image = new Map<string, Buffer | 'directory'>();
    const visit = (directory: Directory, prefix: string): void => {
      for (const [name, node] of directory.names(fate)) {
        const path = `${prefix}${name}`;
        const inside = path === under || path.startsWith(`${under}/`) || under === '';
        if (!inside && !under.startsWith(`${path}/`)) continue;
        const local = under === '' ? path : path.slice(under.length + 1);
        if (node instanceof File) image.set(local, node.content(fate));
        else {
          if (inside && local !== '') image.set(local, 'directory');
          visit(node, `${path}/`);
        }
      }
    };
    visit(this.#root, '');
    return image;
  }

  #change(path: string, change: (name: string) => NameChange): void {
    const directory = this.#directory(parentOf(path));
    const made = change(nameOf(path));
    directory.pending.push(made);
    if (made.kind === 'set') directory.present.set(made.name, made.node);
    else directory.present.delete(made.name);
    if (made.kind === 'move') directory.present.set(made.to, made.node);
  }

  #file(inode: bigint): File {
    const file = this.#inodes.get(inode);
    if (!file) throw new Error('a write to a file that was not made under the recorder');
    return file;
  }

  #find(path: string): Node | undefined {
    let node: Node | undefined = this.#root;
    for (const name of path === '' ? [] : path.split('/'))
      node = node instanceof Directory ? node.present.get(name) : undefined;
    return node;
  }

  #existing(path: string): Node {
    const node = this.#find(path);
    if (!node) throw new Error(`${path} was not made under the recorder`);
    return node;
  }

  #directory(path: string): Directory {
    const node = this.#existing(path);
    if (!(node instanceof Directory)) throw new Error(`${path} is no directory`);
    return node;
  }
}

const parentOf = (path: string): string => (path.includes('/') ? path.slice(0, path.lastIndexOf('/')) : '');
const nameOf = (path: string): string => path.slice(path.lastIndexOf('/') + 1);
