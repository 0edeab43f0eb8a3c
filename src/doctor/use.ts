/**
 * Who is to use which adapter, by which channel: what `--adapter` says, else the configurations of the roles, else every
 * adapter there is by the channel that suits this kernel. Pure.
 */
import { formatMoniker, parseMoniker } from '../bluetooth/hci/moniker.ts';
import { type AdapterFacts, known, type RoleFacts } from './facts.ts';

export interface Use {
  readonly index: number;
  /** As the moniker says, else the profile. */
  readonly channel: 'raw' | 'user';
  /** The moniker says it, whatever the profile does. */
  readonly explicit: boolean;
  readonly moniker: string;
  /** Undefined when nobody is known to use it. */
  readonly role: RoleFacts | undefined;
  /** Who says so, for a sentence: `configuration of the gateway`, `--adapter`, or nobody. */
  readonly by: string | undefined;
}

/** @param there the kernel's adapters */
export function usesOf(
  option: string | undefined,
  roles: readonly RoleFacts[],
  there: readonly Pick<AdapterFacts, 'index' | 'profile'>[],
): readonly Use[] {
  const channelOf = (index: number) => there.find((adapter) => adapter.index === index)?.profile.channel;
  const use = (moniker: string | undefined, role: RoleFacts | undefined, by: string): Use | undefined => {
    if (moniker === undefined) return undefined;
    const parsed = parseMoniker(moniker);
    if (parsed.kind !== 'hci') return undefined;
    const { index, channel } = parsed;
    const settled = channel ?? channelOf(index) ?? 'user';
    return { index, channel: settled, explicit: channel !== undefined, moniker, role, by };
  };
  if (option !== undefined) {
    const given = use(option, undefined, '--adapter');
    if (!given) return [];
    const users = roles.filter((role) => use(role.adapter, role, '')?.index === given.index);
    return users.length === 0 ? [given] : users.map((role) => ({ ...given, role }));
  }
  const uses = roles.flatMap((role) => use(role.adapter, role, `configuration of the ${role.role}`) ?? []);
  if (uses.length > 0 || roles.some((role) => role.adapter !== undefined)) return uses;
  return there.map(({ index, profile: { channel } }) => {
    const moniker = formatMoniker({ kind: 'hci', index, channel: undefined });
    return { index, channel, explicit: false, moniker, role: undefined, by: undefined };
  });
}

/** What the daemon of a role says of itself, when it runs and answers. */
export function statusOf(role: RoleFacts | undefined): Readonly<Record<string, unknown>> | undefined {
  const status = role && known(role.daemon);
  return typeof status === 'object' ? status : undefined;
}

/** Why the daemon of a role runs without its adapter; undefined when it has it, or does not run. */
export function waitsFor(role: RoleFacts | undefined): string | undefined {
  const radio = statusOf(role)?.['radio'] as { state?: unknown; why?: unknown } | undefined;
  return radio?.state === 'waiting' ? String(radio.why) : undefined;
}

/** Whether the daemon of a role runs and has its adapter. */
export const hasAdapter = (role: RoleFacts | undefined): boolean =>
  statusOf(role) !== undefined && waitsFor(role) === undefined;
