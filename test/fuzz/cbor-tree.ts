/**
 * CBOR as a tree that can hold wrong forms too: read leniently, changed and written back with lengths that fit, or on
 * purpose not. Owns the mutation of structure and an acceptor of its own, written from RFC 8949, that the project's strict
 * reader is compared with. Must not import anything of src/messages.
 */
import type { Dice } from './dice.ts';

export interface Node {
  major: number;
  /** Value, count or length; for strings and containers what was read, replaced by the true one when written. */
  argument: bigint;
  /** Bytes of the argument beyond the first: 0, 1, 2, 4, 8; undefined is the shortest. */
  width: number | undefined;
  bytes: Uint8Array;
  children: Node[];
}

const MAX_NODES = 4096;
const MAX_DEPTH = 24;

/** The tree of one item at the front, and where it ends; undefined when the bytes are no definite-length CBOR. */
export function readTree(bytes: Uint8Array): { readonly node: Node; readonly end: number } | undefined {
  let at = 0;
  let left = MAX_NODES;
  const item = (depth: number): Node | undefined => {
    const initial = bytes[at++];
    if (initial === undefined || depth > MAX_DEPTH || left-- <= 0) return undefined;
    const [major, info] = [initial >> 5, initial & 31];
    if (info > 27) return undefined;
    const width = info < 24 ? 0 : 1 << (info - 24);
    if (at + width > bytes.length) return undefined;
    let argument = BigInt(info < 24 ? info : 0);
    for (let i = 0; i < width; i++) argument = (argument << 8n) | BigInt(bytes[at++] ?? 0);
    const node: Node = { major, argument, width, bytes: new Uint8Array(0), children: [] };
    if (major === 2 || major === 3) {
      if (argument > BigInt(bytes.length - at)) return undefined;
      node.bytes = bytes.slice(at, at + Number(argument));
      at += Number(argument);
    }
    const count = major === 4 ? argument : major === 5 ? 2n * argument : major === 6 ? 1n : 0n;
    if (count > BigInt(bytes.length - at)) return undefined;
    for (let i = 0n; i < count; i++) {
      const child = item(depth + 1);
      if (!child) return undefined;
      node.children.push(child);
    }
    return node;
  };
  const node = item(0);
  return node && { node, end: at };
}

/** Writes a tree; strings and containers state what they hold. */
export function writeTree(node: Node): Uint8Array {
  const out: number[] = [];
  const write = (one: Node): void => {
    let { argument } = one;
    if (one.major === 2 || one.major === 3) argument = BigInt(one.bytes.length);
    if (one.major === 4) argument = BigInt(one.children.length);
    if (one.major === 5) argument = BigInt(one.children.length >> 1);
    pushHead(out, one.major, argument, one.width);
    for (const byte of one.bytes) out.push(byte);
    for (const child of one.children) write(child);
  };
  write(node);
  return Uint8Array.from(out);
}

function pushHead(out: number[], major: number, argument: bigint, wanted: number | undefined): void {
  const least =
    argument < 24n ? 0 : argument < 0x100n ? 1 : argument < 0x10000n ? 2 : argument >> 32n ? 8 : 4;
  const width = wanted === undefined ? least : Math.max(wanted, least);
  const info = width === 0 ? Number(argument) : 24 + Math.log2(width);
  out.push((major << 5) | info);
  for (let i = width - 1; i >= 0; i--) out.push(Number((argument >> BigInt(8 * i)) & 0xffn));
}

/** Every node of a tree with its parent, strings that hold a tree gone into. */
function nodesOf(root: Node): { readonly node: Node; readonly parent: Node | undefined }[] {
  const all: { node: Node; parent: Node | undefined }[] = [];
  const walk = (node: Node, parent: Node | undefined): void => {
    all.push({ node, parent });
    for (const child of node.children) walk(child, node);
  };
  walk(root, undefined);
  return all;
}

const EDGES = [
  0n,
  1n,
  23n,
  24n,
  255n,
  256n,
  65535n,
  65536n,
  0xffffffffn,
  1n << 32n,
  (1n << 53n) - 1n,
  1n << 53n,
];
const uint = (argument: bigint): Node => ({ ...empty(0), argument });
const empty = (major: number): Node => ({
  ...{ major, argument: 0n, width: undefined },
  ...{ bytes: new Uint8Array(0), children: [] },
});

/** Changes one place of a tree. @param donor another tree to take a node from */
export function mutateTree(root: Node, dice: Dice, donor: Node | undefined, depth = 0): Node {
  const all = nodesOf(root);
  const { node, parent } = dice.pick(all);
  // A byte string that holds CBOR of its own is changed inside, so that what wraps it stays whole.
  if (node.major === 2 && depth < 4 && dice.chance(0.7)) {
    const inner = readTree(node.bytes);
    if (inner && inner.end === node.bytes.length && node.bytes.length > 1) {
      node.bytes = writeTree(mutateTree(inner.node, dice, donor, depth + 1));
      return root;
    }
  }
  const at = parent?.children.indexOf(node) ?? -1;
  const borrowed = donor && structuredClone(dice.pick(nodesOf(donor)).node);
  switch (dice.below(9)) {
    case 0:
      if (parent && at >= 0) parent.children.splice(at, parent.major === 5 ? 2 : 1);
      break;
    case 1:
      if (parent && at >= 0) parent.children.splice(at, 0, structuredClone(node));
      break;
    case 2:
      if (parent && at >= 0 && borrowed) parent.children[at] = borrowed;
      break;
    case 3:
      if (node.major <= 1 || node.major >= 6) node.argument = dice.pick(EDGES);
      else if (node.major <= 3) node.bytes = resized(node.bytes, dice);
      else node.children.push(borrowed ?? uint(0n), ...(node.major === 5 ? [uint(1n)] : []));
      break;
    case 4:
      node.width = dice.pick([0, 1, 2, 4, 8]);
      break;
    case 5:
      node.major = dice.below(8);
      break;
    case 6: {
      const inner = structuredClone(node);
      Object.assign(node, empty(dice.pick([4, 5, 6])), { children: [inner] });
      break;
    }
    case 7:
      if (node.bytes.length > 0) {
        node.bytes = node.bytes.slice();
        node.bytes[dice.below(node.bytes.length)] = dice.below(256);
      } else node.argument ^= 1n << BigInt(dice.below(8));
      break;
    default:
      node.children.sort(() => dice.next() - 0.5);
  }
  return root;
}

function resized(bytes: Uint8Array, dice: Dice): Uint8Array {
  const length = dice.pick([
    0,
    1,
    bytes.length - 1,
    bytes.length + 1,
    2 * bytes.length,
    8,
    16,
    32,
    64,
    512,
    1025,
  ]);
  const out = new Uint8Array(Math.max(0, length)).fill(bytes[0] ?? 0x41);
  out.set(bytes.subarray(0, out.length));
  return out;
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
const SAFE = BigInt(Number.MAX_SAFE_INTEGER);

/** Whether these bytes are the one deterministic encoding of a value the protocol can hold (docs/protocol.md §4.1). */
export function isDeterministic(bytes: Uint8Array, maxDepth = 8, maxItems = 1024): boolean {
  const tree = readTree(bytes);
  if (!tree || tree.end !== bytes.length) return false;
  let items = 0;
  const good = (node: Node, depth: number): boolean => {
    if (++items > maxItems) return false;
    const { major, argument, children } = node;
    if (major === 6 || (major === 7 && (node.width !== 0 || argument < 20n || argument > 22n))) return false;
    if (major === 0 && argument > SAFE) return false;
    if (major === 1 && argument > SAFE - 1n) return false;
    if (major === 3 && !goodText(node.bytes)) return false;
    if ((major === 4 || major === 5) && depth >= maxDepth) return false;
    if (major === 5 && !goodKeys(children)) return false;
    return children.every((child) => good(child, depth + 1));
  };
  if (!good(tree.node, 0)) return false;
  for (const { node } of nodesOf(tree.node)) node.width = undefined;
  return Buffer.compare(writeTree(tree.node), bytes) === 0;
}

function goodText(bytes: Uint8Array): boolean {
  try {
    return !utf8.decode(bytes).startsWith('\ufeff');
  } catch {
    return false;
  }
}

function goodKeys(children: readonly Node[]): boolean {
  const keys = children.filter((_, i) => i % 2 === 0);
  if (!keys.every(({ major }) => major === 0 || major === 1 || major === 3)) return false;
  const written = keys.map(writeTree);
  return written.every((key, i) => i === 0 || Buffer.compare(written[i - 1] ?? key, key) < 0);
}
