/**
 * Makes new inputs of old ones: bytes flipped, cut, repeated and spliced, lengths set to edges, CBOR changed as a tree,
 * parts moved about. Owns how; which inputs are worth mutating is the engine's to say. Everything comes from the dice.
 */
import { mutateTree, readTree, writeTree } from './cbor-tree.ts';
import type { Dice } from './dice.ts';
import type { Input } from './target.ts';

const MAX_PARTS = 64;
const MAX_PART_BYTES = 70_000;
const EDGE_BYTES = [0x00, 0x01, 0x17, 0x18, 0x7f, 0x80, 0xff];

/** A new input from one of the corpus, one to four changes away. */
export function mutate(input: Input, corpus: readonly Input[], dice: Dice): Input {
  let parts = input.map((one) => one);
  for (let changes = 1 + dice.below(4); changes > 0; changes--) {
    const other = dice.pick(corpus);
    parts =
      parts.length > 0 && dice.chance(0.75)
        ? changeBytes(parts, other, dice)
        : changeParts(parts, other, dice);
  }
  return parts.slice(0, MAX_PARTS);
}

function changeParts(parts: Uint8Array[], other: Input, dice: Dice): Uint8Array[] {
  const at = dice.below(parts.length + 1);
  switch (dice.below(5)) {
    case 0:
      return parts.length > 1 ? parts.filter((_, i) => i !== at) : parts;
    case 1:
      return parts.length > 0 ? [...parts.slice(0, at), dice.pick(parts), ...parts.slice(at)] : parts;
    case 2:
      return [...parts.slice(0, at), ...other.slice(dice.below(other.length + 1))];
    case 3: {
      const [one] = parts.splice(at, 1);
      if (one) parts.splice(dice.below(parts.length + 1), 0, one);
      return parts;
    }
    default:
      return [...parts.slice(0, at), dice.bytes(dice.below(24)), ...parts.slice(at)];
  }
}

function changeBytes(parts: Uint8Array[], other: Input, dice: Dice): Uint8Array[] {
  const at = dice.below(parts.length);
  const bytes = parts[at] ?? new Uint8Array(0);
  const donor = other.length > 0 ? dice.pick(other) : bytes;
  const changed = dice.chance(0.4) ? changeTree(bytes, donor, dice) : undefined;
  parts[at] = (changed ?? changeString(bytes, donor, dice)).slice(0, MAX_PART_BYTES);
  return parts;
}

function changeTree(bytes: Uint8Array, donor: Uint8Array, dice: Dice): Uint8Array | undefined {
  if (bytes.length < 2 || bytes.length > 8192) return undefined;
  const tree = readTree(bytes);
  if (!tree) return undefined;
  const changed = writeTree(mutateTree(tree.node, dice, readTree(donor)?.node));
  return Uint8Array.from([...changed, ...bytes.subarray(tree.end)]);
}

function changeString(bytes: Uint8Array, donor: Uint8Array, dice: Dice): Uint8Array {
  const at = dice.below(bytes.length + 1);
  const copy = bytes.slice();
  const length = 1 + dice.below(Math.min(16, bytes.length + 1));
  switch (dice.below(10)) {
    case 0:
      copy[at] = (copy[at] ?? 0) ^ (1 << dice.below(8));
      return copy;
    case 1:
      copy[at] = dice.pick(EDGE_BYTES);
      return copy;
    case 2:
      copy[at] = dice.below(256);
      return copy;
    case 3:
      return bytes.slice(0, at);
    case 4:
      return join(bytes.subarray(0, at), dice.bytes(length), bytes.subarray(at));
    case 5:
      return join(bytes.subarray(0, at), bytes.subarray(at + length));
    case 6:
      return join(bytes.subarray(0, at), donor.subarray(dice.below(donor.length + 1)));
    case 7: {
      // A length field somewhere, off by a little or at an edge.
      const value = dice.pick([0, 1, 0xff, 0x100, 0xffff, bytes.length, bytes.length - at, donor.length]);
      copy[at] = value >> 8;
      if (at + 1 < copy.length) copy[at + 1] = value & 0xff;
      return copy;
    }
    case 8:
      return join(
        bytes.subarray(0, at),
        ...Array.from({ length: 1 + dice.below(8) }, () => bytes.subarray(at, at + length)),
        bytes.subarray(at),
      );
    default:
      copy[at] = ((copy[at] ?? 0) + dice.pick([1, 2, 254, 255])) & 0xff;
      return copy;
  }
}

function join(...pieces: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(pieces));
}
