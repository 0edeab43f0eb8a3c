/**
 * What an operator does to a server's state directory: make it, users, tokens, gateways, PNEs, the clock, audits. Works on
 * the same database as a server that is running, which sees each change at the next request.
 * Owns names people type (hex, labels) and their checks. Must not print anything. Source: docs/protocol.md §7.3; design §6.
 */
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { type Bytes, fromHex, toHex } from '../../base/bytes.ts';
import { CpnsError } from '../../base/errors.ts';
import { GatewayId, PnId, Thumbprint } from '../../base/ids.ts';
import type { Clock, ServerSeconds } from '../../base/time.ts';
import { type AuditReport, auditPn } from '../../establishment/audit.ts';
import { LIMITS, realm as realmSchema } from '../../messages/common.ts';
import { isLabel } from '../../messages/label.ts';
import { coseKeyOf, kidOf } from '../../security/cose-key.ts';
import { makeDirectory } from '../../security/durable-file.ts';
import { createGatewayToken, TOKEN_ID_BYTES, TOKEN_SECRET_BYTES } from '../../security/gateway-token.ts';
import type { Primitives } from '../../security/primitives.ts';
import { nodePrimitives } from '../../security/primitives-node.ts';
import { pinServerKeys, type ServerKeys } from '../../security/server-keys.ts';
import {
  type GatewayRecord,
  openServerStore,
  type PneRecord,
  type PnRecord,
  type ServerStore,
  type UserRecord,
} from '../../store/server-store.ts';
import { systemClock, systemRandom } from '../system-clock.ts';
import { createOperator, Operator } from './identity.ts';
import { loadServerKeys, retiredServerKeys, retireServerKey, rollServerKey } from './key-set.ts';
import { type CheckedReport, checkReport } from './report-check.ts';
import { DATABASE_FILE } from './server.ts';

const TOKEN_SECONDS = 86_400;

export interface InitOptions {
  readonly stateDir: string;
  /** The operator's domain name, at most 47 bytes: the right-hand side of every home address. */
  readonly realm: string;
  /** Names and addresses gateways dial; default localhost, 127.0.0.1 and ::1. */
  readonly hosts?: readonly string[];
  readonly clock?: Pick<Clock, 'wallSeconds'>;
}

/**
 * Makes the keys, the CA and the database of a new operator.
 * @throws CpnsError conflict when the directory holds one already, name-not-allowed, cannot-persist
 */
export function initServer(options: InitOptions): void {
  const { stateDir, realm, clock = systemClock } = options;
  const hosts = options.hosts ?? ['localhost', '127.0.0.1', '::1'];
  try {
    realmSchema().toCbor(realm, 'realm');
  } catch (cause) {
    throw new CpnsError('name-not-allowed', 'the realm is a domain name in lower case', { cause });
  }
  if (hosts.length === 0) throw new CpnsError('name-not-allowed', 'the server needs a name');
  makeDirectory(stateDir);
  const store = openServerStore(join(stateDir, DATABASE_FILE));
  try {
    if (store.realm !== undefined) throw new CpnsError('conflict', 'initialised already');
    const now = clock.wallSeconds();
    createOperator(stateDir, realm, now);
    // Tried before it is written down: a name that no certificate can state is refused here.
    new Operator(stateDir, nodePrimitives()).tls(hosts, now);
    store.initialise(realm, hosts, now);
  } finally {
    store.close();
  }
}

export interface IssuedToken {
  /** `CPNSGW:` and 68 characters; shown once, kept nowhere. */
  readonly token: string;
  readonly expiresAt: ServerSeconds;
}

/** @throws CpnsError cannot-persist when there is no server in the directory */
export function openServerAdmin(
  stateDir: string,
  clock: Pick<Clock, 'wallSeconds'> = systemClock,
): ServerAdmin {
  const store = openServerStore(join(stateDir, DATABASE_FILE), { skipIntegrityCheck: true });
  if (store.realm === undefined) {
    store.close();
    throw new CpnsError('cannot-persist', 'run `cpns server init` first');
  }
  return new ServerAdmin(stateDir, store, clock);
}

export class ServerAdmin {
  readonly #stateDir: string;
  readonly #store: ServerStore;
  readonly #clock: Pick<Clock, 'wallSeconds'>;

  constructor(stateDir: string, store: ServerStore, clock: Pick<Clock, 'wallSeconds'>) {
    this.#stateDir = stateDir;
    this.#store = store;
    this.#clock = clock;
  }

  // Users

  /** @param label at most 24 bytes @throws CpnsError name-not-allowed, conflict */
  addUser(label: string): UserRecord {
    checkLabel(label, LIMITS.userLabel);
    return this.#store.directory.addUser(label, this.#now());
  }

  users(): readonly UserRecord[] {
    return this.#store.directory.users();
  }

  /** Ends a subscription: the user's gateways and PNEs with it. @throws CpnsError not-found */
  revokeUser(label: string): void {
    found(this.#store.directory.revokeUser(label, this.#now()));
  }

  // Gateways

  /**
   * A one-time token by which a gateway of this user enrols.
   * @param options.gatewayLabel at most 24 bytes
   * @param options.ttlSeconds how long it may be used; default one day
   * @throws CpnsError not-found, revoked-user, name-not-allowed
   */
  createToken(options: {
    readonly user: string;
    readonly gatewayLabel: string;
    readonly ttlSeconds?: number;
  }): IssuedToken {
    const { user: label, gatewayLabel, ttlSeconds = TOKEN_SECONDS } = options;
    checkLabel(gatewayLabel, LIMITS.gatewayLabel);
    const user = this.#store.directory.user(label);
    if (!user) throw new CpnsError('not-found', 'no such user');
    if (user.revoked) throw new CpnsError('revoked-user');
    const primitives = nodePrimitives();
    const { caThumbprint } = new Operator(this.#stateDir, primitives);
    const [tokenId, secret] = [systemRandom(TOKEN_ID_BYTES), systemRandom(TOKEN_SECRET_BYTES)];
    const expiresAt = this.#now() + ttlSeconds;
    this.#store.directory.addToken({
      ...{ tokenId, userId: user.userId, gatewayLabel, expiresAt },
      secretSha256: new Uint8Array(createHash('sha256').update(secret).digest()),
    });
    return { token: createGatewayToken(primitives, caThumbprint, tokenId, secret), expiresAt };
  }

  gateways(): readonly GatewayRecord[] {
    return this.#store.directory.gateways();
  }

  /** @param id gatewayId, 16 hex digits @throws CpnsError not-found */
  revokeGateway(id: string): void {
    found(this.#store.directory.revokeGateway(GatewayId(hex(id, 8)), this.#now()));
  }

  // PNEs

  pnes(): readonly PneRecord[] {
    return this.#store.directory.pnes();
  }

  /** For good: the key is never enrolled again. @param id thumbprint, 64 hex digits @throws CpnsError not-found */
  revokePne(id: string): void {
    found(this.#store.directory.endPne(Thumbprint(hex(id, 32)), 'revoked'));
  }

  /** Lets another user enrol the same key. @param id thumbprint, 64 hex digits @throws CpnsError not-found */
  releasePne(id: string): void {
    found(this.#store.directory.endPne(Thumbprint(hex(id, 32)), 'released'));
  }

  // Networks

  pns(): readonly PnRecord[] {
    return this.#store.registrations.pns();
  }

  /** Verifies a registered PN again from the stored evidence. @param id pnId, 16 hex digits @throws CpnsError not-found */
  audit(id: string): AuditReport {
    const pnId = PnId(hex(id, 8));
    const joins = this.#store.registrations.evidence(pnId);
    if (joins.length === 0) throw new CpnsError('not-found');
    const { primitives, serverKeys } = this.#everyKey();
    return auditPn({ pnId, serverKeys, joins }, primitives);
  }

  /** Verifies what a user reported. @throws CpnsError as src/nodes/server/report-check.ts says */
  checkReport(request: Bytes, answer: Bytes): CheckedReport {
    return checkReport({ request, answer }, this.#everyKey(), this.#store);
  }

  /** The keys that this operator signs or ever signed with. */
  #everyKey(): { readonly primitives: Primitives; readonly serverKeys: ServerKeys } {
    const primitives = nodePrimitives();
    const { rootKey, coseKeys } = new Operator(this.#stateDir, primitives);
    const retired = retiredServerKeys(this.#stateDir).map(coseKeyOf);
    return { primitives, serverKeys: pinServerKeys(primitives, rootKey, [...coseKeys, ...retired]) };
  }

  // Keys

  /** The keys the server signs with, newest first: that one signs. */
  serverKeys(): readonly { readonly number: number; readonly kid: string; readonly signs: boolean }[] {
    const primitives = nodePrimitives();
    return loadServerKeys(this.#stateDir).map(({ number, signer }, i) => ({
      number,
      kid: toHex(kidOf(primitives, signer.publicKey)),
      signs: i === 0,
    }));
  }

  /** A new signing key, from the server's next start on. @returns its number @throws CpnsError cannot-persist */
  rollServerKey(): number {
    return rollServerKey(this.#stateDir);
  }

  /** An end to the belief in an older key, from the server's next start on. @throws CpnsError not-found, conflict */
  retireServerKey(number: number): void {
    retireServerKey(this.#stateDir, number);
  }

  // The clock

  /** The last time the server was sure of, and what the host's clock says now. */
  clock(): { readonly sure: ServerSeconds; readonly wall: ServerSeconds } {
    return { sure: this.#store.highWater, wall: this.#now() };
  }

  /** Takes the host's clock for right: the server signs again. Look at the clock first. @returns the accepted time */
  acceptClock(): ServerSeconds {
    const now = this.#now();
    this.#store.setHighWater(now);
    return now;
  }

  close(): void {
    this.#store.close();
  }

  #now(): ServerSeconds {
    return this.#clock.wallSeconds();
  }
}

function checkLabel(label: string, maxBytes: number): void {
  if (!isLabel(label, maxBytes)) throw new CpnsError('name-not-allowed');
}

function found(changed: boolean): void {
  if (!changed) throw new CpnsError('not-found');
}

/** @throws CpnsError not-found for what can't be an identifier */
function hex(text: string, bytes: number): Uint8Array {
  const clean = text.trim().toLowerCase();
  if (clean.length !== 2 * bytes || !/^[0-9a-f]+$/.test(clean)) throw new CpnsError('not-found');
  return fromHex(clean);
}
