/**
 * The safety rules S1–S5 of protocol-core §8, checked on what is on the disks of all parties, by somebody who sees them
 * all. Each rule is checked whenever anything durable may have changed; what was proven of a join once is not proven again.
 */
import assert from 'node:assert/strict';
import { type Bytes, equal, toHex } from '../../src/base/bytes.ts';
import { PneConfirmResponsePayload } from '../../src/messages/confirmation.ts';
import { InventoryPayload, OutcomePayload } from '../../src/messages/inventory.ts';
import { AuthenticationResponsePayload } from '../../src/messages/setup.ts';
import { parseSign1 } from '../../src/security/cose.ts';
import { openSigned } from '../../src/security/signed-message.ts';
import type { EvidenceRecord } from '../../src/store/server-store.ts';
import type { VirtualWorld } from './virtual-world.ts';
import type { VirtualGateway } from './virtual-world-gateway.ts';
import type { VirtualPne } from './virtual-world-pne.ts';
import type { VirtualServer } from './virtual-world-server.ts';

export class Audit {
  readonly #world: VirtualWorld;
  readonly #server: VirtualServer;
  readonly #pnes: readonly VirtualPne[];
  readonly #gateways: readonly VirtualGateway[];
  /** Inventory bytes the server has committed, by PN and version. */
  readonly #inventories = new Map<string, Bytes>();
  /** The version of each PN whose evidence was read last: evidence is never changed. */
  readonly #looked = new Map<string, number>();
  readonly #proven = new Set<string>();
  /** How each join ended, in whose word ever. */
  readonly #ends = new Map<string, string>();
  /** The version each party held last of each PN. */
  readonly #held = new Map<string, number>();
  runs = 0;
  /** While a test has broken a disk on purpose. */
  pause = false;

  constructor(
    world: VirtualWorld,
    server: VirtualServer,
    parties: { readonly pnes: readonly VirtualPne[]; readonly gateways: readonly VirtualGateway[] },
  ) {
    this.#world = world;
    this.#server = server;
    this.#pnes = parties.pnes;
    this.#gateways = parties.gateways;
    world.audit = () => this.run();
  }

  run(): void {
    if (this.pause) return;
    this.runs++;
    for (const { pnId, version } of this.#server.store.registrations.pns()) {
      if (this.#looked.get(toHex(pnId)) === version) continue;
      this.#looked.set(toHex(pnId), version);
      const evidence = this.#server.store.registrations.evidence(pnId);
      for (const record of evidence)
        if (!this.#proven.has(toHex(record.joinId))) this.#proveRegistered(record, evidence);
      const members = this.#server.store.registrations.pn(pnId)?.members ?? [];
      const keys = new Set(members.map(({ pne }) => toHex(pne)));
      assert.equal(keys.size, members.length, this.#at('S4: two entries of one PNE'));
    }
    for (const gateway of this.#gateways) this.#checkGateway(gateway);
    for (const pne of this.#pnes) this.#checkPne(pne);
  }

  /** S1, S4. */
  #proveRegistered(record: EvidenceRecord, all: readonly EvidenceRecord[]): void {
    const { primitives } = this.#world;
    const row = this.#server.store.registrations.registrationOfJoin(record.joinId);
    assert.ok(row?.state === 'registered', this.#at('S1: evidence without a registration'));
    openSigned(
      primitives,
      AuthenticationResponsePayload,
      () => [record.pneKey],
      row.th3,
      record.response,
      'internal',
    );
    const { confirmation } = record;
    if ('answer' in confirmation) {
      const { value } = openSigned(
        primitives,
        PneConfirmResponsePayload,
        () => [record.homeGatewayKey],
        row.th3,
        confirmation.answer,
        'internal',
      );
      assert.ok(value.yours && value.chargeable, this.#at('S1: registered on a no'));
    } else {
      const rests = all.find(({ joinId }) => equal(joinId, confirmation.earlierJoin));
      assert.ok(
        rests && 'answer' in rests.confirmation && equal(rests.pne, record.pne),
        this.#at('S1: a refresh of nothing'),
      );
    }
    const { pnId, version } = InventoryPayload.decode(parseSign1(record.inventory).payload);
    this.#inventories.set(`${toHex(pnId)} v${version}`, record.inventory);
    this.#ended(row.th3, 'ok');
    this.#proven.add(toHex(record.joinId));
  }

  /** S2, S3 and S4 at GW2; S4 at GW1. */
  #checkGateway({ name, gatewayId, store }: VirtualGateway): void {
    for (const { pnId } of store.networks.pns()) {
      const inventory = store.networks.inventory(pnId);
      if (inventory) this.#checkInventory(name, pnId, inventory.bytes);
    }
    const { registrations } = this.#server.store;
    for (const join of store.networks.joins()) {
      const row = registrations.registration({ gatewayId, txn: join.txn });
      if (join.state === 'live')
        assert.equal(row?.state, 'registered', this.#at(`S2: ${name} is live without the server`));
      if (join.outcome) this.#ended(join.th3, this.#outcome(join.th3, join.outcome));
    }
    for (const { th3, outcome } of store.home.requests('all'))
      if (outcome) this.#ended(th3, this.#outcome(th3, outcome));
  }

  /** S2, S3 and S5 at the PNE. */
  #checkPne({ name, store, signed }: VirtualPne): void {
    const { registrations } = this.#server.store;
    const joins = store.joins();
    for (const { join, inventory } of store.memberships()) {
      const row = registrations.registrationOfJoin(
        join.th3.slice(0, 16) as Parameters<typeof registrations.registrationOfJoin>[0],
      );
      assert.ok(
        row && row.state === 'registered' && equal(row.th3, join.th3),
        this.#at(`S2: ${name} is a member without the server`),
      );
      this.#checkInventory(name, join.pnId, inventory);
    }
    for (const th3 of signed) {
      if (joins.some((join) => toHex(join.th3) === th3)) continue;
      const row = registrations.registrationOfJoin(
        Uint8Array.from(Buffer.from(th3.slice(0, 32), 'hex')) as Parameters<
          typeof registrations.registrationOfJoin
        >[0],
      );
      const refused = row?.state === 'refused' && row.outcome !== undefined;
      const overtaken = joins.some(({ state, pnId }) => state === 'member' && row && equal(pnId, row.pnId));
      assert.ok(refused || overtaken, this.#at(`S5: ${name} has signed ${th3.slice(0, 8)} and forgotten it`));
    }
  }

  #checkInventory(who: string, pnId: Bytes, bytes: Bytes): void {
    const { version } = InventoryPayload.decode(parseSign1(bytes).payload);
    const committed = this.#inventories.get(`${toHex(pnId)} v${version}`);
    assert.ok(committed && equal(committed, bytes), this.#at(`S3: ${who} holds what the server never said`));
    const before = this.#held.get(`${who} ${toHex(pnId)}`) ?? 0;
    assert.ok(version >= before, this.#at(`S3: ${who} went back from ${before} to ${version}`));
    this.#held.set(`${who} ${toHex(pnId)}`, version);
  }

  #outcome(th3: Bytes, outcome: Bytes): string {
    const { primitives } = this.#world;
    const keys = this.#server.operator.pinned().keys.map(({ key }) => key);
    return openSigned(primitives, OutcomePayload, () => keys, th3, outcome, 'internal').value.status;
  }

  #ended(th3: Bytes, status: string): void {
    const known = this.#ends.get(toHex(th3));
    assert.ok(known === undefined || known === status, this.#at(`S4: a join ended ${known} and ${status}`));
    this.#ends.set(toHex(th3), status);
  }

  #at(what: string): string {
    return `seed ${this.#world.seed}, ${this.#world.nowMs - 1_000_000} ms: ${what}`;
  }
}

/** Nothing provisional at anybody: no pending or refused join, no open question, no network without a member. */
export function assertNothingProvisional(parties: {
  readonly pnes: readonly VirtualPne[];
  readonly gateways: readonly VirtualGateway[];
  readonly server: VirtualServer;
}): void {
  for (const { name, store } of parties.pnes)
    assert.deepEqual(
      store
        .joins()
        .filter(({ state }) => state === 'pending')
        .map(({ pnId }) => toHex(pnId)),
      [],
      name,
    );
  for (const { name, store } of parties.gateways) {
    assert.deepEqual(
      store.networks
        .joins()
        .filter(({ state }) => state !== 'live')
        .map(({ state, status }) => `${state} ${status}`),
      [],
      `${name}: joins`,
    );
    assert.deepEqual(
      store.networks
        .pns()
        .filter(({ setup }) => setup !== 'live')
        .map(({ name: pn }) => pn),
      [],
      `${name}: provisional networks`,
    );
    assert.deepEqual(
      store.home.requests().map(({ state }) => state),
      [],
      `${name}: open questions`,
    );
  }
  const { challenged, verified } = parties.server.store.registrations.counts();
  assert.deepEqual({ challenged, verified }, { challenged: 0, verified: 0 }, 'server');
}

/** Server, GW2 and every member hold the same bytes of the newest inventory. @returns its version */
export function assertConverged(
  server: VirtualServer,
  gateway: VirtualGateway,
  pnes: readonly VirtualPne[],
): number {
  const [pn] = server.store.registrations.pns();
  assert.ok(pn, 'no network was registered');
  const newest = server.store.registrations.evidence(pn.pnId).at(-1);
  assert.equal(newest?.version, pn.version);
  assert.deepEqual(gateway.store.networks.inventory(pn.pnId)?.bytes, newest?.inventory, 'GW2');
  for (const { name, store } of pnes)
    assert.deepEqual(
      store.memberships().find(({ join }) => equal(join.pnId, pn.pnId))?.inventory,
      newest?.inventory,
      name,
    );
  return pn.version;
}
