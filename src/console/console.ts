/**
 * The gateway's console: its page, who may use it, what it shows. Composition, and the view that is made of the node's state.
 * Everything that changes something is the node's own method, the same as behind the control socket.
 */

import { type Bytes, toHex } from '../base/bytes.ts';
import type { Clock } from '../base/time.ts';
import type { ConsoleConfig } from '../config/console-config.ts';
import type { GattRole } from '../config/parts.ts';
import { InventoryPayload, type Member } from '../messages/inventory.ts';
import { approvalView } from '../nodes/gateway/approval-view.ts';
import type { GatewayEvent } from '../nodes/gateway/events.ts';
import { judge, type Verdict } from '../nodes/health.ts';
import type { TraceEvent } from '../nodes/trace.ts';
import { parseSign1 } from '../security/cose.ts';
import { Api } from './api.ts';
import type { ConsoleGateway } from './api-types.ts';
import { LoginAttempts, PASSWORDS } from './attempts.ts';
import { consoleCertificate } from './certificate.ts';
import { Enrolments } from './enrolments.ts';
import { readPages } from './files.ts';
import { Hosts, hostInUrl, isName } from './hosts.ts';
import type { PageHttps } from './page-https.ts';
import { Passkeys } from './passkeys.ts';
import { Password } from './password.ts';
import { Push } from './push.ts';
import { PushSubscriptions } from './push-subscriptions.ts';
import { openConsoleServer } from './server.ts';
import { LINK_LIFE_MS, OneTimeLinks, Sessions } from './sessions.ts';
import { Stories } from './stories.ts';
import { Streams } from './streams.ts';
import type { ConsoleView, HealthView, PnView } from './view.ts';

/** How often the radio is asked while somebody looks on, and how long it may take. */
const HEALTH_EVERY_MS = 10_000;
const HEALTH_WITHIN_MS = 5_000;

export interface ConsoleOptions {
  readonly stateDir: string;
  readonly config: ConsoleConfig;
  readonly gateway: ConsoleGateway;
  /** Which side of a link the gateway is. */
  readonly as: GattRole;
  readonly clock: Clock;
  /** Where the built pages are; those beside the program by default. */
  readonly pages?: string | undefined;
  /** What push services are believed under besides what the system trusts, PEM. */
  readonly pushCa?: string | undefined;
  readonly onFault: (error: unknown) => void;
}

/** A link that logs in, once. */
export interface ConsoleLink {
  /** By the name that is best, then the others. */
  readonly urls: readonly string[];
  readonly fingerprint: string;
  /** Nobody made this certificate for a browser to trust: the fingerprint has to be compared. */
  readonly selfSigned: boolean;
  readonly expiresInMs: number;
}

/** How many of each were taken away. */
export interface ConsoleReset {
  readonly passwords: number;
  readonly passkeys: number;
  readonly browsers: number;
  readonly logins: number;
}

/**
 * Listens; resolves when connections are taken.
 * @throws ConfigError, CpnsError cannot-persist, Error of node:net
 */
export async function openConsole(options: ConsoleOptions): Promise<Console> {
  const console = new Console(options);
  await console.listen();
  return console;
}

export class Console {
  readonly #options: ConsoleOptions;
  readonly #hosts: Hosts;
  readonly #stories = new Stories();
  readonly #links = new OneTimeLinks();
  readonly #sessions = new Sessions();
  readonly #password: Password;
  readonly #passkeys: Passkeys;
  readonly #subscriptions: PushSubscriptions;
  readonly #push: Push;
  readonly #enrolments: Enrolments;
  readonly #streams: Streams;
  readonly #certificate;
  readonly #pages;
  #server: PageHttps | undefined;
  #verdict: Verdict | undefined;
  #asking: NodeJS.Timeout | undefined;

  constructor(options: ConsoleOptions) {
    this.#options = options;
    const { stateDir, config, clock, pages } = options;
    this.#hosts = new Hosts(config.names);
    this.#certificate = consoleCertificate(stateDir, config, this.#hosts.names(), clock.wallMs());
    this.#password = new Password(stateDir);
    this.#passkeys = new Passkeys(stateDir);
    this.#subscriptions = new PushSubscriptions(stateDir);
    this.#push = new Push({
      ...{ subscriptions: this.#subscriptions, config, clock, ca: options.pushCa },
      onChange: () => this.#streams.changed(),
      onFault: options.onFault,
    });
    this.#pages = readPages(pages);
    this.#streams = new Streams(() => this.view(), options.onFault);
    this.#enrolments = new Enrolments(() => this.#streams.changed());
  }

  async listen(): Promise<void> {
    const { config, gateway, clock, onFault } = this.#options;
    const nowMs = () => clock.monotonicMs();
    const api = new Api({
      gateway,
      nowMs,
      nowSeconds: () => clock.wallSeconds(),
      links: this.#links,
      sessions: this.#sessions,
      password: this.#password,
      passkeys: this.#passkeys,
      subscriptions: this.#subscriptions,
      push: this.#push,
      pushHosts: config.pushHosts,
      attempts: new LoginAttempts(PASSWORDS),
      enrolments: this.#enrolments,
      hasPnePage: this.#pages.hasPne,
      fingerprint: this.#certificate.fingerprint,
      onChange: () => this.#streams.changed(),
    });
    this.#server = await openConsoleServer({
      listen: config.listen,
      certificate: this.#certificate,
      pages: this.#pages,
      isOwnHost: (host) => this.#hosts.isOwn(host),
      api,
      sessions: this.#sessions,
      streams: this.#streams,
      view: () => this.view(),
      nowMs,
      onFault,
    });
    void this.#askHealth();
    this.#asking = setInterval(() => {
      if (this.#streams.count > 0) void this.#askHealth();
    }, HEALTH_EVERY_MS);
    this.#asking.unref();
  }

  get port(): number {
    return this.#server?.port ?? 0;
  }

  get fingerprint(): string {
    return this.#certificate.fingerprint;
  }

  /** Whether there is a page to serve; without it the console can do nothing. */
  get hasPage(): boolean {
    return this.#pages.hasConsole;
  }

  /** A new link that logs in, once, within ten minutes. */
  link(): ConsoleLink {
    const secret = this.#links.issue(this.#options.clock.monotonicMs());
    const { host } = this.#options.config.listen;
    const everywhere = host === '0.0.0.0' || host === '::';
    const names = everywhere ? this.#hosts.names() : [...this.#options.config.names, host];
    return {
      urls: names.map((name) => `https://${hostInUrl(name)}:${this.port}/#login=${secret}`),
      fingerprint: this.#certificate.fingerprint,
      selfSigned: !this.#certificate.isOwn,
      expiresInMs: LINK_LIFE_MS,
    };
  }

  /** Back to the shell alone: no password, no passkey, no notified browser, nobody logged in, no earlier link. */
  reset(): ConsoleReset {
    const told = {
      passwords: this.#password.isSet ? 1 : 0,
      passkeys: this.#passkeys.list().length,
      browsers: this.#subscriptions.list().length,
      logins: this.#sessions.count(this.#options.clock.monotonicMs()),
    };
    this.#links.voidAll();
    this.#sessions.endAll();
    this.#password.remove();
    this.#passkeys.removeAll();
    this.#subscriptions.removeAll();
    this.#streams.changed();
    return told;
  }

  trace(event: TraceEvent): void {
    this.#stories.trace(event);
    this.#streams.changed();
  }

  event(event: GatewayEvent): void {
    this.#stories.event(event, this.#options.clock.wallMs());
    if (event.kind === 'asked') this.#push.asked(event.view, this.#options.gateway.status().label);
    if (event.kind === 'radio' || event.kind === 'channel') void this.#askHealth();
    this.#streams.changed();
  }

  view(): ConsoleView {
    const { gateway, as, clock } = this.#options;
    const { label, user, homeAddress, server, radio, channel, links, pns } = gateway.status();
    const why = radio.state === 'waiting' ? radio.why : null;
    const health: HealthView = {
      ...{ healthy: this.#verdict?.healthy ?? null, text: this.#verdict?.text ?? 'not asked yet' },
      ...{ radio: radio.state, why, channel, links },
      profile: gateway.adapter.settings.profile,
    };
    return {
      gateway: { label, user, homeAddress, server },
      health,
      approvals: gateway.approvals().map(approvalView),
      reports: gateway.reports().map(({ evidence: _evidence, ...report }) => report),
      pnes: gateway.pnes().map(({ label: name, epoch: _epoch, ...pne }) => ({ ...pne, label: name ?? null })),
      pns: pns.map((pn) => pnView(pn, gateway.inventory(pn.pnId))),
      enrolments: this.#enrolments.list(),
      browsers: this.#push.browsers(),
      stories: this.#stories.list(),
      canScan: as !== 'peripheral',
      canShowCode: as !== 'central',
      hasPnePage: this.#pages.hasPne,
      access: {
        hasPassword: this.#password.isSet,
        passkeys: this.#passkeys.list(),
        names: this.#hosts.names().filter(isName),
        sessions: this.#sessions.count(clock.monotonicMs()),
        fingerprint: this.#certificate.fingerprint,
      },
    };
  }

  async close(): Promise<void> {
    clearInterval(this.#asking);
    this.#push.close();
    this.#streams.close();
    this.#sessions.endAll();
    await this.#server?.close();
  }

  async #askHealth(): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<undefined>((resolve) => {
      timer = setTimeout(resolve, HEALTH_WITHIN_MS, undefined);
    });
    try {
      const vitals = await Promise.race([this.#options.gateway.vitals(), late]);
      // What it remarks in passing, the page shows as it is now.
      this.#verdict = judge(vitals && { ...vitals, remark: undefined });
    } catch {
      this.#verdict = judge(undefined);
    } finally {
      clearTimeout(timer);
    }
    this.#streams.changed();
  }
}

type PnStatus = ReturnType<ConsoleGateway['pns']>[number];

function pnView({ pnId, name, version, inviting, joins }: PnStatus, inventory: Bytes | undefined): PnView {
  const members: readonly Member[] = inventory
    ? InventoryPayload.decode(parseSign1(inventory).payload).members
    : [];
  return {
    ...{ pnId, name, version, inviting },
    members: joins.map(({ joinId, state, meaning, acknowledged, link }) => {
      const member = members.find((each) => toHex(each.joinId) === joinId);
      const listed = { handle: member?.handle ?? null, label: member?.label ?? null };
      return { joinId, ...listed, state, meaning: meaning ?? null, acknowledged, link };
    }),
  };
}
