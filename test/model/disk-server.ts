/**
 * The server's disk in memory, cheap to copy: what src/store/server-registrations.ts and server-outbox.ts do, without SQL:
 * each change a compare-and-set on the row with its deadline tested, its outbox entries written with it. Held equal to the
 * real one by test/model/disks.test.ts, which runs the same paths on both.
 */
import { equal, toHex } from '../../src/base/bytes.ts';
import type { GatewayId, JoinId, PnId, Thumbprint } from '../../src/base/ids.ts';
import type { ServerSeconds } from '../../src/base/time.ts';
import type {
  EarlierYes,
  MemberFacts,
  OutboxEntry,
  PnFacts,
  RegisteredChange,
  RegistrationKey,
  RegistrationRow,
  ServerChange,
} from '../../src/establishment/server-types.ts';
import type { RegistrationStore } from '../../src/store/server-registrations.ts';
import {
  type Acknowledgement,
  type Delivery,
  type EvidenceRecord,
  StaleError,
} from '../../src/store/server-store.ts';
import { Gate } from './gate.ts';

/** What the model asks of it. */
export type ServerDisk = Pick<
  RegistrationStore,
  | 'all'
  | 'registration'
  | 'registrationOfJoin'
  | 'openCount'
  | 'verifiedOf'
  | 'pendingOfUser'
  | 'backoffUntil'
  | 'pn'
  | 'earlierYes'
  | 'isOvertaken'
  | 'evidence'
  | 'commit'
> & {
  deliveries(gatewayId: GatewayId): readonly Delivery[];
  acknowledge(acknowledgements: readonly Acknowledgement[]): readonly Delivery[];
  /** Every network that was ever committed. */
  networks(): readonly PnFacts[];
  /** The waiting time after a refusal is over. */
  forgetBackoff(): void;
  readonly backsOff: boolean;
};

type Entry = Delivery & { readonly to: GatewayId };

export const keyOf = ({ gatewayId, txn }: RegistrationKey) => `${toHex(gatewayId)} ${toHex(txn)}`;
const BACKOFF_SECONDS = 60;

export class MemoryServerDisk implements ServerDisk {
  gate = new Gate();
  /** Which user a home gateway is of: a question of the directory, which is not written in the model. */
  userOf: (homeGatewayId: GatewayId) => number = () => 0;
  #rows: ReadonlyMap<string, RegistrationRow> = new Map();
  #pns: ReadonlyMap<string, PnFacts> = new Map();
  #evidence: readonly EvidenceRecord[] = [];
  #backoff: ReadonlyMap<string, ServerSeconds> = new Map();
  #outbox: readonly Entry[] = [];
  #nextId = 1;

  clone(gate: Gate): MemoryServerDisk {
    const copy = new MemoryServerDisk();
    copy.userOf = this.userOf;
    copy.#rows = this.#rows;
    copy.#pns = this.#pns;
    copy.#evidence = this.#evidence;
    copy.#backoff = this.#backoff;
    copy.#outbox = this.#outbox;
    copy.#nextId = this.#nextId;
    copy.gate = gate;
    return copy;
  }

  /** All it holds, save the numbers of deliveries; never changed in place. */
  get contents(): readonly object[] {
    return [this.#rows, this.#pns, this.#evidence, this.#backoff, this.#outbox];
  }

  // Looking up

  registration(key: RegistrationKey): RegistrationRow | undefined {
    return this.#rows.get(keyOf(key));
  }

  registrationOfJoin(joinId: JoinId): RegistrationRow | undefined {
    return this.all().find((row) => equal(row.joinId, joinId));
  }

  all(): readonly RegistrationRow[] {
    return [...this.#rows.values()];
  }

  networks(): readonly PnFacts[] {
    return [...this.#pns.values()];
  }

  openCount(gatewayId: GatewayId, challengedSince: ServerSeconds): number {
    return this.all().filter(
      (row) =>
        equal(row.gatewayId, gatewayId) &&
        (row.state === 'verified' || (row.state === 'challenged' && row.challengedAt >= challengedSince)),
    ).length;
  }

  verifiedOf(pne: Thumbprint): readonly RegistrationKey[] {
    return this.all().filter((row) => row.state === 'verified' && equal(row.pne, pne));
  }

  pendingOfUser(userId: number, except: Thumbprint): number {
    return this.all().filter(
      ({ state, homeGatewayId, pne }) =>
        state === 'verified' && homeGatewayId && this.userOf(homeGatewayId) === userId && !equal(pne, except),
    ).length;
  }

  backoffUntil(gatewayId: GatewayId, pne: Thumbprint): ServerSeconds {
    return this.#backoff.get(`${toHex(gatewayId)} ${toHex(pne)}`) ?? 0;
  }

  get backsOff(): boolean {
    return this.#backoff.size > 0;
  }

  pn(pnId: PnId): PnFacts | undefined {
    return this.#pns.get(toHex(pnId));
  }

  earlierYes(pnId: PnId, pne: Thumbprint): EarlierYes | undefined {
    const member = this.pn(pnId)?.members.find((known) => equal(known.pne, pne));
    const record = member && this.#evidence.find(({ joinId }) => equal(joinId, member.joinId));
    if (!record) return undefined;
    const { confirmation, homeGatewayId } = record;
    return {
      joinId: 'earlierJoin' in confirmation ? confirmation.earlierJoin : record.joinId,
      homeGatewayId,
    };
  }

  isOvertaken(row: Pick<RegistrationRow, 'gatewayId' | 'txn' | 'pnId' | 'pne'>): boolean {
    const member = this.pn(row.pnId)?.members.find(({ pne }) => equal(pne, row.pne));
    const place = (known: RegistrationRow | undefined) => (known ? this.all().indexOf(known) : -1);
    return (
      member !== undefined && place(this.registrationOfJoin(member.joinId)) > place(this.registration(row))
    );
  }

  evidence(pnId: PnId): readonly EvidenceRecord[] {
    return this.#evidence.filter((record) => equal(record.pnId, pnId));
  }

  deliveries(gatewayId: GatewayId): readonly Delivery[] {
    return this.#outbox.filter(({ to }) => equal(to, gatewayId));
  }

  // Changing

  commit(change: ServerChange, clock: () => ServerSeconds): void {
    this.gate.write(() => {
      const now = clock();
      switch (change.to) {
        case 'challenged': {
          const { row, maxOpen } = change;
          if (this.openCount(row.gatewayId, row.challengedAt) >= maxOpen) throw new StaleError('quota');
          if (this.registration(row) || this.registrationOfJoin(row.joinId)) throw new StaleError('taken');
          this.#put(row);
          return;
        }
        case 'verified': {
          const { key, response, homeGatewayId, deadline } = change;
          const row = this.#expect(key, 'challenged', now <= change.notAfter);
          this.#put({ ...row, state: 'verified', response, homeGatewayId, deadline });
          this.#tell(row, change.outbox);
          return;
        }
        case 'registered':
          this.#registered(change, now);
          return;
        case 'refused': {
          const { key, from, status, outcome, response, answer, settledAt } = change;
          const row = this.#expect(key, from, true);
          if (row.outcome) throw new StaleError('settled');
          const { outcome: _o, response: _r, answer: _a, ...rest } = row;
          this.#put({
            ...{ ...rest, state: 'refused', status, settledAt },
            ...(outcome && { outcome }),
            ...(response && { response }),
            ...(answer && { answer }),
          });
          this.#recall(row.joinId);
          if (change.backOff) this.#backOff(row, now + BACKOFF_SECONDS);
          this.#tell(row, change.outbox);
        }
      }
    });
  }

  acknowledge(acknowledgements: readonly Acknowledgement[]): readonly Delivery[] {
    return this.gate.write(() =>
      acknowledgements.flatMap(({ gatewayId, deliveryId }) => {
        const entry = this.#outbox.find(
          (known) => known.deliveryId === deliveryId && equal(known.to, gatewayId),
        );
        if (!entry) return [];
        this.#outbox = this.#outbox.filter((known) => known !== entry);
        const row = this.registrationOfJoin(entry.joinId);
        if (entry.kind === 'pne-confirm-request' && row) this.#put({ ...row, delivered: true });
        return [entry];
      }),
    );
  }

  forgetBackoff(): void {
    this.#backoff = new Map();
  }

  #registered(change: RegisteredChange, now: ServerSeconds): void {
    const { key, from, notAfter, response, answer, inventory, outcome, settledAt, evidence, member } = change;
    const row = this.#expect(key, from, now <= notAfter);
    const pn = this.pn(evidence.pnId);
    if ((pn?.version ?? 0) !== change.baseVersion) throw new StaleError('the network has changed');
    this.#put({
      ...{ ...row, state: 'registered', response, inventory, settledAt },
      ...(answer && { answer }),
      ...(outcome && { outcome }),
    });
    this.#admit(key.gatewayId, evidence, member, pn);
    const { confirmation } = evidence;
    const rests =
      'earlierJoin' in confirmation
        ? this.#evidence.find(({ joinId }) => equal(joinId, confirmation.earlierJoin))?.homeGatewayId
        : row.homeGatewayId;
    const homeGatewayId = row.homeGatewayId ?? rests;
    if (!homeGatewayId) throw new Error('evidence without a home gateway');
    const record = {
      ...evidence,
      gatewayId: key.gatewayId,
      homeGatewayId,
      pne: row.pne,
      registeredAt: settledAt,
    };
    this.#evidence = [...this.#evidence, record];
    this.#backOff(row, undefined);
    this.#recall(row.joinId);
    this.#tell(row, change.outbox);
  }

  #admit(
    gatewayId: GatewayId,
    { pnId, version }: { readonly pnId: PnId; readonly version: number },
    member: MemberFacts,
    pn: PnFacts | undefined,
  ): void {
    const others = (pn?.members ?? []).filter(({ pne }) => !equal(pne, member.pne));
    const members = [...others, member].sort((a, b) => a.handle - b.handle);
    const nextHandle = Math.max(pn?.nextHandle ?? 1, member.handle + 1);
    this.#pns = new Map(this.#pns).set(toHex(pnId), { pnId, gatewayId, version, nextHandle, members });
  }

  /** The compare-and-set: the row as the change takes it to be, and its deadline not passed. */
  #expect(key: RegistrationKey, from: RegistrationRow['state'], inTime: boolean): RegistrationRow {
    const row = this.registration(key);
    if (row?.state !== from || !inTime) throw new StaleError('not as it was');
    return row;
  }

  #put(row: RegistrationRow): void {
    this.#rows = new Map(this.#rows).set(keyOf(row), row);
  }

  #tell({ joinId }: RegistrationRow, entries: readonly OutboxEntry[]): void {
    const added = entries.map(({ to, kind, body }) => ({
      to,
      kind,
      body,
      joinId,
      deliveryId: this.#nextId++,
    }));
    this.#outbox = [...this.#outbox, ...added];
  }

  #recall(joinId: JoinId): void {
    this.#outbox = this.#outbox.filter(
      (entry) => entry.kind !== 'pne-confirm-request' || !equal(entry.joinId, joinId),
    );
  }

  #backOff({ gatewayId, pne }: RegistrationRow, until: ServerSeconds | undefined): void {
    const key = `${toHex(gatewayId)} ${toHex(pne)}`;
    const backoff = new Map(this.#backoff);
    if (until === undefined) backoff.delete(key);
    else backoff.set(key, until);
    this.#backoff = backoff;
  }
}
