/**
 * What outlasts a login wants a recent one: a password, a passkey, a browser that is notified. Whoever comes by a page that is
 * open, or by its cookie, can use that login while it lasts, and leaves no way in behind. What shuts somebody out wants nothing.
 */
import { CpnsError } from '../base/errors.ts';
import type { Session } from './sessions.ts';

export const RECENT_MS = 10 * 60_000;

/** The browser is logged in, and has to log in once more for this. */
export class LoginTooOld extends CpnsError {
  constructor() {
    super('not-authenticated', 'the login is too old for this', { mend: 'Log in once more for that.' });
  }
}

/** @throws LoginTooOld */
export function wantRecent({ startedAtMs }: Session, nowMs: number): void {
  if (nowMs - startedAtMs > RECENT_MS) throw new LoginTooOld();
}
