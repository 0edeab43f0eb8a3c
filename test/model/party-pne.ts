/**
 * A PNE in the model: the real machine, and what src/nodes/pne/pne.ts does with its outputs, on the model's disk.
 */
import { toHex } from '../../src/base/bytes.ts';
import { PNE_MACHINE } from '../../src/establishment/pne.ts';
import type { PneInput, PneOutput } from '../../src/establishment/pne-types.ts';
import type { Agreement } from '../../src/link/open.ts';
import { drive } from './drive.ts';
import { leave } from './links.ts';
import { checkTold } from './safety.ts';
import { IN_TIME } from './scene.ts';
import { SYMBOLIC } from './symbolic.ts';
import type { ModelLink, World } from './world.ts';

type On<K> = Extract<PneOutput, { readonly kind: K }>;

/** The machine of a new link. */
export function startPne(world: World, link: ModelLink, opened: Agreement): void {
  const { disk } = part(world, link.pne);
  const { identity } = scenePart(world, link.pne);
  const joins = disk.joins();
  link.p = {
    state: PNE_MACHINE.initial,
    asking: false,
    data: {
      ...{ primitives: SYMBOLIC, identity, joins },
      serverKeys: world.scene.operator.serverKeys,
      floor: { serverTime: IN_TIME, atMs: 0 },
    },
  };
  const { th1, prk1 } = opened;
  const join = joins.find(({ th3 }) => toHex(th3) === opened.sessionRef);
  feedPne(world, link, { kind: 'opened', th1, prk1, join });
}

export function feedPne(world: World, link: ModelLink, input: PneInput): void {
  const side = link.p;
  if (!side) return;
  const { disk } = part(world, link.pne);
  const { signer } = scenePart(world, link.pne);
  let said: On<'close'> | undefined;
  const nothing = () => undefined;
  drive(world, PNE_MACHINE, side, input, {
    send: ({ message, body }) =>
      world.gate.pass(() => {
        if (link.g) link.toG = [...link.toG, { message, body }];
        if (message === 'AuthenticationResponse' && side.data.join) own(world, link.pne, side.data.join.th3);
      }),
    sign: ({ message }) => ({ kind: 'signed' as const, signature: signer.sign(message) }),
    ask: () => {
      side.asking = true;
    },
    persistPending: ({ join, floor }) => disk.savePending(join, floor.serverTime, 0),
    forgetPending: ({ th3 }) => disk.forgetPending(th3),
    persistMember: ({ join, inventory }) => disk.saveMember(join, inventory, 0),
    persistFloor: ({ floor, th3 }) => disk.saveFloor(floor.serverTime, 0, th3),
    refused: ({ join, status }) => checkTold(world, join.th3, status),
    close: (output) => {
      said = output;
    },
    limit: nothing,
    advance: nothing,
    joined: nothing,
    resumed: nothing,
    updated: nothing,
    data: nothing,
    persistServerKeys: nothing,
  });
  if (PNE_MACHINE.final.includes(side.state)) leave(world, link, 'p', said);
}

/** From now on the outcome of this join has to come to the PNE. */
function own(world: World, pne: number, th3: Uint8Array): void {
  const { owed } = part(world, pne);
  part(world, pne).owed = [...owed, toHex(th3)].sort();
}

/** Killed: what is on disk is left. Its peer does not hear of it, but finds the link dead. */
export function crashPne(world: World, pne: number): void {
  for (const link of [...world.links]) if (link.pne === pne && link.p) leave(world, link, 'p');
}

function part(world: World, pne: number) {
  const found = world.pnes[pne];
  if (!found) throw new TypeError(`no PNE ${pne}`);
  return found;
}

function scenePart(world: World, pne: number) {
  const found = world.scene.pnes[pne];
  if (!found) throw new TypeError(`no PNE ${pne}`);
  return found;
}
