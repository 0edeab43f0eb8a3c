/**
 * What the page asks about passkeys: making one and taking one away, for who is logged in; and the login by one. Owns what a
 * challenge is good for, and what follows from a login: the count, and when it was used.
 */
import * as v from 'valibot';
import { CpnsError } from '../base/errors.ts';
import { RefusedError } from '../https/problem.ts';
import type { ApiAnswer, ApiCall, ApiParts, Method, OpenMethod } from './api-types.ts';
import { LoginAttempts } from './attempts.ts';
import { Challenges } from './challenges.ts';
import { isName } from './hosts.ts';
import { MAX_NAME_CHARS } from './passkeys.ts';
import { read } from './read.ts';
import { wantRecent } from './recent-login.ts';
import type { Session } from './sessions.ts';
import type { PasskeyOptionsView } from './view.ts';
import { ALGORITHMS, Assertion, isCountBack, NewPasskey, verifyAssertion, verifyNew } from './webauthn.ts';

const HTTPS_PORT = 443;

const Nothing = v.strictObject({});
const Add = v.strictObject({
  name: v.pipe(v.string(), v.trim(), v.minLength(1), v.maxLength(MAX_NAME_CHARS)),
  passkey: NewPasskey,
});
const Remove = v.strictObject({ id: v.pipe(v.string(), v.maxLength(1_364)) });

export class PasskeyApi {
  readonly #parts: ApiParts;
  readonly #begin: (before: Session | undefined) => ApiAnswer;
  readonly #challenges = new Challenges();
  /** Apart from the password's, and of each address alone: whoever tries all day keeps nobody else from a passkey. */
  readonly #attempts = new LoginAttempts();

  /** @param begin a session, in the place of the one that the browser has */
  constructor(parts: ApiParts, begin: (before: Session | undefined) => ApiAnswer) {
    this.#parts = parts;
    this.#begin = begin;
  }

  /** For everybody. */
  readonly open: Readonly<Record<string, OpenMethod>> = {
    'passkey-challenge': async (call) => {
      read(Nothing, call.body);
      const rpId = rpIdOf(call);
      return { value: { rpId, challenge: this.#challenges.issue(`login ${rpId}`, this.#parts.nowMs()) } };
    },
    'login-passkey': async (call, before) => {
      const { address } = call;
      const nowMs = this.#parts.nowMs();
      const assertion = read(Assertion, call.body);
      const waitSeconds = this.#attempts.begin(address, nowMs);
      if (waitSeconds > 0) throw new RefusedError('too-many-requests', waitSeconds);
      try {
        this.#login(assertion, call, nowMs);
      } catch (error) {
        this.#attempts.failed(address, nowMs);
        throw error;
      }
      this.#attempts.succeeded(address);
      return this.#begin(before);
    },
  };

  readonly guarded: Readonly<Record<string, Method>> = {
    'passkey-new': (call, session) => {
      read(Nothing, call.body);
      const { passkeys, gateway, nowMs } = this.#parts;
      // Whoever gets its challenge has two minutes for `passkey-add`.
      wantRecent(session, nowMs());
      const rpId = rpIdOf(call);
      const { label, user } = gateway.status();
      const known = passkeys.list().filter((each) => each.rpId === rpId);
      const value: PasskeyOptionsView = {
        rpId,
        challenge: this.#challenges.issue(purposeOf(session, rpId), nowMs()),
        user: { id: passkeys.handle, name: label, displayName: `${label}, the gateway of ${user}` },
        algorithms: ALGORITHMS,
        known: known.map(({ id }) => id),
      };
      return { value };
    },
    'passkey-add': (call, session) => {
      const { passkeys, nowMs, nowSeconds, onChange } = this.#parts;
      const { name, passkey } = read(Add, call.body);
      const rpId = rpIdOf(call);
      const expected = this.#expected(call.origin, rpId, purposeOf(session, rpId), nowMs());
      const credential = verifyNew(passkey, expected);
      passkeys.add(credential, { name, rpId, addedAt: nowSeconds() });
      onChange();
      return { value: {} };
    },
    'passkey-remove': ({ body }, session) => {
      const { passkeys, sessions, onChange } = this.#parts;
      passkeys.remove(read(Remove, body).id);
      // Whoever came in by it, with a device that is lost perhaps, is out.
      sessions.endAll(session);
      onChange();
      return { value: {} };
    },
  };

  /** @throws CpnsError not-authenticated, malformed */
  #login(assertion: Assertion, call: ApiCall, nowMs: number): void {
    const { passkeys, nowSeconds, onChange } = this.#parts;
    const rpId = rpIdOf(call);
    const passkey = passkeys.find(assertion.id);
    if (!passkey || passkey.rpId !== rpId) throw new CpnsError('not-authenticated', 'no passkey of ours');
    const expected = this.#expected(call.origin, rpId, `login ${rpId}`, nowMs);
    const signCount = verifyAssertion(assertion, passkey, expected);
    if (isCountBack(passkey.signCount, signCount)) {
      passkeys.change(passkey.id, { wentBack: true });
      onChange();
      throw new CpnsError('not-authenticated', 'the count of the passkey went back');
    }
    passkeys.change(passkey.id, { signCount, usedAt: nowSeconds() });
  }

  /** A challenge that fits is spent, whatever else is wrong with the answer: who has it has signed once. */
  #expected(origin: string, rpId: string, purpose: string, nowMs: number) {
    const isOurs = (challenge: string) => {
      if (!this.#challenges.isGood(challenge, purpose, nowMs)) return false;
      this.#challenges.use(challenge, nowMs);
      return true;
    };
    return { origin, rpId, isOurs };
  }
}

/** Of whoever is logged in, and nobody else. */
const purposeOf = ({ id }: Session, rpId: string): string => `add ${id} ${rpId}`;

/**
 * An authenticator tells names apart, not ports: what it signed for another service on this host has that one's origin, and
 * who brings it here may write the same into Host.
 * @throws CpnsError not-authenticated for the origin of another port; malformed for an address, which no passkey can be for
 */
function rpIdOf({ origin, port }: ApiCall): string {
  const url = URL.canParse(origin) ? new URL(origin) : undefined;
  if (!url || Number(url.port || HTTPS_PORT) !== port)
    throw new CpnsError('not-authenticated', 'the page of another port', {
      mend: 'Passkeys work only at the port that the gateway itself listens on.',
    });
  if (!isName(url.hostname)) throw new CpnsError('malformed', 'passkeys are for names, never for addresses');
  return url.hostname;
}
