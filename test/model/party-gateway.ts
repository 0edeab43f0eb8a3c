/**
 * The initiating gateway in the model: the real machine and the real Registrations (steps 7, 11 and 12), with what
 * src/nodes/gateway/sessions.ts and gateway.ts do around them, on the model's disk. Requests are under way until a move
 * brings them to the server, and answers until a move brings them back.
 */

import { type Bytes, equal, toHex } from '../../src/base/bytes.ts';
import { type PnId, PnId as pnIdOf } from '../../src/base/ids.ts';
import { GATEWAY_MACHINE } from '../../src/establishment/gateway.ts';
import type {
  GatewayInput,
  GatewayJoin,
  GatewayOutput,
  GatewaySession,
  Invitation,
} from '../../src/establishment/gateway-types.ts';
import { wentSilently } from '../../src/establishment/session.ts';
import { type ServerClient, ServerProblem } from '../../src/https/server-client.ts';
import type { Agreement } from '../../src/link/open.ts';
import { PnRegistrationResponse } from '../../src/messages/channel.ts';
import type { TransactionState } from '../../src/messages/registration.ts';
import { Registrations, rememberedJoin, settlementOf } from '../../src/nodes/gateway/registrations.ts';
import type { NetworkStore } from '../../src/store/gateway-networks.ts';
import { drive } from './drive.ts';
import { freeId, leave, openLink } from './links.ts';
import { startPne } from './party-pne.ts';
import { IN_TIME } from './scene.ts';
import { named, SYMBOLIC } from './symbolic.ts';
import type { GatewayRequest, ModelLink, World } from './world.ts';

type On<K> = Extract<GatewayOutput, { readonly kind: K }>;
const PN_NAME = 'kitchen';
const CLOCK = { monotonicMs: () => 0, wallSeconds: () => IN_TIME, wallMs: () => IN_TIME * 1000 };

/** The join that a PNE's announcement would show this gateway: the newest of those both know. */
export function recognised(world: World, pne: number): GatewayJoin | undefined {
  const known = world.pnes[pne]?.disk.joins() ?? [];
  const found = world.gateway.disk.joins().findLast(({ rms }) => known.some((join) => equal(join.rms, rms)));
  return found && rememberedJoin(found);
}

/** Invites a PNE over a new link. */
export function establish(world: World, pne: number): void {
  const party = world.pnes[pne];
  if (!party) return;
  const attempt = ++party.attempts;
  const link = newLink(world, pne, attempt);
  const { g, p } = openLink(world, pne, attempt, { kind: 'establish' });
  const invitation = invitationFor(world, `pn ${pne} ${attempt}`);
  startPne(world, link, p);
  start(world, link, { invitation }, g);
}

export function resume(world: World, pne: number, join: GatewayJoin): void {
  const link = newLink(world, pne, 0);
  const { g, p } = openLink(world, pne, 0, { kind: 'resume', rms: join.rms.slice() });
  const known = world.gateway.disk.join(join.joinId);
  const settlement = known && settlementOf(world.gateway.disk as NetworkStore, known);
  startPne(world, link, p);
  start(world, link, { invitation: undefined, join, ...(settlement && { settlement }) }, g);
}

function newLink(world: World, pne: number, attempt: number): ModelLink {
  const link: ModelLink = { id: freeId(world), pne, attempt, p: undefined, g: undefined, toP: [], toG: [] };
  world.links = [...world.links, link];
  return link;
}

/** As GatewayNode does: the network it invites to, minted when there is none. */
function invitationFor(world: World, minted: string): Invitation {
  const { disk } = world.gateway;
  const pn = disk.pns().find(({ inviting }) => inviting);
  if (pn) return { pnId: pn.pnId, name: PN_NAME, setupType: pn.setup === 'live' ? 'join' : 'new' };
  const pnId = pnIdOf(named(minted, 8));
  disk.createPn({ pnId, name: PN_NAME, inviting: true }, IN_TIME);
  return { pnId, name: PN_NAME, setupType: 'new' };
}

function start(
  world: World,
  link: ModelLink,
  given: Pick<GatewaySession, 'invitation' | 'join' | 'settlement'>,
  { th1, prk1, openG, openP }: Agreement,
): void {
  const { scene } = world;
  link.g = {
    state: GATEWAY_MACHINE.initial,
    live: false,
    resumes: given.join && toHex(given.join.joinId),
    data: {
      ...{ primitives: SYMBOLIC, serverKeys: scene.operator.serverKeys, credential: scene.credential },
      ...{ gatewayId: scene.gateway.facts.gatewayId, serverKeysStatement: undefined },
      gatewayInfo: { capability: Uint8Array.of(1), subscription: 'home' },
      ...given,
    },
  };
  feedGateway(world, link, { kind: 'opened', th1, prk1, openG, openP });
}

export function feedGateway(world: World, link: ModelLink, input: GatewayInput): void {
  const side = link.g;
  if (!side) return;
  const { scene } = world;
  const { disk } = world.gateway;
  let said: On<'close'> | undefined;
  const nothing = () => undefined;
  drive(world, GATEWAY_MACHINE, side, input, {
    send: ({ message, body }) =>
      world.gate.pass(() => {
        if (link.p) link.toP = [...link.toP, { message, body }];
      }),
    sign: ({ message }) => ({ kind: 'signed' as const, signature: scene.gateway.signer.sign(message) }),
    register: ({ txn, request }) => ask(world, { kind: 'register', link: link.id, txn, body: request }),
    persistJoin: ({ join, registration, response }) =>
      disk.saveJoin({ ...join, registration, response }, IN_TIME + 2 * link.attempt + link.pne),
    respond: ({ join, response }) =>
      ask(world, { kind: 'respond', ...join, link: undefined, body: response }),
    persistAcknowledged: ({ join }) => disk.acknowledgeJoin(join.joinId),
    live: ({ join }) => {
      side.live = true;
      closeOlder(world, link, join);
    },
    fetchFreshness: ({ th1, joinId }) => ask(world, { kind: 'freshness', link: link.id, joinId, body: th1 }),
    close: (output) => {
      said = output;
    },
    provisional: ({ pnId }) => disk.proveWritable(pnId),
    limit: nothing,
    advance: nothing,
    data: nothing,
  });
  if (!GATEWAY_MACHINE.final.includes(side.state)) return;
  leave(world, link, 'g', said);
  const pnId = pnOf(side.data);
  const isUsed = world.links.some(({ g }) => g && equal(pnOf(g.data), pnId));
  // The PNE may have signed: with the next join of the network it may forget that.
  const { join, settlement } = side.data;
  const isUnheard = join && !settlement && !disk.join(join.joinId);
  const isKept = isUnheard && wentSilently(said?.status ?? 'link-lost');
  if (!isUsed && !isKept) disk.removePn(pnId, 'provisional');
}

function pnOf({ invitation, join }: GatewaySession): PnId {
  const pnId = invitation?.pnId ?? join?.pnId;
  if (!pnId) throw new Error('a session has a network');
  return pnId;
}

/** As the routing table says: a live join has one link. */
function closeOlder(world: World, link: ModelLink, join: GatewayJoin): void {
  const older = world.links.find(
    ({ id, g }) => id !== link.id && g?.live && g.data.join && equal(g.data.join.joinId, join.joinId),
  );
  if (older) feedGateway(world, older, { kind: 'stop' });
}

function ask(
  world: World,
  request: Pick<GatewayRequest, 'kind' | 'link' | 'body'> & Partial<Pick<GatewayRequest, 'txn' | 'joinId'>>,
): void {
  const { kind, link, txn, joinId, body } = request;
  world.gate.pass(() => {
    const asked: GatewayRequest = { kind, link, txn, joinId, body, ...NEW };
    world.gateway.requests = [...world.gateway.requests, asked];
  });
}

const NEW = { stage: 'sent', reply: undefined, seen: undefined } as const;

// The server's word

/** What Registrations asks of the server: step 7 only, and only in answer to what a move has brought. */
type Respond = () => Promise<TransactionState>;

/** The real Registrations. */
function registrations(world: World, respond?: Respond): Registrations {
  const { scene } = world;
  const sessions = (which: (join: GatewayJoin) => boolean) =>
    world.links.filter(({ g }) => g?.data.join && which(g.data.join));
  return new Registrations({
    networks: world.gateway.disk as NetworkStore,
    client: { respond } as unknown as ServerClient,
    primitives: SYMBOLIC,
    serverKeys: () => scene.operator.serverKeys,
    learnKeys: async () => {},
    gatewayId: scene.gateway.facts.gatewayId,
    clock: CLOCK,
    retry: { firstMs: 0, maxMs: 0 },
    tell: (joinId, input) => {
      for (const link of sessions((join) => equal(join.joinId, joinId))) feedGateway(world, link, input);
    },
    tellAll: (pnId, input) => {
      for (const link of sessions((join) => equal(join.pnId, pnId))) feedGateway(world, link, input);
    },
    onStored: () => {},
    onWaiting: () => {},
    onProblem: () => {},
  });
}

/** An answer has come back. */
export async function takeReply(world: World, request: GatewayRequest): Promise<void> {
  const { kind, reply, link: id } = request;
  world.gateway.requests = world.gateway.requests.filter((other) => other !== request);
  if (kind === 'respond') return takeState(world, request);
  const link = world.links.find((known) => known.id === id);
  if (!link) return;
  if (reply?.kind === 'challenge')
    feedGateway(world, link, { kind: 'challenged', challenge: reply.challenge });
  else if (reply?.kind === 'freshness')
    feedGateway(world, link, { kind: 'freshness', statement: reply.statement });
  else if (reply?.kind === 'rejected' && kind === 'register')
    feedGateway(world, link, { kind: 'refused', status: reply.status });
}

/** Step 7 was answered. Where Registrations is not content it asks again: then the request is under way once more. */
async function takeState(world: World, { reply, txn, joinId, body }: GatewayRequest): Promise<void> {
  if (!txn || !joinId) throw new Error('step 7 is of a transaction');
  let isFirst = true;
  await new Promise<void>((resolve, reject) => {
    const respond: Respond = async () => {
      if (isFirst) {
        isFirst = false;
        if (reply?.kind === 'state') return reply.state;
        throw new ServerProblem(reply?.kind === 'rejected' ? reply.status : 'internal');
      }
      if (!world.gate.dead) ask(world, { kind: 'respond', link: undefined, txn, joinId, body });
      resolve();
      return new Promise(() => {});
    };
    registrations(world, respond).respond(txn, joinId, body).then(resolve, reject);
  });
}

/** Step 3 was asked often enough: the server can't be reached. */
export function giveUp(world: World, request: GatewayRequest): void {
  world.gateway.requests = world.gateway.requests.filter((other) => other !== request);
  const link = world.links.find(({ id }) => id === request.link);
  if (link) feedGateway(world, link, { kind: 'refused', status: 'server-unreachable' });
}

/** Step 11. */
export function takeRegistrationResponse(world: World, body: Bytes): void {
  registrations(world).onRegistrationResponse(PnRegistrationResponse.decode(body));
}

/** A word of the server that is lost when nobody hears it. */
export function takeWaiting(
  world: World,
  txn: NonNullable<GatewayRequest['txn']>,
  status: 'awaiting-home-gateway' | 'awaiting-user',
): void {
  registrations(world).onWaiting({ txn, status });
}

/** Killed and started again: what is on disk is left, the network it still invites to too, and step 7 of every open join is asked again. */
export function crashGateway(world: World): void {
  world.gateway.requests = [];
  for (const link of [...world.links]) if (link.g) leave(world, link, 'g');
  for (const { txn, joinId, response } of world.gateway.disk.joins('pending'))
    world.gateway.requests.push({ kind: 'respond', link: undefined, txn, joinId, body: response, ...NEW });
}
