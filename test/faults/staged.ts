/**
 * A join in the simulation and what everybody has on disk of it: true views with true signatures, for tests that then
 * spoil one thing. Owns no rule.
 */
import { toHex } from '../../src/base/bytes.ts';
import type { Status } from '../../src/base/statuses.ts';
import { PneConfirmResponsePayload } from '../../src/messages/confirmation.ts';
import { OutcomePayload } from '../../src/messages/inventory.ts';
import { assembleSign1 } from '../../src/security/cose.ts';
import { toBeSigned } from '../../src/security/signed-message.ts';
import { Scene } from '../simulation/scene.ts';
import type { JournalEntry } from './safety.ts';
import {
  type GatewayView,
  type Hex,
  hex,
  type PartyView,
  type PneView,
  ServerReader,
  type ServerView,
  viewGateway,
  viewPne,
} from './state-view.ts';

/** Without `readonly`, all the way down: a copy to spoil. */
export type Editable<T> = T extends readonly (infer E)[]
  ? Editable<E>[]
  : T extends object
    ? { -readonly [K in keyof T]: Editable<T[K]> }
    : T;

export interface Views {
  server: Editable<ServerView>;
  gw2: Editable<GatewayView>;
  gw1: Editable<GatewayView>;
  pne: Editable<PneView>;
}

export const PARTIES = ['server', 'gw2', 'gw1', 'pne'] as const;
type Party = (typeof PARTIES)[number];

const keysOf = ({ server }: Scene) => server.operator.pinned().keys.map(({ key }) => key);

/** What is on disk now; Bob's gateway invites, Alice's is home, the first PNE is the one looked at. */
export function viewsOf(scene: Scene): Views {
  const { store, thumbprint } = scene.pne;
  return structuredClone({
    server: new ServerReader(scene.server.store, keysOf(scene)).read(),
    gw2: viewGateway(scene.gw2.store),
    gw1: viewGateway(scene.home('alice').store),
    pne: viewPne(store, thumbprint),
  }) as Views;
}

export interface Staged {
  readonly scene: Scene;
  readonly views: Views;
  /** Of the PNE's join. */
  readonly th3: Hex;
}

/** One PNE of Alice's, a member of Bob's network. */
export function joined(): Staged {
  const scene = new Scene({ owners: ['alice'] }).invite().untilMembers();
  scene.world.pass(2_000);
  const views = viewsOf(scene);
  return { scene, views, th3: views.pne.joins[0]?.th3 ?? '' };
}

/** Alice said no. Nothing is left but the server's record of it. */
export function refused(): Staged {
  const scene = new Scene({ owners: ['alice'] });
  scene.home('alice').home.rules = [];
  scene.home('alice').home.owner = { yours: true, chargeable: false, reason: 'user-refused' };
  scene.invite();
  scene.world.until('the end', () => scene.gw2.statuses.includes('user-refused'));
  scene.gw2.inviting = undefined;
  scene.world.pass(120_000);
  const views = viewsOf(scene);
  return { scene, views, th3: views.server.registrations[0]?.th3 ?? '' };
}

/** An outcome of this join as the server would sign it. */
export function outcomeOf({ scene }: Staged, th3: Hex, status: Status): Hex {
  const value = { status, serverTime: scene.world.seconds };
  return toHex(scene.server.operator.sign(OutcomePayload, Buffer.from(th3, 'hex'), value));
}

/** Step 9 as Alice's gateway would sign it: a no. */
export function noOf({ scene }: Staged, th3: Hex): Hex {
  const payload = PneConfirmResponsePayload.encode({
    ...{ yours: true, chargeable: false, reason: 'not-chargeable', decidedAt: scene.world.seconds },
  });
  const { signer } = scene.home('alice');
  const th = new Uint8Array(Buffer.from(th3, 'hex'));
  return hex(assembleSign1(payload, signer.sign(toBeSigned(PneConfirmResponsePayload, th, payload))));
}

/** Flips the last bit: of a COSE message that is its signature. */
export const spoiled = (bytes: Hex): Hex =>
  bytes.slice(0, -1) + (Number.parseInt(bytes.slice(-1), 16) ^ 1).toString(16);

let clockNs = 0n;
export function entry(
  party: Party,
  content: { readonly view?: PartyView; readonly signed?: Hex },
): JournalEntry {
  clockNs += 1_000_000n;
  const role = party === 'server' || party === 'pne' ? party : 'gateway';
  return { atNs: String(clockNs), party, role, ...content };
}

/** One entry for each party, server first. */
export const journal = (views: Views): JournalEntry[] =>
  PARTIES.map((party) => entry(party, { view: views[party] }));
