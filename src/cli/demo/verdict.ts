/**
 * What every party holds at the end, asked of each party itself, and whether it is the same. Owns the comparison and how
 * it is said. Source: docs/protocol.md §6.5: PNE, initiating gateway and server hold the server-signed inventory; the
 * home gateway holds the signed outcome of the join, whose ID stands in the inventory.
 */
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { fromHex, toHex } from '../../base/bytes.ts';
import { CpnsError } from '../../base/errors.ts';
import { InventoryPayload } from '../../messages/inventory.ts';
import { callControl } from '../../nodes/control-socket.ts';
import { openServerAdmin } from '../../nodes/server/admin.ts';
import { parseSign1 } from '../../security/cose.ts';
import { openServerStore } from '../../store/server-store.ts';
import { table } from '../output.ts';
import type { Cast, HomeParts } from './cast.ts';

export interface Holding {
  readonly party: string;
  readonly what: string;
  readonly sha256: string;
  readonly matches: boolean;
}

export interface Verdict {
  readonly pnId: string;
  readonly version: number;
  readonly members: readonly { readonly handle: number; readonly name: string; readonly joinId: string }[];
  readonly holdings: readonly Holding[];
  readonly audit: { readonly passed: boolean; readonly checks: number };
}

interface PneStatus {
  readonly memberships: readonly {
    readonly pnId: string;
    readonly joinId: string;
    readonly version: number;
  }[];
}

interface Confirmation {
  readonly joinId: string;
  readonly state: string;
  readonly status?: string;
  readonly outcome: boolean;
}

export interface Progress {
  readonly pnId: string;
  readonly version: number;
  readonly joinId: string;
}

/** What one PNE is in, when it is in something. */
export async function membershipOf({ pne }: HomeParts): Promise<Progress | undefined> {
  const { memberships } = (await callControl(pne.stateDir, 'status')) as PneStatus;
  return memberships[0];
}

/** The home gateway's record of a join; undefined until the server's outcome came. */
export async function confirmedAtHome(
  { gateway }: HomeParts,
  joinId: string,
): Promise<Confirmation | undefined> {
  const all = (await callControl(gateway.stateDir, 'confirmations')) as readonly Confirmation[];
  return all.find((known) => known.joinId === joinId && known.outcome);
}

export async function inventoryAt(stateDir: string, pnId: string): Promise<Uint8Array | undefined> {
  const hex = await callControl(stateDir, 'inventory', { pnId });
  return typeof hex === 'string' ? fromHex(hex) : undefined;
}

const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

function serverInventory(stateDir: string, pnId: string): Uint8Array {
  const store = openServerStore(join(stateDir, 'server.db'), { readOnly: true });
  try {
    const pn = store.registrations.pns().find((known) => toHex(known.pnId) === pnId);
    const evidence =
      pn && store.registrations.evidence(pn.pnId).find(({ version }) => version === pn.version);
    if (!evidence) throw new CpnsError('not-found', 'the server holds no such PN');
    return evidence.inventory;
  } finally {
    store.close();
  }
}

/** @throws CpnsError inventory-invalid when a party holds something else, transcript-mismatch when the audit fails */
export async function reachVerdict(cast: Cast, pnId: string): Promise<Verdict> {
  const reference = serverInventory(cast.server.stateDir, pnId);
  const wanted = sha256(reference);
  const payload = InventoryPayload.decode(parseSign1(reference).payload);
  const members = payload.members.map(({ handle, label, joinId }) => ({
    handle,
    name: label ?? `handle ${handle}`,
    joinId: toHex(joinId),
  }));
  const holdings: Holding[] = [{ party: 'server', what: 'inventory', sha256: wanted, matches: true }];
  const hold = (party: string, bytes: Uint8Array | undefined): void => {
    const digest = bytes ? sha256(bytes) : 'none';
    holdings.push({ party, what: 'inventory', sha256: digest, matches: digest === wanted });
  };
  hold('gw2', await inventoryAt(cast.initiator.gateway.stateDir, pnId));
  for (const home of cast.homes) {
    hold(home.pne.name, await inventoryAt(home.pne.stateDir, pnId));
    const membership = await membershipOf(home);
    const joinId = membership?.joinId ?? '';
    const confirmed = await confirmedAtHome(home, joinId);
    const listed = members.some((member) => member.joinId === joinId);
    holdings.push({
      party: home.gateway.name,
      what: 'outcome',
      sha256: `join ${joinId}`,
      matches: listed && (confirmed?.status ?? 'ok') === 'ok' && confirmed !== undefined,
    });
  }
  const admin = openServerAdmin(cast.server.stateDir);
  try {
    const { passed, checks } = admin.audit(pnId);
    return { pnId, version: payload.version, members, holdings, audit: { passed, checks: checks.length } };
  } finally {
    admin.close();
  }
}

/** @throws CpnsError as {@link reachVerdict} */
export function insist({ holdings, audit, pnId }: Verdict): void {
  const different = holdings.filter(({ matches }) => !matches).map(({ party }) => party);
  if (different.length > 0) {
    throw new CpnsError(
      'inventory-invalid',
      `step 13: ${different.join(', ')} hold something else than the server`,
    );
  }
  if (!audit.passed) throw new CpnsError('transcript-mismatch', `the audit of PN ${pnId} failed`);
}

export function describeVerdict({ pnId, version, members, holdings, audit }: Verdict): string {
  return [
    `PN ${pnId}, inventory version ${version}:`,
    ...members.map(({ handle, name, joinId }) => `  ${handle}  ${name}, join ${joinId}`),
    '',
    table(
      ['held by', 'what', 'SHA-256 of the exact bytes, or the join it refers to', 'same'],
      holdings.map(({ party, what, sha256: digest, matches }) => [party, what, digest, matches]),
    ),
    '',
    `audit: ${audit.checks} checks of the stored evidence, ${audit.passed ? 'all passed' : 'FAILED'}`,
  ].join('\n');
}
