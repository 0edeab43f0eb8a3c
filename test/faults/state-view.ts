/**
 * What one party has on disk, as plain values that go through JSON: the common input of the safety rules (safety.ts) and of
 * the judgement of how a run ended (outcome.ts), for real state directories and for the stores of the simulation alike.
 * Reads through the stores and changes nothing; a view is one moment, whoever writes meanwhile. Bytes are hex; no secrets.
 * Source: protocol-core §8 (who persists what).
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Bytes } from '../../src/base/bytes.ts';
import type { Status } from '../../src/base/statuses.ts';
import type { DurableServerState } from '../../src/establishment/server-table.ts';
import type { OutboxKind } from '../../src/establishment/server-types.ts';
import { Operator } from '../../src/nodes/server/identity.ts';
import { thumbprintOf } from '../../src/security/cose-key.ts';
import { loadKey } from '../../src/security/keystore.ts';
import type { PublicKey } from '../../src/security/primitives.ts';
import { nodePrimitives } from '../../src/security/primitives-node.ts';
import { GATEWAY_MIGRATIONS } from '../../src/store/gateway-schema.ts';
import { type ConfirmState, GatewayStore, type JoinState } from '../../src/store/gateway-store.ts';
import { PNE_MIGRATIONS } from '../../src/store/pne-schema.ts';
import { PneStore } from '../../src/store/pne-store.ts';
import { SERVER_MIGRATIONS } from '../../src/store/server-schema.ts';
import { type EvidenceRecord, ServerStore } from '../../src/store/server-store.ts';
import { type Database, openDatabase } from '../../src/store/sqlite.ts';
import { connectDatabase } from '../../src/store/sqlite-driver.ts';
import { Statements } from '../../src/store/statements.ts';

export type Role = 'server' | 'gateway' | 'pne';
export type Hex = string;

export interface RegistrationView {
  readonly gatewayId: Hex;
  readonly txn: Hex;
  readonly joinId: Hex;
  readonly th3: Hex;
  readonly pnId: Hex;
  /** Thumbprint of the PNE's key. */
  readonly pne: Hex;
  readonly state: DurableServerState;
  readonly status?: Status;
  /** Step 7 came. */
  readonly responded: boolean;
  /** The gateway that was asked; absent for a refresh. */
  readonly home?: Hex;
  readonly deadline?: number;
  readonly outcome?: Hex;
}

export interface EvidenceView {
  readonly joinId: Hex;
  readonly pnId: Hex;
  readonly version: number;
  readonly pne: Hex;
  /** x ‖ y. */
  readonly pneKey: Hex;
  readonly homeKey: Hex;
  readonly response: Hex;
  readonly answer?: Hex;
  /** For a refresh: the join whose yes it rests on. */
  readonly earlierJoin?: Hex;
  readonly inventory: Hex;
}

export interface ServerView {
  readonly role: 'server';
  /** The COSE keys the server signs with, x ‖ y. */
  readonly keys: readonly Hex[];
  readonly registrations: readonly RegistrationView[];
  readonly pns: readonly {
    readonly pnId: Hex;
    readonly gatewayId: Hex;
    readonly version: number;
    /** The signed inventory of that version. */
    readonly inventory: Hex;
    readonly members: readonly { readonly pne: Hex; readonly joinId: Hex }[];
  }[];
  /** Of joins that no earlier view of the same reader showed: evidence is never changed. */
  readonly evidence: readonly EvidenceView[];
  /** What gateways have not acknowledged. */
  readonly outbox: readonly { readonly to: Hex; readonly kind: OutboxKind; readonly joinId: Hex }[];
}

export interface GatewayView {
  readonly role: 'gateway';
  readonly pns: readonly {
    readonly pnId: Hex;
    readonly setup: 'provisional' | 'live';
    readonly version: number;
    readonly inventory?: Hex;
  }[];
  /** Joins it initiated. */
  readonly joins: readonly {
    readonly joinId: Hex;
    readonly th3: Hex;
    readonly pnId: Hex;
    readonly pne: Hex;
    readonly state: JoinState;
    readonly status?: Status;
    readonly outcome?: Hex;
    readonly acknowledged: boolean;
  }[];
  /** Questions put to it as a home gateway. */
  readonly home: readonly {
    readonly joinId: Hex;
    readonly th3: Hex;
    readonly state: ConfirmState;
    readonly answer?: Hex;
    readonly outcome?: Hex;
    readonly status?: Status;
  }[];
}

export interface PneView {
  readonly role: 'pne';
  /** Its key's. */
  readonly thumbprint: Hex;
  readonly floor: number;
  readonly poweredSeconds: number;
  readonly joins: readonly {
    readonly th3: Hex;
    readonly state: 'pending' | 'member';
    readonly pnId: Hex;
    readonly gatewayId: Hex;
    readonly version: number;
    readonly inventory?: Hex;
  }[];
}

export type PartyView = ServerView | GatewayView | PneView;

export const hex = (bytes: Bytes): Hex =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('hex');
export const keyHex = ({ x, y }: PublicKey): Hex => hex(x) + hex(y);
/** A property that is there when the value is. */
const maybe = <K extends string>(key: K, bytes: Bytes | undefined): { readonly [P in K]?: Hex } =>
  (bytes ? { [key]: hex(bytes) } : {}) as { readonly [P in K]?: Hex };

/** Reads a server's store, and remembers which evidence was shown. */
export class ServerReader {
  readonly #store: ServerStore;
  readonly #keys: readonly Hex[];
  readonly #shown = new Set<Hex>();
  /** The newest inventory of each PN, so that evidence is read only when there is more of it. */
  readonly #newest = new Map<Hex, { readonly version: number; readonly inventory: Hex }>();

  constructor(store: ServerStore, keys: readonly PublicKey[]) {
    this.#store = store;
    this.#keys = keys.map(keyHex);
  }

  read(): ServerView {
    const { registrations, directory, outbox } = this.#store;
    const evidence: EvidenceView[] = [];
    const pns = registrations.pns().map(({ pnId, gatewayId, version }) => {
      const id = hex(pnId);
      if (this.#newest.get(id)?.version !== version) {
        const all = registrations.evidence(pnId);
        const fresh = all.map(evidenceView).filter(({ joinId }) => !this.#shown.has(joinId));
        for (const { joinId } of fresh) this.#shown.add(joinId);
        evidence.push(...fresh);
        const last = all.find((record) => record.version === version);
        this.#newest.set(id, { version, inventory: last ? hex(last.inventory) : '' });
      }
      const members = registrations.pn(pnId)?.members ?? [];
      return {
        pnId: id,
        gatewayId: hex(gatewayId),
        version,
        inventory: this.#newest.get(id)?.inventory ?? '',
        members: members.map(({ pne, joinId }) => ({ pne: hex(pne), joinId: hex(joinId) })),
      };
    });
    return {
      role: 'server',
      keys: this.#keys,
      registrations: registrations.all().map((row) => ({
        gatewayId: hex(row.gatewayId),
        txn: hex(row.txn),
        joinId: hex(row.joinId),
        th3: hex(row.th3),
        pnId: hex(row.pnId),
        pne: hex(row.pne),
        state: row.state,
        responded: row.response !== undefined,
        ...(row.status && { status: row.status }),
        ...maybe('home', row.homeGatewayId),
        ...(row.deadline !== undefined && { deadline: row.deadline }),
        ...maybe('outcome', row.outcome),
      })),
      pns,
      evidence,
      outbox: directory
        .gateways()
        .flatMap(({ gatewayId }) =>
          outbox
            .deliveries(gatewayId, 0, 1_000)
            .map(({ kind, joinId }) => ({ to: hex(gatewayId), kind, joinId: hex(joinId) })),
        ),
    };
  }
}

function evidenceView(record: EvidenceRecord): EvidenceView {
  const { confirmation } = record;
  return {
    joinId: hex(record.joinId),
    pnId: hex(record.pnId),
    version: record.version,
    pne: hex(record.pne),
    pneKey: keyHex(record.pneKey),
    homeKey: keyHex(record.homeGatewayKey),
    response: hex(record.response),
    ...('answer' in confirmation
      ? { answer: hex(confirmation.answer) }
      : { earlierJoin: hex(confirmation.earlierJoin) }),
    inventory: hex(record.inventory),
  };
}

export function viewGateway({ networks, home }: GatewayStore): GatewayView {
  return {
    role: 'gateway',
    pns: networks.pns().map(({ pnId, setup, version }) => ({
      pnId: hex(pnId),
      setup,
      version,
      ...maybe('inventory', networks.inventory(pnId)?.bytes),
    })),
    joins: networks.joins().map((known) => ({
      joinId: hex(known.joinId),
      th3: hex(known.th3),
      pnId: hex(known.pnId),
      pne: hex(known.thumbprint),
      state: known.state,
      ...(known.status && { status: known.status }),
      ...maybe('outcome', known.outcome),
      acknowledged: known.acknowledged,
    })),
    home: home.requests('all').map((request) => ({
      joinId: hex(request.joinId),
      th3: hex(request.th3),
      state: request.state,
      ...maybe('answer', request.answer),
      ...maybe('outcome', request.outcome),
      ...(request.status && { status: request.status }),
    })),
  };
}

export function viewPne(store: PneStore, thumbprint: Bytes): PneView {
  const { floor, poweredSeconds } = store.clock();
  const inventories = new Map(
    store.memberships().map(({ join: { th3 }, inventory }) => [hex(th3), inventory]),
  );
  return {
    role: 'pne',
    thumbprint: hex(thumbprint),
    floor,
    poweredSeconds,
    joins: store.joins().map(({ th3, state, pnId, gatewayId, version }) => ({
      th3: hex(th3),
      state,
      pnId: hex(pnId),
      gatewayId: hex(gatewayId),
      version,
      ...maybe('inventory', inventories.get(hex(th3))),
    })),
  };
}

const FILES: Readonly<Record<Role, { readonly name: string; readonly migrations: readonly string[] }>> = {
  server: { name: 'server.db', migrations: SERVER_MIGRATIONS },
  gateway: { name: 'gateway.sqlite', migrations: GATEWAY_MIGRATIONS },
  pne: { name: 'pne.sqlite', migrations: PNE_MIGRATIONS },
};

/** A state directory that is looked at again and again, through one connection that only reads. */
export class StateReader {
  readonly #role: Role;
  readonly #stateDir: string;
  #open: { readonly database: Database; readonly read: () => PartyView } | undefined;

  /** Nothing is opened before the first look. */
  constructor(role: Role, stateDir: string) {
    this.#role = role;
    this.#stateDir = stateDir;
  }

  /**
   * @returns nothing while the party has not made its database
   * @throws CpnsError cannot-persist when the file is of a newer version
   */
  read(): PartyView | undefined {
    const { name, migrations } = FILES[this.#role];
    const path = join(this.#stateDir, name);
    if (!this.#open) {
      if (!existsSync(path) || versionOf(path) < migrations.length) return undefined;
      const database = openDatabase(path, migrations, { readOnly: true });
      this.#open = { database, read: this.#look(database) };
    }
    const { database, read } = this.#open;
    return database.snapshot(read);
  }

  /** Closes the connection; the next look opens another. A party that was killed recovers alone only when nobody looks. */
  close(): void {
    this.#open?.database.close();
    this.#open = undefined;
  }

  #look(database: Database): () => PartyView {
    const primitives = nodePrimitives();
    if (this.#role === 'server') {
      const { serverKeys } = new Operator(this.#stateDir, primitives);
      const keys = serverKeys.keys.map(({ key }) => key);
      const reader = new ServerReader(new ServerStore(new Statements(database)), keys);
      return () => reader.read();
    }
    if (this.#role === 'gateway') {
      const store = new GatewayStore(database);
      return () => viewGateway(store);
    }
    const store = new PneStore(database);
    const thumbprint = thumbprintOf(primitives, loadKey(join(this.#stateDir, 'identity.pem')).publicKey);
    return () => viewPne(store, thumbprint);
  }
}

/** 0 for a file that was made and not yet filled. */
function versionOf(path: string): number {
  const database = connectDatabase(path, true);
  try {
    return Number(database.pragma('user_version'));
  } finally {
    database.close();
  }
}

/** One look at a state directory. @returns nothing while the party has not made its database */
export function readState(role: Role, stateDir: string): PartyView | undefined {
  const reader = new StateReader(role, stateDir);
  try {
    return reader.read();
  } finally {
    reader.close();
  }
}
