/**
 * What the four parties of one establishment hold after a loss of power, each opened with its own store, and what has to be
 * so between them at every instant: protocol-core §8, S1–S5, and the commit rules that a crash could break (docs/protocol.md
 * §12). Each party's disk may be any that it could be; the rules hold for every combination.
 */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { toHex } from '../../src/base/bytes.ts';
import type { DurableServerState } from '../../src/establishment/server-table.ts';
import { loadKey } from '../../src/security/keystore.ts';
import { openGatewayStore } from '../../src/store/gateway-store.ts';
import { openPneStore } from '../../src/store/pne-store.ts';
import { openServerStore } from '../../src/store/server-store.ts';

export const PARTIES = ['server', 'gw1', 'gw2', 'pne'] as const;
export type Party = (typeof PARTIES)[number];

type ByHex<T> = Readonly<Record<string, T>>;

export interface ServerView {
  readonly realm: string | undefined;
  readonly gateways: readonly string[];
  /** Epoch by thumbprint. */
  readonly pnes: ByHex<number>;
  /** By th3. */
  readonly registrations: ByHex<{
    readonly state: DurableServerState;
    readonly answer: string | undefined;
    readonly response: string | undefined;
  }>;
  /** By PN and version. */
  readonly inventories: ByHex<string>;
}

export interface GatewayView {
  readonly gatewayId: string | undefined;
  readonly homePnes: ByHex<number>;
  /** Step 9 by th3; empty when it is only asked. */
  readonly answers: ByHex<string>;
  readonly joins: ByHex<{ readonly state: string; readonly response: string; readonly rms: string }>;
  readonly inventories: ByHex<string>;
}

export interface PneView {
  readonly claimed: number;
  readonly ownedAt: number | undefined;
  readonly joins: ByHex<{ readonly state: string; readonly rms: string }>;
  readonly inventories: ByHex<string>;
}

export interface Views {
  readonly server: ServerView;
  readonly gw1: GatewayView;
  readonly gw2: GatewayView;
  readonly pne: PneView;
}

/** @param party is looked at in its directory with its own store: recovery, integrity check, migrations */
export function viewOf(party: Party, directory: string): Views[Party] {
  const key = join(directory, 'identity.pem');
  switch (party) {
    case 'server':
      return serverView(join(directory, 'server.db'));
    case 'gw1':
    case 'gw2': {
      const view = gatewayView(join(directory, 'gateway.sqlite'));
      if (view.gatewayId !== undefined) loadKey(key);
      return view;
    }
    case 'pne': {
      const view = pneView(join(directory, 'pne.sqlite'));
      if (view.claimed > 0) loadKey(key);
      return view;
    }
  }
}

const hex = (bytes: Uint8Array | undefined): string | undefined => bytes && toHex(bytes);

export function serverView(path: string): ServerView {
  const store = openServerStore(path);
  try {
    assert.equal(store.isWritable(), true);
    const { directory: known, registrations } = store;
    return {
      realm: store.realm,
      gateways: known.gateways().map(({ gatewayId }) => toHex(gatewayId)),
      pnes: Object.fromEntries(known.pnes().map(({ thumbprint, epoch }) => [toHex(thumbprint), epoch])),
      registrations: Object.fromEntries(
        registrations
          .all()
          .map(({ th3, state, answer, response }) => [
            toHex(th3),
            { state, answer: hex(answer), response: hex(response) },
          ]),
      ),
      inventories: Object.fromEntries(
        registrations.pns().flatMap(({ pnId, version, members }) => {
          const evidence = registrations.evidence(pnId);
          assert.equal(evidence.length, version, 'one record of evidence a version');
          assert.equal(members, new Set(evidence.map(({ pne }) => toHex(pne))).size, 'S4: one entry a PNE');
          return evidence.map((one) => [`${toHex(pnId)} v${one.version}`, toHex(one.inventory)]);
        }),
      ),
    };
  } finally {
    store.close();
  }
}

export function gatewayView(path: string): GatewayView {
  const store = openGatewayStore(path);
  try {
    const enrolment = store.enrolment();
    return {
      gatewayId: hex(enrolment?.answer.gatewayId),
      homePnes: Object.fromEntries(
        store.home.pnes().map(({ thumbprint, epoch }) => [toHex(thumbprint), epoch]),
      ),
      answers: Object.fromEntries(
        store.home.requests('all').map(({ th3, answer }) => [toHex(th3), hex(answer) ?? '']),
      ),
      joins: Object.fromEntries(
        store.networks
          .joins()
          .map(({ th3, state, response, rms }) => [
            toHex(th3),
            { state, response: toHex(response), rms: toHex(rms) },
          ]),
      ),
      inventories: Object.fromEntries(
        store.networks.pns().flatMap(({ pnId, version }) => {
          const inventory = store.networks.inventory(pnId);
          return inventory ? [[`${toHex(pnId)} v${version}`, toHex(inventory.bytes)]] : [];
        }),
      ),
    };
  } finally {
    store.close();
  }
}

export function pneView(path: string): PneView {
  const store = openPneStore(path);
  try {
    const ownership = store.ownership();
    const { epoch: claimed } = store.enrolmentCode();
    return {
      claimed,
      ownedAt: ownership?.epoch,
      joins: Object.fromEntries(
        store.joins().map(({ th3, state, rms }) => [toHex(th3), { state, rms: toHex(rms) }]),
      ),
      inventories: Object.fromEntries(
        store
          .memberships()
          .map(({ join: { pnId, version }, inventory }) => [`${toHex(pnId)} v${version}`, toHex(inventory)]),
      ),
    };
  } finally {
    store.close();
  }
}

/** The key of a party, to see that it is the same one at all times; undefined where there is none yet. */
export function keyTextOf(party: Party, directory: string): string | undefined {
  const path = join(directory, party === 'server' ? 'server-1.key' : 'identity.pem');
  return existsSync(path) ? readFileSync(path, 'utf8') : undefined;
}

/** @param thumbprint of the one PNE, hex */
export function assertSafe({ server, gw1, gw2, pne }: Views, thumbprint: string): void {
  // Enrolment: nobody relies on what the one before it has forgotten.
  for (const { gatewayId } of [gw1, gw2])
    if (gatewayId !== undefined)
      assert.ok(server.gateways.includes(gatewayId), `the server forgot gateway ${gatewayId}`);
  const enrolled = server.pnes[thumbprint] ?? 0;
  assert.ok(pne.claimed >= enrolled, 'the PNE forgot a claim that the server committed');
  assert.ok((gw1.homePnes[thumbprint] ?? 0) <= enrolled, 'GW1 knows a PNE that the server forgot');
  assert.ok((pne.ownedAt ?? 0) <= (gw1.homePnes[thumbprint] ?? 0), 'the PNE is owned, its home forgot it');

  for (const [th3, { state, answer, response }] of Object.entries(server.registrations)) {
    const join = gw2.joins[th3];
    if (response !== undefined && state !== 'refused') {
      // S5, and GW2 before step 7.
      assert.ok(pne.joins[th3], 'S5: the PNE signed and forgot it');
      assert.equal(join?.response, response, 'GW2 sent step 7 and forgot it');
    }
    // S1, and GW1 before step 9.
    if (state === 'registered') assert.ok(answer, 'S1: registered without an answer');
    if (answer !== undefined) assert.equal(gw1.answers[th3], answer, 'GW1 sent step 9 and forgot it');
  }
  for (const th3 of Object.keys(gw1.answers))
    assert.ok(server.registrations[th3]?.response, 'GW1 was asked about what the server forgot');
  for (const [th3, join] of Object.entries(gw2.joins)) {
    assert.equal(pne.joins[th3]?.rms, join.rms, 'GW2 holds a join that the PNE forgot');
    if (join.state === 'live')
      assert.equal(server.registrations[th3]?.state, 'registered', 'S2: GW2 is live without the server');
  }
  for (const [th3, { state }] of Object.entries(pne.joins)) {
    if (state !== 'member') continue;
    assert.equal(server.registrations[th3]?.state, 'registered', 'S2: a member without the server');
    assert.equal(gw2.joins[th3]?.state, 'live', 'step 13 was sent and GW2 forgot the inventory');
  }
  for (const { inventories } of [gw2, pne])
    for (const [name, bytes] of Object.entries(inventories))
      assert.equal(server.inventories[name], bytes, `S3: ${name} is not the server's`);
}
