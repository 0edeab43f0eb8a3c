/**
 * `cpns pne run`: the PNE node as a daemon, with a prompt where there is a terminal. Wiring only.
 */
import { toHex } from '../../base/bytes.ts';
import { CpnsError } from '../../base/errors.ts';
import { type PneConfig, PneSchema } from '../../config/pne-config.ts';
import { ControlError, type ControlHandlers, flagParam, textParam } from '../../nodes/control-socket.ts';
import type { PneEvent } from '../../nodes/pne/events.ts';
import { openPne, type PneNode, type PneOptions } from '../../nodes/pne/pne.ts';
import { sayAdapter } from '../adapter-view.ts';
import {
  type DaemonOptions,
  type DaemonTools,
  keyLogWriter,
  type RadioOptions,
  type RunningNode,
  runDaemon,
} from '../daemon.ts';
import { UsageError } from '../exit-codes.ts';
import { JoinDesk, type JoinView } from '../join-desk.ts';
import { Asker } from '../prompt.ts';
import { existingState, loadRoleConfig } from '../roles.ts';

export async function pneRun(
  options: DaemonOptions & RadioOptions & { readonly enrol?: boolean },
): Promise<void> {
  const config: PneConfig = loadRoleConfig('pne', PneSchema, options);
  const stateDir = existingState('pne', options);
  const terminal = process.stdin.isTTY === true && !options.parentPipe;
  const asker = terminal && config.join.policy === 'ask' ? new Asker() : undefined;
  const desk = new JoinDesk(config.join, (view, answer) => {
    if (asker) void askPerson(asker, view, answer);
    else showQuestion(view);
  });
  try {
    await runDaemon('pne', stateDir, { ...options, level: config.log.level }, (tools) =>
      openRunningPne({ ...options, stateDir, config, desk, tools }),
    );
  } finally {
    asker?.close();
  }
}

export interface RunningPneOptions extends RadioOptions {
  readonly stateDir: string;
  readonly config: PneConfig;
  readonly desk: JoinDesk;
  readonly tools: DaemonTools;
  readonly trace?: boolean;
  /** Shows a code at once, when nobody owns it yet. */
  readonly enrol?: boolean;
  /** See PneOptions. */
  readonly peripheral?: PneOptions['peripheral'];
}

/** The node with what a person asks of it. */
export async function openRunningPne(options: RunningPneOptions): Promise<RunningNode> {
  const { stateDir, config, desk, tools } = options;
  const watchers = new Set<(event: PneEvent) => void>();
  const node = await openPne({
    ...{
      stateDir,
      config: { ...config, bluetooth: { ...config.bluetooth, as: pneSide(options) ?? config.bluetooth.as } },
      adapter: options.adapter,
      capture: options.capture,
      peripheral: options.peripheral,
    },
    onSecret: keyLogWriter(options.keylog),
    onRadioGone: tools.radioGone,
    onTrace: tools.onTrace,
    ask: (question) => desk.ask(question),
    onEvent: (event) => {
      const shown = loggable(event);
      const troubling = event.kind === 'refused' || shown['state'] === 'waiting';
      tools.logger[troubling ? 'warn' : 'info'](shown, event.kind);
      tools.emit({ event: event.kind, ...shown });
      for (const watcher of watchers) watcher(event);
    },
  });
  const profile = sayAdapter(tools.logger, node.adapter);
  return {
    ready: { thumbprint: node.status().thumbprint, owner: node.status().owner, profile },
    handlers: handlersOf(node, desk, watchers),
    started: () => (options.enrol ? showCode(node, options.trace === true, tools.emit) : undefined),
    vitals: () => node.vitals(),
    close: () => node.close(),
  };
}

/** @throws UsageError for both */
export function pneSide({ as }: Pick<RadioOptions, 'as'>): 'central' | 'peripheral' | undefined {
  if (as === 'both') throw new UsageError('a PNE is --as central or --as peripheral');
  return as;
}

async function showCode(node: PneNode, asJson: boolean, emit: (event: object) => void): Promise<void> {
  if (node.status().owner !== undefined || node.takesCode) return;
  const { code, expiresInMs } = node.startEnrolment();
  if (asJson) return emit({ event: 'code', code, expiresInMs });
  const { enrolmentDisplay } = await import('../enrol-display.ts');
  process.stdout.write(`${enrolmentDisplay(code, expiresInMs)}\n`);
}

/** The user of the gateway said that the numbers are not the same: the code is void. */
export function refusalOfCode(event: PneEvent): CpnsError | undefined {
  if (event.kind !== 'link' || event.status !== 'user-refused') return undefined;
  return new CpnsError(
    'user-refused',
    'at the gateway the numbers were not the same; have it show a new code',
  );
}

function loggable(event: PneEvent): Record<string, unknown> {
  const { kind: _kind, ...rest } = event;
  return event.kind === 'data' ? { bytes: event.bytes.length } : rest;
}

export function joinQuestion({ user, gateway, claimedName }: JoinView): string {
  return `Gateway "${gateway}" of ${user} invites this device to the network "${claimedName}" (so they call it).`;
}

/** To whoever reads the log of a daemon without a terminal. */
export function showQuestion(view: JoinView, stateOption = ''): void {
  process.stderr.write(`${joinQuestion(view)}\n  answer with: cpns pne answer join|decline${stateOption}\n`);
}

async function askPerson(asker: Asker, view: JoinView, answer: (join: boolean) => void): Promise<void> {
  process.stderr.write(`\n${joinQuestion(view)}\n`);
  for (;;) {
    const typed = (await asker.ask('Join? [y/n] ').catch(() => undefined))?.trim().toLowerCase();
    if (typed === undefined) return;
    if (/^(y|yes|n|no)$/.test(typed)) return answer(typed.startsWith('y'));
  }
}

function handlersOf(
  node: PneNode,
  desk: JoinDesk,
  watchers: Set<(event: PneEvent) => void>,
): ControlHandlers {
  return {
    status: () => ({ ...node.status(), question: desk.question }),
    'takes-code': () => node.takesCode,
    'start-enrolment': () => node.startEnrolment(),
    'use-code': ({ params }) => {
      node.useCode(textParam(params, 'code'));
      return null;
    },
    'wait-enrolled': ({ emit, signal }) =>
      new Promise<unknown>((resolve, reject) => {
        const watcher = (event: PneEvent) => {
          if (event.kind === 'comparing') emit(loggable(event));
          const refusal = refusalOfCode(event);
          if (event.kind !== 'enrolled' && !refusal) return;
          watchers.delete(watcher);
          if (refusal) reject(refusal);
          else resolve(loggable(event));
        };
        watchers.add(watcher);
        signal.addEventListener('abort', () => watchers.delete(watcher));
      }),
    inventory: ({ params }) => {
      const inventory = node.inventory(textParam(params, 'pnId'));
      return inventory ? toHex(inventory) : null;
    },
    forget: async ({ params }) => {
      await node.forget(textParam(params, 'pnId'));
      return null;
    },
    answer: ({ params }) => {
      if (!desk.answer(flagParam(params, 'join'))) {
        throw new ControlError('unknown-transaction', 'nobody asks this PNE to join at the moment');
      }
      return null;
    },
  };
}
