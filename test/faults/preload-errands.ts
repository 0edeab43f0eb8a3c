/**
 * Errands that the harness has in a process under test, besides what a person may ask of the program: how much memory is
 * left in use after a collection, and application data to be sent, for which the program's user would write code of its own.
 * Served like the program's control socket, in a directory apart. Owns catching hold of the node; changes nothing in it.
 */
import { mkdirSync } from 'node:fs';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { serveControl, textParam } from '../../src/nodes/control-socket.ts';
import type { GatewayNode } from '../../src/nodes/gateway/gateway.ts';
import type { PneNode } from '../../src/nodes/pne/pne.ts';
import type { Plan } from './plan.ts';

/** What `memory` answers, bytes and counts. */
export interface MemoryUse {
  /** JavaScript heap in use after a full collection, with what hangs on it outside. */
  readonly heap: number;
  /** Timers, sockets, requests and other things that keep libuv busy. */
  readonly handles: number;
}

export async function installErrands({ errands = '', role }: Plan): Promise<void> {
  let pne: PneNode | undefined;
  let gateway: GatewayNode | undefined;
  if (role === 'pne') {
    const { PneNode: Node } = await import('../../src/nodes/pne/pne.ts');
    atFirstCall(Node.prototype, 'start', (node) => {
      pne = node;
    });
  }
  if (role === 'gateway') {
    const { GatewayNode: Node } = await import('../../src/nodes/gateway/gateway.ts');
    atFirstCall(Node.prototype, 'start', (node) => {
      gateway = node;
    });
  }
  mkdirSync(errands, { recursive: true, mode: 0o700 });
  const served = await serveControl(errands, {
    memory: () => memoryUse(),
    data: ({ params }) => {
      const body = new Uint8Array(Number(params['bytes']));
      if (pne) pne.sendData(body);
      else gateway?.sendData(textParam(params, 'pnId'), Number(params['handle']), body);
    },
  });
  process.once('SIGTERM', () => void served.close());
}

function memoryUse(): MemoryUse {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  // The second one finds what finalisers of the first let go.
  collect();
  collect();
  const { heapUsed, external } = process.memoryUsage();
  return { heap: heapUsed + external, handles: process.getActiveResourcesInfo().length };
}

function atFirstCall<K extends string, T extends { [P in K]: (...args: never[]) => unknown }>(
  prototype: T,
  method: K,
  take: (node: T) => void,
): void {
  const original = prototype[method];
  prototype[method] = function wrapped(this: T, ...args: never[]) {
    prototype[method] = original;
    take(this);
    return original.apply(this, args);
  } as T[K];
}
