/**
 * The part of docs/troubleshooting.md that is made of the doctor's table: what people report, and a section for each check.
 * Must not say anything that the table does not.
 */
import { capitalised, inGeneral, type Severity } from '../src/doctor/check.ts';
import { CHECKS, type CheckId, checkOf, PAINS } from '../src/doctor/checks.ts';

const MEANS: Readonly<Record<Severity, string>> = {
  error: 'error: it does not work',
  warning: 'warning: it works, worse or not for long',
  hint: 'hint: worth knowing',
};
const CONSENT = {
  asked: '`cpns doctor --fix` runs it after a yes, or with `--yes`.',
  named:
    '`cpns doctor --fix` runs it after a yes at the prompt; `--yes` is not enough, it takes `--accept {check}`.',
} as const;

const ids = (): readonly CheckId[] => Object.keys(CHECKS) as CheckId[];
const link = (id: CheckId): string => `[${id}](#${id})`;

export function troubleshootingChecks(): string {
  const pains = Object.entries(PAINS).map(([number, what]) => {
    const found = ids().filter((id) => checkOf(id).pains?.includes(Number(number)));
    return `| ${what} | ${found.map(link).join(', ')} |`;
  });
  return [
    '## What people report',
    '',
    '| what you see | found as |',
    '|---|---|',
    ...pains,
    '',
    '## Each check',
    ...ids().map(section),
  ].join('\n');
}

function section(id: CheckId): string {
  const { severity, title, sentence, command, fix, more } = checkOf(id);
  return [
    '',
    `<a id="${id}"></a>`,
    '',
    `### ${title}`,
    '',
    `\`${id}\`, ${MEANS[severity]}. It says: *${capitalised(inGeneral(sentence))}.*`,
    '',
    '```sh',
    inGeneral(command),
    '```',
    '',
    ...(fix ? [CONSENT[fix].replace('{check}', id), ''] : []),
    more,
  ].join('\n');
}
