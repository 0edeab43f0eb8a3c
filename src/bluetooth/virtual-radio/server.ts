/**
 * The virtual radio on a UNIX socket: every client owns one controller and speaks H4 to it. Owns the socket file,
 * framing and back-pressure. A client that sends bytes that are not H4, or does not read, harms only itself.
 */
import { chmodSync, mkdirSync, unlinkSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { dirname } from 'node:path';
import { H4Framer } from '../hci/h4.ts';
import { defaultRadioPath, parseMoniker } from '../hci/moniker.ts';
import type { Faults } from './faults.ts';
import { Radio, type RadioCounters, type RadioOptions } from './radio.ts';
import { type KernelAdapter, plugIntoKernel } from './vhci.ts';

export interface VirtualRadioOptions extends RadioOptions {
  /** Path of the socket; default `defaultRadioPath()`. */
  readonly path?: string | undefined;
}

/** What waits for a client that does not read; past it the client is closed. */
const MAX_WAITING_BYTES = 1024 * 1024;

export interface VirtualRadio {
  readonly path: string;
  /** What to hand to openCentral and openPeripheral. */
  readonly moniker: string;
  readonly radio: Radio;
  counters(): RadioCounters;
  setFaults(faults: Faults): void;
  dropLink(addressA: string, addressB: string): boolean;
  stallLink(addressA: string, addressB: string, durationMs: number): boolean;
  /**
   * One more controller, as an adapter `hciN` of this kernel. It goes with the radio.
   * @throws Error of the system: `ENOENT` without the kernel's module hci_vhci, `EACCES` without root
   */
  plugIntoKernel(): KernelAdapter;
  /** Unplugs every controller at once, as if all adapters were pulled. */
  unplugAll(): void;
  close(): Promise<void>;
}

/**
 * Opens a virtual radio.
 * @throws Error `EADDRINUSE` when another one listens there; a stale socket file is replaced
 */
export async function openVirtualRadio(options: VirtualRadioOptions = {}): Promise<VirtualRadio> {
  const path = options.path ?? defaultRadioPath();
  parseMoniker(`virtual:${path}`);
  const radio = new Radio(options);
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  const sockets = new Set<Socket>();
  const server = createServer((socket) => serveClient(radio, sockets, socket));
  await listen(server, path);
  chmodSync(path, 0o600);
  return {
    path,
    moniker: `virtual:${path}`,
    radio,
    counters: () => radio.counters(),
    setFaults: (faults) => radio.setFaults(faults),
    dropLink: (a, b) => radio.dropLink(a, b),
    stallLink: (a, b, durationMs) => radio.stallLink(a, b, durationMs),
    plugIntoKernel: () => plugIntoKernel(radio),
    unplugAll: () => {
      for (const controller of [...radio.controllers]) controller.host.close();
    },
    close: () =>
      new Promise((resolve) => {
        radio.end();
        server.close(() => resolve());
        for (const socket of sockets) socket.destroy();
      }),
  };
}

async function listen(server: Server, path: string): Promise<void> {
  try {
    await listenOnce(server, path);
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EADDRINUSE')) throw error;
    if (await answers(path)) throw error;
    unlinkSync(path);
    await listenOnce(server, path);
  }
}

function listenOnce(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(path, () => {
      server.off('error', reject);
      resolve();
    });
  });
}

function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = connect(path);
    probe.once('connect', () => {
      probe.destroy();
      resolve(true);
    });
    probe.once('error', () => resolve(false));
  });
}

function serveClient(radio: Radio, sockets: Set<Socket>, socket: Socket): void {
  sockets.add(socket);
  const framer = new H4Framer('to-controller');
  let corked = false;
  const uncork = (): void => {
    corked = false;
    socket.uncork();
  };
  const controller = radio.attach({
    send(packet) {
      if (!socket.writable) return true;
      // What one turn produces leaves in one system call.
      if (!corked) {
        corked = true;
        socket.cork();
        process.nextTick(uncork);
      }
      if (socket.write(packet)) return true;
      if (socket.writableLength > MAX_WAITING_BYTES) socket.destroy();
      socket.pause();
      return false;
    },
    close: () => socket.destroy(),
  });
  const receive = (packet: Buffer): void => controller.receive(packet);
  socket.on('data', (chunk) => {
    try {
      framer.push(chunk, receive);
    } catch {
      socket.destroy();
    }
  });
  socket.on('drain', () => {
    socket.resume();
    controller.hostReady();
  });
  socket.on('error', () => {});
  socket.on('close', () => {
    sockets.delete(socket);
    radio.detach(controller);
  });
}
