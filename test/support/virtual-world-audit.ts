/**
 * The simulation's auditor: shows the safety checker (test/faults/safety.ts, which states S1–S5) what is on the disks of all
 * parties whenever anything durable may have changed. Here too: what a test asks of the end of a simulation.
 */
import assert from 'node:assert/strict';
import { equal, toHex } from '../../src/base/bytes.ts';
import { describeViolation, type JournalEntry, SafetyChecker } from '../faults/safety.ts';
import { type PartyView, ServerReader, viewGateway, viewPne } from '../faults/state-view.ts';
import type { VirtualWorld } from './virtual-world.ts';
import type { VirtualGateway } from './virtual-world-gateway.ts';
import type { VirtualPne } from './virtual-world-pne.ts';
import type { VirtualServer } from './virtual-world-server.ts';

export class Audit {
  readonly checker: SafetyChecker;
  readonly #world: VirtualWorld;
  readonly #pnes: readonly VirtualPne[];
  readonly #gateways: readonly VirtualGateway[];
  readonly #reader: ServerReader;
  /** th3 of the joins whose step 6 the checker knows of. */
  readonly #signed = new Set<string>();
  runs = 0;
  /** While a test has broken a disk on purpose. */
  pause = false;

  constructor(
    world: VirtualWorld,
    server: VirtualServer,
    parties: { readonly pnes: readonly VirtualPne[]; readonly gateways: readonly VirtualGateway[] },
  ) {
    this.#world = world;
    this.#pnes = parties.pnes;
    this.#gateways = parties.gateways;
    this.#reader = new ServerReader(
      server.store,
      server.operator.pinned().keys.map(({ key }) => key),
    );
    this.checker = new SafetyChecker(world.primitives);
    world.audit = () => this.run();
  }

  run(): void {
    if (this.pause) return;
    this.runs++;
    this.#show({ party: 'server', role: 'server', view: this.#reader.read() });
    for (const { name, store } of this.#gateways)
      this.#show({ party: name, role: 'gateway', view: viewGateway(store) });
    for (const { name, store, thumbprint, signed } of this.#pnes) {
      this.#show({ party: name, role: 'pne', view: viewPne(store, thumbprint) });
      for (const th3 of signed) {
        if (this.#signed.has(th3)) continue;
        this.#signed.add(th3);
        this.#show({ party: name, role: 'pne', signed: th3 });
      }
    }
  }

  #show(entry: Omit<JournalEntry, 'atNs'> & { readonly view?: PartyView }): void {
    const atNs = String(BigInt(Math.round(this.#world.nowMs)) * 1_000_000n);
    const [violation] = this.checker.take({ ...entry, atNs });
    assert.ok(!violation, violation && `seed ${this.#world.seed}: ${describeViolation(violation)}`);
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
