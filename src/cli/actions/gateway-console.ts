/**
 * The console of a gateway: opened beside the running node when the configuration has one, and `cpns gateway console`, which
 * asks the daemon for a link that logs in, and may take away every other way in before. Owns the words. The link goes to the
 * terminal, never into a log.
 */
import type { Logger } from 'pino';
import type { GatewayConfig } from '../../config/gateway-config.ts';
import type { GattRole } from '../../config/parts.ts';
import type { Console, ConsoleLink, ConsoleReset } from '../../console/console.ts';
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

type Answer = ConsoleLink & { readonly removed?: ConsoleReset };

/** @param reset takes away every other way in first @throws ControlError when there is no console */
export function linkOf(console: Console | undefined, reset: boolean): Answer {
  if (console) return { ...(reset && { removed: console.reset() }), ...console.link() };
  throw new ControlError(
    'bad-request',
    'this gateway has no console; write [console] and listen = "0.0.0.0:8444" into its configuration and start it again',
  );
}

export async function gatewayConsole(
  options: RoleOptions & { readonly json?: boolean; readonly print?: boolean; readonly reset?: boolean },
): Promise<void> {
  if (!process.stdout.isTTY && !options.print && !options.json) {
    throw new UsageError(
      'stdout is no terminal, and whoever reads the link can log in; --print shows it anyway',
    );
  }
  const { reset = false } = options;
  const stateDir = existingState('gateway', options);
  const link = (await callControl(stateDir, 'console-link', { reset })) as Answer;
  print(options.json, link, () => display(link));
}

function display({
  urls: [first = '', ...others],
  fingerprint,
  selfSigned,
  expiresInMs,
  removed,
}: Answer): string {
  const minutes = Math.round(expiresInMs / 60_000);
  const warning = [
    'The browser warns, because nobody vouches for this certificate. Go on only when it shows this',
    'SHA-256 fingerprint (docs/console.md says where):',
  ];
  return [
    ...(removed ? [inWords(removed), ''] : []),
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

function inWords({ passwords, passkeys, browsers, logins }: ConsoleReset): string {
  const many = (count: number, one: string) => (count === 1 ? `1 ${one}` : `${count} ${one}s`);
  const gone = [many(passwords, 'password'), many(passkeys, 'passkey'), many(browsers, 'notified browser')];
  return `Removed: ${gone.join(', ')}. Ended: ${many(logins, 'login')}, and all earlier links.`;
}
