/** What the methods of the page share: what they are given, what they are asked, what they answer. Types only. */
import type { GatewayNode } from '../nodes/gateway/gateway.ts';
import type { LoginAttempts } from './attempts.ts';
import type { Enrolments } from './enrolments.ts';
import type { Passkeys } from './passkeys.ts';
import type { Password } from './password.ts';
import type { Push } from './push.ts';
import type { PushSubscriptions } from './push-subscriptions.ts';
import type { OneTimeLinks, Session, Sessions } from './sessions.ts';

/** What of the gateway the console uses. */
export type ConsoleGateway = Pick<
  GatewayNode,
  | 'adapter'
  | 'approvals'
  | 'compared'
  | 'decide'
  | 'inventory'
  | 'pair'
  | 'pnes'
  | 'pns'
  | 'report'
  | 'reports'
  | 'revokePne'
  | 'showCode'
  | 'status'
  | 'vitals'
  | 'withdrawReport'
>;

export interface ApiParts {
  readonly gateway: ConsoleGateway;
  readonly links: OneTimeLinks;
  readonly sessions: Sessions;
  readonly password: Password;
  readonly passkeys: Passkeys;
  readonly subscriptions: PushSubscriptions;
  readonly push: Push;
  /** Push services that the configuration names. */
  readonly pushHosts: readonly string[];
  readonly attempts: LoginAttempts;
  readonly enrolments: Enrolments;
  readonly hasPnePage: boolean;
  readonly fingerprint: string;
  /** Monotonic. */
  readonly nowMs: () => number;
  /** Since 1970. */
  readonly nowSeconds: () => number;
  /** Something changed that everybody who looks on should see. */
  readonly onChange: () => void;
}

export interface ApiCall {
  readonly body: unknown;
  /** The page's own origin, checked. */
  readonly origin: string;
  /** That the caller is connected to: Host may name any. */
  readonly port: number;
  /** Who calls, as `addressName` has it. */
  readonly address: string;
}

export interface ApiAnswer {
  readonly value: unknown;
  /** A session begins with this secret; empty: it ends. */
  readonly cookie?: string;
}

export interface Download {
  readonly fileName: string;
  /** JSON. */
  readonly text: string;
}

export type Method = (call: ApiCall, session: Session) => Promise<ApiAnswer> | ApiAnswer;

/** For everybody; with the session that the browser has already, if it has one. */
export type OpenMethod = (call: ApiCall, session: Session | undefined) => Promise<ApiAnswer>;
