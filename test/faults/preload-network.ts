/**
 * What goes wrong on a process's HTTPS side: connections reset with a real RST, requests, frames and inputs that go out or
 * come in twice. Each happens once, at an exact place, and is reported. Owns wrapping Node's and ws's classes.
 */
import { subscribe } from 'node:diagnostics_channel';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { Server } from 'node:https';
import type { Socket } from 'node:net';
import { WebSocket } from 'ws';
import { HttpsTransport } from '../../src/https/server-client-transport.ts';
import { ChannelFrame } from '../../src/messages/channel.ts';
import { MachineDriver } from '../../src/nodes/machine-driver.ts';
import type { OwnFault, Route } from './plan.ts';
import { tell } from './preload-wire.ts';

/** TCP connections that this process has accepted, by the other side's port. */
const accepted = new Map<number, Socket>();

export function installNetwork(fault: OwnFault | undefined): void {
  subscribe('net.server.socket', (message) => {
    const { socket } = message as { socket: Socket };
    const { remotePort } = socket;
    // The control socket is no network.
    if (remotePort === undefined) return;
    accepted.set(remotePort, socket);
    socket.once('close', () => {
      if (accepted.get(remotePort) === socket) accepted.delete(remotePort);
    });
  });
  if (!fault) return;
  if (fault.kind === 'reset-request') resetRequest(fault.route, fault.when);
  if (fault.kind === 'reset-frame') resetFrame(fault.frame, fault.when);
  if (fault.kind === 'frame-twice') sendFrameTwice(fault.frame);
  if (fault.kind === 'request-twice') sendRequestTwice(fault.route);
  if (fault.kind === 'input-twice') feedTwice(fault.machine, fault.input);
}

/** Resets every connection there is. */
export function resetAll(): void {
  const count = accepted.size;
  for (const port of [...accepted.keys()]) reset(port);
  tell(count > 0 ? { done: `${count} connections reset` } : { failed: 'there was no connection to reset' });
}

/** A real RST: what is still to be written is lost, the other side sees ECONNRESET. */
function reset(remotePort: number | undefined): void {
  const socket = remotePort === undefined ? undefined : accepted.get(remotePort);
  socket?.resetAndDestroy();
}

function routeOf(method: string | undefined, path: string): Route | undefined {
  if (method !== 'PUT') return undefined;
  if (/\/registrations\/[0-9a-f]+$/.test(path)) return 'registration';
  if (/\/registrations\/[0-9a-f]+\/response$/.test(path)) return 'response';
  return /\/confirmations\/[0-9a-f]+$/.test(path) ? 'confirmation' : undefined;
}

/** Does a thing once, and says that it was done. */
function once(what: string, holds: () => boolean, act: () => void): boolean {
  if (fired || !holds()) return false;
  fired = true;
  act();
  tell({ done: what });
  return true;
}
let fired = false;

function resetRequest(route: Route, when: 'before' | 'after'): void {
  const prototype = Server.prototype as unknown as { emit(event: string, ...args: unknown[]): boolean };
  const { emit } = prototype;
  prototype.emit = function wrapped(event, ...args) {
    if (event !== 'request') return emit.call(this, event, ...args);
    const [request, response] = args as [IncomingMessage, ServerResponse];
    const { remotePort } = request.socket;
    const ours = () => routeOf(request.method, request.url ?? '') === route;
    if (when === 'before') {
      if (once(`${route} reset before`, ours, () => reset(remotePort))) return true;
    } else {
      const { end } = response;
      // The server has acted; the headers are still with us, since the first write takes them along.
      response.end = ((...written: Parameters<typeof end>) => {
        if (once(`${route} reset after`, ours, () => reset(remotePort))) return response;
        return end.apply(response, written);
      }) as typeof end;
    }
    return emit.call(this, event, ...args);
  };
}

type Sending = (this: WebSocket, data: Uint8Array, ...rest: unknown[]) => void;

/** Every frame that this process sends passes here with its kind. */
function watchFrames(take: (kind: string, socket: WebSocket, send: () => void) => void): void {
  const prototype = WebSocket.prototype as unknown as { send: Sending };
  const { send } = prototype;
  prototype.send = function wrapped(data, ...rest) {
    const really = () => send.call(this, data, ...rest);
    take(kindOf(data), this, really);
  };
}

function kindOf(data: Uint8Array): string {
  try {
    return ChannelFrame.decode(new Uint8Array(data)).kind;
  } catch {
    return '';
  }
}

const portOf = (socket: WebSocket): number | undefined =>
  (socket as unknown as { _socket?: Socket })._socket?.remotePort;

function resetFrame(kind: string, when: 'before' | 'after'): void {
  watchFrames((sent, socket, send) => {
    const ours = () => sent === kind;
    if (when === 'before') {
      if (!once(`${kind} reset before`, ours, () => reset(portOf(socket)))) send();
      return;
    }
    send();
    if (fired || !ours()) return;
    // In place of reading the acknowledgement that comes next.
    const [listener] = socket.listeners('message') as ((...args: unknown[]) => void)[];
    socket.removeAllListeners('message');
    socket.on('message', (...args: unknown[]) => {
      if (
        !once(
          `${kind} reset after`,
          () => true,
          () => reset(portOf(socket)),
        )
      )
        listener?.apply(socket, args);
    });
  });
}

function sendFrameTwice(kind: string): void {
  watchFrames((sent, _socket, send) => {
    send();
    once(`${kind} sent twice`, () => sent === kind, send);
  });
}

function sendRequestTwice(route: Route): void {
  const { prototype } = HttpsTransport;
  const { exchange } = prototype;
  prototype.exchange = function wrapped(...args) {
    const ours = () => routeOf(args[0], `/${args[1]}`) === route;
    once(`${route} sent twice`, ours, () => {
      exchange.apply(this, args).catch(() => {});
    });
    return exchange.apply(this, args);
  };
}

function feedTwice(machine: string, input: string): void {
  const prototype = MachineDriver.prototype as unknown as {
    feed(this: { machine: { definition: { name: string } } }, input: { kind: string }): void;
  };
  const { feed } = prototype;
  prototype.feed = function wrapped(fed) {
    feed.call(this, fed);
    const ours = () => this.machine.definition.name === machine && fed.kind === input;
    once(`${input} fed twice`, ours, () => feed.call(this, fed));
  };
}
