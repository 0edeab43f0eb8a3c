/**
 * `cpns gateway run`: the gateway node as a daemon, with what a person asks of it over the control socket.
 * Wiring only.
 */
import { toHex } from '../../base/bytes.ts';
import { openReturningBoth, type ReturningCentral } from '../../bluetooth/returning.ts';
import { approvalRules, type GatewayConfig, GatewaySchema } from '../../config/gateway-config.ts';
import type { Console } from '../../console/console.ts';
import { type ControlHandlers, flagParam, textParam } from '../../nodes/control-socket.ts';
import { approvalView } from '../../nodes/gateway/approval-view.ts';
import type { GatewayEvent } from '../../nodes/gateway/events.ts';
import { type GatewayNode, openGateway } from '../../nodes/gateway/gateway.ts';
import { radioOf } from '../../nodes/radio-options.ts';
import { sayAdapter } from '../adapter-view.ts';
import {
  type DaemonOptions,
  type DaemonTools,
  keyLogWriter,
  type RadioOptions,
  type RunningNode,
  runDaemon,
} from '../daemon.ts';
import { existingState, loadRoleConfig } from '../roles.ts';
import { linkOf, openConsoleOf } from './gateway-console.ts';
import { openPneBeside, type PneBesideOptions, preparePne } from './pne-beside.ts';

/** Long enough to keep a watcher's connection in use; a watch that nobody reads ends with its socket. */
type Watcher = (event: GatewayEvent) => void;

export async function gatewayRun(options: DaemonOptions & RadioOptions & PneBesideOptions): Promise<void> {
  const config: GatewayConfig = loadRoleConfig('gateway', GatewaySchema, options);
  const stateDir = existingState('gateway', options);
  const watchers = new Set<Watcher>();
  const as = options.as ?? config.bluetooth.as;
  await runDaemon('gateway', stateDir, { ...options, level: config.log.level }, async (tools) => {
    const pne = preparePne(options);
    const closing: (() => unknown)[] = [];
    if (pne) closing.push(() => pne.lock.release());
    const close = async () => {
      for (const each of closing.splice(0).reverse()) await each();
    };
    try {
      const both = pne && (await openReturningBoth(...radioOf(config.bluetooth, options, tools.radioGone)));
      if (both) closing.push(() => Promise.all([both.central.close(), both.peripheral.close()]));
      const node = await open(tools, both?.central);
      closing.push(() => node.close());
      if (pne && both) closing.push(await openPneBeside(pne, both.peripheral, options, tools));
      return { ...node, close };
    } catch (error) {
      await close();
      throw error;
    }
  });

  async function open(tools: DaemonTools, central: ReturningCentral | undefined): Promise<RunningNode> {
    let console: Console | undefined;
    const node = await openGateway({
      stateDir,
      config: {
        ...config,
        bluetooth: { ...config.bluetooth, as },
        approvals: { ...config.approvals, rules: approvalRules(config) },
      },
      adapter: options.adapter,
      capture: options.capture,
      central,
      onSecret: keyLogWriter(options.keylog),
      onRadioGone: tools.radioGone,
      onTrace: (event) => {
        tools.onTrace?.(event);
        console?.trace(event);
      },
      onHeard: (event) => console?.trace(event),
      onEvent: (event) => {
        const shown = loggable(event);
        const troubling = event.kind === 'alarm' || event.kind === 'problem' || shown['state'] === 'waiting';
        tools.logger[troubling ? 'warn' : 'info'](shown, event.kind);
        tools.emit({ event: event.kind, ...shown });
        for (const watcher of watchers) watcher(event);
        console?.event(event);
      },
    });
    try {
      console = await openConsoleOf(node, config, { stateDir, as, logger: tools.logger });
    } catch (error) {
      await node.close();
      throw error;
    }
    const { gatewayId, user, label } = node.status();
    const profile = sayAdapter(tools.logger, node.adapter);
    return {
      ready: { gatewayId, user, label, profile, ...(console && { console: console.port }) },
      handlers: {
        ...handlersOf(node, watchers),
        'console-link': ({ params }) => linkOf(console, flagParam(params, 'reset')),
      },
      vitals: () => node.vitals(),
      close: async () => {
        await console?.close();
        await node.close();
      },
    };
  }
}

/** An event without its payload and with identifiers as text. */
function loggable(event: GatewayEvent): Record<string, unknown> {
  const entries = Object.entries(event).map(([name, value]): [string, unknown] => {
    if (value instanceof Uint8Array) return [name, event.kind === 'data' ? value.length : toHex(value)];
    return [name, value];
  });
  const { kind: _kind, view: _view, ...rest } = Object.fromEntries(entries);
  return event.kind === 'asked' ? { ...approvalView(event.view) } : rest;
}

function handlersOf(node: GatewayNode, watchers: Set<Watcher>): ControlHandlers {
  return {
    status: () => ({ ...node.status(), approvals: node.approvals().map(approvalView) }),
    'show-code': ({ emit, signal }) => {
      const { used, hide, ...shown } = node.showCode((comparing) => emit({ comparing: comparing ?? null }));
      signal.addEventListener('abort', hide);
      emit(shown);
      return used;
    },
    compared: ({ params }) => {
      const digits = textParam(params, 'digits');
      node.compared(digits, flagParam(params, 'same'));
      return null;
    },
    pair: ({ params }) => node.pair(textParam(params, 'code')),
    pnes: () => node.pnes(),
    'revoke-pne': ({ params }) => {
      node.revokePne(textParam(params, 'thumbprint'));
      return {};
    },
    pns: () => node.pns(),
    confirmations: () => node.confirmations(),
    inventory: ({ params }) => {
      const inventory = node.inventory(textParam(params, 'pnId'));
      return inventory ? toHex(inventory) : null;
    },
    approvals: () => node.approvals().map(approvalView),
    'watch-approvals': ({ emit, signal }) =>
      new Promise<void>((resolve) => {
        const watcher: Watcher = (event) => {
          if (event.kind === 'asked') emit({ asked: approvalView(event.view) });
          if (event.kind === 'answered' || event.kind === 'settled') {
            emit({ gone: toHex(event.joinId), kind: event.kind });
          }
        };
        watchers.add(watcher);
        for (const view of node.approvals()) emit({ asked: approvalView(view) });
        signal.addEventListener('abort', () => {
          watchers.delete(watcher);
          resolve();
        });
      }),
    report: async ({ params }) => {
      await node.report(textParam(params, 'joinId'));
      return {};
    },
    reports: () => node.reports(),
    'withdraw-report': ({ params }) => {
      node.withdrawReport(textParam(params, 'joinId'));
      return {};
    },
    decide: async ({ params }) => {
      const allow = flagParam(params, 'allow');
      const always = flagParam(params, 'always');
      const answer = allow
        ? { yours: true, chargeable: true, always }
        : { yours: true, chargeable: false, reason: 'user-refused' as const, always };
      await node.decide(textParam(params, 'joinId'), answer);
      return { allow, always };
    },
  };
}
