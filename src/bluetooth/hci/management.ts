/**
 * Questions to the kernel's Bluetooth management interface: which controllers there are, what they are, how they are set.
 * Reads only, and only what the kernel tells any user, save where a function says otherwise. Owns the framing, one question
 * at a time and its deadline. Source: BlueZ doc/mgmt-api.txt; net/bluetooth/mgmt.c (HCI_MGMT_UNTRUSTED).
 */

import { closeNativeSocket, type NativeHciSocket, newNativeSocket } from './native-socket.ts';
import { formatAddress } from './own-address.ts';

const NO_INDEX = 0xffff;
const READ_INDEX_LIST = 0x0003;
const READ_INFO = 0x0004;
const SET_POWERED = 0x0005;
const GET_CONNECTIONS = 0x0015;
const READ_SYSTEM_CONFIG = 0x004b;
const COMMAND_COMPLETE = 0x0001;
const COMMAND_STATUS = 0x0002;
const CONFIG_SUPERVISION_TIMEOUT = 0x001a;
const STATUS_PERMISSION_DENIED = 0x14;
const HEADER_BYTES = 6;
const DEADLINE_MS = 2000;
const SUPERVISION_UNIT_MS = 10;

/** What the kernel answered that is no answer, or that it answered nothing. */
export class ManagementError extends Error {
  override readonly name = 'ManagementError';
  /** `EPERM`, `ETIMEDOUT`, or the interface's status in hex. */
  readonly code: string;

  constructor(code: string) {
    super(`the kernel's Bluetooth management says ${code}`);
    this.code = code;
  }
}

export interface ControllerInfo {
  readonly address: string;
  /** Company identifier of the maker. */
  readonly manufacturer: number;
  readonly powered: boolean;
  /** Supported, not necessarily switched on. */
  readonly lowEnergy: boolean;
  readonly advertising: boolean;
}

export interface ConnectedPeer {
  readonly address: string;
  /** 0 BR/EDR, 1 LE public, 2 LE random. */
  readonly type: number;
}

export class Management {
  readonly #socket: NativeHciSocket;
  #waiting: ((packet: Buffer) => void) | undefined;

  /** @throws Error as `newNativeSocket` and its `bindControl` do */
  constructor() {
    this.#socket = newNativeSocket();
    try {
      this.#socket.bindControl();
    } catch (error) {
      closeNativeSocket(this.#socket);
      throw error;
    }
    this.#socket.on('data', (packet) => this.#waiting?.(packet));
    this.#socket.on('error', () => {});
    this.#socket.start();
  }

  /** Indices of the controllers that the kernel manages: those in set-up or in a user channel are left out. */
  async indices(): Promise<readonly number[]> {
    const answer = await this.#ask(READ_INDEX_LIST, NO_INDEX, 2);
    return Array.from({ length: answer.readUInt16LE(0) }, (_, i) => 2 + 2 * i)
      .filter((at) => at + 2 <= answer.length)
      .map((at) => answer.readUInt16LE(at));
  }

  async info(index: number): Promise<ControllerInfo> {
    const answer = await this.#ask(READ_INFO, index, 17);
    const supported = answer.readUInt32LE(9);
    const current = answer.readUInt32LE(13);
    return {
      address: formatAddress(answer),
      manufacturer: answer.readUInt16LE(7),
      powered: (current & 1) !== 0,
      lowEnergy: (supported & (1 << 9)) !== 0,
      advertising: (current & (1 << 10)) !== 0,
    };
  }

  /** The kernel's own default for links, milliseconds; undefined when this kernel does not say. */
  async supervisionTimeoutMs(index: number): Promise<number | undefined> {
    const answer = await this.#ask(READ_SYSTEM_CONFIG, index, 0);
    for (let at = 0; at + 3 <= answer.length; ) {
      const type = answer.readUInt16LE(at);
      const length = answer[at + 2] ?? 0;
      if (type === CONFIG_SUPERVISION_TIMEOUT && length === 2 && at + 5 <= answer.length) {
        return answer.readUInt16LE(at + 3) * SUPERVISION_UNIT_MS;
      }
      at += 3 + length;
    }
    return undefined;
  }

  /** Who is connected now. The kernel tells only whoever has CAP_NET_ADMIN. */
  async connections(index: number): Promise<readonly ConnectedPeer[]> {
    const answer = await this.#ask(GET_CONNECTIONS, index, 2);
    return Array.from({ length: answer.readUInt16LE(0) }, (_, i) => 2 + 7 * i)
      .filter((at) => at + 7 <= answer.length)
      .map((at) => ({ address: formatAddress(answer.subarray(at)), type: answer[at + 6] ?? 0 }));
  }

  /** Powers a controller for everybody. The kernel lets only whoever has CAP_NET_ADMIN. */
  async setPowered(index: number, powered: boolean): Promise<void> {
    await this.#ask(SET_POWERED, index, 4, Buffer.from([powered ? 1 : 0]));
  }

  close(): void {
    this.#waiting = undefined;
    this.#socket.removeAllListeners();
    closeNativeSocket(this.#socket);
  }

  /** @param least bytes that an answer has to have @throws ManagementError */
  #ask(opcode: number, index: number, least: number, parameters: Buffer = Buffer.alloc(0)): Promise<Buffer> {
    const request = Buffer.alloc(HEADER_BYTES + parameters.length);
    parameters.copy(request, HEADER_BYTES);
    request.writeUInt16LE(parameters.length, 4);
    request.writeUInt16LE(opcode, 0);
    request.writeUInt16LE(index, 2);
    return new Promise((resolve, reject) => {
      const end = (act: () => void) => {
        clearTimeout(timer);
        this.#waiting = undefined;
        act();
      };
      const timer = setTimeout(() => end(() => reject(new ManagementError('ETIMEDOUT'))), DEADLINE_MS);
      this.#waiting = (packet) => {
        if (packet.length < HEADER_BYTES + 3) return;
        const event = packet.readUInt16LE(0);
        const ours = packet.readUInt16LE(2) === index && packet.readUInt16LE(HEADER_BYTES) === opcode;
        if (!ours || (event !== COMMAND_COMPLETE && event !== COMMAND_STATUS)) return;
        const status = packet[HEADER_BYTES + 2] ?? 0;
        const answer = packet.subarray(HEADER_BYTES + 3);
        if (status === STATUS_PERMISSION_DENIED) end(() => reject(new ManagementError('EPERM')));
        else if (status !== 0 || event === COMMAND_STATUS || answer.length < least) {
          end(() => reject(new ManagementError(`0x${status.toString(16)}`)));
        } else end(() => resolve(answer));
      };
      this.#socket.write(request);
    });
  }
}
