/**
 * `cpns server report FILE`: what a user reported (`cpns gateway reports --json`, or the console's file), verified by the
 * operator. Owns reading the file and the printing.
 */
import { readFileSync, statSync } from 'node:fs';
import * as v from 'valibot';
import { fromHex } from '../../base/bytes.ts';
import { CpnsError, statusOfError } from '../../base/errors.ts';
import { STATUSES } from '../../base/statuses.ts';
import { openServerAdmin } from '../../nodes/server/admin.ts';
import { UsageError } from '../exit-codes.ts';
import { formatTime, print } from '../output.ts';
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

export function serverReport(file: string, options: RoleOptions & { readonly json?: boolean }): void {
  const reports = readReports(file);
  const admin = openServerAdmin(existingState('server', options));
  try {
    const checked = reports.map(({ joinId, evidence: { request, answer } }) => {
      try {
        if (answer === null) throw new CpnsError('answer-invalid', 'its home has not answered yet');
        return { holds: true as const, ...admin.checkReport(fromHex(request), fromHex(answer)) };
      } catch (error) {
        const status = statusOfError(error);
        if (status === 'internal') throw error;
        return { holds: false as const, joinId, status };
      }
    });
    print(options.json, checked, () => checked.map(inWords).join('\n'));
    if (checked.some(({ holds }) => !holds))
      throw new CpnsError(
        'answer-invalid',
        'not all of it holds: somebody else’s operator, or not what was sent',
      );
  } finally {
    admin.close();
  }
}

type Checked =
  | ({ readonly holds: true } & ReturnType<ReturnType<typeof openServerAdmin>['checkReport']>)
  | { readonly holds: false; readonly joinId: string; readonly status: keyof typeof STATUSES };

function inWords(report: Checked): string {
  if (!report.holds) return `FAIL  ${report.joinId.slice(0, 8)}  ${STATUSES[report.status].sentence}`;
  const { joinId, gateway, home, pne, claimedPnName, refusedAt } = report;
  return [
    `ok    ${joinId.slice(0, 8)}  gateway "${gateway.label}" of ${gateway.user} (${gateway.gatewayId}) wanted PNE ${pne.slice(0, 16)} of ${home.user}`,
    `      for "${claimedPnName}"; its home ${home.gatewayId} said no at ${formatTime(refusedAt)}`,
    `      to shut the gateway out: cpns server gateway revoke ${gateway.gatewayId}`,
  ].join('\n');
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
