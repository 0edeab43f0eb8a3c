/**
 * `cpns pne enrol`: shows a code and waits until it was used, or takes the code that a gateway shows. Through the running
 * daemon where there is one, otherwise with a node of its own for as long as it takes.
 */

import { CpnsError } from '../../base/errors.ts';
import { type PneConfig, PneSchema } from '../../config/pne-config.ts';
import { callControl, lockState, NoDaemonError } from '../../nodes/control-socket.ts';
import { openPne } from '../../nodes/pne/pne.ts';
import { keyLogWriter, type RadioOptions } from '../daemon.ts';
import { digitsInGroups, enrolmentDisplay } from '../enrol-display.ts';
import { InterruptedError, UsageError } from '../exit-codes.ts';
import { withProgress } from '../output.ts';
import { readOneLine } from '../prompt.ts';
import { createState, loadRoleConfig, type RoleOptions } from '../roles.ts';
import { pneSide, refusalOfCode } from './pne-run.ts';
import { makePne } from './pne-setup.ts';

interface Options extends RoleOptions, RadioOptions {
  readonly print?: boolean;
}

interface ShownCode {
  readonly code: string;
  readonly expiresInMs: number;
}

interface Owner {
  readonly userLabel: string;
  readonly homeAddress: string;
}

export async function pneEnrol(options: Options): Promise<void> {
  const { bluetooth } = loadRoleConfig('pne', PneSchema, options);
  if ((pneSide(options) ?? bluetooth.as) !== 'central') mayShow(options);
  const ended = new AbortController();
  const interrupt = () => ended.abort(new InterruptedError());
  process.once('SIGINT', interrupt);
  try {
    const owner = await viaDaemon(options, ended.signal).catch((error: unknown) => {
      if (error instanceof NoDaemonError) return alone(options, ended.signal);
      throw error;
    });
    process.stderr.write(`\nenrolled: this PNE is ${owner.userLabel}'s, its home is ${owner.homeAddress}\n`);
  } finally {
    process.off('SIGINT', interrupt);
  }
}

async function viaDaemon(options: Options, signal: AbortSignal): Promise<Owner> {
  const stateDir = createState('pne', options);
  const takesCode = (await callControl(stateDir, 'takes-code')) as boolean;
  const onEvent = (event: unknown) => showDigits((event as { readonly digits: string }).digits);
  const waiting = callControl(stateDir, 'wait-enrolled', {}, { onEvent, signal });
  waiting.catch(() => {});
  if (takesCode) {
    await callControl(stateDir, 'use-code', { code: await askCode() });
    return withProgress('looking for the gateway over Bluetooth', untilExpired(waiting as Promise<Owner>));
  }
  mayShow(options);
  const shown = (await callControl(stateDir, 'start-enrolment')) as ShownCode;
  return untilUsed(shown, waiting as Promise<Owner>);
}

async function alone(options: Options, signal: AbortSignal): Promise<Owner> {
  const config: PneConfig = loadRoleConfig('pne', PneSchema, options);
  const stateDir = createState('pne', options);
  makePne(stateDir);
  const lock = lockState(stateDir);
  try {
    let settle: (owner: Owner) => void = () => {};
    let refuse: (refusal: CpnsError) => void = () => {};
    const used = new Promise<Owner>((resolve, reject) => {
      settle = resolve;
      refuse = reject;
      signal.addEventListener('abort', () => reject(signal.reason));
    });
    const node = await openPne({
      stateDir,
      config: { ...config, bluetooth: { ...config.bluetooth, as: pneSide(options) ?? config.bluetooth.as } },
      adapter: options.adapter,
      capture: options.capture,
      onSecret: keyLogWriter(options.keylog),
      ask: async () => 'declined',
      onEvent: (event) => {
        if (event.kind === 'comparing') showDigits(event.digits);
        if (event.kind === 'enrolled') settle(event);
        const refusal = refusalOfCode(event);
        if (refusal) refuse(refusal);
      },
    });
    try {
      if (!node.takesCode) {
        mayShow(options);
        return await untilUsed(node.startEnrolment(), used);
      }
      node.useCode(await askCode());
      return await withProgress('looking for the gateway over Bluetooth', untilExpired(used));
    } finally {
      await node.close();
    }
  } finally {
    lock.release();
  }
}

const CODE_LIFE_MS = 10 * 60_000;

const askCode = () => readOneLine('code shown by the gateway: ', 'code');

function showDigits(digits: string): void {
  process.stderr.write(
    `\nThe gateway has to show  ${digitsInGroups(digits)}  and asks there whether it is the same.\n`,
  );
}

/** @throws UsageError when nobody is there to see a code */
function mayShow({ print }: Options): void {
  if (process.stdout.isTTY || print) return;
  throw new UsageError(
    'stdout is no terminal, and whoever reads the code can own this PNE; --print shows it anyway',
  );
}

/** @throws CpnsError enrolment-code-spent */
async function untilExpired(used: Promise<Owner>): Promise<Owner> {
  let timer: NodeJS.Timeout | undefined;
  const expired = new Promise<never>((_, reject) => {
    const late = () =>
      reject(new CpnsError('enrolment-code-spent', 'no gateway with this code was found in time'));
    timer = setTimeout(late, CODE_LIFE_MS);
  });
  return Promise.race([used, expired]).finally(() => clearTimeout(timer));
}

/** Shows the code, and on a terminal the time left, until it was used. @throws CpnsError enrolment-code-spent */
async function untilUsed({ code, expiresInMs }: ShownCode, used: Promise<Owner>): Promise<Owner> {
  process.stdout.write(`${enrolmentDisplay(code, expiresInMs)}\n`);
  const endsAt = Date.now() + expiresInMs;
  let tick: NodeJS.Timeout | undefined;
  const expired = new Promise<never>((_, reject) => {
    tick = setInterval(() => {
      const left = Math.max(0, Math.round((endsAt - Date.now()) / 1000));
      if (process.stderr.isTTY) {
        process.stderr.write(`\r  ${Math.floor(left / 60)}:${String(left % 60).padStart(2, '0')} left `);
      }
      if (left === 0) reject(new CpnsError('enrolment-code-spent', 'ten minutes are over'));
    }, 1000);
  });
  try {
    return await Promise.race([used, expired]);
  } finally {
    clearInterval(tick);
  }
}
