/**
 * What to think of the kernel's Bluetooth as a whole: is it there, are the adapters there that somebody is to use, do two
 * get in each other's way? Pure. One adapter at a time is judge-adapter.ts.
 */
import { shellWord } from './check.ts';
import type { Finding } from './checks.ts';
import { type Facts, type KernelFacts, known, type WifiFacts } from './facts.ts';
import { judgeAdapter } from './judge-adapter.ts';
import type { Use } from './use.ts';

/** @param wanted an adapter of the kernel is to be used, or nobody said what is */
export function judgeAdapters(facts: Facts, uses: readonly Use[], wanted: boolean): readonly Finding[] {
  if (!wanted) return [];
  const { kernel, adapters } = facts;
  const there = indicesOf(facts);
  if (kernel.bluetooth !== 'there') {
    const values = { release: kernel.release };
    return [
      { check: kernel.bluetooth === 'none' ? 'kernel-without-bluetooth' : 'bluetooth-not-loaded', values },
      ...switchedOff(kernel),
    ];
  }
  if (there.length === 0) {
    const off = switchedOff(kernel);
    return off.length > 0 ? off : [{ check: 'no-adapter' }];
  }
  const findings = uses.flatMap((use) => {
    const adapter = adapters.find(({ index }) => index === use.index);
    const values = { by: use.by ?? 'command line', there: listed(there) };
    if (!adapter) return [{ check: 'wrong-adapter', adapter: use.index, values } as const];
    return judgeAdapter(adapter, use, facts);
  });
  return [...findings, ...twoOnOne(facts, uses), ...several(facts, uses), ...judgeWifi(facts.wifi, facts)];
}

function switchedOff({ disabledBy }: KernelFacts): readonly Finding[] {
  return disabledBy === undefined ? [] : [{ check: 'adapter-switched-off', values: { file: disabledBy } }];
}

/** Every adapter there is, in order. */
const indicesOf = ({ adapters, otherAdapters }: Facts): readonly number[] =>
  [...adapters, ...otherAdapters].map(({ index }) => index).sort((a, b) => a - b);

const listed = (indices: readonly number[]): string => indices.map((index) => `hci${index}`).join(', ');

function twoOnOne(facts: Facts, uses: readonly Use[]): readonly Finding[] {
  const findings: Finding[] = [];
  for (const [i, second] of uses.entries()) {
    const first = uses.slice(0, i).find(({ index }) => index === second.index);
    if (!first?.role || !second.role) continue;
    const there = indicesOf(facts);
    // Where all are in use it takes one more, which will have the next number.
    const free = there.find((index) => uses.every((use) => use.index !== index)) ?? Math.max(...there) + 1;
    findings.push({
      check: 'two-on-one',
      adapter: second.index,
      severity: first.channel === 'raw' && second.channel === 'raw' ? 'warning' : 'error',
      values: { first: first.role.role, second: second.role.role, free: `hci:${free}` },
    });
  }
  return findings;
}

function several(facts: Facts, uses: readonly Use[]): readonly Finding[] {
  // Whoever named one is told that names may change; without a user there is nothing to mix up.
  const there = indicesOf(facts);
  if (there.length < 2 || uses.every(({ by }) => by === undefined)) return [];
  return [{ check: 'several-adapters', values: { count: there.length, there: listed(there) } }];
}

const LOW_BAND_MHZ = [2_400, 2_500] as const;

function judgeWifi(wifi: readonly WifiFacts[], { adapters }: Facts): readonly Finding[] {
  const builtIn = adapters.some(({ identity }) => identity.bus === 'uart');
  return wifi.flatMap(({ name, frequency, combo }): readonly Finding[] => {
    const mhz = known(frequency);
    if (mhz === undefined || mhz < LOW_BAND_MHZ[0] || mhz > LOW_BAND_MHZ[1]) return [];
    const shared = combo && builtIn ? ' and shares a chip with the built-in adapter' : '';
    return [{ check: 'wifi-coexistence', values: { wifi: shellWord(name), mhz, combo: shared } }];
  });
}
