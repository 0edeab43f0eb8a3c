/**
 * What a person does with a running gateway: pair a PNE, look at PNEs, answer approvals. All over the control socket.
 */

import { limitInWords } from '../../base/money.ts';
import { callControl } from '../../nodes/control-socket.ts';
import type { ApprovalView } from '../../nodes/gateway/approval-view.ts';
import type { ReportView } from '../../nodes/gateway/report-view.ts';
import { approvalQuestion } from '../approval-view.ts';
import { InterruptedError, UsageError } from '../exit-codes.ts';
import { fields, formatTime, print, table, withProgress } from '../output.ts';
import { Asker, readOneLine } from '../prompt.ts';
import { existingState, type RoleOptions } from '../roles.ts';

interface Options extends RoleOptions {
  readonly json?: boolean;
}

export async function gatewayPair(options: Options): Promise<void> {
  const stateDir = existingState('gateway', options);
  const code = await readOneLine('code shown by the PNE: ', 'code');
  const pairing = callControl(stateDir, 'pair', { code });
  const paired = await withProgress('looking for the PNE over Bluetooth', pairing);
  print(options.json, paired, () => `enrolled\n${fields(paired)}`);
}

export async function gatewayPnes(options: Options): Promise<void> {
  const pnes = (await callControl(existingState('gateway', options), 'pnes')) as readonly {
    readonly thumbprint: string;
    readonly label?: string;
    readonly epoch: number;
    readonly acknowledged: boolean;
    readonly revoked: boolean;
  }[];
  print(options.json, pnes, () =>
    pnes.length === 0
      ? 'no PNE is enrolled here'
      : table(
          ['pne', 'name', 'enrolments', 'acknowledged', 'revoked'],
          pnes.map((row) => [
            row.thumbprint.slice(0, 16),
            row.label,
            row.epoch,
            row.acknowledged,
            row.revoked,
          ]),
        ),
  );
}

/**
 * @param thumbprint hex, or its start of at least four digits: an empty word, of a variable that is not set say, takes nothing off
 * @throws UsageError when none begins with it, or several; ControlError
 */
export async function pnesRevoke(thumbprint: string, options: RoleOptions): Promise<void> {
  const stateDir = existingState('gateway', options);
  const start = thumbprint.toLowerCase();
  if (!/^[0-9a-f]{4,64}$/.test(start))
    throw new UsageError(`"${thumbprint}" is no thumbprint, nor its first four digits or more`);
  const pnes = (await callControl(stateDir, 'pnes')) as readonly { readonly thumbprint: string }[];
  const [pne, another] = pnes.filter((each) => each.thumbprint.startsWith(start));
  if (!pne || another)
    throw new UsageError(
      `${pne ? 'several PNEs begin' : 'no PNE begins'} with "${thumbprint}": \`cpns gateway pnes\``,
    );
  await callControl(stateDir, 'revoke-pne', { thumbprint: pne.thumbprint });
  print(false, undefined, () => 'taken off: from now on this home answers that it is not yours');
}

export async function approvalsShow(options: Options & { readonly watch?: boolean }): Promise<void> {
  const stateDir = existingState('gateway', options);
  if (options.watch) return watch(stateDir, options.json === true);
  const waiting = (await callControl(stateDir, 'approvals')) as readonly ApprovalView[];
  print(options.json, waiting, () =>
    waiting.length === 0
      ? 'nothing waits for you'
      : table(
          ['join', 'pne', 'asks', 'gateway', 'network', 'cost at most'],
          waiting.map((row) => [
            row.joinId.slice(0, 8),
            row.pne,
            row.user,
            row.gateway,
            row.claimedPnName,
            limitInWords(row.limit, row.currency, row.periodDays),
          ]),
        ),
  );
}

export async function approvalsAnswer(
  answer: 'allow' | 'deny',
  joinId: string,
  options: RoleOptions & { readonly always?: boolean },
): Promise<void> {
  const params = { joinId: joinId.toLowerCase(), allow: answer === 'allow', always: options.always === true };
  await callControl(existingState('gateway', options), 'decide', params);
  print(false, undefined, () => (answer === 'allow' ? 'allowed' : 'denied'));
}

export async function approvalsReport(joinId: string, options: RoleOptions): Promise<void> {
  await callControl(existingState('gateway', options), 'report', { joinId: joinId.toLowerCase() });
  print(false, undefined, () => REPORTED);
}

const REPORTED = 'denied, and reported: `cpns gateway reports` has it, with the evidence for your operator';

export async function gatewayReports(options: Options): Promise<void> {
  const reports = (await callControl(existingState('gateway', options), 'reports')) as readonly ReportView[];
  print(options.json, reports, () =>
    reports.length === 0
      ? 'nothing was reported'
      : table(
          ['join', 'reported', 'user', 'gateway', 'gateway id', 'wanted', 'network'],
          reports.map(({ joinId, reportedAt, gateway, pne, claimedPnName }) => [
            joinId.slice(0, 8),
            formatTime(reportedAt),
            gateway.user,
            gateway.label,
            gateway.gatewayId,
            pne.label ?? pne.thumbprint.slice(0, 16),
            claimedPnName,
          ]),
        ),
  );
}

export async function reportsWithdraw(joinId: string, options: RoleOptions): Promise<void> {
  await callControl(existingState('gateway', options), 'withdraw-report', { joinId: joinId.toLowerCase() });
  print(false, undefined, () => 'withdrawn: this gateway may ask again');
}

type WatchEvent = { readonly asked?: ApprovalView; readonly gone?: string };

async function watch(stateDir: string, json: boolean): Promise<void> {
  const ended = new AbortController();
  const interrupt = () => ended.abort(new InterruptedError());
  process.once('SIGINT', interrupt);
  const questions = new Map<string, ApprovalView>();
  const asker = json ? undefined : new Asker();
  let asking = false;
  const askNext = async (): Promise<void> => {
    if (asking || !asker) return;
    asking = true;
    for (let [next] = questions.values(); next; [next] = questions.values()) {
      questions.delete(next.joinId);
      await askOne(stateDir, asker, next, () => ended.abort());
    }
    asking = false;
  };
  const onEvent = (event: unknown) => {
    const { asked, gone } = event as WatchEvent;
    if (json) process.stdout.write(`${JSON.stringify(event)}\n`);
    if (gone !== undefined) questions.delete(gone);
    if (asked) questions.set(asked.joinId, asked);
    void askNext().catch((error) => ended.abort(error));
  };
  if (!json) process.stderr.write('waiting for requests; Ctrl-C ends\n');
  try {
    await callControl(stateDir, 'watch-approvals', {}, { onEvent, signal: ended.signal });
  } catch (error) {
    if (!ended.signal.aborted || error instanceof InterruptedError) throw error;
    if (ended.signal.reason instanceof Error && ended.signal.reason.name !== 'AbortError') throw error;
  } finally {
    process.off('SIGINT', interrupt);
    asker?.close();
  }
}

const ANSWERS: Readonly<Record<string, 'y' | 'n' | 'always' | 'never' | 'report'>> = {
  ...{ y: 'y', yes: 'y', n: 'n', no: 'n' },
  ...{ always: 'always', never: 'never', report: 'report' },
};

async function askOne(stateDir: string, asker: Asker, view: ApprovalView, onEnd: () => void): Promise<void> {
  process.stderr.write(`\n${approvalQuestion(view)}\n`);
  for (;;) {
    const answer = await asker.ask('Is it yours, and may it be charged to you? [y/n/always/never/report] ');
    if (answer === undefined) return onEnd();
    const meant = ANSWERS[answer.trim().toLowerCase()];
    if (meant === undefined) continue;
    const allow = meant === 'y' || meant === 'always';
    const always = meant === 'always' || meant === 'never';
    try {
      if (meant === 'report') await callControl(stateDir, 'report', { joinId: view.joinId });
      else await callControl(stateDir, 'decide', { joinId: view.joinId, allow, always });
      process.stderr.write(meant === 'report' ? `${REPORTED}\n` : allow ? 'allowed\n' : 'denied\n');
    } catch (error) {
      // It may have been answered elsewhere or run out meanwhile; the next one still wants its answer.
      process.stderr.write(`${error instanceof Error ? error.message : error}\n`);
    }
    return;
  }
}
