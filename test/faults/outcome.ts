/**
 * How a run ended for one PNE, from what is on the disks of all parties then: exactly one of the outcomes that
 * protocol-core §8 allows, or an illegality in words. Owns the table of local statuses that may stand beside each other.
 * Pure; knows no process. Whether the parties were in contact, and for how long, is the caller's business.
 */
import { STATUSES, type Status, type StatusClass } from '../../src/base/statuses.ts';
import type { GatewayView, Hex, PneView, RegistrationView, ServerView } from './state-view.ts';

/** What everybody holds at the end. */
export interface FinalState {
  readonly server: ServerView;
  readonly gw2: GatewayView;
  /** The PNE's home gateway; may be the same as `gw2`. */
  readonly gw1: GatewayView;
  readonly pne: PneView;
  /**
   * How the last attempt ended in each party's own words (its events); leave out what a killed party never said.
   * `join`: th3, when the PNE had sent step 6 of that attempt.
   */
  readonly told?: {
    readonly pne?: Status | undefined;
    readonly gw2?: Status | undefined;
    readonly join?: Hex | undefined;
  };
}

export const OUTCOMES = {
  member: 'converged: a member, the same bytes at server, GW2 and PNE, the outcome at GW1',
  nothing: 'converged: nothing anywhere, and both sides know the same reason',
  'not-yet-notified': 'registered, and the PNE has not heard of it yet',
  'signed-unheard': 'signed, but nobody heard it: the PNE waits out its 24 hours',
  illegal: 'not a legal outcome',
} as const;

export type OutcomeKind = keyof typeof OUTCOMES;

export interface Outcome {
  readonly kind: OutcomeKind;
  /** In words: version, status, or everything that is wrong. */
  readonly detail: string;
}

/**
 * Local statuses: neither side has the server's word, so each has what it saw. The same status at both is always right
 * (one said it, the other was told); beside silence anything that a side may end with by itself is right, since what it
 * said was lost; a side that was killed has said nothing.
 */
const MAY_STAND_BESIDE_SILENCE: Readonly<Record<StatusClass, boolean>> = {
  success: false,
  policy: true,
  remote: true,
  authentication: true,
  server: true,
  local: true,
  link: true,
};

/** Whether two ends of one attempt agree, when the server has signed no word about it. */
export function mayStandTogether(pne: Status | undefined, gw2: Status | undefined): boolean {
  const silent = (status: Status | undefined) => status === undefined || STATUSES[status].class === 'link';
  const beside = (status: Status | undefined) =>
    status === undefined || MAY_STAND_BESIDE_SILENCE[STATUSES[status].class];
  if (silent(pne)) return beside(gw2);
  if (silent(gw2)) return beside(pne);
  return pne === gw2 && beside(pne);
}

const joinIdOf = (th3: Hex): Hex => th3.slice(0, 32);
const short = (id: Hex): string => id.slice(0, 8);

/** The outcome for the PNE of this final state. */
export function judge(state: FinalState): Outcome {
  const { server, pne } = state;
  const mine = server.registrations.filter((row) => row.pne === pne.thumbprint);
  const faults = open(state, mine);
  const entries = server.pns.flatMap((pn) =>
    pn.members.filter((member) => member.pne === pne.thumbprint).map(({ joinId }) => ({ pn, joinId })),
  );
  const unheard = pne.joins.filter(
    (known) => known.state === 'pending' && !heard(state, mine, known, faults),
  );
  const members = pne.joins.filter(({ state: at }) => at === 'member');
  for (const { th3, pnId } of members)
    if (!entries.some(({ pn, joinId }) => pn.pnId === pnId && joinId === joinIdOf(th3)))
      faults.push(`the PNE is a member by join ${short(th3)}, which is not the server's entry for it`);
  const behind = entries
    .flatMap((entry) => notNotified(state, entry, faults))
    .concat(atHome(state, mine, faults));
  if (entries.length === 0) traces(state, faults);
  if (faults.length > 0) return { kind: 'illegal', detail: faults.join('; ') };
  const waits = unheard.length > 0 ? `; ${unheard.length} signed and unheard` : '';
  if (behind.length > 0) return { kind: 'not-yet-notified', detail: behind.join('; ') + waits };
  if (entries.length > 0) {
    const versions = entries.map(({ pn }) => `version ${pn.version} of PN ${short(pn.pnId)}`);
    return { kind: 'member', detail: versions.join(', ') + waits };
  }
  if (unheard.length > 0)
    return { kind: 'signed-unheard', detail: unheard.map(({ th3 }) => `join ${short(th3)}`).join(', ') };
  return nothing(state, mine);
}

/** Transactions and questions that are not settled, whoever would have to settle them. */
function open({ server, gw2, gw1, pne }: FinalState, mine: readonly RegistrationView[]): string[] {
  const faults: string[] = [];
  const isMember = server.pns.some(({ members }) => members.some((known) => known.pne === pne.thumbprint));
  // The challenge of an attempt that another one overtook runs out by itself and hinders nobody.
  for (const { th3, state } of mine)
    if (state === 'verified' || (state === 'challenged' && !isMember))
      faults.push(`the server has join ${short(th3)} still ${state}`);
  const entries = new Set(server.pns.flatMap(({ members }) => members.map(({ joinId }) => joinId)));
  for (const { th3, state, pne: of } of gw2.joins)
    if (of === pne.thumbprint && state === 'pending' && !entries.has(joinIdOf(th3)))
      faults.push(`GW2 has join ${short(th3)} still pending`);
  for (const { th3, state } of gw1.home)
    if (state !== 'settled' && mine.some((row) => row.th3 === th3) && !entries.has(joinIdOf(th3)))
      faults.push(`GW1 has the question of join ${short(th3)} still ${state}`);
  return faults;
}

/** Whether somebody other than the PNE knows that it signed; adds a fault when it should have been told by now. */
function heard(
  { server, gw2, pne }: FinalState,
  mine: readonly RegistrationView[],
  { th3, pnId }: PneView['joins'][number],
  faults: string[],
): boolean {
  const row = mine.find((known) => known.th3 === th3);
  const at2 = gw2.joins.some((join) => join.th3 === th3);
  if (!at2 && !row?.responded) return false;
  // The entry of this join, or of a later one of the same PN: hearing of either ends the waiting.
  const current = server.pns.some(
    (pn) => pn.pnId === pnId && pn.members.some((member) => member.pne === pne.thumbprint),
  );
  if (!current && row?.state !== 'challenged' && row?.state !== 'verified')
    faults.push(
      `the PNE has join ${short(th3)} pending, which ended ${row?.status ?? row?.state ?? 'unknown'}`,
    );
  return true;
}

type Entry = { readonly pn: ServerView['pns'][number]; readonly joinId: Hex };

/** @returns what is still to be brought to GW2 or the PNE; faults for what no contact can mend */
function notNotified({ server, gw2, pne }: FinalState, { pn, joinId }: Entry, faults: string[]): string[] {
  const behind: string[] = [];
  const name = `version ${pn.version} of PN ${short(pn.pnId)}`;
  const stored = gw2.pns.find(({ pnId }) => pnId === pn.pnId);
  const join = gw2.joins.find((known) => known.joinId === joinId);
  const onItsWay = server.outbox.some(
    ({ to, kind }) => to === pn.gatewayId && kind === 'pn-registration-response',
  );
  if (!join) faults.push(`GW2 knows nothing of join ${short(joinId)}, which the server has registered`);
  else if (join.state === 'refused')
    faults.push(`GW2 has join ${short(joinId)} refused, the server registered`);
  if (stored?.inventory !== pn.inventory) {
    if (onItsWay || join?.state === 'pending') behind.push(`GW2 has not ${name}`);
    else faults.push(`GW2 has version ${stored?.version ?? 0}, not ${name}, and nothing is on its way`);
  }
  const held = pne.joins.find(({ th3 }) => joinIdOf(th3) === joinId);
  if (!held) faults.push(`the PNE knows nothing of join ${short(joinId)}, which the server has registered`);
  else if (held.state === 'pending') behind.push(`the PNE has ${name} to hear of`);
  else if (held.inventory !== pn.inventory) {
    if (held.version < pn.version) behind.push(`the PNE holds version ${held.version}, not ${name}`);
    else faults.push(`the PNE holds other bytes of ${name}`);
  }
  return behind;
}

/** GW1 is to hold the outcome of each join that it was asked about. @returns what is still to be brought to it */
function atHome({ server, gw1 }: FinalState, mine: readonly RegistrationView[], faults: string[]): string[] {
  const asked = mine.filter(({ state, home }) => state === 'registered' && home !== undefined);
  return asked.flatMap(({ th3, joinId }) => {
    const question = gw1.home.find((known) => known.th3 === th3);
    if (question?.outcome !== undefined && question.status === 'ok') return [];
    if (server.outbox.some((entry) => entry.kind === 'join-outcome' && entry.joinId === joinId))
      return [`GW1 has the outcome of join ${short(th3)} to hear of`];
    faults.push(`GW1 has no outcome of join ${short(th3)}, and none is on its way`);
    return [];
  });
}

/** The PNE is in nothing: then nobody may say it is, and no network may be half made. */
function traces({ gw2, pne }: FinalState, faults: string[]): void {
  for (const { th3, state, pne: of } of gw2.joins)
    if (of === pne.thumbprint && state === 'live')
      faults.push(`GW2 has join ${short(th3)} live, and the server does not know it`);
  for (const { pnId, setup } of gw2.pns)
    if (setup === 'provisional') faults.push(`GW2 keeps the provisional PN ${short(pnId)}`);
}

/** Nothing anywhere: the last attempt ended with one word of the server, or with words of their own that agree. */
function nothing({ gw2, told }: FinalState, mine: readonly RegistrationView[]): Outcome {
  const signed = told?.join === undefined ? undefined : mine.find(({ th3 }) => th3 === told.join)?.status;
  const at2 = gw2.joins.find(({ th3 }) => th3 === told?.join)?.status ?? told?.gw2;
  const words = `PNE ${told?.pne ?? 'silent'}, GW2 ${at2 ?? 'silent'}`;
  if (signed === undefined) {
    return mayStandTogether(told?.pne, at2)
      ? { kind: 'nothing', detail: words }
      : { kind: 'illegal', detail: `their own words do not agree: ${words}` };
  }
  return [told?.pne, at2].every((status) => status === undefined || status === signed)
    ? { kind: 'nothing', detail: `${signed}, signed by the server` }
    : { kind: 'illegal', detail: `the server signed ${signed}, but: ${words}` };
}

/** Worst first: what a run with several PNEs counts as. */
const ORDER: readonly OutcomeKind[] = ['illegal', 'signed-unheard', 'not-yet-notified', 'nothing', 'member'];

/** The outcome of a run with several PNEs: that of the one that fared worst. */
export function worst(outcomes: readonly Outcome[]): Outcome {
  const [first] = [...outcomes].sort((a, b) => ORDER.indexOf(a.kind) - ORDER.indexOf(b.kind));
  return first ?? { kind: 'illegal', detail: 'there was no PNE' };
}
