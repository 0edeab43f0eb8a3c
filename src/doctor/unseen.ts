/**
 * What could not be looked at, and why, out of the facts: nobody is to take silence for health. Pure.
 */
import type { Facts, Seen } from './facts.ts';

export interface Unseen {
  readonly what: string;
  readonly why: string;
}

/** @param wanted whether an adapter of the kernel matters at all */
export function unseenOf({ host, kernel, adapters, roles, wifi }: Facts, wanted: boolean): readonly Unseen[] {
  const all: (readonly [string, Seen<unknown>])[] = [['clock set from the network', host.clock.synchronised]];
  if (wanted) {
    all.push(['permissions', host.capabilities]);
    if (kernel.bluetooth === 'there') all.push(['programs with Bluetooth sockets', kernel.hciPrograms]);
    for (const adapter of adapters) {
      const name = `hci${adapter.index}`;
      all.push([`${name}: up or down`, adapter.up]);
      all.push([`${name}: what the kernel knows of it`, adapter.info]);
      all.push([`${name}: version of its controller`, adapter.version]);
      all.push([`${name}: LE features`, adapter.leFeatures]);
      all.push([`${name}: whether it refuses to scan`, adapter.scanAnswer]);
      all.push([`${name}: whether it refuses to advertise`, adapter.advertiseAnswer]);
      all.push([`${name}: supervision timeout`, adapter.supervisionTimeoutMs]);
      all.push([`${name}: who is connected`, adapter.connections]);
    }
    for (const { name, frequency } of wifi) all.push([`${name}: its channel`, frequency]);
  }
  for (const { role, state, daemon, enrolled, server } of roles) {
    all.push([`${role}: free space`, state.freeBytes], [`${role}: its daemon`, daemon]);
    if (role !== 'server' && state.exists) all.push([`${role}: whether it is enrolled`, enrolled]);
    if (server?.fault === undefined && server) all.push([`${role}: the server's clock`, server.aheadSeconds]);
  }
  return all.flatMap(([what, fact]) => (fact.seen ? [] : [{ what, why: fact.why }]));
}
