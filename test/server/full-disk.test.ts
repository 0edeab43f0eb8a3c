/** What the stores say of a disk that is full: real writes that the kernel refuses, in a process of its own. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const SOURCE = new URL('../../src/', import.meta.url).href;
const SCRIPT = `
import { execFileSync } from 'node:child_process';
const [source, folder] = process.argv.slice(1);
const { initServer } = await import(source + 'nodes/server/admin.ts');
const { openServerStore } = await import(source + 'store/server-store.ts');
const { openGatewayStore } = await import(source + 'store/gateway-store.ts');
const { PnId } = await import(source + 'base/ids.ts');
initServer({ stateDir: folder, realm: 'x.example' });
const server = openServerStore(folder + '/server.db');
const { networks } = openGatewayStore(folder + '/gateway.sqlite');
const pnId = PnId(new Uint8Array(8));
networks.createPn({ pnId, name: 'a', inviting: true }, 7);
const proves = () => {
  try {
    networks.proveWritable(pnId);
    return 'ok';
  } catch (error) {
    return error.status;
  }
};
const look = () => [server.isWritable(), proves(), networks.pn(pnId).createdAt];
const limit = (size) => execFileSync('prlimit', ['--pid', String(process.pid), '--fsize=' + size + ':']);
const seen = [look()];
limit(0);
seen.push(look());
limit('unlimited');
seen.push(look());
console.log(JSON.stringify(seen));
`;

describe('stores on a full disk', function () {
  this.timeout(30_000);
  it('say so when asked, and that they are well again afterwards', () => {
    const folder = mkdtempSync(join(tmpdir(), 'cpns-full-'));
    try {
      const { stdout, stderr, status } = spawnSync(
        process.execPath,
        ['--import=tsx', '--input-type=module', '-e', SCRIPT, SOURCE, folder],
        { encoding: 'utf8' },
      );
      assert.equal(status, 0, stderr);
      assert.deepEqual(JSON.parse(stdout), [
        [true, 'ok', 7],
        [false, 'cannot-persist', 7],
        [true, 'ok', 7],
      ]);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
});
