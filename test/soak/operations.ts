/**
 * What users, owners and the operator do in a soak. Owns the list and its weights; joins happen by themselves, since the
 * gateway invites whoever is no member. An operation that a fault cut short has done nothing wrong.
 */
import { fromHex, toHex } from '../../src/base/bytes.ts';
import { InventoryPayload, MAX_MEMBERS } from '../../src/messages/inventory.ts';
import type { ApprovalView } from '../../src/nodes/gateway/approval-view.ts';
import type { PneStatus } from '../../src/nodes/pne/pne.ts';
import { parseSign1 } from '../../src/security/cose.ts';
import type { GatewayView, PneView, ServerView } from '../faults/state-view.ts';
import { pause, until } from './pace.ts';
import { type Dice, InVain, type Resident, type Site } from './site.ts';

export interface Operation {
  readonly name: string;
  readonly weight: number;
  readonly run: (site: Site, dice: Dice) => Promise<void>;
}

const AWAY_MS = [1_000, 5_000] as const;
/** Longest until a new device belongs to its owner, faults included. */
const ENROL_MS = 180_000;
const PAIR_MS = 45_000;
const REFUSES = 0.25;

/** Members that nothing is being done to. */
const members = (site: Site): readonly Resident[] =>
  site.residents.filter(
    ({ home, party }) => site.free.includes(home.pne.name) && memberOf(site, party) !== undefined,
  );

const memberOf = (site: Site, party: string) =>
  (site.ledger.view(party) as PneView | undefined)?.joins.find(({ state }) => state === 'member');

async function leave(site: Site, { home }: Resident): Promise<void> {
  const { memberships } = (await site.control(home.pne.name, 'status')) as PneStatus;
  const [membership] = memberships;
  if (!membership) throw new InVain('no member');
  await site.control(home.pne.name, 'forget', { pnId: membership.pnId });
}

/** Leaves, is gone for a while and comes back as a stranger. */
async function goAway(site: Site, dice: Dice): Promise<void> {
  const resident = dice.pick(members(site).filter(({ home }) => site.mayRestart(home.pne.name)));
  const { name } = resident.home.pne;
  await site.alone(name, async () => {
    await leave(site, resident);
    await site.terminate(name);
    if (await pause(dice.between(...AWAY_MS), site.signal)) await site.start(name);
  });
}

/** The operator revokes a PNE; its owner enrols another in its place. */
async function replace(site: Site, dice: Dice): Promise<void> {
  const resident = dice.pick(members(site).filter(({ home }) => site.mayRestart(home.pne.name)));
  const { gateway, pne } = resident.home;
  // A revoked PNE keeps its place in the inventory.
  const devices = site.residents.reduce((sum, { devices }) => sum + devices, 0);
  if (devices >= MAX_MEMBERS) throw new InVain('no place for another device');
  await site.alone(pne.name, async () => {
    const view = site.ledger.view(resident.party) as PneView;
    site.town.administer((admin) => admin.revokePne(view.thumbprint));
    await site.terminate(pne.name);
    const party = `${pne.name} ${++resident.devices}`;
    site.town.replacePne(pne.name, party);
    Object.assign(resident, {
      ...{ party, saidNo: false, refused: false, told: undefined, join: undefined },
    });
    await site.start(pne.name);
    const enrolled = await until(
      async () => {
        try {
          const shown = (await site.control(pne.name, 'start-enrolment')) as { readonly code: string };
          await site.control(gateway.name, 'pair', { code: shown.code }, PAIR_MS);
          return true;
        } catch {
          const status = (await site.control(pne.name, 'status').catch(() => undefined)) as
            | PneStatus
            | undefined;
          return status?.owner !== undefined;
        }
      },
      ENROL_MS,
      site.signal,
      1_000,
    );
    if (!enrolled && !site.signal.aborted)
      site.find('convergence', `${party} was not enrolled within ${ENROL_MS / 1000} s`);
  });
}

/** Application data from a member to the gateway. @returns whether it could be handed over */
export async function sendUp(site: Site, { home }: Resident, bytes: number): Promise<void> {
  await site.errand(home.pne.name, 'data', { bytes });
}

/** … and from the gateway to a member. */
export async function sendDown(site: Site, { party }: Resident, bytes: number): Promise<void> {
  const held = memberOf(site, party);
  if (!held) throw new InVain('no member');
  const joinId = held.th3.slice(0, 32);
  const { members: listed } = InventoryPayload.decode(parseSign1(fromHex(held.inventory ?? '')).payload);
  const entry = listed.find((member) => toHex(member.joinId) === joinId);
  if (!entry) throw new InVain('not listed');
  await site.errand(site.gateway, 'data', { bytes, pnId: held.pnId, handle: entry.handle });
}

async function askHow(site: Site, dice: Dice): Promise<void> {
  const name = dice.pick(site.free);
  await site.control(name, 'status');
  if (name === site.gateway) await site.control(name, 'pns');
  if (site.residents.some(({ home }) => home.gateway.name === name))
    await site.control(name, 'confirmations');
}

/** Verifies every registration again from the evidence. */
export async function audit(site: Site): Promise<void> {
  const pns = (site.ledger.view(site.server) as ServerView | undefined)?.pns ?? [];
  if (pns.length === 0) throw new InVain('no network');
  const reports = site.town.administer((admin) => pns.map(({ pnId }) => admin.audit(pnId)));
  for (const { passed } of reports) if (!passed) site.find('audit', 'the stored evidence does not verify');
}

export const OPERATIONS: readonly Operation[] = [
  {
    name: 'leave and join again',
    weight: 5,
    run: async (site, dice) => leave(site, dice.pick(members(site))),
  },
  { name: 'leave, away for a while', weight: 2, run: goAway },
  { name: 'revoke, enrol another', weight: 1, run: replace },
  {
    name: 'data to the gateway',
    weight: 4,
    run: async (site, dice) => sendUp(site, dice.pick(members(site)), site.nextDatum()),
  },
  {
    name: 'data to a PNE',
    weight: 4,
    run: async (site, dice) => sendDown(site, dice.pick(members(site)), site.nextDatum()),
  },
  { name: 'status query', weight: 4, run: askHow },
  { name: 'audit', weight: 1, run: audit },
];

export const OWNER_ALLOWS = 'owner allows';
export const OWNER_REFUSES = 'owner refuses';

/** The owners look at the questions that wait. @returns what they did, for the count */
export async function answerQuestions(site: Site, dice: Dice): Promise<readonly string[]> {
  const done: string[] = [];
  for (const resident of site.residents) {
    const { name } = resident.home.gateway;
    const view = site.ledger.view(name) as GatewayView | undefined;
    if (!site.free.includes(name) || !view?.home.some(({ state }) => state === 'asked')) continue;
    try {
      for (const { joinId } of (await site.control(name, 'approvals')) as readonly ApprovalView[]) {
        const allow = resident.saidNo || !dice.chance(REFUSES);
        // Before it is said: the answer is on its way at once.
        if (!allow) Object.assign(resident, { saidNo: true, refused: true });
        await site.control(name, 'decide', { joinId, allow });
        done.push(allow ? OWNER_ALLOWS : OWNER_REFUSES);
      }
    } catch {
      // The gateway went away, or the question did. It is asked again.
    }
  }
  return done;
}
