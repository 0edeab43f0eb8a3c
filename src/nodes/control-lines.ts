/**
 * The wire form of the control socket: one JSON object a line, bounded both ways.
 * Owns cutting lines and reading what is on one. Must not know sockets or methods.
 */

/** Longest line taken or sent, bytes with its newline. */
export const MAX_LINE_BYTES = 1024 * 1024;

export interface ControlRequest {
  readonly id: number;
  readonly method: string;
  readonly params: Readonly<Record<string, unknown>>;
}

export type ControlReply =
  | { readonly id: number; readonly event: unknown }
  | { readonly id: number; readonly result: unknown }
  | { readonly id: number; readonly error: ControlFault };

export interface ControlFault {
  /** A status of the protocol, or `bad-request`. */
  readonly status: string;
  readonly message: string;
}

/** Gathers bytes into lines; holds at most one unfinished line of at most `limit` bytes. */
export class LineCutter {
  readonly #limit: number;
  #rest: Buffer[] = [];
  #length = 0;

  constructor(limit: number = MAX_LINE_BYTES) {
    this.#limit = limit;
  }

  /**
   * Takes the next bytes; hands out each whole line without its newline.
   * @returns false when a line is too long: nothing after it can be trusted
   */
  push(chunk: Buffer, onLine: (line: string) => void): boolean {
    let from = 0;
    for (let at = chunk.indexOf(10); at >= 0; at = chunk.indexOf(10, from)) {
      this.#rest.push(chunk.subarray(from, at));
      this.#length += at - from;
      from = at + 1;
      if (this.#length >= this.#limit) return false;
      const line = Buffer.concat(this.#rest).toString('utf8');
      this.#rest = [];
      this.#length = 0;
      onLine(line);
    }
    if (from < chunk.length) {
      this.#rest.push(Buffer.from(chunk.subarray(from)));
      this.#length += chunk.length - from;
    }
    return this.#length < this.#limit;
  }
}

function parseObject(line: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : undefined;
  } catch {
    return undefined;
  }
}

/** A request as a client wrote it; undefined for anything else. */
export function parseRequest(line: string): ControlRequest | undefined {
  const { id, method, params = {} } = parseObject(line) ?? {};
  if (typeof id !== 'number' || !Number.isSafeInteger(id) || typeof method !== 'string') return undefined;
  if (typeof params !== 'object' || params === null || Array.isArray(params)) return undefined;
  return { id, method, params: params as Record<string, unknown> };
}

/** A reply as a daemon wrote it; undefined for anything else. */
export function parseReply(line: string): ControlReply | undefined {
  const reply = parseObject(line);
  if (!reply) return undefined;
  const { id, error, event, result } = reply;
  if (typeof id !== 'number') return undefined;
  if (typeof error === 'object' && error !== null) {
    const { status = 'internal', message = 'no reason given' } = error as Partial<ControlFault>;
    return { id, error: { status: String(status), message: String(message) } };
  }
  if ('event' in reply) return { id, event };
  return 'result' in reply ? { id, result } : undefined;
}
