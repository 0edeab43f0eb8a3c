/**
 * The name of a state: equal for two worlds that will behave alike. Byte strings are numbered by content, and what can't
 * make a difference is left out: the numbers of deliveries and links, what a Waiting says (nobody reads it), and what
 * follows from the fields that are named.
 */
import { hash } from 'node:crypto';
import type { HomeRunning, ModelLink, Packet, World } from './world.ts';

const numbers = new Map<string, number>();
const numberOfBytes = new WeakMap<Uint8Array, number>();
const known = new WeakMap<object, string>();
const LEFT_OUT = new Set(['deliveryId']);

function numberOf(bytes: Uint8Array): number {
  const cached = numberOfBytes.get(bytes);
  if (cached !== undefined) return cached;
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1');
  const number = numbers.get(text) ?? numbers.size;
  numbers.set(text, number);
  numberOfBytes.set(bytes, number);
  return number;
}

/** Text of a value that is never changed in place; equal for equal contents. */
export function textOf(value: unknown): string {
  if (typeof value !== 'object' || value === null) return String(value);
  if (value instanceof Uint8Array) return `#${numberOf(value)}`;
  const cached = known.get(value);
  if (cached !== undefined) return cached;
  const text = compose(value);
  known.set(value, text);
  return text;
}

function compose(value: object): string {
  if (Array.isArray(value)) return `[${value.map(textOf).join()}]`;
  const entries: [string, unknown][] = value instanceof Map ? [...value] : Object.entries(value);
  const parts = entries
    .filter(([name]) => !LEFT_OUT.has(name))
    .map(([name, part]) => `${name}:${textOf(part)}`);
  return `{${parts.sort().join()}}`;
}

const diskText = (disk: object) => ('contents' in disk ? (disk.contents as object[]).map(textOf).join() : '');
const packetText = (packet: Packet) =>
  packet.message === 'end' ? 'end' : `${packet.message}#${numberOf(packet.body)}`;

function linkText({ pne, attempt, p, g, toP, toG }: ModelLink): string {
  const pd = p?.data;
  const gd = g?.data;
  return [
    ...[pne, attempt, toP.map(packetText).join(), toG.map(packetText).join()],
    ...(p && pd
      ? [p.state, p.asking, ...[pd.th1, pd.m1, pd.th2, pd.join, pd.declinedWith].map(textOf)]
      : ['-']),
    ...(pd ? pd.joins.map(textOf) : []),
    ...(g && gd
      ? [g.state, g.live, g.resumes, ...[gd.m1, gd.th2, gd.join, gd.settlement].map(textOf)]
      : ['-']),
    ...(gd ? [gd.toldVersion, textOf(gd.invitation)] : []),
  ].join('|');
}

function homeText({ joinId, state, data }: HomeRunning): string {
  return [textOf(joinId), state, textOf(data.answer), textOf(data.decision)].join('|');
}

/** 12 bytes: two states share them by chance once in 2^96 pairs. */
export function keyOfWorld(world: World): string {
  const place = (id: number | undefined) => world.links.findIndex((link) => link.id === id);
  const { gateway, server } = world;
  const text = [
    world.violation,
    world.faults,
    world.noes,
    ...world.pnes.flatMap(({ disk, attempts, owed }) => [attempts, owed.join(), diskText(disk)]),
    diskText(gateway.disk),
    ...gateway.requests
      .map(({ kind, link, body, stage, reply, seen }) =>
        [kind, place(link), numberOf(body), stage, textOf(reply), seen && diskText(seen)].join('|'),
      )
      .sort(),
    ...world.homes.flatMap(({ disk, up, running, confirmations, strays }) => [
      ...[up, diskText(disk), strays.map(textOf).join()],
      ...running.map(homeText).sort(),
      ...confirmations
        .map(({ answer, stage, status, seen }) =>
          [textOf(answer), stage, status, seen && diskText(seen)].join('|'),
        )
        .sort(),
    ]),
    diskText(server.disk),
    [...server.late].sort().join(),
    ...world.links.map(linkText),
  ].join('\n');
  return hash('sha256', text, 'buffer').toString('latin1', 0, 12);
}
