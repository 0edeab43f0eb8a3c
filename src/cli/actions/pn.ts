/**
 * `cpns pn list|show|audit`: what a state directory holds, read without its daemon. Owns telling the roles' directories
 * apart and the printing.
 */
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { type Bytes, toHex } from '../../base/bytes.ts';
import { CpnsError } from '../../base/errors.ts';
import { ConfigError } from '../../config/config-error.ts';
import { type Role, stateDirectory } from '../../config/paths.ts';
import { InventoryPayload } from '../../messages/inventory.ts';
import { parseSign1 } from '../../security/cose.ts';
import { formatTime, print, table } from '../output.ts';
import type { RoleOptions } from '../roles.ts';

interface Options extends RoleOptions {
  readonly json?: boolean;
}

/** A PN as any of the three roles holds it; no inventory while it is provisional. */
interface HeldPn {
  readonly pnId: string;
  readonly name: string;
  readonly version: number;
  readonly inventory: Bytes | undefined;
}

/** The database file that tells whose state a directory is. */
const DATABASES: Readonly<Record<Role, string>> = {
  server: 'server.db',
  gateway: 'gateway.sqlite',
  pne: 'pne.sqlite',
};

/** Whose state it is; without --state the first role that has any. */
function findState(options: RoleOptions, only?: Role): { readonly role: Role; readonly stateDir: string } {
  const roles: readonly Role[] = only ? [only] : ['server', 'gateway', 'pne'];
  const tried: string[] = [];
  for (const role of roles) {
    const stateDir = stateDirectory(role, options.state);
    if (existsSync(join(stateDir, DATABASES[role]))) return { role, stateDir };
    tried.push(join(stateDir, DATABASES[role]));
  }
  const expected = only
    ? `the state directory of a ${only}`
    : 'the state directory of a server, gateway or PNE';
  throw new ConfigError([
    { problem: `no state found; looked for ${tried.join(', ')}`, expected, example: '--state DIR' },
  ]);
}

async function readPns(role: Role, stateDir: string): Promise<readonly HeldPn[]> {
  const file = join(stateDir, DATABASES[role]);
  if (role === 'server') {
    const { openServerStore } = await import('../../store/server-store.ts');
    const store = openServerStore(file, { readOnly: true });
    try {
      return store.registrations.pns().map(({ pnId, name, version }) => {
        const joins = store.registrations.evidence(pnId);
        const inventory = joins.find((evidence) => evidence.version === version)?.inventory;
        return { pnId: toHex(pnId), name, version, inventory };
      });
    } finally {
      store.close();
    }
  }
  if (role === 'gateway') {
    const { openGatewayStore } = await import('../../store/gateway-store.ts');
    const store = openGatewayStore(file, { readOnly: true });
    try {
      return store.networks.pns().map(({ pnId, name, version }) => {
        return { pnId: toHex(pnId), name, version, inventory: store.networks.inventory(pnId)?.bytes };
      });
    } finally {
      store.close();
    }
  }
  const { openPneStore } = await import('../../store/pne-store.ts');
  const store = openPneStore(file, { readOnly: true });
  try {
    return store.memberships().map(({ join: known, inventory }) => {
      const { name } = InventoryPayload.decode(parseSign1(inventory).payload);
      return { pnId: toHex(known.pnId), name, version: known.version, inventory };
    });
  } finally {
    store.close();
  }
}

export const sha256Hex = (bytes: Bytes): string => createHash('sha256').update(bytes).digest('hex');

export async function pnList(options: Options): Promise<void> {
  const { role, stateDir } = findState(options);
  const pns = (await readPns(role, stateDir)).map(({ inventory, ...pn }) => ({
    ...pn,
    members: inventory ? InventoryPayload.decode(parseSign1(inventory).payload).members.length : 0,
    inventorySha256: inventory && sha256Hex(inventory),
  }));
  print(options.json, pns, () =>
    pns.length === 0
      ? `no personal network in this ${role}'s state`
      : table(
          ['pn', 'name', 'version', 'members', 'sha-256 of the inventory'],
          pns.map((pn) => [pn.pnId, pn.name, pn.version, pn.members, pn.inventorySha256]),
        ),
  );
}

/** The one PN whose ID starts so. @throws CpnsError not-found */
function choose(pns: readonly HeldPn[], typed: string): HeldPn {
  const found = pns.filter(({ pnId }) => pnId.startsWith(typed.toLowerCase()));
  const [only] = found;
  if (found.length > 1)
    throw new CpnsError('not-found', `${typed} is the start of ${found.length} PN IDs; type more`);
  if (!only) throw new CpnsError('not-found', `no PN ${typed} here; \`cpns pn list\` shows what there is`);
  return only;
}

export async function pnShow(typed: string, options: Options): Promise<void> {
  const { role, stateDir } = findState(options);
  const { inventory, ...pn } = choose(await readPns(role, stateDir), typed);
  if (!inventory) {
    return print(
      options.json,
      pn,
      () => `PN ${pn.pnId} "${pn.name}" is provisional: nobody has joined it yet`,
    );
  }
  const { gatewayId, issuedAt, members } = InventoryPayload.decode(parseSign1(inventory).payload);
  const shown = {
    ...pn,
    gatewayId: toHex(gatewayId),
    issuedAt,
    inventoryBytes: inventory.length,
    inventorySha256: sha256Hex(inventory),
    members: members.map(({ joinId, capability, ...member }) => ({
      ...member,
      joinId: toHex(joinId),
      capability: toHex(capability),
    })),
  };
  print(options.json, shown, () =>
    [
      `PN ${shown.pnId} "${shown.name}", version ${shown.version} of ${formatTime(issuedAt)}`,
      `gateway ${shown.gatewayId}`,
      `inventory ${shown.inventoryBytes} bytes, SHA-256 ${shown.inventorySha256}`,
      table(
        ['handle', 'name', 'join', 'contents', 'capability'],
        shown.members.map((member) => [
          member.handle,
          member.label,
          member.joinId,
          member.contents?.map(({ name }) => name).join(', '),
          member.capability.length > 40 ? `${member.capability.slice(0, 40)}…` : member.capability,
        ]),
      ),
    ].join('\n'),
  );
}

export async function pnAudit(typed: string, options: Options): Promise<void> {
  const { stateDir } = findState(options, 'server');
  const { pnId } = choose(await readPns('server', stateDir), typed);
  const { openServerAdmin } = await import('../../nodes/server/admin.ts');
  const admin = openServerAdmin(stateDir);
  try {
    const { passed, checks } = admin.audit(pnId);
    const failed = checks.filter((check) => !check.passed);
    print(options.json, { pnId, passed, checks }, () =>
      [
        ...checks.map(
          ({ version, what, passed: ok, why }) =>
            `${ok ? 'ok  ' : 'FAIL'}  ${version === 0 ? 'pn' : `v${version}`.padEnd(2)}  ${what}${why ? `: ${why}` : ''}`,
        ),
        passed
          ? `PN ${pnId}: ${checks.length} checks, all passed`
          : `PN ${pnId}: ${failed.length} of ${checks.length} checks failed`,
      ].join('\n'),
    );
    if (!passed) throw new CpnsError('transcript-mismatch', `the evidence of PN ${pnId} does not hold`);
  } finally {
    admin.close();
  }
}
