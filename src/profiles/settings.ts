/**
 * What the program does on an adapter: a profile with the generic one behind it, for one kernel. Pure.
 */
import type { Profile, ProfileQuirk } from './schema.ts';

export interface RadioSettings {
  readonly profile: string;
  /** Links at once; undefined leaves it to the controller to refuse. */
  readonly links: number | undefined;
  readonly aclBuffers: { readonly bytes: number; readonly count: number } | undefined;
  readonly dataLength: number;
  readonly phys: readonly ('1M' | '2M' | 'coded')[] | undefined;
  readonly channel: ChannelChoice;
  readonly intervalMs: { readonly least: number; readonly most: number };
  readonly supervisionTimeoutMs: number;
  readonly scanSilenceMs: number;
  readonly settleMs: number;
  readonly waitAfterResetMs: number;
  readonly optionalCommands: boolean;
  /** Why the adapter is not to be relied upon, each a sentence. */
  readonly warnings: readonly string[];
}

export interface ChannelChoice {
  readonly use: 'user' | 'raw';
  readonly why: string;
}

/**
 * @param kernel `uname -r`; null for not known, and then what is bound to a kernel does not hold
 * @throws TypeError when the generic profile leaves open what every adapter needs
 */
export function settingsOf(profile: Profile, generic: Profile, kernel: string | null): RadioSettings {
  const quirks = profile.quirks.filter((quirk) => inKernelRange(quirk, kernel));
  const quirk = (name: ProfileQuirk['name']) => quirks.filter((each) => each.name === name);
  return {
    profile: profile.name,
    links: profile.radio.links.value ?? undefined,
    aclBuffers: profile.radio.aclBuffers.value ?? undefined,
    dataLength: settled(profile, generic, ({ radio }) => radio.dataLength.value),
    phys: profile.radio.phys.value ?? undefined,
    channel: channelFor(profile, generic, kernel),
    intervalMs: settled(profile, generic, ({ connection }) => connection.intervalMs.value),
    supervisionTimeoutMs: settled(
      profile,
      generic,
      ({ connection }) => connection.supervisionTimeoutMs.value,
    ),
    scanSilenceMs: settled(profile, generic, ({ scan }) => scan.silenceMs.value),
    settleMs: settled(profile, generic, ({ scan }) => scan.settleMs.value),
    waitAfterResetMs: quirks.reduce((ms, each) => Math.max(ms, 'ms' in each ? each.ms : 0), 0),
    optionalCommands: quirk('no-optional-commands').length === 0,
    warnings: quirk('unreliable').map(({ why }) => why),
  };
}

function settled<T>(profile: Profile, generic: Profile, of: (profile: Profile) => T | null): T {
  const value = of(profile) ?? of(generic);
  if (value === null) throw new TypeError('the generic profile leaves a setting open');
  return value;
}

function channelFor(profile: Profile, generic: Profile, kernel: string | null): ChannelChoice {
  const rules = [...profile.radio.channel, ...generic.radio.channel];
  const rule = rules.find((each) => inKernelRange(each, kernel));
  if (!rule) throw new TypeError('the generic profile leaves the channel open');
  return { use: rule.use, why: rule.why };
}

interface KernelRange {
  readonly kernelFrom?: string | undefined;
  readonly kernelBelow?: string | undefined;
}

function inKernelRange({ kernelFrom, kernelBelow }: KernelRange, kernel: string | null): boolean {
  if (kernelFrom === undefined && kernelBelow === undefined) return true;
  const running = kernel === null ? undefined : kernelNumber(kernel);
  if (running === undefined) return false;
  if (kernelFrom !== undefined && running < (kernelNumber(kernelFrom) ?? 0)) return false;
  return kernelBelow === undefined || running < (kernelNumber(kernelBelow) ?? 0);
}

/** 6.1 before 6.12. */
function kernelNumber(release: string): number | undefined {
  const match = /^(\d+)\.(\d+)/.exec(release);
  return match ? Number(match[1]) * 1000 + Number(match[2]) : undefined;
}
