/**
 * Who is logged in: one-time links that a shell hands out, and the sessions that come of a login. Secrets are random,
 * kept as hashes and in memory only: a restart ends all of them. Owns numbers and lives; time is an argument.
 */
import { createHash, randomBytes } from 'node:crypto';

export const LINK_LIFE_MS = 10 * 60_000;
/** Not used for so long, a session ends. */
export const SESSION_IDLE_MS = 24 * 3_600_000;
/** However much it is used. */
export const SESSION_LIFE_MS = 7 * 24 * 3_600_000;
const MAX_LINKS = 4;
const MAX_SESSIONS = 16;
const SECRET_BYTES = 32;

export interface Session {
  /** Names it in this process; no secret. */
  readonly id: number;
  readonly startedAtMs: number;
  usedAtMs: number;
  /** Ends what is open for it: event streams. */
  readonly ended: AbortController;
}

const newSecret = (): string => randomBytes(SECRET_BYTES).toString('base64url');
const hashOf = (secret: string): string => createHash('sha256').update(secret).digest('hex');

export class OneTimeLinks {
  /** Hash → when it was made. */
  readonly #links = new Map<string, number>();

  /** @returns the secret of a new one; of too many the oldest is void */
  issue(nowMs: number): string {
    const secret = newSecret();
    this.#links.set(hashOf(secret), nowMs);
    const [oldest] = this.#links.keys();
    if (this.#links.size > MAX_LINKS && oldest !== undefined) this.#links.delete(oldest);
    return secret;
  }

  /** Takes it out, if there is such a one and it lives. */
  redeem(secret: string, nowMs: number): boolean {
    const hash = hashOf(secret);
    const madeAt = this.#links.get(hash);
    return this.#links.delete(hash) && madeAt !== undefined && nowMs - madeAt <= LINK_LIFE_MS;
  }

  voidAll(): void {
    this.#links.clear();
  }
}

export class Sessions {
  readonly #sessions = new Map<string, Session>();
  #lastId = 0;

  /**
   * @param before what the browser had until now, which ends: a copy of its cookie is worth nothing any more
   * @returns the secret for its cookie; of too many the longest unused one ends
   */
  open(nowMs: number, before?: Session): string {
    if (before) this.end(before);
    this.#dropDead(nowMs);
    if (this.#sessions.size >= MAX_SESSIONS) {
      const [stalest] = [...this.#sessions].sort(([, a], [, b]) => a.usedAtMs - b.usedAtMs);
      if (stalest) this.#end(...stalest);
    }
    const secret = newSecret();
    const session = { id: ++this.#lastId, startedAtMs: nowMs, usedAtMs: nowMs, ended: new AbortController() };
    this.#sessions.set(hashOf(secret), session);
    return secret;
  }

  /** The session of a cookie, which counts as used. */
  use(secret: string | undefined, nowMs: number): Session | undefined {
    if (secret === undefined) return undefined;
    this.#dropDead(nowMs);
    const session = this.#sessions.get(hashOf(secret));
    if (session) session.usedAtMs = nowMs;
    return session;
  }

  /** @param except the session that stays */
  endAll(except?: Session): void {
    for (const [hash, session] of this.#sessions) if (session !== except) this.#end(hash, session);
  }

  end(ending: Session): void {
    for (const [hash, session] of this.#sessions) if (session === ending) this.#end(hash, session);
  }

  count(nowMs: number): number {
    this.#dropDead(nowMs);
    return this.#sessions.size;
  }

  #dropDead(nowMs: number): void {
    for (const [hash, session] of this.#sessions) {
      const isDead =
        nowMs - session.usedAtMs > SESSION_IDLE_MS || nowMs - session.startedAtMs > SESSION_LIFE_MS;
      if (isDead) this.#end(hash, session);
    }
  }

  #end(hash: string, session: Session): void {
    this.#sessions.delete(hash);
    session.ended.abort();
  }
}
