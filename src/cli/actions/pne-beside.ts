/**
 * The PNE of a host whose gateway runs in the same process, on the same adapter: with its own state, configuration, lock and
 * control socket, so that every `cpns pne` command works on it. Wiring only.
 */
import type { Logger } from 'pino';
import type { ReturningPeripheral } from '../../bluetooth/returning.ts';
import { type PneConfig, PneSchema } from '../../config/pne-config.ts';
import { lockState, serveControl } from '../../nodes/control-socket.ts';
import type { DaemonTools } from '../daemon.ts';
import { JoinDesk } from '../join-desk.ts';
import { existingState, loadRoleConfig } from '../roles.ts';
import { openRunningPne, showQuestion } from './pne-run.ts';

export interface PneBesideOptions {
  /** State directory of the PNE; without it there is none. */
  readonly withPne?: string;
  readonly pneConfig?: string;
  readonly keylog?: string;
}

/** What it has on disk is looked at before any adapter is touched. @throws ConfigError, CpnsError busy */
export function preparePne({ withPne, pneConfig }: PneBesideOptions): PreparedPne | undefined {
  if (withPne === undefined) return undefined;
  const config: PneConfig = loadRoleConfig(
    'pne',
    PneSchema,
    pneConfig === undefined ? {} : { config: pneConfig },
  );
  const stateDir = existingState('pne', { state: withPne });
  return { config, stateDir, lock: lockState(stateDir) };
}

export interface PreparedPne {
  readonly config: PneConfig;
  readonly stateDir: string;
  readonly lock: { release(): void };
}

/** @returns the end of it, its lock included */
export async function openPneBeside(
  { config, stateDir }: PreparedPne,
  peripheral: ReturningPeripheral,
  options: PneBesideOptions,
  gateway: DaemonTools,
): Promise<() => Promise<void>> {
  const { onTrace, emit } = gateway;
  const tools: DaemonTools = {
    ...gateway,
    logger: gateway.logger.child({ role: 'pne' }) as Logger,
    onTrace: onTrace && ((event) => onTrace({ ...event, role: 'pne' })),
    emit: (event) => emit({ ...event, role: 'pne' }),
  };
  const desk = new JoinDesk(config.join, (view) => showQuestion(view, ` --state ${stateDir}`));
  const running = await openRunningPne({ ...options, stateDir, config, desk, tools, peripheral });
  try {
    const control = await serveControl(stateDir, running.handlers);
    tools.logger.info(running.ready, 'ready');
    return async () => void (await Promise.all([control.close(), running.close()]));
  } catch (error) {
    await running.close();
    throw error;
  }
}
