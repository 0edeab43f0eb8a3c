/**
 * Commands to one controller: in order and as it grants credits where we have it alone, at once where the kernel does that;
 * our own beside the library's, with their answers kept from it; and the deadline after which a controller is dead.
 * Core Specification 5.4, Vol 4 Part E §4.4. Must not know what a command means.
 */
import { H4_COMMAND } from './h4.ts';

const EVENT_COMMAND_COMPLETE = 0x0e;
const EVENT_COMMAND_STATUS = 0x0f;

/** A controller answers any command within a fraction of this, or it is dead. */
const DEADLINE_MS = 4000;
/** A process that was stopped or starved meanwhile reads what waits for it before it calls a controller dead. */
const SECOND_LOOK_MS = 1000;
const MAX_QUEUED = 256;

export interface CommandsOptions {
  /** The controller is ours alone: its credits count. */
  readonly exclusive: boolean;
  readonly send: (packet: Buffer) => void;
  /** It takes no commands or answers none. */
  readonly onDead: (error: Error) => void;
}

interface OwnCommand {
  readonly resolve: (returnParameters: Buffer) => void;
  readonly reject: (error: Error) => void;
}

export class Commands {
  readonly #options: CommandsOptions;
  readonly #queue: Buffer[] = [];
  /** By opcode. */
  readonly #own = new Map<number, OwnCommand>();
  #credits = 1;
  #timer: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(options: CommandsOptions) {
    this.#options = options;
  }

  /** One of ours; its answer is hidden from the library. @returns the return parameters, status first */
  ask(opcode: number, parameters: Buffer): Promise<Buffer> {
    if (this.#closed) return Promise.reject(new Error('the controller is closed'));
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#own.delete(opcode);
        reject(new Error(`no answer to HCI command 0x${opcode.toString(16)}`));
      }, DEADLINE_MS);
      this.#own.set(opcode, {
        resolve: (answer) => {
          clearTimeout(timer);
          resolve(answer);
        },
        reject: (error) => {
          clearTimeout(timer);
          reject(error);
        },
      });
      this.push(encodeCommand(opcode, parameters));
    });
  }

  /** @param packet type byte first */
  push(packet: Buffer): void {
    if (this.#closed) return;
    if (!this.#options.exclusive) {
      this.#options.send(packet);
      return;
    }
    if (this.#queue.length >= MAX_QUEUED) {
      this.#options.onDead(new Error('the controller takes no commands'));
      return;
    }
    this.#queue.push(packet);
    this.#pump();
  }

  /**
   * Takes what answers a command.
   * @param packet an event, type byte first
   * @returns the opcode and whether the answer is for us alone; undefined for an event that answers none
   */
  answered(packet: Buffer): { readonly opcode: number; readonly hidden: boolean } | undefined {
    const complete = packet[1] === EVENT_COMMAND_COMPLETE && packet.length >= 6;
    if (!complete && !(packet[1] === EVENT_COMMAND_STATUS && packet.length >= 7)) return undefined;
    if (this.#options.exclusive) this.#takeCredits(packet[complete ? 3 : 4] ?? 1);
    const opcode = packet.readUInt16LE(complete ? 4 : 5);
    const hidden = this.#settle(opcode, complete ? packet.subarray(6) : packet.subarray(3, 4));
    // A Command Complete without return parameters is nothing that either library could read.
    return { opcode, hidden: hidden || (complete && packet.length < 7) };
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
    for (const own of this.#own.values()) own.reject(new Error('the controller is closed'));
    this.#own.clear();
  }

  #pump(): void {
    while (this.#credits > 0) {
      const packet = this.#queue.shift();
      if (packet === undefined) return;
      this.#credits--;
      if (this.#timer === undefined) this.#awaitAnswer();
      this.#options.send(packet);
    }
  }

  #awaitAnswer(): void {
    const dead = () => this.#options.onDead(new Error('the controller answers no command'));
    const lookAgain = () => {
      this.#timer = setTimeout(dead, SECOND_LOOK_MS).unref();
    };
    this.#timer = setTimeout(lookAgain, DEADLINE_MS).unref();
  }

  #takeCredits(credits: number): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#credits = credits;
    this.#pump();
  }

  #settle(opcode: number, answer: Buffer): boolean {
    const own = this.#own.get(opcode);
    if (own === undefined) return false;
    this.#own.delete(opcode);
    own.resolve(Buffer.from(answer));
    return true;
  }
}

export function encodeCommand(opcode: number, parameters: Buffer): Buffer {
  return Buffer.concat([
    Buffer.from([H4_COMMAND, opcode & 0xff, opcode >> 8, parameters.length]),
    parameters,
  ]);
}
