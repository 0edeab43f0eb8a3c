/**
 * What to think of one adapter that somebody is to use by one channel. Pure: facts in, findings out. The order is that in
 * which things have to be mended: what is blocked is not said to be down as well.
 */
import { csrFirmware } from '../profiles/identity.ts';
import { shellWord } from './check.ts';
import type { Finding } from './checks.ts';
import { type AdapterFacts, type Facts, known, type ProcessFact, type RoleFacts } from './facts.ts';
import { restartOf } from './judge-host.ts';
import { hasAdapter, statusOf, type Use } from './use.ts';

/** Cambridge Silicon Radio, and the USB id of theirs that clones carry. */
const CSR = { manufacturer: 10, vendor: 0x0a12, product: 0x0001 } as const;
const COMMAND_DISALLOWED = 0x0c;
const DATA_LENGTH_EXTENSION = 1n << 5n;
/** What the gateway asks for by itself; below it the kernel's own value is worth a word. */
const GOOD_SUPERVISION_MS = 2_000;

export function judgeAdapter(adapter: AdapterFacts, use: Use, facts: Facts): readonly Finding[] {
  const about = use.index;
  const others = programs(facts);
  const runs = hasAdapter(use.role);
  const found: Finding[] = [...permission(use, facts), ...otherMode(use, adapter)];
  if (adapter.rfkill?.hard) found.push({ check: 'rfkill-switch', adapter: about });
  else if (adapter.rfkill?.soft) found.push({ check: 'rfkill-blocked', adapter: about });
  if (adapter.rfkill?.hard || adapter.rfkill?.soft) return found;

  const up = known(adapter.up);
  const info = known(adapter.info);
  // What the daemon says needs no answer of the controller, which nobody else gets while the daemon has it to itself.
  if (runs && use.role) found.push(...tooMany(adapter, use.role));
  if (info === 'hidden') return [...found, ...hidden(use, up, runs, others)];
  if (info?.lowEnergy === false) return [...found, { check: 'not-low-energy', adapter: about }];
  if (use.channel === 'raw') found.push(...inRawMode(use, up, facts, others));
  else if (up === true && info?.powered !== false) found.push({ check: 'adapter-up', adapter: about });
  return [...found, ...judgeController(adapter, use, runs)];
}

/** Whoever writes a channel gets it; this says when the profile would take the other one. */
function otherMode(use: Use, { profile }: AdapterFacts): readonly Finding[] {
  const file = use.role?.configFile;
  if (!use.explicit || use.channel === profile.channel || use.by === undefined || file === undefined)
    return [];
  const { channel: configured, by } = use;
  return [
    {
      check: 'other-mode',
      adapter: use.index,
      values: { by, configured, why: profile.why, file: shellWord(file) },
    },
  ];
}

/** A daemon that runs has what it needs, and a unit may give what a command by hand lacks. */
function permission({ index, role }: Use, { host }: Facts): readonly Finding[] {
  const may = known(host.capabilities);
  if (may === undefined || hasAdapter(role)) return [];
  const missing = [!may.netRaw && 'CAP_NET_RAW', !may.netAdmin && 'CAP_NET_ADMIN'].filter(Boolean);
  if (missing.length === 0) return [];
  const values = { missing: missing.join(' and '), node: shellWord(host.node.path) };
  const severity = role?.unit?.capable ? 'hint' : 'error';
  return [{ check: 'no-permission', adapter: index, severity, values }];
}

/** The kernel's management does not list it: it is taken, or was never set up. */
function hidden(
  use: Use,
  up: boolean | undefined,
  runs: boolean,
  others: readonly ProcessFact[],
): readonly Finding[] {
  if (up === false) return [{ check: 'adapter-unfinished', adapter: use.index }];
  // Our own daemon may have it: that is what a user channel is for. So may one that this user can't ask.
  if (use.channel === 'user' && (runs || use.role?.daemon.seen === false)) return [];
  const [holder] = others;
  return [
    {
      check: 'adapter-taken',
      adapter: use.index,
      values: {
        program: holder ? named(holder) : 'one of another user, which only root sees',
        stop: holder ? stopOf(holder) : 'sudo cpns doctor --adapter hci:N',
      },
    },
  ];
}

function inRawMode(
  use: Use,
  up: boolean | undefined,
  { kernel }: Facts,
  others: readonly ProcessFact[],
): readonly Finding[] {
  const found: Finding[] = [];
  if (up === false) found.push({ check: 'adapter-down', adapter: use.index });
  if (kernel.bluetoothd) {
    const { pid } = kernel.bluetoothd;
    // Its services hide those of a PNE; a gateway mostly only loses scans.
    const severity = use.role?.role === 'gateway' ? 'warning' : 'error';
    found.push({ check: 'bluetoothd-holds', adapter: use.index, severity, values: { pid } });
  }
  for (const other of others.filter(({ own, name }) => !own && name !== 'bluetoothd')) {
    const values = { program: named(other), stop: stopOf(other) };
    found.push({ check: 'other-program', adapter: use.index, values });
  }
  return found;
}

function judgeController(adapter: AdapterFacts, use: Use, runs: boolean): readonly Finding[] {
  const { index } = adapter;
  const version = known(adapter.version);
  if (version === 'silent') return [{ check: 'controller-silent', adapter: index }];
  const found: Finding[] = [];
  found.push(...judgeIdentity(adapter));
  if (runs && use.role) found.push(...besideDaemon(adapter, use.role));
  else found.push(...disallowed(adapter));
  const features = known(adapter.leFeatures);
  if (features !== undefined && (features & DATA_LENGTH_EXTENSION) === 0n) {
    found.push({ check: 'short-packets', adapter: index });
  }
  const ms = known(adapter.supervisionTimeoutMs);
  if (ms !== undefined && ms < GOOD_SUPERVISION_MS && use.channel === 'raw') {
    found.push({ check: 'short-supervision', adapter: index, values: { ms } });
  }
  return found;
}

function judgeIdentity({ index, identity, profile }: AdapterFacts): readonly Finding[] {
  const { hci, usb } = identity;
  const says =
    hci?.manufacturer === CSR.manufacturer || (usb?.vendor === CSR.vendor && usb.product === CSR.product);
  const firmware = says && hci ? csrFirmware(hci, usb?.bcdDevice ?? null) : undefined;
  if (firmware?.kind === 'clone') {
    return [{ check: 'fake-csr', adapter: index, values: { why: firmware.because } }];
  }
  return profile.warnings.map((why) => ({ check: 'unreliable-adapter', adapter: index, values: { why } }));
}

function disallowed({ index, scanAnswer, advertiseAnswer }: AdapterFacts): readonly Finding[] {
  const refused = [
    known(scanAnswer) === COMMAND_DISALLOWED && 'scan',
    known(advertiseAnswer) === COMMAND_DISALLOWED && 'advertise',
  ].filter(Boolean);
  if (refused.length === 0) return [];
  return [{ check: 'command-disallowed', adapter: index, values: { what: refused.join(' and to ') } }];
}

/** Our own daemon uses it, so it ought to scan, or have the links it says it has. */
function besideDaemon(adapter: AdapterFacts, role: RoleFacts): readonly Finding[] {
  const status = statusOf(role);
  if (status === undefined) return [];
  const { index } = adapter;
  if (role.role === 'gateway') return notScanning(adapter, role, status);
  const [peer] = known(adapter.connections) ?? [];
  // The other library lets several in.
  if (peer === undefined || status['link'] !== 'none' || role.backEnd === 'stoprocent') return [];
  const values = { index, peer: peer.address, type: peer.type };
  return [{ check: 'place-taken', adapter: index, values }];
}

function notScanning(
  { index, scanAnswer }: AdapterFacts,
  role: RoleFacts,
  status: Readonly<Record<string, unknown>>,
): readonly Finding[] {
  if (known(scanAnswer) !== 0 || !invites(status)) return [];
  return [{ check: 'scan-stopped', adapter: index, ...restartOf(role) }];
}

/** PNEs that want a link at once: one that got none, as the daemon has seen it, or as many members as the profile has no links for. */
function tooMany({ index, profile }: AdapterFacts, role: RoleFacts): readonly Finding[] {
  const { crowdedAt, pns } = statusOf(role) ?? {};
  if (role.role !== 'gateway') return [];
  if (typeof crowdedAt === 'number') {
    const values = {
      limit: crowdedAt === 1 ? '1 link' : `${crowdedAt} links`,
      wanted: 'a PNE in sight gets none',
    };
    return [{ check: 'link-limit', adapter: index, values }];
  }
  if (profile.links === undefined || !Array.isArray(pns)) return [];
  const joins = pns.flatMap((pn: { joins?: unknown }) => (Array.isArray(pn?.joins) ? pn.joins : []));
  const count = joins.filter((join: { state?: unknown }) => join?.state !== 'refused').length;
  if (count <= profile.links) return [];
  const values = {
    limit: `about ${profile.links} links`,
    wanted: `${count} PNEs belong to the network of this gateway`,
  };
  return [{ check: 'link-limit', adapter: index, values }];
}

function invites(status: Readonly<Record<string, unknown>>): boolean {
  const { pns } = status;
  return Array.isArray(pns) && pns.some((pn: { inviting?: unknown }) => pn?.inviting === true);
}

function programs({ kernel }: Facts): readonly ProcessFact[] {
  return known(kernel.hciPrograms) ?? [];
}

const named = ({ name, pid, unit }: ProcessFact): string =>
  `${name} (process ${pid}${unit === undefined ? '' : `, ${unit}`})`;

const stopOf = ({ pid, unit }: ProcessFact): string =>
  unit === undefined ? `sudo kill ${pid}` : `sudo systemctl stop ${unit}`;
