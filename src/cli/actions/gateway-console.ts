/**
 * The console of a gateway: opened beside the running node when the configuration has one, and `cpns gateway console`, which
 * asks the daemon for a link that logs in. Owns the words. The link goes to the terminal, never into a log.
 */
import type { Logger } from 'pino';
import type { GatewayConfig } from '../../config/gateway-config.ts';
import type { GattRole } from '../../config/parts.ts';
import type { Console, ConsoleLink } from '../../console/console.ts';
import { ControlError, callControl } from '../../nodes/control-socket.ts';
import type { GatewayNode } from '../../nodes/gateway/gateway.ts';
import { systemClock } from '../../nodes/system-clock.ts';
import { drawQr } from '../enrol-display.ts';
import { UsageError } from '../exit-codes.ts';
import { print } from '../output.ts';
import { existingState, type RoleOptions } from '../roles.ts';

/** @returns undefined when the configuration has no console */
export async function openConsoleOf(
  gateway: GatewayNode,
  config: Pick<GatewayConfig, 'console'>,
  rest: { readonly stateDir: string; readonly as: GattRole | undefined; readonly logger: Logger },
): Promise<Console | undefined> {
  if (!config.console) return undefined;
  const { stateDir, as = 'central', logger } = rest;
  const { openConsole } = await import('../../console/console.ts');
  const opened = await openConsole({
    ...{ stateDir, as, gateway, config: config.console, clock: systemClock },
    onFault: (error) => logger.error({ err: error instanceof Error ? error.message : 'unknown' }, 'console'),
  });
  logger.info({ port: opened.port, fingerprint: opened.fingerprint }, 'console');
  if (!opened.hasPage) logger.warn('the page of the console is not built: npm run build:web');
  return opened;
}

/** @throws ControlError when there is no console */
export function linkOf(console: Console | undefined): ConsoleLink {
  if (console) return console.link();
  throw new ControlError(
    'bad-request',
    'this gateway has no console; write [console] and listen = "0.0.0.0:8444" into its configuration and start it again',
  );
}

export async function gatewayConsole(
  options: RoleOptions & { readonly json?: boolean; readonly print?: boolean },
): Promise<void> {
  if (!process.stdout.isTTY && !options.print && !options.json) {
    throw new UsageError(
      'stdout is no terminal, and whoever reads the link can log in; --print shows it anyway',
    );
  }
  const link = (await callControl(existingState('gateway', options), 'console-link')) as ConsoleLink;
  print(options.json, link, () => display(link));
}

function display({
  urls: [first = '', ...others],
  fingerprint,
  selfSigned,
  expiresInMs,
}: ConsoleLink): string {
  const minutes = Math.round(expiresInMs / 60_000);
  const warning = [
    'The browser warns, because nobody vouches for this certificate. Go on only when it shows this',
    'SHA-256 fingerprint (docs/console.md says where):',
  ];
  return [
    drawQr(first),
    '',
    `  ${first}`,
    ...(others.length > 0
      ? ['', 'or, by another name of this host:', ...others.map((url) => `  ${url}`)]
      : []),
    '',
    ...(selfSigned ? warning : ['Its certificate has this SHA-256 fingerprint:']),
    `  ${fingerprint}`,
    '',
    `The link lives for ${minutes} minutes and logs in once.`,
  ].join('\n');
}
