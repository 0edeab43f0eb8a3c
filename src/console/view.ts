/**
 * What the console shows, as its page gets it: types only, for both sides. Everything that somebody else chose is plain
 * text; no code, key or cookie is ever in it.
 */
import type { ApprovalView } from '../nodes/gateway/approval-view.ts';
import type { ReportView } from '../nodes/gateway/report-view.ts';

export interface ConsoleView {
  readonly gateway: {
    readonly label: string;
    readonly user: string;
    readonly homeAddress: string;
    readonly server: string;
  };
  readonly health: HealthView;
  readonly approvals: readonly ApprovalView[];
  /** Without the evidence, which is in the file of each. */
  readonly reports: readonly Omit<ReportView, 'evidence'>[];
  readonly pnes: readonly PneView[];
  readonly pns: readonly PnView[];
  readonly enrolments: readonly EnrolmentView[];
  /** Those that are told of questions while their page is closed. */
  readonly browsers: readonly BrowserView[];
  /** The newest first. */
  readonly stories: readonly StoryView[];
  readonly canScan: boolean;
  readonly canShowCode: boolean;
  /** Whether this gateway has the page of the PNE to serve. */
  readonly hasPnePage: boolean;
  readonly access: {
    readonly hasPassword: boolean;
    readonly passkeys: readonly PasskeyView[];
    /** Names of this host, best first: what a passkey can be for. */
    readonly names: readonly string[];
    readonly sessions: number;
    readonly fingerprint: string;
  };
}

export interface PasskeyView {
  /** As the authenticator chose it; no secret. */
  readonly id: string;
  readonly name: string;
  /** The host name that it is for. */
  readonly rpId: string;
  /** Seconds since 1970. */
  readonly addedAt: number;
  readonly usedAt: number | null;
  /** Its count went back once: it may have been copied. */
  readonly wentBack: boolean;
}

/** A browser that is told of questions while its page is closed. */
export interface BrowserView {
  /** Start of the hash of its endpoint, in hex. */
  readonly id: string;
  readonly name: string;
  /** Whether its notifications say what is asked. */
  readonly detail: boolean;
  /** Seconds since 1970. */
  readonly addedAt: number;
  /** Host of its push service. */
  readonly service: string;
  /** How the last message went, in words; null before the first since the start. */
  readonly last: string | null;
}

/** What a push message carries, encrypted for the browser. */
export interface PushMessage {
  readonly title: string;
  readonly body: string;
  /** The question that it is about; null for a trial. */
  readonly joinId: string | null;
}

/** Answer to `passkey-new`; texts of bytes are base64url. */
export interface PasskeyOptionsView {
  readonly rpId: string;
  readonly challenge: string;
  readonly user: { readonly id: string; readonly name: string; readonly displayName: string };
  /** COSE numbers, the best first. */
  readonly algorithms: readonly number[];
  /** Those that an authenticator is not to make again. */
  readonly known: readonly string[];
}

export interface HealthView {
  /** null while it has not been asked yet. */
  readonly healthy: boolean | null;
  readonly text: string;
  readonly radio: 'ready' | 'waiting';
  /** Of a radio that is waited for. */
  readonly why: string | null;
  readonly profile: string;
  readonly channel: 'up' | 'down';
  readonly links: number;
}

export interface PneView {
  readonly thumbprint: string;
  readonly label: string | null;
  readonly acknowledged: boolean;
  readonly revoked: boolean;
}

export interface PnView {
  readonly pnId: string;
  readonly name: string;
  readonly version: number;
  readonly inviting: boolean;
  readonly members: readonly MemberView[];
}

export interface MemberView {
  readonly joinId: string;
  /** null while the server has not listed it. */
  readonly handle: number | null;
  readonly label: string | null;
  readonly state: 'pending' | 'live' | 'refused';
  readonly meaning: string | null;
  readonly acknowledged: boolean;
  readonly link: boolean;
}

export interface EnrolmentView {
  readonly id: number;
  readonly by: 'typed' | 'shown';
  readonly state: 'waiting' | 'comparing' | 'done' | 'failed';
  /** Of a PNE that has the code, or was enrolled. */
  readonly label: string | null;
  /** What it has to show, while it waits for a yes. */
  readonly digits: string | null;
  /** Why it failed. */
  readonly meaning: string | null;
}

export type StoryKind = 'join' | 'return' | 'enrolment' | 'question' | 'link';

/** What happened in one go: a link and what went over it, or a question and its answer. */
export interface StoryView {
  readonly id: number;
  readonly kind: StoryKind;
  /** Label of the PNE and of who asked, where they are known. */
  readonly about: string | null;
  readonly startedAtMs: number;
  readonly steps: readonly StoryStep[];
}

export interface StoryStep {
  /** Of the protocol's flow, where it is one. */
  readonly step: number | null;
  /** Name of the message or event. */
  readonly name: string;
  readonly from: string;
  readonly to: string;
  readonly via: 'ble' | 'https' | 'local';
  readonly bytes: number;
  readonly atMs: number;
  readonly status: string | null;
  /** The status in words. */
  readonly meaning: string | null;
  /** Whether its status is the end of what was wanted. */
  readonly ends: boolean;
}

/** What an error answers. */
export interface RefusalView {
  readonly status: string;
  readonly sentence: string;
  readonly retryAfterSeconds?: number;
  /** The browser is logged in, and has to log in once more for what it asked. */
  readonly loginTooOld?: true;
}

/** Answer to `show-code`: to whoever asked, and nobody else. */
export interface ShownCodeView {
  readonly code: string;
  /** The page with the code behind its #; null where no page is served. */
  readonly url: string | null;
  readonly expiresInMs: number;
  /** The QR of the address, or of the code: a row a text, `1` is dark. */
  readonly modules: readonly string[];
}
