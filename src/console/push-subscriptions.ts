/**
 * The browsers that are told of questions while the page is closed, and the key that the gateway shows their push services:
 * in a file of mode 0600 in the state directory. Owns the file and its bounds.
 */
import { createHash, createPrivateKey, type KeyObject } from 'node:crypto';
import { join } from 'node:path';
import * as v from 'valibot';
import { CpnsError } from '../base/errors.ts';
import { KeptJson } from './kept-json.ts';
import { newVapidKey, vapidPublicKey } from './push-crypto.ts';

const FILE = 'console-push.json';
const MAX_SUBSCRIPTIONS = 16;

const Stored = v.strictObject({
  /** PKCS#8 in DER, base64url; made when the first browser is added. */
  vapidKey: v.string(),
  subscriptions: v.pipe(
    v.array(
      v.strictObject({
        ...{ endpoint: v.string(), p256dh: v.string(), auth: v.string() },
        /** Whether a notification says what is asked, on a screen that others may see. */
        detail: v.boolean(),
        ...{ name: v.string(), addedAt: v.number() },
      }),
    ),
    v.maxLength(MAX_SUBSCRIPTIONS),
  ),
});
type Stored = v.InferOutput<typeof Stored>;
export type Subscription = Stored['subscriptions'][number];

/** Names a subscription to whoever is logged in; the endpoint itself lets whoever knows it send. */
export const subscriptionId = (endpoint: string): string =>
  createHash('sha256').update(endpoint).digest('hex').slice(0, 32);

export class PushSubscriptions {
  readonly #file: KeptJson<typeof Stored>;
  #stored: Stored | undefined;

  /** @throws CpnsError cannot-persist when what is kept is something else */
  constructor(stateDir: string) {
    this.#file = new KeptJson(join(stateDir, FILE), Stored);
    this.#stored = this.#file.read();
  }

  list(): readonly Subscription[] {
    return this.#stored?.subscriptions ?? [];
  }

  /** For browsers to subscribe with. Makes the key. */
  publicKey(): string {
    return vapidPublicKey(this.key());
  }

  key(): KeyObject {
    const der = Buffer.from(this.#made().vapidKey, 'base64url');
    return createPrivateKey({ key: der, format: 'der', type: 'pkcs8' });
  }

  /** In the place of an earlier one of the same endpoint. @throws CpnsError busy when there are too many */
  add(subscription: Subscription): void {
    const others = this.list().filter(({ endpoint }) => endpoint !== subscription.endpoint);
    if (others.length >= MAX_SUBSCRIPTIONS)
      throw new CpnsError('busy', undefined, {
        mend: `There are ${MAX_SUBSCRIPTIONS} browsers. Take one off first.`,
      });
    this.#keep([...others, subscription]);
  }

  find(id: string): Subscription | undefined {
    return this.list().find(({ endpoint }) => subscriptionId(endpoint) === id);
  }

  /** Harmless when it is gone already. */
  remove(id: string): void {
    if (this.find(id)) this.#keep(this.list().filter(({ endpoint }) => subscriptionId(endpoint) !== id));
  }

  removeAll(): void {
    if (this.list().length > 0) this.#keep([]);
  }

  #made(): Stored {
    if (!this.#stored) {
      const der = newVapidKey().export({ format: 'der', type: 'pkcs8' });
      this.#write({ vapidKey: der.toString('base64url'), subscriptions: [] });
    }
    return this.#stored as Stored;
  }

  #keep(subscriptions: readonly Subscription[]): void {
    this.#write({ ...this.#made(), subscriptions: [...subscriptions] });
  }

  #write(next: Stored): void {
    this.#file.write(next);
    this.#stored = next;
  }
}
