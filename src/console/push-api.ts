/** What the page asks about notifications: the key to subscribe with, adding this browser, a trial, taking one off. */
import * as v from 'valibot';
import { CpnsError } from '../base/errors.ts';
import type { ApiParts, Method } from './api-types.ts';
import { AUTH_BYTES, isPoint } from './push-crypto.ts';
import { pushTarget } from './push-hosts.ts';
import { read } from './read.ts';
import { wantRecent } from './recent-login.ts';

const Nothing = v.strictObject({});
const base64url = v.pipe(v.string(), v.regex(/^[\w-]+$/), v.maxLength(128));
const Subscribe = v.strictObject({
  name: v.pipe(v.string(), v.trim(), v.minLength(1), v.maxLength(64)),
  detail: v.boolean(),
  ...{ endpoint: v.string(), p256dh: base64url, auth: base64url },
});
const OfBrowser = v.strictObject({ id: v.pipe(v.string(), v.regex(/^[0-9a-f]{32}$/)) });

export function pushMethods(parts: ApiParts): Readonly<Record<string, Method>> {
  const { subscriptions, push, pushHosts, gateway, nowMs, nowSeconds, onChange } = parts;
  return {
    'push-key': ({ body }, session) => {
      read(Nothing, body);
      wantRecent(session, nowMs());
      return { value: { publicKey: subscriptions.publicKey() } };
    },
    /** Answers whether it was taken: a push service that is not known here is not contacted. */
    'push-subscribe': ({ body }, session) => {
      const wanted = read(Subscribe, body);
      wantRecent(session, nowMs());
      if (!pushTarget(wanted.endpoint, pushHosts)) return { value: { isTaken: false } };
      if (!isPoint(bytes(wanted.p256dh)) || bytes(wanted.auth).length !== AUTH_BYTES)
        throw new CpnsError('malformed', 'no key to encrypt to');
      subscriptions.add({ ...wanted, addedAt: nowSeconds() });
      onChange();
      return { value: { isTaken: true } };
    },
    'push-trial': async ({ body }) => {
      const subscription = subscriptions.find(read(OfBrowser, body).id);
      if (!subscription) throw new CpnsError('not-found');
      return { value: { result: await push.trial(subscription, gateway.status().label) } };
    },
    'push-remove': ({ body }) => {
      subscriptions.remove(read(OfBrowser, body).id);
      onChange();
      return { value: {} };
    },
  };
}

const bytes = (text: string): Buffer => Buffer.from(text, 'base64url');
