/** The results of the symbolic models as a table: text for a terminal, Markdown for docs/model/results.md. Pure. */
import type { Model, Variant } from './model.ts';
import type { Finding } from './results.ts';

/** One variant that was run. */
export interface Done {
  readonly model: Model;
  readonly variant: Variant;
  readonly seconds: number;
  readonly findings: readonly Finding[];
  /** Why it did not come to its end. */
  readonly failure: string | undefined;
}

/** One line, as soon as a variant is through. */
export function progressOf({ model, variant, seconds, findings, failure }: Done): string {
  const right = findings.filter(({ asExpected }) => asExpected).length;
  const how = failure ?? `${right} of ${findings.length} as expected`;
  return `${model.name}:${variant.name}: ${how}, ${seconds.toFixed(1)} s`;
}

export function toText(done: readonly Done[], version: string): string {
  const rows = done.flatMap(({ model, variant, seconds, findings, failure }) => {
    const name = `${model.name}:${variant.name}`;
    const time = `${seconds.toFixed(1)} s`;
    if (failure) return [[name, '', '', failure, time]];
    return findings.map(({ label, expected, result, asExpected }, index) => [
      index === 0 ? name : '',
      label,
      expected,
      asExpected ? result : `${result}  <-- NOT AS EXPECTED`,
      index === 0 ? time : '',
    ]);
  });
  const table = [['variant', 'query', 'expected', 'result', 'time'], ...rows];
  const widths = [0, 1, 2, 3].map((column) => Math.max(...table.map((row) => row[column]?.length ?? 0)));
  const lines = table.map((row) => row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  '));
  return `${lines.map((line) => line.trimEnd()).join('\n')}\n${summaryOf(done, version)}\n`;
}

function summaryOf(done: readonly Done[], version: string): string {
  const findings = done.flatMap((variant) => variant.findings);
  const wrong = findings.filter(({ asExpected }) => !asExpected).length;
  const failed = done.filter(({ failure }) => failure).length;
  return `ProVerif ${version}: ${done.length} variants, ${findings.length} queries, ${wrong} not as expected, ${failed} variants without an end`;
}

/** @param before what the file holds, of which the models that were not run stay as they are; '' when all were */
export function toMarkdown(done: readonly Done[], version: string, before: string): string {
  const sections = new Map(before.split(/^(?=## )/m).map((text) => [/^## (\S+)$/m.exec(text)?.[1], text]));
  sections.delete(undefined);
  for (const model of new Set(done.map((variant) => variant.model))) {
    const mine = done.filter((variant) => variant.model === model);
    const queries = model.queries.map(({ label, what }) => `| ${label} | ${what} |`);
    const variants = mine.map(({ variant, seconds, findings, failure }) => {
      const results = failure ?? groupsOf(findings);
      return `| ${variant.name}${variant.looser ? ' (looser)' : ''} | ${variant.what} | ${results} | ${seconds.toFixed(1)} |`;
    });
    sections.set(
      model.name,
      `## ${model.name}

${summaryOf(mine, version)}.

| query | what it says |
|---|---|
${queries.join('\n')}

| variant | what it is | results | seconds |
|---|---|---|---|
${variants.join('\n')}

`,
    );
  }
  const parts = [...sections]
    .sort(([a = ''], [b = '']) => (a < b ? -1 : 1))
    .map(([, text]) => text.trimEnd());
  return `# Results of the symbolic models

Written by \`scripts/model-symbolic --write\`; do not edit. *true*: proven for any number of sessions;
*false*: an attack was found; *reached*: a run that comes so far was found. Seconds are of one run, beside others.

${parts.join('\n\n')}
`;
}

function groupsOf(findings: readonly Finding[]): string {
  const results = [...new Set(findings.map(({ result }) => result))];
  return results
    .map((result) => {
      const labels = findings.filter((finding) => finding.result === result);
      return `${result}: ${labels.map(({ label, asExpected }) => (asExpected ? label : `**${label}**`)).join(' ')}`;
    })
    .join('; ');
}
