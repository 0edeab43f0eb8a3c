/**
 * Tells browsers of a question while their page is closed. Owns what a message says, how often one is sent, trying again,
 * and what a push service's answer means. The gateway contacts nobody for this before its owner has added a browser.
 */
import { createHash } from 'node:crypto';
import { limitInWords } from '../base/money.ts';
import type { Clock } from '../base/time.ts';
import type { ConsoleConfig } from '../config/console-config.ts';
import { Buckets } from '../https/server-limits.ts';
import type { ConfirmRequestView } from '../network/approval-policy.ts';
import { type ApprovalView, approvalView } from '../nodes/gateway/approval-view.ts';
import { encryptPush, PLAIN_BYTES, vapidHeader } from './push-crypto.ts';
import { pushTarget } from './push-hosts.ts';
import { sendPush } from './push-send.ts';
import { type PushSubscriptions, type Subscription, subscriptionId } from './push-subscriptions.ts';
import type { BrowserView, PushMessage } from './view.ts';

/** Questions come one by one; a flood of them is no reason to send as many messages. */
const MESSAGES = { burst: 10, perSecond: 1 / 60 };
const AGAIN_MS = [5_000, 60_000] as const;
/** Of a message that only says that messages arrive. */
const TRIAL_TTL_SECONDS = 60;
const MAX_TTL_SECONDS = 24 * 3_600;

export interface PushOptions {
  readonly subscriptions: PushSubscriptions;
  readonly config: Pick<ConsoleConfig, 'pushHosts' | 'pushContact'>;
  readonly clock: Clock;
  /** More to trust than the system does, PEM; for tests. */
  readonly ca?: string | undefined;
  readonly onChange: () => void;
  /** What went wrong here, a disk that takes nothing say. */
  readonly onFault: (error: unknown) => void;
}

export class Push {
  readonly #options: PushOptions;
  readonly #budget = new Buckets(MESSAGES);
  /** How the last message to each went; it goes with the subscription, however that is taken off. */
  readonly #last = new WeakMap<Subscription, string>();
  readonly #timers = new Set<NodeJS.Timeout>();
  #isClosed = false;

  constructor(options: PushOptions) {
    this.#options = options;
  }

  browsers(): readonly BrowserView[] {
    return this.#options.subscriptions.list().map((subscription) => {
      const { endpoint, name, detail, addedAt } = subscription;
      const [id, service] = [subscriptionId(endpoint), new URL(endpoint).host];
      return { id, name, detail, addedAt, service, last: this.#last.get(subscription) ?? null };
    });
  }

  /** @param gateway its label */
  asked(question: ConfirmRequestView, gateway: string): void {
    const { subscriptions, clock } = this.#options;
    if (subscriptions.list().length === 0 || this.#budget.take('', clock.monotonicMs()) > 0) return;
    const view = approvalView(question);
    for (const subscription of subscriptions.list()) {
      this.#begin(subscription, said(view, gateway, subscription.detail), view.deadline, 0);
    }
  }

  /** @returns how it went, in words */
  async trial(subscription: Subscription, gateway: string): Promise<string> {
    const message = { title: gateway, body: 'Notifications arrive here.', joinId: null };
    const until = this.#options.clock.wallSeconds() + TRIAL_TTL_SECONDS;
    await this.#deliver(subscription, message, until, AGAIN_MS.length);
    return this.#last.get(subscription) ?? 'gone';
  }

  close(): void {
    this.#isClosed = true;
    for (const timer of this.#timers) clearTimeout(timer);
  }

  /** Nobody waits for it: what it throws ends nothing else. */
  #begin(subscription: Subscription, message: PushMessage, until: number, attempt: number): void {
    this.#deliver(subscription, message, until, attempt).catch(this.#options.onFault);
  }

  /** @param until server seconds after which nobody needs it @param attempt from 0 */
  async #deliver(
    subscription: Subscription,
    message: PushMessage,
    until: number,
    attempt: number,
  ): Promise<void> {
    const { subscriptions, clock, onChange } = this.#options;
    const id = subscriptionId(subscription.endpoint);
    const ttlSeconds = Math.min(MAX_TTL_SECONDS, until - clock.wallSeconds());
    if (this.#isClosed || ttlSeconds <= 0 || !subscriptions.find(id)) return;
    const http = await this.#send(subscription, message, ttlSeconds);
    if (this.#isClosed) return;
    if (http === 404 || http === 410) {
      // The browser has taken it back, or is gone.
      subscriptions.remove(id);
      this.#last.delete(subscription);
    } else this.#last.set(subscription, inWords(http));
    onChange();
    const waitMs = http === 0 || http === 429 || http >= 500 ? AGAIN_MS[attempt] : undefined;
    if (waitMs === undefined) return;
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      this.#begin(subscription, message, until, attempt + 1);
    }, waitMs);
    this.#timers.add(timer);
    timer.unref();
  }

  /** @returns the HTTP status; 0 when there is none */
  async #send(subscription: Subscription, message: PushMessage, ttlSeconds: number): Promise<number> {
    const { subscriptions, config, clock, ca } = this.#options;
    const { endpoint, p256dh, auth } = subscription;
    // The configuration may have changed since it was added.
    const target = pushTarget(endpoint, config.pushHosts);
    if (!target) return 0;
    try {
      const [publicKey, secret] = [p256dh, auth].map((text) => Buffer.from(text, 'base64url')) as [
        Buffer,
        Buffer,
      ];
      const body = encryptPush(Buffer.from(JSON.stringify(message)), { publicKey, auth: secret });
      const now = clock.wallSeconds();
      const authorization = vapidHeader(subscriptions.key(), target.url.origin, config.pushContact, now);
      return await sendPush(target, { body, authorization, ttlSeconds, topic: topicOf(message) }, ca);
    } catch {
      return 0;
    }
  }
}

function inWords(http: number): string {
  if (http >= 200 && http < 300) return 'the push service took it';
  return http === 0 ? 'the push service was not reached' : `the push service refused it (HTTP ${http})`;
}

/** What is on the screen, whoever sees that: all of it, or only that there is something. */
function said(view: ApprovalView, gateway: string, detail: boolean): PushMessage {
  const { joinId } = view;
  const title = `${gateway}: a question for you`;
  const cost = limitInWords(view.limit, view.currency, view.periodDays);
  const body = `${view.user}’s gateway “${view.gateway}” wants your “${view.pne}” to join “${view.claimedPnName}”; charges up to ${cost}.`;
  const told = { title, body, joinId };
  if (detail && Buffer.byteLength(JSON.stringify(told)) < PLAIN_BYTES) return told;
  return { title, body: 'Open the page to read and answer it.', joinId };
}

/** A hash: the push service is to know that two messages are about one question, not which. */
function topicOf({ joinId, title }: PushMessage): string {
  const hash = createHash('sha256').update(`push ${joinId ?? title}`);
  return hash.digest('base64url').slice(0, 32);
}
