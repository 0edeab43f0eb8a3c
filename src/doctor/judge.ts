/**
 * Every judge on one record of facts: who is to use what, what is found, what was not seen. Pure.
 */
import { parseMoniker } from '../bluetooth/hci/moniker.ts';
import { bySeverity, type Finding } from './checks.ts';
import type { Facts, RoleFacts } from './facts.ts';
import { judgeAdapters } from './judge-adapters.ts';
import { judgeHost, judgeRole, radioMissing } from './judge-host.ts';
import { type Unseen, unseenOf } from './unseen.ts';
import { type Use, usesOf } from './use.ts';

export interface Judgement {
  readonly uses: readonly Use[];
  /** The worst first. */
  readonly findings: readonly Finding[];
  readonly unseen: readonly Unseen[];
}

/** @param adapter moniker of the one controller that is to be judged; by default those that the roles use, or all */
export function judge(facts: Facts, adapter?: string): Judgement {
  const { host, roles, radio } = facts;
  const uses = usesOf(adapter, roles, [...facts.adapters, ...facts.otherAdapters]);
  const wanted = wantsAdapter(adapter, roles);
  const findings = [
    ...judgeHost(host, wanted),
    ...(adapter !== undefined && radio === false ? [radioMissing('command line', adapter)] : []),
    ...roles.flatMap((role) => judgeRole(role, host)),
    ...judgeAdapters(facts, uses, wanted),
  ];
  return { uses, findings: bySeverity(findings), unseen: unseenOf(facts, wanted) };
}

/** Whether a controller of the kernel is to be used, or nobody says what is. */
function wantsAdapter(option: string | undefined, roles: readonly RoleFacts[]): boolean {
  const isKernels = (moniker: string) => parseMoniker(moniker).kind === 'hci';
  if (option !== undefined) return isKernels(option);
  const named = roles.flatMap(({ adapter }) => adapter ?? []);
  return named.length === 0 ? roles.every(({ role }) => role !== 'server') : named.some(isKernels);
}
