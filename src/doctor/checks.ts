/**
 * The doctor's whole table: every check by its name. docs/troubleshooting.md is made of it, `cpns doctor` speaks by it, and
 * a finding names a row of it. Owns nothing but the sum and what follows from severities.
 */
import type { Check, Found, Severity } from './check.ts';
import { ADAPTER_CHECKS } from './checks-adapter.ts';
import { HOST_CHECKS } from './checks-host.ts';

export const CHECKS = { ...HOST_CHECKS, ...ADAPTER_CHECKS } as const;

export type CheckId = keyof typeof CHECKS;
export type Finding = Found<CheckId>;

/** What people who run noble and bleno on a Raspberry Pi report, by the numbers in the rows. */
export const PAINS: Readonly<Record<number, string>> = {
  1: 'The installation fails: nothing prebuilt, no compiler',
  2: 'Calls that never return',
  3: 'noble and bleno, or two programs, on one adapter',
  4: 'Services that nobody sees while bluetoothd runs',
  5: '"Command Disallowed" on scan or advertise',
  6: 'Links that drop right after connecting',
  7: 'Links that get slow or drop beside Wi-Fi',
  8: 'Scanning that stops by itself',
  9: 'Only one central gets in',
  10: 'Fewer links than thought',
  11: 'No permission, and no error either',
  12: 'rfkill blocks the adapter after a fresh installation',
  13: 'Several adapters, and the wrong one is used',
  14: 'Long values that come in pieces or not at all',
  15: 'Clones of CSR adapters',
};

/** Where the document explains a check. */
export const docsAnchor = (id: CheckId): string => `docs/troubleshooting.md#${id}`;

export function checkOf(id: CheckId): Check {
  return CHECKS[id];
}

export function severityOf({ check, severity }: Finding): Severity {
  return severity ?? checkOf(check).severity;
}

const RANK: readonly Severity[] = ['error', 'warning', 'hint'];

/** The worst first; among equals in the order they were found. */
export function bySeverity(findings: readonly Finding[]): readonly Finding[] {
  return [...findings].sort((a, b) => RANK.indexOf(severityOf(a)) - RANK.indexOf(severityOf(b)));
}

/** Whether what was found is a failure: an error is, a warning only when strict, a hint never. */
export function isFailure(findings: readonly Finding[], strict: boolean): boolean {
  return findings.some((finding) => {
    const severity = severityOf(finding);
    return severity === 'error' || (strict && severity === 'warning');
  });
}
