/**
 * Which profile an adapter has, and why. Pure. Must not read files nor open anything.
 */
import { type AdapterIdentity, checkConditions, type Verdict } from './identity.ts';
import type { Profile } from './schema.ts';

export const GENERIC = 'generic';

/** No profile has that name. Misuse by the user. */
export class ProfileError extends Error {
  override readonly name = 'ProfileError';
}

export interface Detection {
  readonly profile: Profile;
  readonly how: 'matched' | 'configured' | 'nothing-matched';
  /** Sentences for a person. */
  readonly because: readonly string[];
  /** Profiles that more knowledge could bring up, with what is missing; the likeliest first. */
  readonly possible: readonly { readonly name: string; readonly unknown: readonly string[] }[];
}

/** @throws ProfileError naming those there are */
export function profileNamed(profiles: readonly Profile[], name: string): Profile {
  const found = profiles.find((each) => each.name === name);
  if (found) return found;
  const names = profiles.map((each) => each.name).join(', ');
  throw new ProfileError(`there is no firmware profile "${name}"; there are ${names}`);
}

/**
 * The profile whose conditions hold and say most; the generic one when none does.
 * @param configured the one that the configuration names; then nothing is looked at
 * @throws ProfileError when there is no generic profile
 */
export function detectProfile(
  profiles: readonly Profile[],
  identity: AdapterIdentity,
  configured?: Profile | undefined,
): Detection {
  if (configured !== undefined) {
    const because = ['the configuration names it'];
    return { profile: configured, how: 'configured', because, possible: [] };
  }
  const verdicts = profiles.map((profile) => ({ profile, verdict: bestOf(profile, identity) }));
  const held = verdicts
    .filter(({ verdict }) => verdict.holds === 'yes')
    .sort((a, b) => b.verdict.weight - a.verdict.weight || a.profile.name.localeCompare(b.profile.name));
  const possible = verdicts
    .filter(({ verdict }) => verdict.holds === 'unknown' && verdict.weight > (held[0]?.verdict.weight ?? 0))
    .sort((a, b) => b.verdict.weight - a.verdict.weight || a.profile.name.localeCompare(b.profile.name))
    .map(({ profile, verdict }) => ({ name: profile.name, unknown: verdict.unknown }));
  const [winner] = held;
  if (!winner) {
    const because = ['no profile has conditions that all hold'];
    return { profile: profileNamed(profiles, GENERIC), how: 'nothing-matched', because, possible };
  }
  return { profile: winner.profile, how: 'matched', because: winner.verdict.because, possible };
}

const RANK = { yes: 2, unknown: 1, no: 0 } as const;

function bestOf({ match }: Profile, identity: AdapterIdentity): Verdict {
  return match
    .map((conditions) => checkConditions(conditions, identity))
    .reduce<Verdict>(
      (best, each) => {
        const better = RANK[each.holds] - RANK[best.holds] || each.weight - best.weight;
        return better > 0 ? each : best;
      },
      { holds: 'no', because: [], unknown: [], weight: 0 },
    );
}
