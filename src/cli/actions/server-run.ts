/**
 * `cpns server run`: the server node as a daemon. Wiring only.
 */
import { type ServerConfig, ServerSchema } from '../../config/server-config.ts';
import { DATABASE_FILE, openServer } from '../../nodes/server.ts';
import { type DaemonOptions, runDaemon } from '../daemon.ts';
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
    const status = () => ({ url: server.url, realm: server.realm, metricsPort: server.metricsPort });
    return {
      ready: status(),
      handlers: { status },
      vitals: () => server.vitals(),
      close: () => server.close(),
    };
  });
}
