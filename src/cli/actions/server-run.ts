/**
 * `cpns server run`: the server node as a daemon. Wiring only.
 */
import { type ServerConfig, ServerSchema } from '../../config/server-config.ts';
import type { PnePage } from '../../console/pne-page.ts';
import { DATABASE_FILE, openServer } from '../../nodes/server/server.ts';
import { type DaemonOptions, type DaemonTools, runDaemon } from '../daemon.ts';
import { existingState, loadRoleConfig } from '../roles.ts';

export async function serverRun(options: DaemonOptions): Promise<void> {
  const config: ServerConfig = loadRoleConfig('server', ServerSchema, options);
  const stateDir = existingState('server', options, DATABASE_FILE);
  const { host, port, realm, terms, limits, metricsPort } = config;
  await runDaemon('server', stateDir, { ...options, level: config.log.level }, async (tools) => {
    const server = await openServer({
      stateDir,
      host,
      port,
      terms,
      limits: limits.server,
      transportLimits: limits.transport,
      logger: tools.logger,
      ...(realm !== undefined && { realm }),
      ...(tools.onTrace && { onTrace: tools.onTrace }),
      ...(metricsPort !== undefined && { metricsPort }),
    });
    const page = await openPageOf(config, tools).catch(async (error) => {
      await server.close();
      throw error;
    });
    const status = () => ({
      url: server.url,
      realm: server.realm,
      metricsPort: server.metricsPort,
      ...(page && { pagePort: page.port }),
    });
    return {
      ready: status(),
      handlers: { status },
      vitals: () => server.vitals(),
      close: async () => {
        await page?.close();
        await server.close();
      },
    };
  });
}

/** @returns undefined when the configuration has no page */
async function openPageOf(
  { page: config }: ServerConfig,
  { logger }: DaemonTools,
): Promise<PnePage | undefined> {
  if (!config) return undefined;
  const { openPnePage } = await import('../../console/pne-page.ts');
  const onFault = (error: unknown) =>
    logger.error({ err: error instanceof Error ? error.message : 'unknown' }, 'page');
  const page = await openPnePage({ config, onFault });
  if (!page.hasPage) logger.warn('the PNE’s page is not built: npm run build:web');
  return page;
}
