/**
 * Guards that noble and bleno need alike, and the shape of the internals they share. Each changes one instance of one
 * private copy; nothing here is global.
 */
import type { EventEmitter } from 'node:events';
import type { HciTransport } from '../hci/transport.ts';

export interface LibraryHci extends EventEmitter {
  _isDevUp: boolean | null;
  _state: string | null;
  address: string | undefined;
  addressType: string | undefined;
  pollIsDevUp(): void;
  setSocketFilter(): void;
  disconnect(handle: number | undefined, reason?: number): void;
}

export interface LibraryAclStream extends EventEmitter {
  push(cid: number | null, data: Buffer | null): void;
}

const POLL_INTERVAL_MS = 1000;

/**
 * GUARD(X2): both libraries re-arm a one-second timer for ever, which keeps the process alive after everything is
 * closed. The same poll on a timer that does not count and can be stopped.
 * @param initialise what the library does when the device is first up, or up again
 * @returns the stop
 */
export function guardPoll(hci: LibraryHci, transport: HciTransport, initialise: () => void): () => void {
  let timer: NodeJS.Timeout | undefined;
  const poll = (): void => {
    const up = transport.isDevUp();
    if (hci._isDevUp === up) return;
    hci._isDevUp = up;
    if (up) {
      hci._state = null;
      initialise();
    } else {
      hci.emit('stateChange', 'poweredOff');
    }
  };
  hci.pollIsDevUp = () => {
    poll();
    timer = setInterval(poll, POLL_INTERVAL_MS).unref();
  };
  return () => clearInterval(timer);
}

/**
 * GUARD(X2): on init both put listeners on the process that can't be taken off. The SIGINT one calls process.exit when
 * it is the last, which cuts a program's own orderly shutdown short, so it goes at once; the exit one stays until close.
 * @param start the method that puts them there
 * @returns the removal of what is left
 */
export function guardProcessListeners<Start extends 'init' | 'start'>(
  bindings: Record<Start, () => void>,
  start: Start,
): () => void {
  const initialise = bindings[start];
  let exitListeners: NodeJS.ExitListener[] = [];
  bindings[start] = function (this: typeof bindings) {
    const interruptsBefore = new Set(process.listeners('SIGINT'));
    const exitsBefore = new Set(process.listeners('exit'));
    initialise.call(this);
    for (const each of process.listeners('SIGINT'))
      if (!interruptsBefore.has(each)) process.off('SIGINT', each);
    exitListeners = process
      .listeners('exit')
      .filter((each) => !exitsBefore.has(each)) as NodeJS.ExitListener[];
  };
  return () => {
    for (const each of exitListeners) process.off('exit', each);
  };
}

/**
 * Packets of one link that may wait for its controller. Credits of the link layer allow 255 segments, 27 bytes a packet
 * at worst; what is beyond is answers to a peer that asks and takes none.
 */
export const MAX_WAITING_PACKETS = 4096;

const H4_ACL = 0x02;
const ACL_HEADER_BYTES = 5;
const L2CAP_HEADER_BYTES = 4;
const PB_CONTINUATION = 0x10;

/**
 * One L2CAP frame as ACL packets of a host. Nearly always one packet, made with one allocation and one copy.
 * @param aclBytes the controller's buffer size; taken as at least 27, the least the specification allows
 */
export function toAclPackets(handle: number, cid: number, data: Buffer, aclBytes: number): Buffer[] {
  const room = Math.max(27, aclBytes);
  const frame = L2CAP_HEADER_BYTES + data.length;
  const firstData = Math.min(data.length, room - L2CAP_HEADER_BYTES);
  const first = Buffer.allocUnsafe(ACL_HEADER_BYTES + L2CAP_HEADER_BYTES + firstData);
  writeAclHeader(first, handle, 0, L2CAP_HEADER_BYTES + firstData);
  first[5] = data.length & 0xff;
  first[6] = data.length >> 8;
  first[7] = cid & 0xff;
  first[8] = cid >> 8;
  first.set(firstData === data.length ? data : data.subarray(0, firstData), 9);
  const packets = [first];
  for (let at = firstData; frame > room && at < data.length; at += room) {
    const part = data.subarray(at, at + room);
    const packet = Buffer.allocUnsafe(ACL_HEADER_BYTES + part.length);
    writeAclHeader(packet, handle, PB_CONTINUATION, part.length);
    packet.set(part, ACL_HEADER_BYTES);
    packets.push(packet);
  }
  return packets;
}

function writeAclHeader(packet: Buffer, handle: number, flags: number, length: number): void {
  packet[0] = H4_ACL;
  packet[1] = handle & 0xff;
  packet[2] = (handle >> 8) | flags;
  packet[3] = length & 0xff;
  packet[4] = length >> 8;
}
