/**
 * The gateway's store under SIGKILL: a child process writes and reports each durable write; it is killed at some point,
 * and whatever it reported has to be there, in a file that passes SQLite's check, with nothing half done.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join as joinPath } from 'node:path';
import { createInterface } from 'node:readline';
import { type GatewayStore, openGatewayStore } from '../../../src/store/gateway-store.ts';
import { answerOf, inventoryOf, joinIdOf, joinOf, PN } from './store-samples.ts';

const CHILD = new URL('store-child.ts', import.meta.url).pathname;

/** Runs the writer from number `first` until it reported `lines` writes, kills it, and returns every line it wrote. */
async function writeAndKill(path: string, first: number, lines: number): Promise<readonly string[]> {
  const child = spawn(process.execPath, ['--import=tsx', CHILD, path, `${first}`], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const exited = once(child, 'exit');
  const reported: string[] = [];
  for await (const line of createInterface({ input: child.stdout })) {
    reported.push(line);
    if (reported.length === lines) child.kill('SIGKILL');
  }
  await exited;
  return reported;
}

/** What a line promises. */
function assertKept(store: GatewayStore, line: string): void {
  const [kind, number] = line.split(' ');
  const n = Number(number);
  switch (kind) {
    case 'join':
      // A later inventory without it takes a live join out again; this writer's inventories hold one join each.
      if (store.networks.pn(PN)?.version === n)
        assert.deepEqual(store.networks.join(joinIdOf(n))?.response, joinOf(n).response);
      return;
    case 'inventory':
      assert.ok((store.networks.inventory(PN)?.version ?? 0) >= n);
      return;
    case 'request':
      assert.ok(store.home.request(joinIdOf(n)));
      return;
    case 'answer':
      assert.deepEqual(store.home.request(joinIdOf(n))?.answer, answerOf(n));
      return;
    default:
      assert.fail(`the writer said ${line}`);
  }
}

/** Nothing between two writes: an inventory and the joins it names are settled together. */
function assertWhole(store: GatewayStore): void {
  const version = store.networks.inventory(PN)?.version ?? 0;
  if (version > 0) {
    assert.deepEqual(store.networks.inventory(PN)?.bytes, inventoryOf(version).bytes);
    assert.equal(store.networks.join(joinIdOf(version))?.state, 'live');
  }
  for (const join of store.networks.joins('pending')) assert.deepEqual(join.joinId, joinIdOf(version + 1));
  for (const { state, answer } of store.home.requests('all'))
    assert.equal(answer !== undefined, state === 'answered');
}

describe('gateway store under kill -9', () => {
  it('keeps what it reported, through four lives in one file', async function () {
    this.timeout(60_000);
    const folder = mkdtempSync(joinPath(tmpdir(), 'cpns-crash-'));
    const path = joinPath(folder, 'gateway.db');
    try {
      let first = 1;
      for (const lines of [2, 7, 41, 120]) {
        const reported = await writeAndKill(path, first, lines);
        assert.ok(reported.length >= lines);
        const store = openGatewayStore(path);
        for (const line of reported) assertKept(store, line);
        assertWhole(store);
        first = (store.networks.inventory(PN)?.version ?? 0) + 1;
        store.close();
      }
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
