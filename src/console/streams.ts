/**
 * Event streams (text/event-stream) to the pages that are open: the whole view at each change, at most so often, and to a page
 * that reads slowly the newest when it has read the one before. Owns their number, their pace and how long a page may read
 * nothing; one that was cut off gets everything when it comes back, so nothing has to be kept for it.
 */
import type { ServerResponse } from 'node:http';
import { CpnsError } from '../base/errors.ts';
import type { Session } from './sessions.ts';

const MAX_STREAMS = 16;
const MAX_STREAMS_PER_SESSION = 4;
const PACE_MS = 200;
/** A comment, so that a connection that died is found out on both sides. */
const HEARTBEAT_MS = 20_000;
/** Who has read nothing for so many of these is gone. */
const MAX_BEATS_BEHIND = 3;
/** When the page dials again after a stream ended. */
const RETRY_MS = 2_000;

interface Stream {
  readonly response: ServerResponse;
  readonly session: Session;
  readonly page: string | undefined;
  /** It has not read the view before, and the newest is not written yet. */
  isBehind: boolean;
  beatsBehind: number;
}

export class Streams {
  readonly #view: () => unknown;
  readonly #onFault: (error: unknown) => void;
  #isClosed = false;
  readonly #streams = new Set<Stream>();
  readonly #heartbeat: NodeJS.Timeout;
  #due: NodeJS.Timeout | undefined;

  /** @param beatMs for tests */
  constructor(view: () => unknown, onFault: (error: unknown) => void, beatMs = HEARTBEAT_MS) {
    this.#view = view;
    this.#onFault = onFault;
    this.#heartbeat = setInterval(() => this.#beat(), beatMs);
    this.#heartbeat.unref();
  }

  get count(): number {
    return this.#streams.size;
  }

  /**
   * Takes over an answer whose head is still to be written.
   * @param page how it names itself; the stream that it had before is over, be it that nobody has noticed yet: a phone that
   * went out of reach tells nobody
   * @throws CpnsError busy, shutting-down
   */
  add(
    response: ServerResponse,
    session: Session,
    page: string | undefined,
    headers: Readonly<Record<string, string>>,
  ): void {
    if (this.#isClosed) throw new CpnsError('shutting-down');
    for (const stream of this.#streams)
      if (page !== undefined && stream.page === page && stream.session === session) {
        this.#streams.delete(stream);
        stream.response.destroy();
      }
    const ofSession = [...this.#streams].filter((stream) => stream.session === session);
    if (this.#streams.size >= MAX_STREAMS || ofSession.length >= MAX_STREAMS_PER_SESSION)
      throw new CpnsError('busy', 'too many pages are open');
    const stream: Stream = { response, session, page, isBehind: false, beatsBehind: 0 };
    const first = this.#message();
    this.#streams.add(stream);
    const end = () => response.end();
    session.ended.signal.addEventListener('abort', end);
    response.on('close', () => {
      this.#streams.delete(stream);
      session.ended.signal.removeEventListener('abort', end);
    });
    response.on('drain', () => {
      stream.beatsBehind = 0;
      if (stream.isBehind) this.#tell([stream]);
    });
    response.writeHead(200, { ...headers, 'content-type': 'text/event-stream', 'cache-control': 'no-store' });
    response.write(`retry: ${RETRY_MS}\n\n${first}`);
  }

  /** Everybody is to see what it is now. */
  changed(): void {
    if (this.#isClosed || this.#streams.size === 0) return;
    this.#due ??= setTimeout(() => {
      this.#due = undefined;
      this.#tell([...this.#streams]);
    }, PACE_MS);
  }

  close(): void {
    this.#isClosed = true;
    clearInterval(this.#heartbeat);
    clearTimeout(this.#due);
    for (const { response } of this.#streams) response.end();
  }

  /** A state that can't be read ends the streams, never the gateway. */
  #tell(streams: readonly Stream[]): void {
    try {
      const message = this.#message();
      for (const stream of streams) {
        const { response } = stream;
        stream.isBehind = response.writableNeedDrain;
        if (!response.writableEnded && !stream.isBehind) response.write(message);
      }
    } catch (error) {
      this.#onFault(error);
      for (const { response } of this.#streams) response.end();
    }
  }

  #message(): string {
    return `data: ${JSON.stringify(this.#view())}\n\n`;
  }

  #beat(): void {
    for (const stream of this.#streams) {
      const { response } = stream;
      if (response.writableEnded) continue;
      if (!response.writableNeedDrain) response.write(': here\n\n');
      else if (++stream.beatsBehind > MAX_BEATS_BEHIND) response.destroy();
    }
  }
}
