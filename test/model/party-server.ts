/**
 * The server in the model: the real machine inside the real Registrar, which looks facts up, decides, signs, commits and
 * tries again when it was overtaken, on the model's disk. A request is one step, or it is slow: then its facts are those
 * it read when it came, and its commit meets the disk of later.
 */

import { CpnsError, statusOfError } from '../../src/base/errors.ts';
import type { GatewayId } from '../../src/base/ids.ts';
import { DEFAULT_SERVER_LIMITS, type RegistrationKey } from '../../src/establishment/server-types.ts';
import { PnRegistrationRequest } from '../../src/messages/registration.ts';
import type { TrustedClock } from '../../src/nodes/server/clock.ts';
import type { Operator } from '../../src/nodes/server/identity.ts';
import { Registrar } from '../../src/nodes/server/registrar.ts';
import type { RegistrationStore } from '../../src/store/server-registrations.ts';
import type { ServerStore } from '../../src/store/server-store.ts';
import { keyOf, type ServerDisk } from './disk-server.ts';
import { Crash } from './gate.ts';
import { takeWaiting } from './party-gateway.ts';
import { IN_TIME, REALM, TOO_LATE } from './scene.ts';
import { named, SYMBOLIC } from './symbolic.ts';
import type { Confirmation, GatewayRequest, World } from './world.ts';

/** What Registrar asks of its store. */
type Facts = Pick<
  RegistrationStore,
  | 'registration'
  | 'registrationOfJoin'
  | 'openCount'
  | 'verifiedOf'
  | 'pendingOfUser'
  | 'backoffUntil'
  | 'pn'
  | 'earlierYes'
  | 'isOvertaken'
  | 'due'
  | 'growth'
  | 'refreshesToday'
  | 'vainQuestions'
  | 'commit'
>;

/** @param seen what it reads until its first commit. @param about the row whose deadline counts */
function registrar(
  world: World,
  about: RegistrationKey | undefined,
  seen?: ServerDisk,
  due?: RegistrationKey,
): Registrar {
  const { scene } = world;
  const { disk } = world.server;
  let reads: ServerDisk = seen ?? disk;
  const registrations: Facts = {
    registration: (key) => reads.registration(key),
    registrationOfJoin: (joinId) => reads.registrationOfJoin(joinId),
    openCount: (gatewayId, since) => reads.openCount(gatewayId, since),
    verifiedOf: (pne) => reads.verifiedOf(pne),
    pendingOfUser: (userId, except) => reads.pendingOfUser(userId, except),
    backoffUntil: (gatewayId, pne) => reads.backoffUntil(gatewayId, pne),
    pn: (pnId) => reads.pn(pnId),
    earlierYes: (pnId, pne) => reads.earlierYes(pnId, pne),
    isOvertaken: (row) => reads.isOvertaken(row),
    due: () => (due ? [due] : []),
    // Nobody here comes near what a gateway or a user may cause in a day.
    growth: () => ({ networks: 0, transactionsToday: 0, refusalsToday: 0 }),
    refreshesToday: () => 0,
    vainQuestions: () => ({ ofUser: 0, ofGateway: 0 }),
    commit: (change, clock) => {
      reads = disk;
      const questions = questionsOf(world);
      disk.commit(change, clock);
      recallUnderWay(world, questions);
      // A deadline is of one state of the row.
      const key = keyOf(change.to === 'challenged' ? change.row : change.key);
      world.server.late = world.server.late.filter((other) => other !== key);
    },
  };
  const clock = { now: () => (about && world.server.late.includes(keyOf(about)) ? TOO_LATE : IN_TIME) };
  return new Registrar({
    store: { registrations, directory: scene.directory } as unknown as ServerStore,
    operator: scene.operator as unknown as Operator,
    primitives: SYMBOLIC,
    clock: clock as unknown as TrustedClock,
    random: (length) => named(`nonce ${about ? keyOf(about) : ''}`, length),
    realm: REALM,
    terms: { currency: 'EUR', limit: 500, periodDays: 30 },
    limits: DEFAULT_SERVER_LIMITS,
    isOnline: (gatewayId) => isOnline(world, gatewayId),
    wake: () => {},
    tellWaiting: ({ txn }, status) => takeWaiting(world, txn, status),
    onCommitted: () => {},
    onSignature: () => {},
  });
}

function isOnline(world: World, gatewayId: GatewayId): boolean {
  return world.homes[world.scene.homeNumber(gatewayId)]?.up ?? true;
}

function questionsOf(world: World) {
  return world.scene.homes.map(({ facts }) =>
    world.server.disk.deliveries(facts.gatewayId).filter(({ kind }) => kind === 'pne-confirm-request'),
  );
}

/** What was recalled from the outbox of a gateway that is online is under way to it already. */
function recallUnderWay(world: World, before: ReturnType<typeof questionsOf>): void {
  const after = questionsOf(world);
  world.homes.forEach((home, index) => {
    const left = new Set(after[index]?.map(({ deliveryId }) => deliveryId));
    const recalled = (before[index] ?? []).filter(({ deliveryId }) => !left.has(deliveryId));
    if (home.up) home.strays = [...home.strays, ...recalled.map(({ body }) => body)];
  });
}

/** Steps 3 and 7, and freshness: the request becomes an answer under way, or stays when the server could not write. */
export async function serveGateway(world: World, request: GatewayRequest): Promise<void> {
  const { facts } = world.scene.gateway;
  const { kind, txn, joinId, body, seen } = request;
  const about = txn && { gatewayId: facts.gatewayId, txn };
  const server = registrar(world, about, seen);
  request.seen = undefined;
  request.stage = 'sent';
  try {
    if (kind === 'register' && txn)
      request.reply = await server.register(facts, txn, PnRegistrationRequest.decode(body), body);
    else if (kind === 'respond' && txn) request.reply = await server.respond(facts, txn, body);
    else if (joinId) request.reply = { kind: 'freshness', statement: server.freshness(facts, body, joinId) };
    request.stage = 'answered';
  } catch (error) {
    if (!(error instanceof CpnsError)) throw error;
    if (error.status === 'cannot-persist') return;
    request.reply = { kind: 'rejected', status: error.status };
    request.stage = 'answered';
  }
  if (world.gate.dead) throw new Crash();
}

/** Step 9. */
export async function serveHome(world: World, home: number, sent: Confirmation): Promise<void> {
  const facts = world.scene.homes[home]?.facts;
  if (!facts) throw new TypeError(`no home gateway ${home}`);
  const { joinId, answer, seen } = sent;
  const server = registrar(world, world.server.disk.registrationOfJoin(joinId), seen);
  sent.seen = undefined;
  sent.stage = 'sent';
  try {
    const reply = await server.confirm(facts, joinId, answer);
    sent.status = reply.kind === 'rejected' ? reply.status : 'ok';
  } catch (error) {
    if (!(error instanceof CpnsError)) throw error;
    const status = statusOfError(error);
    if (status === 'cannot-persist') return;
    sent.status = status;
  }
  sent.stage = 'answered';
}

/** The server looks at its clock and ends what is too late. */
export async function sweep(world: World, row: RegistrationKey): Promise<void> {
  await registrar(world, row, undefined, row).sweep();
}

/** A home gateway has acknowledged a delivery. */
export async function acknowledged(world: World, gatewayId: GatewayId, deliveryId: number): Promise<void> {
  const [delivery] = world.server.disk.acknowledge([{ gatewayId, deliveryId }]);
  if (delivery?.kind === 'pne-confirm-request') await registrar(world, undefined).delivered(delivery.joinId);
}

/** Killed and started again: nothing but requests half done is lost, and they are made again. */
export function crashServer(world: World): void {
  const again = (request: GatewayRequest | Confirmation) => {
    if (request.stage === 'slow') request.stage = 'sent';
    request.seen = undefined;
  };
  for (const request of world.gateway.requests) again(request);
  for (const home of world.homes) {
    for (const sent of home.confirmations) again(sent);
    home.strays = [];
  }
}
