/**
 * The honest side of every attack: a home gateway, an initiating gateway and PNEs, all real, on the virtual radio and at
 * the very server that is attacked. While an attack runs, new PNEs enrol and join, steps 0 to 13 each; none may fail or
 * take long. Owns no attack.
 */
import assert from 'node:assert/strict';
import type { GatewayNode } from '../../src/nodes/gateway/gateway.ts';
import type { TraceEvent } from '../../src/nodes/trace.ts';
import { type NetworkOptions, TestNetwork } from '../nodes/network.ts';

/** For one enrolment and one establishment, on a machine that has other work. */
const ESTABLISHMENT_MS = 20_000;
/** As much as one inventory holds. */
const MAX_PNES = 32;
const MAX_PNES_AN_ATTACK = 3;

export class Honest {
  readonly network: TestNetwork;
  readonly home: GatewayNode;
  readonly initiating: GatewayNode;
  /** Establishments so far. */
  count = 0;

  private constructor(network: TestNetwork, home: GatewayNode, initiating: GatewayNode) {
    this.network = network;
    this.home = home;
    this.initiating = initiating;
  }

  static async open(options: NetworkOptions = {}): Promise<Honest> {
    const network = await TestNetwork.open(options);
    try {
      const home = await network.gateway('Alice', 'Hall');
      const initiating = await network.gateway('Bob', 'Kitchen', { pn: { invite: true } });
      return new Honest(network, home, initiating);
    } catch (error) {
      await network.close();
      throw error;
    }
  }

  /** A PNE nobody knew enrols at home and joins: every step once, in order, and the same inventory at both ends. */
  async establish(): Promise<void> {
    assert.ok(this.count < MAX_PNES, 'the PN is full');
    const number = ++this.count;
    const { network, home, initiating } = this;
    const pne = await network.pne(`Watch ${number}`);
    try {
      const before = network.trace.length;
      await home.pair(pne.startEnrolment().code);
      await pne.enrolled;
      const memberships = () => pne.status().memberships;
      await network.until(`honest join ${number}`, () => memberships().length === 1, ESTABLISHMENT_MS);
      const [membership] = memberships();
      assert.equal(membership?.inventorySha256, initiating.pns()[0]?.inventorySha256);
      const settled = () =>
        home.confirmations().some(({ joinId, outcome }) => joinId === membership?.joinId && outcome);
      await network.until(`honest outcome ${number}`, settled, ESTABLISHMENT_MS);
      // The server's trace tells of the attacker's transactions too.
      const events = network.trace.slice(before);
      const own = events.find(({ step }) => step === 12)?.joinKey;
      const isOwn = ({ via, joinKey }: TraceEvent) =>
        joinKey === own || (via !== 'https' && joinKey === undefined);
      const steps = events.filter(isOwn).flatMap(({ step }) => (step === undefined ? [] : [step]));
      assert.deepEqual(steps, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13]);
    } finally {
      await pne.close();
    }
  }

  /** Runs an attack, and establishments from before its beginning until its end, one at least and three at most. */
  async during<T>(attack: () => Promise<T>): Promise<T> {
    let attacking = true;
    const honest = (async () => {
      // A long attack on a fast machine must leave room in the PN for the attacks behind it.
      const until = this.count + MAX_PNES_AN_ATTACK;
      do await this.establish();
      while (attacking && this.count < until);
    })();
    // Whatever fails first is told, and both have ended when this does.
    const attacked = attack().finally(() => {
      attacking = false;
    });
    const [attackEnd, honestEnd] = await Promise.allSettled([attacked, honest]);
    if (honestEnd.status === 'rejected') throw honestEnd.reason;
    if (attackEnd.status === 'rejected') throw attackEnd.reason;
    return attackEnd.value;
  }

  close(): Promise<void> {
    return this.network.close();
  }
}
