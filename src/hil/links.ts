/**
 * How many links one gateway holds at once: every PNE on an adapter of its own joins one network, and the live ones are
 * counted together. Owns that count only.
 */
import { Happenings } from './happenings.ts';
import type { Operator } from './operator.ts';
import type { PneChild } from './pne-child.ts';

export interface LinksOptions {
  readonly operator: Operator;
  readonly gatewayAdapter: string;
  readonly pnes: readonly PneChild[];
  readonly signal: AbortSignal;
}

const EACH_LIMIT_MS = 20_000;
/** They have to stay: a controller that has too many drops one within its supervision timeout of 2 s. */
const HOLD_MS = 3_000;

export async function linksAtOnce(options: LinksOptions): Promise<{ pnes: number; live: number }> {
  const { operator, gatewayAdapter, pnes, signal } = options;
  const happenings = new Happenings();
  const gateway = await operator.openGateway(gatewayAdapter, {
    onEvent: ({ kind }) => happenings.push({ atMs: performance.now(), side: 'gateway', kind }),
  });
  const live = () => gateway.pns().flatMap(({ joins }) => joins.filter(({ link }) => link)).length;
  try {
    await Promise.all(pnes.map((pne) => pne.ask('open')));
    const limitMs = EACH_LIMIT_MS * pnes.length;
    await happenings
      .first(() => live() === pnes.length, { what: 'all links', limitMs, signal })
      .catch(() => signal.throwIfAborted());
    await pause(HOLD_MS, signal);
    return { pnes: pnes.length, live: live() };
  } finally {
    await Promise.allSettled([gateway.close(), ...pnes.map((pne) => pne.ask('close'))]);
  }
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener('abort', () => {
      clearTimeout(timer);
      reject(signal.reason);
    });
  });
}
