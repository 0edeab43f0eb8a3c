/**
 * `cpns server report FILE...`: what users reported (`cpns gateway reports --json`, or the console's file), verified by the
 * operator, each once. Owns reading the files and the printing.
 */
import { readFileSync, statSync } from 'node:fs';
import * as v from 'valibot';
import { fromHex } from '../../base/bytes.ts';
import { CpnsError, statusOfError } from '../../base/errors.ts';
import { STATUSES, type Status } from '../../base/statuses.ts';
import { openServerAdmin } from '../../nodes/server/admin.ts';
import type { CheckedReport } from '../../nodes/server/report-check.ts';
import { UsageError } from '../exit-codes.ts';
import { formatTime, inert, print } from '../output.ts';
import { existingState, type RoleOptions } from '../roles.ts';

const MAX_FILE_BYTES = 4 * 1024 * 1024;

const hex = v.pipe(v.string(), v.regex(/^([0-9a-f]{2})+$/));
/** Of a report only what can be verified. */
const Report = v.object({
  joinId: hex,
  evidence: v.object({ request: hex, answer: v.nullable(hex) }),
});
const Reports = v.union([
  v.array(Report),
  v.pipe(
    Report,
    v.transform((report) => [report]),
  ),
]);

type Checked = { readonly file: string; readonly joinId: string } & (
  | ({ readonly holds: true } & CheckedReport)
  | { readonly holds: false; readonly status: Status }
  /** The file that this join was counted in. */
  | { readonly sameAs: string }
);

export function serverReport(
  files: readonly string[],
  options: RoleOptions & { readonly json?: boolean },
): void {
  const reports = files.flatMap((file) => readReports(file).map((report) => ({ file, ...report })));
  const admin = openServerAdmin(existingState('server', options));
  try {
    const checked = withoutCopies(reports.map((report) => check(admin, report)));
    print(options.json, checked, () => [...checked.map(inWords), ...inAll(checked)].join('\n'));
    if (checked.some((each) => 'holds' in each && !each.holds))
      throw new CpnsError(
        'answer-invalid',
        'not all of it holds: somebody else’s operator, or not what was sent',
      );
  } finally {
    admin.close();
  }
}

type ServerAdmin = ReturnType<typeof openServerAdmin>;
type Found = v.InferOutput<typeof Report> & { readonly file: string };

function check(admin: ServerAdmin, { file, joinId, evidence: { request, answer } }: Found): Checked {
  try {
    if (answer === null) throw new CpnsError('answer-invalid', 'its home has not answered yet');
    return { file, holds: true, ...admin.checkReport(fromHex(request), fromHex(answer)) };
  } catch (error) {
    const status = statusOfError(error);
    if (status === 'internal') throw error;
    return { file, holds: false, joinId, status };
  }
}

/** A report is about one join, by the evidence and not by what the file calls it: whoever hands it in twice asked once. */
function withoutCopies(checked: readonly Checked[]): readonly Checked[] {
  const counted = new Map<string, string>();
  return checked.map((report) => {
    if (!('holds' in report) || !report.holds) return report;
    const { file, joinId } = report;
    const sameAs = counted.get(joinId);
    if (sameAs === undefined) counted.set(joinId, file);
    return sameAs === undefined ? report : { file, joinId, sameAs };
  });
}

function inWords(report: Checked): string {
  const id = report.joinId.slice(0, 8);
  if ('sameAs' in report) return `same  ${id}  ${inert(report.file)}: same report as ${inert(report.sameAs)}`;
  if (!report.holds) return `FAIL  ${id}  ${inert(report.file)}: ${STATUSES[report.status].sentence}`;
  const { gateway, home, pne, claimedPnName, refusedAt } = report;
  return [
    `ok    ${id}  gateway "${gateway.label}" of ${gateway.user} (${gateway.gatewayId}) wanted PNE ${pne.slice(0, 16)} of ${home.user}`,
    `      for "${claimedPnName}"; its home ${home.gatewayId} said no at ${formatTime(refusedAt)}`,
    `      to shut the gateway out: cpns server gateway revoke ${gateway.gatewayId}`,
  ].join('\n');
}

/** Of one there is nothing to count. */
function inAll(checked: readonly Checked[]): readonly string[] {
  const [held, failed] = [true, false].map(
    (holds) => checked.filter((each) => 'holds' in each && each.holds === holds).length,
  );
  const copies = checked.filter((each) => 'sameAs' in each).length;
  return checked.length > 1 ? [`in all: ${held} ok, ${copies} same, ${failed} FAIL`] : [];
}

function readReports(file: string): v.InferOutput<typeof Reports> {
  let text: string;
  try {
    if (statSync(file).size > MAX_FILE_BYTES) throw new UsageError(`${file} is too long for reports`);
    text = readFileSync(file, 'utf8');
  } catch (error) {
    if (error instanceof UsageError) throw error;
    throw new UsageError(`${file} can not be read`);
  }
  try {
    return v.parse(Reports, JSON.parse(text));
  } catch {
    throw new UsageError(
      `${file} holds no report: it comes from \`cpns gateway reports --json\` or the console`,
    );
  }
}
