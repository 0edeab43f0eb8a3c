/**
 * One examination: every probe, then the judgement. Owns the order and what may be asked of an adapter that is in use.
 * Changes nothing; a probe that fails is something that was not seen, never an error of the doctor.
 */
import { Management } from '../bluetooth/hci/management.ts';
import { parseMoniker } from '../bluetooth/hci/moniker.ts';
import type { Role } from '../config/paths.ts';
import { type AdapterFacts, type Facts, type HostFacts, known, type RoleFacts } from './facts.ts';
import { type Judgement, judge } from './judge.ts';
import { adapterIndices, probeAdapter, probePlace } from './probe-adapter.ts';
import { probeHost } from './probe-host.ts';
import { probeKernel } from './probe-kernel.ts';
import { isRoleHere, probeRadio, probeRole, type RolePlaces } from './probe-role.ts';
import { probeWifi } from './probe-wifi.ts';
import { hasAdapter, type Use, usesOf } from './use.ts';

type Place = ReturnType<typeof probePlace>;

const ROLES: readonly Role[] = ['server', 'gateway', 'pne'];

export interface ExamineOptions extends RolePlaces {
  /** Moniker of the one adapter to look at. Default: what the roles' configurations name, else all there are. */
  readonly adapter?: string | undefined;
  /** Default: every role that has a configuration or state here. */
  readonly role?: Role | undefined;
}

export interface Examination extends Judgement {
  readonly facts: Facts;
}

/** @throws MonikerError when `adapter` names no controller */
export async function examine(options: ExamineOptions = {}): Promise<Examination> {
  const { adapter } = options;
  if (adapter !== undefined) parseMoniker(adapter);
  const [host, wifi, roles] = await Promise.all([probeHost(), probeWifi(), probeRoles(options)]);
  const kernel = probeKernel();
  const profileOf = (index: number) =>
    roles.find((role) => role.profile !== undefined && adapterOf(role) === index)?.profile;
  const there = adapterIndices().map((index) => probePlace(index, profileOf(index)));
  const uses = usesOf(adapter, roles, there);
  const isUsed = ({ index }: Place): boolean => uses.some((use) => use.index === index);
  const facts: Facts = {
    ...{ host, kernel, roles, wifi },
    adapters: await probeAdapters(there.filter(isUsed), uses, host),
    otherAdapters: there.filter((place) => !isUsed(place)),
    radio: adapter === undefined ? undefined : await probeRadio(adapter),
  };
  return { facts, ...judge(facts, adapter) };
}

/** Number of the kernel's adapter that a role is configured for. */
function adapterOf({ adapter }: RoleFacts): number | undefined {
  const moniker = adapter === undefined ? undefined : parseMoniker(adapter);
  return moniker?.kind === 'hci' ? moniker.index : undefined;
}

async function probeRoles({ role, state, config, adapter }: ExamineOptions): Promise<readonly RoleFacts[]> {
  if (role === undefined) return Promise.all(ROLES.filter(isRoleHere).map((each) => probeRole(each)));
  const facts = await probeRole(role, { state, config });
  // Of one role `--adapter` stands in for the configuration's, as with `run`; what is wrong with it is said once.
  return [role === 'server' || adapter === undefined ? facts : { ...facts, adapter, radio: undefined }];
}

async function probeAdapters(
  places: readonly Place[],
  uses: readonly Use[],
  host: HostFacts,
): Promise<readonly AdapterFacts[]> {
  const management = openManagement();
  try {
    const may = known(host.capabilities);
    const facts: AdapterFacts[] = [];
    for (const place of places) {
      const users = uses.filter(({ index }) => index === place.index);
      const running = users.filter(({ role }) => hasAdapter(role));
      const raw = users.some(({ channel }) => channel === 'raw');
      const questions = {
        raw: may?.netRaw === true,
        admin: may?.netAdmin === true,
        // Beside a PNE of ours nothing is tried: its advertising must not be touched.
        tryScan: raw && running.every(({ role }) => role?.role === 'gateway'),
        tryAdvertise: raw && running.length === 0,
        randomAddress: users[0]?.role?.randomAddress ?? true,
      };
      const named = users.find(({ role }) => role?.profile !== undefined)?.role?.profile;
      facts.push(await probeAdapter(place, named, management, questions));
    }
    return facts;
  } finally {
    management?.close();
  }
}

function openManagement(): Management | undefined {
  try {
    return new Management();
  } catch {
    return undefined;
  }
}
