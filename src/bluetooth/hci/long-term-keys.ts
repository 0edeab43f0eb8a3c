/**
 * Long term keys that bleno would have the kernel keep, for a controller that the kernel has no part in: a foreign central may
 * pair though nothing here asks for it. Owns the format in which bleno loads them (mgmt-api.txt, Load Long Term Keys).
 */
import { encodeCommand } from './commands.ts';

const LOAD = 0x0013;
const HEAD_BYTES = 8;
const KEY_BYTES = 36;
const REPLY = 0x201a;
const NEGATIVE_REPLY = 0x201b;

export class LongTermKeys {
  /** By peer address in hex, as on the air. */
  readonly #keys = new Map<string, Buffer>();

  /** @param packet to the kernel's management; all but one command is passed over */
  load(packet: Buffer): void {
    if (packet.readUInt16LE(0) !== LOAD) return;
    this.#keys.clear();
    for (let at = HEAD_BYTES; at + KEY_BYTES <= packet.length; at += KEY_BYTES)
      this.#keys.set(packet.toString('hex', at, at + 6), Buffer.from(packet.subarray(at + 20, at + 36)));
  }

  /** The command that answers a controller that asks for the key of a link. @param handle its two bytes */
  answer(handle: Buffer, peer: string | undefined): Buffer {
    const key = this.#keys.get(peer ?? '');
    if (key === undefined) return encodeCommand(NEGATIVE_REPLY, handle);
    return encodeCommand(REPLY, Buffer.concat([handle, key]));
  }
}
