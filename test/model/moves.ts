/**
 * Everything that can happen next in a state of the model. Progress costs nothing. Time costs nothing where nothing else
 * can happen, since then it passes; a deadline that overtakes something is a fault, and so is everything that gets lost,
 * repeated, killed or refused. Inviting again and the end of a waiting time are free, but nobody has to.
 */
import { toHex } from '../../src/base/bytes.ts';
import { GATEWAY_MACHINE } from '../../src/establishment/gateway.ts';
import { PNE_MACHINE } from '../../src/establishment/pne.ts';
import { keyOf, type ServerDisk } from './disk-server.ts';
import { Gate } from './gate.ts';
import {
  crashGateway,
  establish,
  feedGateway,
  giveUp,
  recognised,
  resume,
  takeRegistrationResponse,
  takeReply,
} from './party-gateway.ts';
import {
  crashHome,
  feedHome,
  NO,
  restartHome,
  runningOf,
  take,
  takeConfirmed,
  takeConfirmRequest,
  takeOutcome,
  YES,
} from './party-home.ts';
import { crashPne, feedPne } from './party-pne.ts';
import { acknowledged, crashServer, serveGateway, serveHome, sweep } from './party-server.ts';
import { IN_TIME, TOO_LATE } from './scene.ts';
import type { ModelLink, World } from './world.ts';

export type Party = `pne ${number}` | 'gateway' | `home ${number}` | 'server';

/** `must`: goes on by itself. `late`, `later`: time passes, a little or a day. `may`: free, and nobody has to. */
export type MoveKind = 'must' | 'late' | 'later' | 'may' | 'fault';

export interface Move {
  readonly label: string;
  readonly kind: MoveKind;
  /** Who acts, and may die or find its disk full in the middle of it. */
  readonly by: Party | undefined;
  readonly run: (world: World) => void | Promise<void>;
}

export interface Bounds {
  /** Establishments of each PNE. */
  readonly attempts: number;
}

export function movesOf(world: World, bounds: Bounds): Move[] {
  const moves: Move[] = [];
  const add = (kind: MoveKind, by: Party | undefined, label: string, run: Move['run']) =>
    moves.push({ kind, by, label, run });
  linkMoves(world, add);
  pneMoves(world, bounds, add);
  requestMoves(world, add);
  channelMoves(world, add);
  homeMoves(world, add);
  serverMoves(world, add);
  if (world.faults > 0) crashMoves(world, add);
  return moves;
}

type Add = (kind: MoveKind, by: Party | undefined, label: string, run: Move['run']) => void;

function must<T>(value: T | undefined): T {
  if (value === undefined) throw new Error('a move is made in the state it was found in');
  return value;
}

function linkMoves(world: World, add: Add): void {
  for (const { id, pne, p, g, toP, toG } of world.links) {
    const at = (next: World): ModelLink => must(next.links.find((link) => link.id === id));
    const name = `link ${id} of pne ${pne}`;
    const [forP, forG] = [toP[0], toG[0]];
    if (p && forP)
      add('must', `pne ${pne}`, `pne ${pne} ← ${forP.message} (${p.state})`, (next) => {
        const link = at(next);
        link.toP = link.toP.slice(1);
        if (forP.message === 'end') feedPne(next, link, { kind: 'linkClosed', status: 'link-lost' });
        else feedPne(next, link, { kind: forP.message, body: forP.body } as Parameters<typeof feedPne>[2]);
      });
    if (g && forG)
      add('must', 'gateway', `gateway ← ${forG.message} of pne ${pne} (${g.state})`, (next) => {
        const link = at(next);
        link.toG = link.toG.slice(1);
        if (forG.message === 'end') feedGateway(next, link, { kind: 'linkClosed', status: 'link-lost' });
        else
          feedGateway(next, link, { kind: forG.message, body: forG.body } as Parameters<
            typeof feedGateway
          >[2]);
      });
    if (p?.asking) {
      const decide = (next: World, status: 'ok' | 'declined') => {
        const link = at(next);
        must(link.p).asking = false;
        feedPne(next, link, { kind: 'decided', status });
      };
      add('must', `pne ${pne}`, `pne ${pne} agrees to join`, (next) => decide(next, 'ok'));
      if (world.noes > 0)
        add('must', `pne ${pne}`, `pne ${pne} declines`, (next) => {
          next.noes--;
          decide(next, 'declined');
        });
    }
    // What one side sends at its deadline puts off that of the other, so only the shorter of two passes by itself.
    const [pMs, gMs] = [p && PNE_MACHINE.deadlines[p.state], g && GATEWAY_MACHINE.deadlines[g.state]];
    if (pMs !== undefined)
      add(
        gMs !== undefined && gMs < pMs ? 'fault' : 'late',
        `pne ${pne}`,
        `deadline of pne ${pne} (${p?.state})`,
        (next) => feedPne(next, at(next), { kind: 'timeout' }),
      );
    if (gMs !== undefined)
      add(
        pMs !== undefined && pMs < gMs ? 'fault' : 'late',
        'gateway',
        `deadline of the gateway for pne ${pne} (${g?.state})`,
        (next) => feedGateway(next, at(next), { kind: 'timeout' }),
      );
    if (world.faults === 0) continue;
    add('fault', undefined, `${name} drops`, (next) => {
      const link = at(next);
      Object.assign(link, { toP: [], toG: [] });
      feedPne(next, link, { kind: 'linkClosed', status: 'link-lost' });
      feedGateway(next, link, { kind: 'linkClosed', status: 'link-lost' });
    });
    if (p)
      add('fault', `pne ${pne}`, `pne ${pne} is stopped in good order`, (next) =>
        feedPne(next, at(next), { kind: 'stop' }),
      );
    if (g)
      add('fault', 'gateway', `the gateway ends the link of pne ${pne} in good order`, (next) =>
        feedGateway(next, at(next), { kind: 'stop' }),
      );
    if (g?.data.join)
      add('fault', 'gateway', `a waiting frame comes late for pne ${pne} (${g.state})`, (next) =>
        feedGateway(next, at(next), { kind: 'waiting', status: 'awaiting-user' }),
      );
  }
}

function pneMoves(world: World, { attempts }: Bounds, add: Add): void {
  for (const [number, pne] of world.pnes.entries()) {
    if (pne.disk.joins().some(({ state }) => state === 'pending'))
      add('later', undefined, `pne ${number} was powered for 24 h`, (next) => {
        const own = must(next.pnes[number]);
        own.disk.savePowered(25 * 3600);
        own.owed = [];
      });
    const links = world.links.filter((link) => link.pne === number);
    if (links.some(({ p }) => p) || links.length > 1) continue;
    const join = recognised(world, number);
    if (join) {
      const name = toHex(join.joinId);
      if (links.some(({ g }) => g?.resumes === name)) continue;
      add('must', undefined, `the gateway resumes with pne ${number}`, (next) =>
        resume(next, number, must(recognised(next, number))),
      );
    } else if (pne.attempts < attempts)
      add('may', undefined, `the gateway invites pne ${number} (attempt ${pne.attempts + 1})`, (next) => {
        establish(next, number);
      });
  }
  if (world.gateway.disk.joins('refused').length > 0)
    add('later', undefined, 'the gateway’s refusals are 7 days old', (next) => {
      next.gateway.disk.purgeRefusals(TOO_LATE + 7 * 86_400);
    });
}

function requestMoves(world: World, add: Add): void {
  for (const [number, { kind, stage, link }] of world.gateway.requests.entries()) {
    const at = (next: World) => must(next.gateway.requests[number]);
    if (stage !== 'answered')
      add('must', 'server', `server ← ${kind}${stage === 'slow' ? ', at last' : ''}`, (next) =>
        serveGateway(next, at(next)),
      );
    else add('must', 'gateway', `gateway ← answer to ${kind}`, (next) => takeReply(next, at(next)));
    if (world.faults === 0) continue;
    if (stage === 'sent' && kind !== 'freshness')
      add('fault', undefined, `server is slow with ${kind}`, (next) => slow(next, at(next)));
    if (stage === 'answered')
      add('fault', undefined, `the answer to ${kind} is lost, it is asked again`, (next) => {
        Object.assign(at(next), { stage: 'sent', reply: undefined });
      });
    if (stage === 'slow')
      add('fault', undefined, `${kind} is asked again while the server is at it`, (next) => {
        const request = at(next);
        next.gateway.requests.push({ ...request, stage: 'sent', seen: undefined });
        request.link = undefined;
      });
    if (kind === 'register' && link !== undefined)
      add('fault', 'gateway', 'the gateway gives step 3 up', (next) => giveUp(next, at(next)));
  }
}

/** The server has read the facts, and others overtake it before it commits. */
function slow(
  next: World,
  request: { stage: 'sent' | 'slow' | 'answered'; seen: ServerDisk | undefined },
): void {
  request.stage = 'slow';
  const { disk } = next.server;
  request.seen = 'clone' in disk && typeof disk.clone === 'function' ? disk.clone(new Gate()) : disk;
}

function channelMoves(world: World, add: Add): void {
  const { scene, server } = world;
  const [first] = server.disk.deliveries(scene.gateway.facts.gatewayId);
  if (first) {
    add('must', 'gateway', 'gateway ← registration response', async (next) => {
      takeRegistrationResponse(next, first.body);
      await acknowledged(next, scene.gateway.facts.gatewayId, first.deliveryId);
    });
    if (world.faults > 0)
      add('fault', 'gateway', 'gateway ← registration response, the acknowledgement is lost', (next) =>
        takeRegistrationResponse(next, first.body),
      );
  }
  for (const [number, home] of world.homes.entries()) {
    if (!home.up) continue;
    const gatewayId = must(scene.homes[number]).facts.gatewayId;
    const [delivery] = server.disk.deliveries(gatewayId);
    if (delivery) {
      const { kind, body, deliveryId } = delivery;
      const takeIt = (next: World) =>
        kind === 'pne-confirm-request'
          ? takeConfirmRequest(next, number, body)
          : takeOutcome(next, number, body);
      add('must', `home ${number}`, `home ${number} ← ${kind}`, async (next) => {
        takeIt(next);
        await acknowledged(next, gatewayId, deliveryId);
      });
      if (world.faults > 0)
        add('fault', `home ${number}`, `home ${number} ← ${kind}, the acknowledgement is lost`, takeIt);
    }
    if (home.strays.length > 0)
      add('must', `home ${number}`, `home ${number} ← a recalled question`, (next) => {
        const own = must(next.homes[number]);
        const [body, ...rest] = own.strays;
        own.strays = rest;
        takeConfirmRequest(next, number, must(body));
      });
  }
}

function homeMoves(world: World, add: Add): void {
  for (const [number, home] of world.homes.entries()) {
    const by: Party = `home ${number}`;
    if (!home.up) {
      add('must', by, `home ${number} is started again`, (next) => restartHome(next, number));
      continue;
    }
    for (const { joinId, state } of home.running) {
      const at = (next: World) => must(runningOf(next, number, joinId));
      if (state === 'asking') {
        const decide = (next: World, decision: typeof YES) =>
          feedHome(next, number, at(next), { kind: 'decided', decision, now: IN_TIME });
        add('must', by, `owner of home ${number} says yes`, (next) => decide(next, YES));
        if (world.noes > 0)
          add('must', by, `owner of home ${number} says no`, (next) => {
            next.noes--;
            decide(next, NO);
          });
      }
      add('late', by, `home ${number} thinks it is too late (${state})`, (next) =>
        feedHome(next, number, at(next), { kind: 'deadline' }),
      );
      if (world.faults > 0)
        add('fault', by, `home ${number} is stopped in good order`, (next) => {
          feedHome(next, number, at(next), { kind: 'stop' });
          crashHome(next, number);
        });
    }
    for (const [index, { stage, status }] of home.confirmations.entries()) {
      const at = (next: World) => must(next.homes[number]?.confirmations[index]);
      if (stage !== 'answered')
        add(
          'must',
          'server',
          `server ← answer of home ${number}${stage === 'slow' ? ', at last' : ''}`,
          (next) => serveHome(next, number, at(next)),
        );
      else
        add('must', by, `home ${number} ← ${status}`, (next) =>
          takeConfirmed(next, number, at(next).joinId, must(status)),
        );
      if (world.faults > 0 && stage === 'sent')
        add('fault', undefined, `server is slow with the answer of home ${number}`, (next) =>
          slow(next, at(next)),
        );
      if (world.faults > 0 && stage === 'answered')
        add('fault', undefined, `home ${number} does not hear that, and sends again`, (next) => {
          Object.assign(at(next), { stage: 'sent', status: undefined });
        });
    }
    // What failed here is taken up again after a while.
    for (const record of home.disk.requests())
      if (!home.running.some(({ joinId }) => toHex(joinId) === toHex(record.joinId)))
        add('must', by, `home ${number} takes a question up again`, (next) => take(next, number, record));
  }
}

function serverMoves(world: World, add: Add): void {
  for (const row of world.server.disk.all()) {
    if (row.state !== 'challenged' && row.state !== 'verified') continue;
    const name = keyOf(row);
    if (world.server.late.includes(name))
      add('must', 'server', `server sees that it is too late (${row.state})`, (next) => sweep(next, row));
    else
      add('late', undefined, `the deadline of a ${row.state} transaction passes`, (next) => {
        next.server.late = [...next.server.late, name];
      });
  }
  if (world.server.disk.backsOff)
    add('may', undefined, 'the waiting time after a refusal is over', (next) =>
      next.server.disk.forgetBackoff(),
    );
}

function crashMoves(world: World, add: Add): void {
  for (const [number] of world.pnes.entries())
    if (world.links.some(({ pne, p }) => pne === number && p))
      add('fault', undefined, `pne ${number} is killed`, (next) => crash(next, `pne ${number}`));
  add('fault', undefined, 'the gateway is killed', (next) => crash(next, 'gateway'));
  add('fault', undefined, 'the server is killed', (next) => crash(next, 'server'));
  for (const [number, { up }] of world.homes.entries())
    if (up) add('fault', undefined, `home ${number} is killed`, (next) => crash(next, `home ${number}`));
}

/** A party dies; all but a home gateway, whose absence the server sees, are back at once. */
export function crash(world: World, party: Party): void {
  const [kind, number] = party.split(' ');
  if (kind === 'pne') crashPne(world, Number(number));
  else if (kind === 'gateway') crashGateway(world);
  else if (kind === 'home') crashHome(world, Number(number));
  else crashServer(world);
}
