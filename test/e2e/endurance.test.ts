/**
 * Many establishments in a row between the real processes: none fails, no process grows, nothing is left open. Each round
 * the PNE forgets its membership and is invited again, which goes through all steps but the question to user A.
 * CPNS_ENDURANCE_ROUNDS sets how many; 200 by default.
 */
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openVirtualRadio } from '../../src/bluetooth/open.ts';
import { layOut } from '../../src/cli/demo/cast.ts';
import { Stage } from '../../src/cli/demo/stage.ts';
import { callControl } from '../../src/nodes/control-socket.ts';
import type { PneStatus } from '../../src/nodes/pne/pne.ts';

const ROUNDS = Number(process.env['CPNS_ENDURANCE_ROUNDS'] ?? 200);
const WARM_UP = Math.floor(ROUNDS / 4);
const ROUND_MS = 10_000;
/** How much more memory the last rounds may hold than those after the warm-up. */
const GROWTH = 1.1;

interface Process {
  readonly pid: number;
  readonly role: string;
}

/** The processes this one started, by their command lines. */
function children(): Process[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => {
      try {
        const parent = Number(
          readFileSync(`/proc/${name}/stat`, 'utf8')
            .replace(/^.*\) /, '')
            .split(' ')[1],
        );
        const words = readFileSync(`/proc/${name}/cmdline`, 'utf8').split('\0');
        const at = words.indexOf('run');
        if (parent !== process.pid || at < 1) return [];
        return [
          {
            pid: Number(name),
            role: `${words[at - 1]} ${words[words.indexOf('--state') + 1]?.split('/').at(-1)}`,
          },
        ];
      } catch {
        return [];
      }
    });
}

function residentKiB(pid: number): number {
  return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0);
}

function openFiles(pid: number): number {
  return readdirSync(`/proc/${pid}/fd`).length;
}

const median = (values: readonly number[]): number =>
  [...values].sort((a, b) => a - b)[values.length >> 1] ?? 0;

describe(`${ROUNDS} establishments in a row`, function () {
  this.timeout(60_000 + ROUNDS * ROUND_MS);
  let dir: string;
  before(() => {
    assert.ok(
      existsSync(new URL('../../dist/src/cli/main.js', import.meta.url)),
      'run `npm run build` first',
    );
    dir = mkdtempSync(join(tmpdir(), 'cpns-endurance-'));
  });
  after(() => rmSync(dir, { recursive: true, force: true }));

  it('none fails, no process grows by more than a tenth after a quarter of them, nothing stays open', async () => {
    const radio = await openVirtualRadio({ path: join(dir, 'radio.sock') });
    const cast = layOut(dir, 1, false);
    const stage = new Stage(cast, performance.now(), () => {});
    const pneDir = cast.homes[0]?.pne.stateDir ?? '';
    const status = async () => (await callControl(pneDir, 'status')) as PneStatus;
    try {
      const { pnId } = await stage.play(radio.moniker, 30_000);
      stage.hush();
      const processes = children();
      assert.equal(processes.length, 4);
      const memory = new Map(processes.map(({ pid }) => [pid, [] as number[]]));
      const files = new Map(processes.map(({ pid }) => [pid, openFiles(pid)]));
      for (let round = 1; round <= ROUNDS; round++) {
        await callControl(pneDir, 'forget', { pnId });
        const endAt = performance.now() + ROUND_MS;
        for (
          let version = 0;
          version !== round + 1;
          version = (await status()).memberships[0]?.version ?? 0
        ) {
          assert.ok(performance.now() < endAt, `round ${round} did not end in ${ROUND_MS} ms`);
          await new Promise((resolve) => setTimeout(resolve, 5));
        }
        for (const { pid } of processes) memory.get(pid)?.push(residentKiB(pid));
      }
      for (const { pid, role } of processes) {
        const samples = memory.get(pid) ?? [];
        const [early, late] = [samples.slice(WARM_UP, 2 * WARM_UP), samples.slice(-WARM_UP)].map(median);
        assert.ok(
          (late ?? 0) <= (early ?? 0) * GROWTH,
          `${role}: ${early} KiB after the warm-up, ${late} KiB at the end`,
        );
        assert.ok(
          openFiles(pid) <= (files.get(pid) ?? 0) + 2,
          `${role} has more files open than at the start`,
        );
      }
    } finally {
      await stage.end();
      await radio.close();
    }
    assert.deepEqual(children(), [], 'no process is left');
  });
});
