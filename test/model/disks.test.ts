/**
 * The disks of the model against the real stores: random paths of the model, with its faults, are walked on both at once,
 * and after each move both must hold the same.
 */
import assert from 'node:assert/strict';
import { Prng } from '../../src/base/prng.ts';
import { textOf } from './key.ts';
import { type Move, movesOf } from './moves.ts';
import { realDisks } from './real-disks.ts';
import { Scene } from './scene.ts';
import { firstWorld, memoryDisks, type World } from './world.ts';

const PATHS = 15;
const MOVES = 60;

/** What a store can be asked for, as text. */
function contents({ pnes, gateway, homes, server, scene }: World): readonly string[] {
  const { disk } = gateway;
  return [
    ...pnes.flatMap((pne) => [textOf(pne.disk.joins()), textOf(pne.disk.memberships())]),
    textOf(disk.pns()),
    textOf(disk.joins()),
    ...disk.pns().map(({ pnId }) => textOf(disk.inventory(pnId))),
    ...homes.map((home) => textOf(home.disk.requests('all'))),
    textOf(server.disk.all()),
    textOf(server.disk.networks()),
    ...server.disk.networks().map(({ pnId }) => textOf(server.disk.evidence(pnId))),
    ...[scene.gateway, ...scene.homes].map(({ facts }) =>
      textOf(
        server.disk.deliveries(facts.gatewayId).map(({ kind, joinId, body }) => ({ kind, joinId, body })),
      ),
    ),
    ...scene.pnes.map(({ facts }) =>
      textOf(server.disk.backoffUntil(scene.gateway.facts.gatewayId, facts.thumbprint)),
    ),
  ];
}

/** A slow server would need a copy of its disk; waiting times do not end by themselves in a real store. */
const isWalkable = ({ label }: Move) => !/slow|waiting time|7 days/.test(label);

describe('the disks of the model', () => {
  it(`hold what the real stores hold, on ${PATHS} random paths with faults`, async () => {
    const seed = Number(process.env['MODEL_SEED'] ?? Date.now() % 1_000_000);
    const prng = new Prng(seed);
    let moved = 0;
    for (let path = 0; path < PATHS; path++) {
      const scene = new Scene([0, path % 2]);
      const real = realDisks(scene);
      const worlds = [memoryDisks(scene), real.disks].map((disks) => firstWorld(scene, disks, 5, 1));
      const done: string[] = [];
      for (let step = 0; step < MOVES; step++) {
        const [moves = [], others = []] = worlds.map((world) =>
          movesOf(world, { attempts: 3 }).filter(isWalkable),
        );
        const where = `seed ${seed}, path ${path}:\n${done.join('\n')}`;
        assert.deepEqual(
          others.map(({ label }) => label),
          moves.map(({ label }) => label),
          where,
        );
        // Faults now and then, so that something comes about.
        const chosen = moves.filter(({ kind }) => kind === 'must' || kind === 'may' || prng.chance(0.05));
        const move = chosen[Math.floor(prng.next() * chosen.length)];
        if (!move) break;
        done.push(move.label);
        const index = moves.indexOf(move);
        for (const [side, world] of worlds.entries()) await (side === 0 ? moves : others)[index]?.run(world);
        const [memory, store] = worlds.map(contents);
        assert.deepEqual(store, memory, `${where}\n${move.label}`);
        moved++;
      }
      real.close();
    }
    assert.ok(moved > PATHS * 20, `${moved} moves`);
  }).timeout(240_000);
});
