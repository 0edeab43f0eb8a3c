/**
 * Whether a state in which nothing more will happen is one of the ends that docs/protocol.md §12 allows: registered, with
 * the same newest inventory at the server, GW2 and every member and the outcome at GW1; or nothing of it left anywhere.
 */
import { equal } from '../../src/base/bytes.ts';
import type { World } from './world.ts';

export type End =
  | { readonly kind: 'registered' | 'absent' }
  /** No legal end: why. */
  | { readonly kind: 'illegal'; readonly why: string };

const UNAWARE = 'registered, and the PNE does not know';
const PROVISIONAL = 'the gateway holds a provisional network';

/** What the next invitation mends: where no more attempts are allowed, the bound is in the way and nothing else. */
export const MENDED_BY_INVITING: ReadonlySet<string> = new Set([UNAWARE, PROVISIONAL]);

const illegal = (why: string): End => ({ kind: 'illegal', why });

export function endOf(world: World): End {
  const why = provisional(world) ?? disagreement(world);
  if (why) return illegal(why);
  return { kind: world.server.disk.networks().length > 0 ? 'registered' : 'absent' };
}

/** What is left half done, if anything. */
function provisional({ pnes, gateway, homes, server, scene, links }: World): string | undefined {
  const open = server.disk.all().find(({ state }) => state === 'challenged' || state === 'verified');
  if (open) return `the server holds a ${open.state} transaction`;
  if (pnes.some(({ disk }) => disk.joins().some(({ state }) => state === 'pending')))
    return 'a PNE holds a pending join';
  const join = gateway.disk.joins().find(({ state }) => state !== 'live');
  if (join) return `the gateway holds a ${join.state} join`;
  if (gateway.disk.pns().some(({ setup }) => setup === 'provisional')) return PROVISIONAL;
  if (homes.some(({ disk }) => disk.requests().length > 0)) return 'a home gateway holds an open question';
  const told = [scene.gateway, ...scene.homes];
  if (told.some(({ facts }) => server.disk.deliveries(facts.gatewayId).length > 0))
    return 'something is undelivered';
  if (gateway.requests.length > 0) return 'the gateway waits for an answer';
  const waiting = links.find(({ p, g }) => p?.state !== 'member' || g?.state !== 'member');
  return waiting && `a link is up and its sides are ${waiting.p?.state} and ${waiting.g?.state}`;
}

/** Who does not know of a registration what the server knows, if anybody. */
function disagreement({ pnes, gateway, homes, server, scene }: World): string | undefined {
  const { disk } = server;
  for (const { pnId, members, version } of disk.networks()) {
    const newest = disk.evidence(pnId).find((record) => record.version === version);
    const held = gateway.disk.inventory(pnId);
    if (!newest || !held || !equal(held.bytes, newest.inventory))
      return 'the gateway holds another inventory';
    for (const [number, { disk: own }] of pnes.entries()) {
      const isMember = members.some(({ pne }) => scene.pneNumber(pne) === number);
      const known = own.memberships().find(({ join }) => equal(join.pnId, pnId));
      if (isMember && !known) return UNAWARE;
      if (known && !equal(known.inventory, newest.inventory)) return 'a PNE holds another inventory';
    }
  }
  for (const row of disk.all()) {
    const home = row.homeGatewayId && homes[scene.homeNumber(row.homeGatewayId)];
    const request = home?.disk.request(row.joinId);
    if (request?.answer && row.state === 'registered' && !request.outcome)
      return 'the home gateway was not told';
  }
  const networks = disk.networks();
  const live = gateway.disk.joins().find(({ pnId }) => !networks.some((pn) => equal(pn.pnId, pnId)));
  return live && 'the gateway holds a join that the server does not know';
}
