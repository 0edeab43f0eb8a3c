/**
 * One HCI command to an adapter through the kernel's raw channel, and its answer: for looking at a controller without
 * taking it. Without CAP_NET_RAW the kernel lets only commands that ask for information through. Owns the deadline.
 * Must not be used for a command that changes what somebody else relies on.
 */
import { H4_COMMAND, H4_EVENT } from './h4.ts';
import { closeNativeSocket, newNativeSocket } from './native-socket.ts';
import { errorCode } from './unavailable.ts';

const EVENT_COMMAND_COMPLETE = 0x0e;
const EVENT_COMMAND_STATUS = 0x0f;
const DEADLINE_MS = 2000;

/** No answer, and why: `EPERM`, `ENETDOWN`, `ETIMEDOUT` or another code of the system. */
export class NoAnswerError extends Error {
  override readonly name = 'NoAnswerError';
  readonly code: string;

  constructor(code: string, options?: ErrorOptions) {
    super(`no answer from the adapter (${code})`, options);
    this.code = code;
  }
}

/** Whether the kernel has the adapter up. Any user may ask. @throws Error of the native module */
export function isAdapterUp(index: number): boolean {
  const socket = newNativeSocket();
  try {
    socket.bindRaw(index);
    return socket.isDevUp();
  } finally {
    closeNativeSocket(socket);
  }
}

/**
 * Asks an adapter that is up.
 * @returns the return parameters, status first; of a command that is answered by a status only, that status
 * @throws NoAnswerError
 */
export function askAdapter(index: number, opcode: number, parameters = Buffer.alloc(0)): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const fail = (code: string, cause?: unknown) => end(() => reject(new NoAnswerError(code, { cause })));
    let end = (act: () => void) => act();
    try {
      const socket = newNativeSocket();
      const timer = setTimeout(() => fail('ETIMEDOUT'), DEADLINE_MS);
      end = (act) => {
        end = (late) => late();
        clearTimeout(timer);
        socket.removeAllListeners();
        socket.on('error', () => {});
        closeNativeSocket(socket);
        act();
      };
      socket.bindRaw(index);
      if (!socket.isDevUp()) return fail('ENETDOWN');
      socket.on('error', (error) => fail(errorCode(error), error));
      socket.on('data', (packet) => {
        const answer = answerTo(opcode, packet);
        if (answer !== undefined) end(() => resolve(answer));
      });
      socket.setFilter(onlyAnswersTo(opcode));
      socket.start();
      const head = Buffer.from([H4_COMMAND, opcode & 0xff, opcode >> 8, parameters.length]);
      socket.write(Buffer.concat([head, parameters]));
    } catch (error) {
      fail(errorCode(error), error);
    }
  });
}

function answerTo(opcode: number, packet: Buffer): Buffer | undefined {
  if (packet[0] !== H4_EVENT || packet.length < 7) return undefined;
  if (packet[1] === EVENT_COMMAND_COMPLETE && packet.readUInt16LE(4) === opcode) {
    return Buffer.from(packet.subarray(6));
  }
  if (packet[1] === EVENT_COMMAND_STATUS && packet.readUInt16LE(5) === opcode) {
    return Buffer.from(packet.subarray(3, 4));
  }
  return undefined;
}

/** struct hci_filter: the two events that answer, of one command. */
function onlyAnswersTo(opcode: number): Buffer {
  const filter = Buffer.alloc(16);
  filter.writeUInt32LE(1 << H4_EVENT, 0);
  filter.writeUInt32LE((1 << EVENT_COMMAND_COMPLETE) | (1 << EVENT_COMMAND_STATUS), 4);
  filter.writeUInt16LE(opcode, 12);
  return filter;
}
