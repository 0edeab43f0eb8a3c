/**
 * What `cpns doctor` shows: findings in words or as JSON. Owns the forms; the words are the table's.
 */
import { capitalised, fillIn } from '../doctor/check.ts';
import { checkOf, docsAnchor, type Finding, severityOf } from '../doctor/checks.ts';
import type { Examination } from '../doctor/examine.ts';
import type { AdapterFacts } from '../doctor/facts.ts';
import { commandOf, consentFor, type Fixed } from '../doctor/fix.ts';
import { inert } from './output.ts';

/** One finding as plain values. */
function findingView(finding: Finding) {
  const { pains = [], title, sentence } = checkOf(finding.check);
  return {
    check: finding.check,
    severity: severityOf(finding),
    ...(finding.adapter !== undefined && { adapter: `hci${finding.adapter}` }),
    title,
    sentence: `${capitalised(fillIn(sentence, finding))}.`,
    command: commandOf(finding),
    /** How `--fix` may run it. */
    fix: consentFor(finding) ?? null,
    docs: docsAnchor(finding.check),
    pains,
  };
}

export function doctorView(examination: Examination, fixed: readonly Fixed[] | undefined) {
  const { facts, uses, findings, unseen } = examination;
  return {
    kernel: facts.kernel.release,
    node: facts.host.node.version,
    roles: facts.roles.map(({ role, stateDir, configFile = null }) => ({ role, stateDir, configFile })),
    adapters: uses.map(({ index, moniker, by = null, channel }) => ({
      ...{ adapter: `hci${index}`, moniker, by, channel },
      ...adviceOf(facts.adapters.find((adapter) => adapter.index === index)),
    })),
    findings: findings.map(findingView),
    unseen,
    ...(fixed && {
      fixes: fixed.map(({ finding, command, result }) => ({ check: finding.check, command, result })),
    }),
  };
}

/** What the adapter's profile says of the channel to take. */
function adviceOf(adapter: AdapterFacts | undefined) {
  if (adapter === undefined) return { profile: null, suits: null, why: null };
  const { name, channel, why } = adapter.profile;
  return { profile: name, suits: channel, why };
}

export type DoctorView = ReturnType<typeof doctorView>;

/** The same for a person. */
export function formatDoctor({ kernel, node, roles, adapters, findings, unseen, fixes }: DoctorView): string {
  const places = roles.map(({ role, stateDir }) => `${role} in ${stateDir}`);
  const lines = [`kernel ${kernel}, Node.js ${node}`, ...places];
  for (const { adapter, by, moniker, channel, profile, suits, why } of adapters) {
    const used = by === null ? "in nobody's configuration" : `${moniker} by the ${by}`;
    const reason = channel === suits ? `: ${why}` : '';
    lines.push(`${adapter} (${used}), profile ${profile ?? 'unknown'}, by the ${channel} channel${reason}`);
  }
  for (const { severity, check, sentence, command, fix } of findings) {
    lines.push('', `${severity}: ${sentence}  [${check}]`, `  ${command}${fix ? '      (or --fix)' : ''}`);
  }
  if (fixes && fixes.length > 0) {
    lines.push('', ...fixes.map(({ check, command, result }) => `${check}: ${command}: ${result}`));
  }
  if (unseen.length > 0) {
    lines.push('', 'not seen:', ...unseen.map(({ what, why }) => `  ${what}: ${why}`));
  }
  lines.push('', summary(findings));
  return lines.map(inert).join('\n');
}

function summary(findings: DoctorView['findings']): string {
  const count = (severity: string): string => {
    const number = findings.filter((finding) => finding.severity === severity).length;
    return `${number} ${severity}${number === 1 ? '' : 's'}`;
  };
  return findings.length === 0
    ? 'nothing found'
    : `${count('error')}, ${count('warning')}, ${count('hint')}; docs/troubleshooting.md says more`;
}
