/**
 * What must hold in every state: S1 to S5 of docs/protocol.md §12 on what is on the disks, by somebody who sees them all,
 * and "no registration without the PNE's signature over th3 and its home gateway's yes". Rules about change compare the
 * world before a move with the one after it.
 */
import { type Bytes, equal, toHex } from '../../src/base/bytes.ts';
import { statusOfError } from '../../src/base/errors.ts';
import type { JoinId } from '../../src/base/ids.ts';
import type { Status } from '../../src/base/statuses.ts';
import { auditPn } from '../../src/establishment/audit.ts';
import type { RegistrationRow } from '../../src/establishment/server-types.ts';
import { PneConfirmResponsePayload } from '../../src/messages/confirmation.ts';
import { InventoryPayload } from '../../src/messages/inventory.ts';
import { AuthenticationResponsePayload } from '../../src/messages/setup.ts';
import { parseSign1 } from '../../src/security/cose.ts';
import { openSigned } from '../../src/security/signed-message.ts';
import type { EvidenceRecord } from '../../src/store/server-store.ts';
import { keyOf } from './disk-server.ts';
import { SYMBOLIC } from './symbolic.ts';
import type { World } from './world.ts';

/** Something that must never happen has happened; the first finding counts. */
export function violate(world: World, what: string): void {
  world.violation ??= what;
}

/** The PNE believes that its join ended so. */
export function checkTold(world: World, th3: Bytes, status: Status): void {
  const row = world.server.disk.all().find((known) => equal(known.th3, th3));
  if (row?.state !== 'refused' || row.status !== status)
    violate(world, `S4: a PNE was told ${status} of a join that is ${row?.status ?? row?.state}`);
}

/** Whether a move has left a disk as it was, as far as can be seen cheaply. */
function isSame(a: object | undefined, b: object | undefined): boolean {
  if (!a || !b || !('contents' in a) || !('contents' in b)) return false;
  const parts = b.contents as readonly object[];
  return (a.contents as readonly object[]).every((part, index) => part === parts[index]);
}

export function checkSafety(before: World, after: World): void {
  const isServerSame = isSame(before.server.disk, after.server.disk);
  const isGatewaySame = isServerSame && isSame(before.gateway.disk, after.gateway.disk);
  if (!isServerSame) checkNetworks(before, after);
  checkRows(before, after);
  if (!isGatewaySame) checkGateway(before, after);
  checkLinks(after);
  after.homes.forEach(({ disk }, home) => {
    if (!isServerSame || !isSame(before.homes[home]?.disk, disk)) checkHome(before, after, home);
  });
  after.pnes.forEach(({ disk, owed }, pne) => {
    const was = before.pnes[pne];
    if (!isServerSame || was?.owed !== owed || !isSame(was?.disk, disk)) checkPne(before, after, pne);
  });
}

function checkNetworks(before: World, after: World): void {
  const versions = (world: World) =>
    new Map(world.server.disk.networks().map((pn) => [toHex(pn.pnId), pn.version]));
  const earlier = versions(before);
  for (const pn of after.server.disk.networks()) {
    const from = earlier.get(toHex(pn.pnId)) ?? 0;
    if (pn.version !== from) checkRegistered(after, pn.pnId, from);
    if (new Set(pn.members.map(({ pne }) => toHex(pne))).size !== pn.members.length)
      violate(after, 'S4: two entries of one PNE in a network');
  }
}

/** S4 at the server: what was ended stays ended so. And nothing is registered after its deadline. */
function checkRows(before: World, after: World): void {
  for (const was of before.server.disk.all()) {
    const is = after.server.disk.registration(was);
    if (is === was) continue;
    if (!is) violate(after, 'S4: the server has forgotten a transaction');
    else if (was.state === 'registered' && is.state !== 'registered')
      violate(after, `S4: a registered join became ${is.state}`);
    else if (was.state === 'refused' && (is.state !== 'refused' || is.status !== was.status))
      violate(after, `S4: a join that was refused with ${was.status} became ${is.state} ${is.status ?? ''}`);
    else if (was.outcome && !(is.outcome && equal(was.outcome, is.outcome)))
      violate(after, 'S4: two signed outcomes of one join');
    else if (
      is.state === 'registered' &&
      was.state !== 'registered' &&
      before.server.late.includes(keyOf(was))
    )
      violate(after, 'a join was registered after its deadline');
  }
  for (const { reply, txn } of after.gateway.requests) {
    if (reply?.kind !== 'state' || !txn) continue;
    const row = after.server.disk.registration({ gatewayId: after.scene.gateway.facts.gatewayId, txn });
    const { outcome, inventory } = reply.state;
    if (outcome && !(row?.outcome && equal(outcome, row.outcome)))
      violate(after, 'S4: the server answers with an outcome that it has not committed');
    if (inventory && row?.state !== 'registered')
      violate(after, 'S2: the server answers with an inventory that it has not committed');
  }
}

/** S1, by two roads: from the bytes here, and by the auditor that operators have. */
function checkRegistered(world: World, pnId: EvidenceRecord['pnId'], from: number): void {
  const { disk } = world.server;
  const joins = disk.evidence(pnId);
  for (const record of joins)
    if (record.version > from) {
      const why = unproven(record, joins, disk.registrationOfJoin(record.joinId));
      if (why) violate(world, `S1: ${why}`);
    }
  const { operator } = world.scene;
  const { passed, checks } = auditPn({ pnId, serverKeys: operator.serverKeys, joins }, SYMBOLIC);
  if (!passed) violate(world, `S1: the audit fails: ${checks.find((check) => !check.passed)?.what}`);
}

function unproven(
  { pneKey, homeGatewayKey, response, confirmation, pne }: EvidenceRecord,
  all: readonly EvidenceRecord[],
  row: RegistrationRow | undefined,
): string | undefined {
  if (row?.state !== 'registered') return 'evidence without a registration';
  const { th3 } = row;
  try {
    openSigned(SYMBOLIC, AuthenticationResponsePayload, () => [pneKey], th3, response, 'response-invalid');
    if ('answer' in confirmation) {
      const { answer } = confirmation;
      const { value } = openSigned(
        ...([
          SYMBOLIC,
          PneConfirmResponsePayload,
          () => [homeGatewayKey],
          th3,
          answer,
          'answer-invalid',
        ] as const),
      );
      return value.yours && value.chargeable ? undefined : 'registered on a no';
    }
  } catch (error) {
    return `registered without ${statusOfError(error) === 'response-invalid' ? "the PNE's signature" : 'a yes'}`;
  }
  const rests = all.find(({ joinId }) => equal(joinId, confirmation.earlierJoin));
  return rests && 'answer' in rests.confirmation && equal(rests.pne, pne)
    ? undefined
    : 'a refresh of nothing';
}

/** S2, S3 and S4 at GW2. */
function checkGateway(before: World, after: World): void {
  const { disk } = after.gateway;
  const { gatewayId } = after.scene.gateway.facts;
  for (const { pnId } of disk.pns()) {
    const inventory = disk.inventory(pnId);
    const held = before.gateway.disk.inventory(pnId);
    if (held && (inventory?.version ?? 0) < held.version) violate(after, 'S3: the gateway went back');
    if (inventory) checkInventory(after, 'the gateway', inventory.bytes);
  }
  for (const { txn, state, outcome } of disk.joins()) {
    const row = after.server.disk.registration({ gatewayId, txn });
    if (state === 'live' && row?.state !== 'registered')
      violate(after, 'S2: the gateway is live without the server');
    if (state === 'refused' && !(row?.outcome && outcome && equal(row.outcome, outcome)))
      violate(after, 'S4: the gateway holds a refusal that is not the server’s');
  }
}

/** S2 of what is live on a link. */
function checkLinks(after: World): void {
  for (const { g, p } of after.links) {
    if (g?.live && g.data.join && !isRegistered(after, g.data.join.joinId))
      violate(after, 'S2: a link of the gateway is live without the server');
    if (p?.state === 'member' && p.data.join && !isRegistered(after, p.data.join.th3.slice(0, 16)))
      violate(after, 'S2: a link of a PNE is live without the server');
  }
}

function isRegistered(world: World, joinId: Bytes): boolean {
  return world.server.disk.registrationOfJoin(joinId as JoinId)?.state === 'registered';
}

/** S4 at GW1: one answer a join, and no end but the server's. */
function checkHome(before: World, after: World, home: number): void {
  for (const { joinId, answer, outcome, decision } of after.homes[home]?.disk.requests('all') ?? []) {
    const was = before.homes[home]?.disk.request(joinId);
    if (was?.answer && !(answer && equal(was.answer, answer)))
      violate(after, 'S4: two answers to one question');
    const row = after.server.disk.registrationOfJoin(joinId);
    if (outcome && !(row?.outcome && equal(row.outcome, outcome)))
      violate(after, 'S4: a home gateway holds an outcome that is not the server’s');
    if (outcome && row?.state === 'registered' && decision?.reason !== 'ok')
      violate(after, 'S1: registered, and the home gateway never said yes');
  }
}

/** S2, S3 and S5 at a PNE. */
function checkPne(before: World, after: World, pne: number): void {
  const [was, is] = [before.pnes[pne], after.pnes[pne]];
  if (!was || !is) return;
  const joins = is.disk.joins();
  for (const { join, inventory } of is.disk.memberships()) {
    const row = after.server.disk.registrationOfJoin(join.th3.slice(0, 16) as JoinId);
    if (row?.state !== 'registered' || !equal(row.th3, join.th3))
      violate(after, 'S2: a PNE is a member without the server');
    checkInventory(after, 'a PNE', inventory);
    const held = was.disk.memberships().find((known) => equal(known.join.pnId, join.pnId));
    if (held && held.join.version > join.version) violate(after, 'S3: a PNE went back');
  }
  for (const th3 of is.owed) {
    if (joins.some((join) => toHex(join.th3) === th3)) continue;
    const row = after.server.disk.all().find((known) => toHex(known.th3) === th3);
    const isRefused = row?.state === 'refused' && row.outcome !== undefined;
    const isOvertaken = joins.some(({ state, pnId }) => state === 'member' && row && equal(pnId, row.pnId));
    if (!isRefused && !isOvertaken) violate(after, 'S5: a PNE has signed and forgotten it');
  }
  is.owed = is.owed.filter((th3) => joins.some((join) => toHex(join.th3) === th3));
}

/** S3: the bytes are a version of the server's. */
function checkInventory(world: World, who: string, bytes: Bytes): void {
  const { pnId, version } = InventoryPayload.decode(parseSign1(bytes).payload);
  const committed = world.server.disk.evidence(pnId).find((record) => record.version === version);
  if (!committed || !equal(committed.inventory, bytes))
    violate(world, `S3: ${who} holds what the server never said`);
}
