/**
 * Feeds the service manager's watchdog while a node is healthy, and only then: at each turn the node is asked, and what
 * src/nodes/health.ts makes of its answer decides. Owns the rhythm. A daemon that hangs asks nothing and says nothing.
 */
import type { Logger } from 'pino';
import { judge, type Vitals } from '../nodes/health.ts';
import type { ServiceManager } from './service-manager.ts';

/** Longer than the controller is given for its answer. */
const VITALS_DEADLINE_MS = 8_000;

export interface Watch {
  stop(): void;
}

export function watchOver(
  manager: ServiceManager,
  vitalsOf: () => Promise<Vitals>,
  logger: Pick<Logger, 'info' | 'warn' | 'error'>,
): Watch {
  let timer: NodeJS.Timeout | undefined;
  let stopped = false;
  let said = '';
  let wasHealthy = true;
  let heard = true;

  const tell = async (...assignments: string[]) => {
    try {
      await manager.tell(...assignments);
      heard = true;
    } catch (error) {
      if (heard) logger.error({ err: String(error) }, 'the service manager can not be told');
      heard = false;
    }
  };

  const turn = async () => {
    const { healthy, text } = judge(await within(VITALS_DEADLINE_MS, vitalsOf()));
    if (stopped) return;
    if (healthy !== wasHealthy) {
      if (healthy) logger.info({ health: text }, 'healthy again');
      else logger.error({ health: text }, 'unhealthy: started anew if it stays so');
    }
    wasHealthy = healthy;
    const status = text === said ? [] : [`STATUS=${text}`];
    said = text;
    if (healthy) await tell('WATCHDOG=1', ...status);
    else if (status.length > 0) await tell(...status);
    if (!stopped) timer = setTimeout(() => void turn(), manager.everyMs);
  };

  void turn();
  return {
    stop: () => {
      stopped = true;
      clearTimeout(timer);
    },
  };
}

/** @returns undefined when it takes longer, or fails */
function within<T>(ms: number, work: Promise<T>): Promise<T | undefined> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve(undefined), ms);
    work.then(resolve, () => resolve(undefined)).finally(() => clearTimeout(timer));
  });
}
