/**
 * The page's requests to its gateway, and the stream of what changes. Owns refusals as errors with a sentence, and coming
 * back after the stream was lost.
 */
import type { ConsoleView, RefusalView } from '../../console/view.ts';

const AGAIN_MS = 2_000;
/** By which the gateway knows that a stream takes the place of the one that was lost. */
const STREAM = `/api/events?page=${crypto.randomUUID()}`;

export class Refused extends Error {
  override readonly name = 'Refused';
  readonly status: string;
  /** The browser has to log in once more for this. */
  readonly loginTooOld: boolean;

  constructor({ status, sentence, retryAfterSeconds, loginTooOld }: RefusalView) {
    super(retryAfterSeconds === undefined ? sentence : `${sentence} Try again in ${retryAfterSeconds} s.`);
    this.status = status;
    this.loginTooOld = loginTooOld === true;
  }
}

export interface Greeting {
  readonly hasPassword: boolean;
  /** Names of this gateway at which a passkey lets in. */
  readonly passkeyNames: readonly string[];
  readonly fingerprint: string;
}

async function answerOf(response: Response): Promise<unknown> {
  const value: unknown = await response.json().catch(() => ({}));
  if (response.ok) return value;
  const { status = 'internal', sentence = 'Something failed.', ...rest } = value as Partial<RefusalView>;
  throw new Refused({ status, sentence, ...rest });
}

async function send(path: string, init?: RequestInit): Promise<unknown> {
  let response: Response;
  try {
    response = await fetch(path, { cache: 'no-store', credentials: 'same-origin', ...init });
  } catch {
    throw new Refused({ status: 'server-unreachable', sentence: 'The gateway does not answer.' });
  }
  return answerOf(response);
}

/** @throws Refused */
export const get = (name: string): Promise<unknown> => send(`/api/${name}`);

/** @throws Refused */
export const post = (name: string, body: object): Promise<unknown> =>
  send(`/api/${name}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'x-cpns-console': '1' },
    body: JSON.stringify(body),
  });

export interface Listener {
  readonly onView: (view: ConsoleView) => void;
  /** Whether the stream is there. */
  readonly onStream: (isUp: boolean) => void;
  /** The session is over; nothing comes any more. */
  readonly onLoggedOut: () => void;
}

/** The one stream of this page. */
let hangUp = (): void => {};
let dial = (): void => {};

/** Listens until the session is over, through every loss of the connection; in the place of an earlier listener. */
export function listen({ onView, onStream, onLoggedOut }: Listener): void {
  hangUp();
  let isOver = false;
  const source = new EventSource(STREAM);
  hangUp = () => {
    isOver = true;
    source.close();
  };
  dial = () => listen({ onView, onStream, onLoggedOut });
  source.addEventListener('message', ({ data }) => {
    onStream(true);
    onView(JSON.parse(data as string));
  });
  source.addEventListener('error', () => {
    onStream(false);
    source.close();
    later();
  });
  const later = () => setTimeout(() => void again(), AGAIN_MS);
  const again = async () => {
    if (isOver) return;
    const status = await get('state').then(
      () => undefined,
      (error) => (error instanceof Refused ? error.status : 'internal'),
    );
    if (isOver) return;
    if (status === undefined) dial();
    else if (status === 'not-authenticated') onLoggedOut();
    else later();
  };
}

/** For a login in the place of this one: the stream ends with the old one, and that is no loss. */
export async function whileHungUp<T>(work: () => Promise<T>): Promise<T> {
  hangUp();
  try {
    return await work();
  } finally {
    dial();
  }
}
