/**
 * The fuzz targets in the test run: every kept find again, and a time box of all targets in a process of its own, as
 * `npm run fuzz` has it. FUZZ_SEED repeats the dice of an earlier run.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { resolve } from 'node:path';
import { Dice } from './dice.ts';
import { keptFinds, minimise } from './finds.ts';
import { mutate } from './mutate.ts';
import { Runner } from './runner.ts';
import { type Bench, byteAt, type Input, part } from './target.ts';
import { TARGETS } from './targets/index.ts';

const TIME_BOX_MINUTES = 0.15;
const { FUZZ_SEED } = process.env;
const seed = Number(FUZZ_SEED ?? Date.now() & 0x7fffffff);
const ROOT = resolve(import.meta.dirname, '../..');

async function fuzz(
  ...args: readonly string[]
): Promise<{ code: number | null; said: string; report: string }> {
  const child = spawn('npx', ['--no-install', 'tsx', 'scripts/fuzz.ts', ...args], { cwd: ROOT });
  let [said, report] = ['', ''];
  child.stderr.on('data', (chunk) => {
    said += chunk;
  });
  child.stdout.on('data', (chunk) => {
    report += chunk;
  });
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, said, report };
}

describe('fuzz', () => {
  describe('what was found once', () => {
    const benches = new Map<string, Bench>();
    after(async () => {
      for (const bench of benches.values()) await bench.close?.();
    });
    for (const { file, find } of keptFinds()) {
      it(`${file} holds: ${find.error}`, async () => {
        const target = TARGETS.find(({ name }) => name === find.target);
        assert.ok(target, `no target ${find.target}`);
        const bench = benches.get(target.name) ?? (await target.open());
        benches.set(target.name, bench);
        assert.equal(await new Runner(target, bench).run(find.parts), undefined);
      }).timeout(30_000);
    }
  });

  describe('the harness', () => {
    it('repeats with its seed, and changes what it is given', () => {
      const corpus: Input[] = [[part(1, 2, 3), part(0xa1, 0x01, 0x43, 1, 2, 3)]];
      const draw = () => {
        const dice = new Dice(7);
        return Array.from({ length: 50 }, () => mutate(corpus[0] ?? [], corpus, dice));
      };
      assert.deepEqual(draw(), draw());
      assert.ok(new Set(draw().map((input) => JSON.stringify(input))).size > 40);
    });

    it('minimises to the one byte that matters', async () => {
      const fails = async (input: Input) => (input.some((one) => one.includes(0x77)) ? 'boom' : undefined);
      const noisy = [
        part(1, 2, 3),
        Uint8Array.from({ length: 300 }, (_, i) => (i === 200 ? 0x77 : 0)),
        part(9),
      ];
      assert.deepEqual(await minimise(noisy, 'boom', fails), [part(0x77)]);
    });

    it('finds a throw, a run that computes for long, and one that takes memory', async () => {
      const held: Uint8Array[] = [];
      const bench: Bench = {
        seeds: [],
        run: ([which]) => {
          if (byteAt(which, 0) === 1) throw new RangeError('at 17');
          // Processor time and not the clock's: other programs may be busy. Far more of it than fresh memory costs.
          const begun = process.cpuUsage();
          const spent = () => process.cpuUsage(begun).user / 1000;
          while (spent() < (byteAt(which, 0) === 2 ? 300 : 3));
          if (byteAt(which, 0) === 3) held.push(new Uint8Array(16 * 1024 * 1024).fill(1));
        },
      };
      const runner = new Runner({ name: 'x', about: '', sources: [], cpuMs: 150, open: () => bench }, bench);
      assert.match((await runner.run([part(1)])) ?? '', /^RangeError: at N/);
      assert.match((await runner.run([part(2)])) ?? '', /processor time/);
      assert.match((await runner.run([part(3)])) ?? '', /allocated/);
      assert.equal(await runner.run([part(0)]), undefined);
    });
  });

  it(`finds nothing in a time box of all targets, FUZZ_SEED=${seed}`, async () => {
    const minutes = String(TIME_BOX_MINUTES);
    const { code, said, report } = await fuzz('--minutes', minutes, '--seed', String(seed), '--json');
    assert.equal(code, 0, `${said.slice(-4_000)}\n${report.slice(-4_000)}`);
    const { targets } = JSON.parse(report.slice(report.indexOf('{\n'))) as {
      targets: { target: string; runs: number; blocksAtEnd: number }[];
    };
    assert.deepEqual(
      targets.map(({ target }) => target),
      TARGETS.map(({ name }) => name),
    );
    for (const { target, runs, blocksAtEnd } of targets)
      assert.ok(runs > 0 && blocksAtEnd > 20, `${target}: ${runs} runs, ${blocksAtEnd} blocks`);
  }).timeout(180_000);
});
