/**
 * What the page may ask: log in, look, answer, enrol, revoke. Owns the methods with the shape of what they take, and which
 * want a session. Must not know sockets: server.ts has checked by then that the request is one of the page's.
 */
import * as v from 'valibot';
import { CpnsError } from '../base/errors.ts';
import { RefusedError } from '../https/problem.ts';
import { qrModules } from '../nodes/qr-modules.ts';
import type { ApiAnswer, ApiCall, ApiParts, Download, Method, OpenMethod } from './api-types.ts';
import { PasskeyApi } from './passkey-api.ts';
import { pushMethods } from './push-api.ts';
import { read } from './read.ts';
import { wantRecent } from './recent-login.ts';
import type { Session } from './sessions.ts';
import type { ShownCodeView } from './view.ts';

const shortText = (maxChars: number) => v.pipe(v.string(), v.maxLength(maxChars));
const joinId = v.pipe(v.string(), v.regex(/^[0-9a-f]{32}$/));
const LoginByLink = v.strictObject({ token: shortText(64) });
const LoginByPassword = v.strictObject({ password: shortText(512) });
const SetPassword = v.strictObject({
  password: v.nullable(shortText(512)),
  alone: v.optional(v.boolean(), false),
});
const Decide = v.strictObject({ joinId, allow: v.boolean(), always: v.boolean() });
const OfJoin = v.strictObject({ joinId });
const Pair = v.strictObject({ code: shortText(256) });
const Compared = v.strictObject({ digits: v.pipe(v.string(), v.regex(/^[0-9]{6}$/)), same: v.boolean() });
const Revoke = v.strictObject({ thumbprint: v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/)) });
const Logout = v.strictObject({ everywhere: v.boolean() });
const Nothing = v.strictObject({});

/** A refusal that comes at once is the answer; whatever takes longer is seen among the enrolments. */
const AT_ONCE_MS = 300;

export class Api {
  readonly #parts: ApiParts;
  readonly #passkeys: PasskeyApi;
  readonly #push: Readonly<Record<string, Method>>;
  #hideCode: (() => void) | undefined;

  constructor(parts: ApiParts) {
    this.#parts = parts;
    this.#passkeys = new PasskeyApi(parts, (before) => this.#begin(before));
    this.#push = pushMethods(parts);
  }

  /** For everybody: what the page of the login says. */
  greeting(): unknown {
    const { password, passkeys, fingerprint } = this.#parts;
    return { hasPassword: password.isSet, passkeyNames: passkeys.names(), fingerprint };
  }

  /** @throws CpnsError not-found, malformed, not-authenticated, too-many-requests, or what the gateway says */
  async post(name: string, call: ApiCall, session: Session | undefined): Promise<ApiAnswer> {
    const open = methodOf(name, this.#open, this.#passkeys.open);
    if (open) return open(call, session);
    if (!session) throw new CpnsError('not-authenticated');
    const guarded = methodOf(name, this.#guarded, this.#passkeys.guarded, this.#push);
    if (!guarded) throw new CpnsError('not-found');
    return guarded(call, session);
  }

  /** A file to save: a report with its evidence. @param name of the request @returns undefined when it is none */
  download(name: string): Download | undefined {
    const [, wanted] = /^report\/([0-9a-f]{32})$/.exec(name) ?? [];
    const report = this.#parts.gateway.reports().find((each) => each.joinId === wanted);
    if (!report) return undefined;
    return {
      fileName: `cpns-report-${report.joinId.slice(0, 8)}.json`,
      text: `${JSON.stringify(report, undefined, 2)}\n`,
    };
  }

  readonly #open: Readonly<Record<string, OpenMethod>> = {
    'login-link': async ({ body }, before) => {
      const { links, nowMs } = this.#parts;
      if (!links.redeem(read(LoginByLink, body).token, nowMs())) throw new CpnsError('token-invalid');
      return this.#begin(before);
    },
    'login-password': async ({ body, address }, before) => {
      const { password, attempts, nowMs } = this.#parts;
      const typed = read(LoginByPassword, body).password;
      const waitSeconds = attempts.begin(address, nowMs());
      if (waitSeconds > 0) throw new RefusedError('too-many-requests', waitSeconds);
      if (!(await password.verify(typed))) {
        attempts.failed(address, nowMs());
        throw new CpnsError('not-authenticated');
      }
      attempts.succeeded(address);
      return this.#begin(before);
    },
  };

  readonly #guarded: Readonly<Record<string, Method>> = {
    logout: ({ body }, session) => {
      const { sessions, onChange } = this.#parts;
      if (read(Logout, body).everywhere) sessions.endAll();
      else sessions.end(session);
      onChange();
      return { value: {}, cookie: '' };
    },
    password: async ({ body }, session) => {
      const { password, passkeys, subscriptions, sessions, nowMs, onChange } = this.#parts;
      const { password: wanted, alone } = read(SetPassword, body);
      if (wanted === null) password.remove();
      else {
        wantRecent(session, nowMs());
        await password.set(wanted, session.ended.signal);
      }
      if (alone) {
        passkeys.removeAll();
        subscriptions.removeAll();
      }
      // Whoever came in by the old one is to show the new one.
      sessions.endAll(session);
      onChange();
      return { value: {} };
    },
    decide: async ({ body }) => {
      const { joinId, allow, always } = read(Decide, body);
      await this.#parts.gateway.decide(
        joinId,
        allow
          ? { yours: true, chargeable: true, always }
          : { yours: true, chargeable: false, reason: 'user-refused', always },
      );
      this.#parts.onChange();
      return { value: {} };
    },
    report: async ({ body }) => {
      await this.#parts.gateway.report(read(OfJoin, body).joinId);
      this.#parts.onChange();
      return { value: {} };
    },
    'withdraw-report': ({ body }) => {
      this.#parts.gateway.withdrawReport(read(OfJoin, body).joinId);
      this.#parts.onChange();
      return { value: {} };
    },
    pair: async ({ body }) => {
      const { gateway, enrolments } = this.#parts;
      const work = gateway.pair(read(Pair, body).code);
      const later = new Promise<void>((resolve) => setTimeout(resolve, AT_ONCE_MS));
      await Promise.race([work, later]);
      enrolments.follow('typed', work);
      return { value: {} };
    },
    'show-code': ({ body, origin }) => {
      read(Nothing, body);
      const { gateway, enrolments, hasPnePage } = this.#parts;
      const { code, expiresInMs, used, hide } = gateway.showCode((comparison) =>
        enrolments.compares(id, comparison),
      );
      this.#hideCode = hide;
      const id = enrolments.follow('shown', used);
      const plain = code.replaceAll(/[\s-]/g, '');
      // Behind the #, which browsers never send to anybody.
      const url = hasPnePage ? `${origin}/pne/#${plain}` : null;
      const modules = qrModules(url ?? `CPNS:${plain}`).map((row) =>
        row.map((dark) => (dark ? '1' : '0')).join(''),
      );
      return { value: { code, url, expiresInMs, modules } satisfies ShownCodeView };
    },
    'hide-code': ({ body }) => {
      read(Nothing, body);
      this.#hideCode?.();
      return { value: {} };
    },
    compared: ({ body }) => {
      const { digits, same } = read(Compared, body);
      this.#parts.gateway.compared(digits, same);
      return { value: {} };
    },
    revoke: ({ body }) => {
      this.#parts.gateway.revokePne(read(Revoke, body).thumbprint);
      this.#parts.onChange();
      return { value: {} };
    },
  };

  /** @param before what this browser had until now, which is over */
  #begin(before: Session | undefined): ApiAnswer {
    const { sessions, nowMs, onChange } = this.#parts;
    const cookie = sessions.open(nowMs(), before);
    onChange();
    return { value: {}, cookie };
  }
}

/** The method of that name in the first table that has it. */
function methodOf<M>(name: string, ...tables: readonly Readonly<Record<string, M>>[]): M | undefined {
  return tables.find((table) => Object.hasOwn(table, name))?.[name];
}
