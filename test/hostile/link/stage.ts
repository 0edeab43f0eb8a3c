/**
 * Where the attackers of the air play: a real server, user A's home gateway, user B's inviting gateway, and honest PNEs
 * that enrol and join while an attack is on. Owns what "not disturbed" means: within ten times of what the same takes
 * undisturbed, or three seconds where that is more. An attacker that takes turns of the one it attacks states its own.
 */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import type { GatewayNode } from '../../../src/nodes/gateway/gateway.ts';
import type { PneNode } from '../../../src/nodes/pne/pne.ts';
import { systemClock } from '../../../src/nodes/system-clock.ts';
import { openServerStore } from '../../../src/store/server-store.ts';
import { type NetworkOptions, TestNetwork } from '../../nodes/network.ts';
import { RogueGateway } from './rogue-gateway.ts';

// Each copy of a Bluetooth library listens for the end of the process.
process.setMaxListeners(64);

const HONEST_FACTOR = 10;
/** A gateway makes one connection at a time: one that a victim was taken from costs whoever comes next its deadline of 3 s. */
const HONEST_LEAST_MS = 5_000;
const HONEST_LIMIT_MS = 20_000;

/** A PNE under attack, and its constant address on the air. */
export interface Victim {
  readonly pne: PneNode;
  readonly address: string;
  /** Puts the PNE's clock on, ten seconds or as said, so that its pace of strangers is not what is tried. Between links only. */
  readonly rest: (ms?: number) => void;
}

export class Stage {
  readonly network: TestNetwork;
  readonly home: GatewayNode;
  readonly bob: GatewayNode;
  /** Milliseconds of an undisturbed enrolment and establishment. */
  baselineMs = 0;
  readonly #closers: (() => Promise<unknown>)[] = [];
  #honest = 0;

  private constructor(network: TestNetwork, home: GatewayNode, bob: GatewayNode) {
    this.network = network;
    this.home = home;
    this.bob = bob;
  }

  static async open(options: NetworkOptions = {}): Promise<Stage> {
    const network = await TestNetwork.open(options);
    const home = await network.gateway('Alice', 'Hall');
    const bob = await network.gateway('Bob', 'Kitchen', { pn: { invite: true } });
    const stage = new Stage(network, home, bob);
    stage.baselineMs = await stage.join();
    return stage;
  }

  async close(): Promise<void> {
    for (const close of this.#closers.reverse()) await close();
    await this.network.close();
  }

  /** To be closed before the network, last opened first. */
  closing(close: () => Promise<unknown>): void {
    this.#closers.push(close);
  }

  /** A new honest PNE enrols at its home and joins Bob's network. @returns milliseconds that it took */
  async join(limitMs = HONEST_LIMIT_MS): Promise<number> {
    const pne = await this.network.pne(`Honest ${++this.#honest}`);
    const startedAt = performance.now();
    await this.enrol(pne);
    await this.network.until('honest membership', () => pne.status().memberships.length === 1, limitMs);
    const tookMs = performance.now() - startedAt;
    const { joinId } = pne.status().memberships[0] ?? {};
    await this.network.until(
      'honest link',
      () => this.bob.pns()[0]?.joins.some((each) => each.joinId === joinId && each.link) === true,
    );
    // The first stays; of the others a gateway's controller has no more than eight links.
    if (this.#honest > 1) await pne.close();
    return tookMs;
  }

  async enrol(pne: PneNode): Promise<void> {
    const { code } = pne.startEnrolment();
    await this.home.pair(code);
    await pne.enrolled;
  }

  /** Runs an attack with honest PNEs that join meanwhile, one at least. @param limitMs when the attacker's own is stated */
  async during<T>(attack: () => Promise<T>, limitMs?: number): Promise<T> {
    const allowedMs = (baselineMs: number) =>
      limitMs ?? Math.max(HONEST_LEAST_MS, HONEST_FACTOR * baselineMs);
    const [result, tookMs] = await Promise.all([attack(), this.join()]);
    // Too slow: was it the attack, or is the machine slower now than when the file began?
    const baselineMs = tookMs > allowedMs(this.baselineMs) ? await this.join() : this.baselineMs;
    assert.ok(
      tookMs <= allowedMs(baselineMs),
      `the honest establishment took ${tookMs.toFixed(0)} ms, undisturbed ${baselineMs.toFixed(0)}`,
    );
    return result;
  }

  /** A PNE of user A that joins Mallory's networks and no others, at one address for ever. */
  async victim(name: string, changes: Parameters<TestNetwork['pne']>[1] = {}): Promise<Victim> {
    const victim = await this.reopen(name, changes);
    await this.enrol(victim.pne);
    return victim;
  }

  /** The same on the state that is there, after a restart. */
  async reopen(name: string, changes: Parameters<TestNetwork['pne']>[1] = {}): Promise<Victim> {
    let aheadMs = 0;
    const pne = await this.network.pne(name, {
      clock: { ...systemClock, monotonicMs: () => systemClock.monotonicMs() + aheadMs },
      ask: async ({ userLabel }) => (userLabel === 'Mallory' ? 'ok' : 'declined'),
      ...changes,
      bluetooth: { randomAddress: false },
    });
    const controller = [...this.network.radio.radio.controllers].at(-1);
    const address = controller?.addresses()[0] ?? '';
    return {
      ...{ pne, address },
      rest: (ms = 10_000) => {
        aheadMs += ms;
      },
    };
  }

  /** Mallory: a gateway with a credential as valid as any, and a radio. */
  async mallory(label = 'Cellar'): Promise<RogueGateway> {
    const rogue = await RogueGateway.enrol(this.network, 'Mallory', label);
    this.closing(() => rogue.close());
    return rogue;
  }

  /** How many transactions the server has in each state. */
  serverCounts() {
    const store = openServerStore(join(this.network.serverDir, 'server.db'));
    try {
      return store.registrations.counts();
    } finally {
      store.close();
    }
  }

  /** Asserts that an attack left nothing on these PNEs. */
  assertNothingLeft(...victims: readonly Victim[]): void {
    for (const { pne } of victims) {
      const { pending, memberships } = pne.status();
      assert.deepEqual({ pending, memberships }, { pending: [], memberships: [] });
    }
  }
}

export const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
