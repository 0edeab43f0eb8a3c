/**
 * Loss of power during a whole establishment: the demo's four processes are recorded from `server init` to the verdict.
 * Then the power goes at each sync of any party: for all at once, or for one while the others keep all they wrote; what the
 * disks hold must fit together in every combination. From a seeded sample the four are started again and have to come to
 * one PN. CPNS_POWER_SEEDS, CPNS_POWER_SEED as in stores.test.ts; CPNS_POWER_REVIVALS=n starts n times.
 */
import assert from 'node:assert/strict';
import { fileURLToPath } from 'node:url';
import { toHex } from '../../src/base/bytes.ts';
import { Prng } from '../../src/base/prng.ts';
import { thumbprintOf } from '../../src/security/cose-key.ts';
import { loadKey } from '../../src/security/keystore.ts';
import { nodePrimitives } from '../../src/security/primitives-node.ts';
import { assertComplete } from './complete.ts';
import { digestOf, fateOf, onDisk } from './cuts.ts';
import { Disk, type Fate, type Image, SYNCED, WRITTEN } from './disk.ts';
import { powerSeeds, revivals } from './effort.ts';
import { assertSafe, keyTextOf, PARTIES, type Party, type Views, viewOf } from './parties.ts';
import { type DiskEvent, type Recording, record, recorderMissing } from './recording.ts';
import { assertConverges } from './revived.ts';

const MAIN = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url));

type Disks = Readonly<Record<Party, Image>>;

interface Crash {
  readonly at: number;
  readonly name: string;
  readonly disks: Disks;
}

/** The power goes before and after each sync; the parties' fates by name. */
function* crashes(events: readonly DiskEvent[], seeds: number, firstSeed: number): Generator<Crash> {
  const disk = new Disk();
  const combine = (at: number, name: string, fate: (party: Party) => Fate): Crash => ({
    ...{ at, name },
    disks: Object.fromEntries(PARTIES.map((party) => [party, disk.image(fate(party), party)])) as Record<
      Party,
      Image
    >,
  });
  for (let at = 0; at <= events.length; at++) {
    const event = events[at];
    const sync = (one: DiskEvent | undefined) => one === undefined || one.kind.startsWith('sync');
    if (sync(event) || (at > 0 && sync(events[at - 1]))) {
      yield combine(at, 'synced', () => SYNCED);
      yield combine(at, 'written', () => WRITTEN);
      for (const one of PARTIES) {
        yield combine(at, `${one} synced`, (party) => (party === one ? SYNCED : WRITTEN));
        yield combine(at, `${one} written`, (party) => (party === one ? WRITTEN : SYNCED));
      }
      for (let seed = firstSeed; seed < firstSeed + seeds; seed++) {
        yield combine(at, `seed ${seed}`, (party) => fateOf(4 * seed + PARTIES.indexOf(party), at));
      }
    }
    if (event) disk.apply(event);
  }
}

/** Looks at each different disk once. */
class Looked {
  readonly #views = new Map<string, Views[Party]>();
  readonly #keys = new Map<Party, string>();

  get disks(): number {
    return this.#views.size;
  }

  async views({ disks, at, name }: Crash): Promise<Views> {
    const views: Partial<Record<Party, Views[Party]>> = {};
    for (const party of PARTIES) {
      const id = `${party} ${digestOf(disks[party])}`;
      let view = this.#views.get(id);
      if (!view) {
        try {
          view = await onDisk(disks[party], (directory) => this.#look(party, directory));
        } catch (cause) {
          const why = cause instanceof Error ? cause.message : cause;
          throw new Error(`${party} at event ${at}, ${name}: ${why}`, { cause });
        }
        this.#views.set(id, view);
      }
      views[party] = view;
    }
    return views as unknown as Views;
  }

  #look(party: Party, directory: string): Views[Party] {
    const key = keyTextOf(party, directory);
    if (key !== undefined) {
      assert.equal(this.#keys.get(party) ?? key, key, 'two keys');
      this.#keys.set(party, key);
    }
    return viewOf(party, directory);
  }
}

describe('loss of power during an establishment of four processes', function () {
  this.timeout(60 * 60_000);
  const missing = recorderMissing();
  if (missing !== undefined) {
    it(`can be shown elsewhere only: ${missing}`, () => console.log(`      skipped: ${missing}`));
    return;
  }
  const { seeds, firstSeed } = powerSeeds(1);
  let recording: Recording;
  let thumbprint: string;
  before(() => {
    recording = record((root) => ['--import=tsx', MAIN, 'demo', '--keep', root, '--timeout', '100'], 120_000);
    const { publicKey } = loadKey(`${recording.root}/pne/identity.pem`);
    thumbprint = toHex(thumbprintOf(nodePrimitives(), publicKey));
  });
  after(() => recording?.close());

  it('at every sync of each party, all at once or one alone, the disks fit together', async () => {
    assertComplete(recording);
    const looked = new Looked();
    let combinations = 0;
    let last: Views | undefined;
    for (const crash of crashes(recording.events, seeds, firstSeed)) {
      combinations++;
      last = await looked.views(crash);
      try {
        assertSafe(last, thumbprint);
      } catch (error) {
        if (error instanceof Error) error.message = `event ${crash.at}, ${crash.name}: ${error.message}`;
        throw error;
      }
    }
    assert.equal(Object.keys(last?.pne.inventories ?? {}).length, 1, 'the recording ends with a membership');
    const syncs = recording.events.filter(({ kind }) => kind.startsWith('sync')).length;
    console.log(
      `      ${recording.events.length} events, ${syncs} syncs: ${combinations} combinations of ` +
        `${looked.disks} disks; seeds ${firstSeed}–${firstSeed + seeds - 1}`,
    );
  });

  it('started again, the four come to one PN', async () => {
    const looked = new Looked();
    const usable: Crash[] = [];
    for (const crash of crashes(recording.events, seeds, firstSeed)) {
      const { gw1, gw2 } = await looked.views(crash);
      if (gw1.gatewayId !== undefined && gw2.gatewayId !== undefined) usable.push(crash);
    }
    const prng = new Prng(firstSeed);
    const times = revivals(3);
    const tookMs: number[] = [];
    for (let i = 0; i < times; i++) {
      // Spread over the flow, each at a random place of its part.
      const crash = usable[Math.floor(((i + prng.next()) / times) * usable.length)];
      assert.ok(crash);
      const began = performance.now();
      const image = new Map(
        PARTIES.flatMap((party) => [
          [party, 'directory' as const] as const,
          ...[...crash.disks[party]].map(([path, content]) => [`${party}/${path}`, content] as const),
        ]),
      );
      try {
        await onDisk(image, assertConverges);
      } catch (cause) {
        const why = cause instanceof Error ? cause.message : cause;
        throw new Error(`started again at event ${crash.at}, ${crash.name}: ${why}`, { cause });
      }
      tookMs.push(Math.round(performance.now() - began));
    }
    tookMs.sort((a, b) => a - b);
    console.log(
      `      ${times} of ${usable.length} places, seed ${firstSeed}: started and agreed in ` +
        `${tookMs[0]}–${tookMs.at(-1)} ms`,
    );
  });
});
