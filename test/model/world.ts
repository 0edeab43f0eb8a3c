/**
 * One state of the model: what is on every disk, every machine that runs with its memory, everything under way. Copied
 * before each move; what is inside records is never changed, so that copies share it. Knows no rule of the protocol.
 */
import { type Bytes, EMPTY } from '../../src/base/bytes.ts';
import type { JoinId, TransactionId } from '../../src/base/ids.ts';
import type { Status } from '../../src/base/statuses.ts';
import type { GatewayState } from '../../src/establishment/gateway-table.ts';
import type { GatewaySession } from '../../src/establishment/gateway-types.ts';
import type { HomeGatewaySession } from '../../src/establishment/home-gateway.ts';
import type { HomeGatewayState } from '../../src/establishment/home-gateway-table.ts';
import type { PneState } from '../../src/establishment/pne-table.ts';
import type { PneSession } from '../../src/establishment/pne-types.ts';
import type { ServerReply } from '../../src/establishment/server-types.ts';
import { type GatewayDisk, MemoryGatewayDisk } from './disk-gateway.ts';
import { type HomeDisk, MemoryHomeDisk } from './disk-home.ts';
import { MemoryPneDisk, type PneDisk } from './disk-pne.ts';
import { MemoryServerDisk, type ServerDisk } from './disk-server.ts';
import { Gate } from './gate.ts';
import type { Scene } from './scene.ts';

/** What is under way on a link, in order: messages, and behind the last one its end. */
export interface Packet {
  /** A message's name, or `end`. */
  readonly message: string;
  readonly body: Bytes;
}

export const END: Packet = { message: 'end', body: EMPTY };

export interface Side<State extends string, Data> {
  state: State;
  readonly data: Data;
}

export interface PneSide extends Side<PneState, PneSession> {
  /** Its user or policy has the question. */
  asking: boolean;
}

export interface GatewaySide extends Side<GatewayState, GatewaySession> {
  live: boolean;
  /** The join that this link resumes, in hex. */
  readonly resumes: string | undefined;
}

/** One Bluetooth connection. A side that is gone does not hear any more; the link is gone when both are. */
export interface ModelLink {
  readonly id: number;
  readonly pne: number;
  /** From 1; 0 for a resumption. */
  readonly attempt: number;
  p: PneSide | undefined;
  g: GatewaySide | undefined;
  toP: readonly Packet[];
  toG: readonly Packet[];
}

/** One HTTPS request of the initiating gateway, repeated until answered. */
export interface GatewayRequest {
  readonly kind: 'register' | 'respond' | 'freshness';
  /** Whoever waits for the answer; undefined when its link is gone. */
  link: number | undefined;
  readonly txn: TransactionId | undefined;
  readonly joinId: JoinId | undefined;
  readonly body: Bytes;
  stage: 'sent' | 'slow' | 'answered';
  reply: ServerReply | { readonly kind: 'freshness'; readonly statement: Bytes } | undefined;
  /** What the server had read before it was overtaken. */
  seen: ServerDisk | undefined;
}

/** Step 9 of a home gateway. */
export interface Confirmation {
  readonly joinId: JoinId;
  readonly answer: Bytes;
  stage: 'sent' | 'slow' | 'answered';
  status: Status | undefined;
  seen: ServerDisk | undefined;
}

export interface HomeRunning extends Side<HomeGatewayState, HomeGatewaySession> {
  readonly joinId: JoinId;
}

export interface ModelPne {
  readonly disk: PneDisk;
  /** Establishments begun. */
  attempts: number;
  /** th3 in hex of what was signed and sent and may not be forgotten yet. */
  owed: readonly string[];
}

export interface ModelHome {
  readonly disk: HomeDisk;
  up: boolean;
  running: HomeRunning[];
  confirmations: Confirmation[];
  /** Questions that were recalled when they were under way already. */
  strays: readonly Bytes[];
}

export interface World {
  readonly scene: Scene;
  gate: Gate;
  faults: number;
  /** How often a person may still say no. */
  noes: number;
  links: ModelLink[];
  readonly pnes: ModelPne[];
  readonly gateway: { readonly disk: GatewayDisk; requests: GatewayRequest[] };
  readonly homes: ModelHome[];
  readonly server: {
    readonly disk: ServerDisk;
    /** Rows whose deadline has passed unnoticed. */
    late: readonly string[];
  };
  /** Something that must never happen has: the world ends here. */
  violation: string | undefined;
}

/** The disks that a world is made with: of memory for the exploration, real ones to compare. */
export interface Disks {
  readonly pnes: readonly PneDisk[];
  readonly gateway: GatewayDisk;
  readonly homes: readonly HomeDisk[];
  readonly server: ServerDisk;
}

export function memoryDisks(scene: Scene): Disks {
  const server = new MemoryServerDisk();
  server.userOf = (homeGatewayId) => scene.homeNumber(homeGatewayId);
  return {
    pnes: scene.pnes.map(() => new MemoryPneDisk()),
    gateway: new MemoryGatewayDisk(),
    homes: scene.homes.map(() => new MemoryHomeDisk()),
    server,
  };
}

export function firstWorld(scene: Scene, disks: Disks, faults: number, noes: number): World {
  return {
    ...{ scene, gate: new Gate(), faults, noes, links: [], violation: undefined },
    pnes: disks.pnes.map((disk) => ({ disk, attempts: 0, owed: [] })),
    gateway: { disk: disks.gateway, requests: [] },
    homes: disks.homes.map((disk) => ({ disk, up: true, running: [], confirmations: [], strays: [] })),
    server: { disk: disks.server, late: [] },
  };
}

/** A copy to make one move in; only worlds on disks of memory can be copied. */
export function copyWorld(world: World, gate: Gate): World {
  return {
    ...world,
    gate,
    links: world.links.map((link) => ({
      ...link,
      p: link.p && { ...link.p, data: { ...link.p.data } },
      g: link.g && { ...link.g, data: { ...link.g.data } },
    })),
    pnes: world.pnes.map((pne) => ({ ...pne, disk: copyDisk(pne.disk, gate) })),
    gateway: {
      disk: copyDisk(world.gateway.disk, gate),
      requests: world.gateway.requests.map((request) => ({ ...request })),
    },
    homes: world.homes.map((home) => ({
      ...home,
      disk: copyDisk(home.disk, gate),
      running: home.running.map((running) => ({ ...running, data: { ...running.data } })),
      confirmations: home.confirmations.map((confirmation) => ({ ...confirmation })),
    })),
    server: { ...world.server, disk: copyDisk(world.server.disk, gate) },
  };
}

function copyDisk<D extends PneDisk | GatewayDisk | HomeDisk | ServerDisk>(disk: D, gate: Gate): D {
  if (!('clone' in disk) || typeof disk.clone !== 'function')
    throw new TypeError('a real disk has no copies');
  return disk.clone(gate) as D;
}
