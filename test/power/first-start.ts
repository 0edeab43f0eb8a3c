/**
 * The recorded side of the power-cut test of setting up: makes the state directories of all roles as `cpns server init`,
 * `cpns gateway init` and `cpns pne init` do, starts and ends a daemon's lock, and acknowledges after each by a mark that
 * holds what now has to stay. Argument: the directory to make them in. Does nothing when only loaded.
 */
import { createHash } from 'node:crypto';
import { existsSync, openSync, readdirSync, readFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { makePne } from '../../src/cli/actions/pne-setup.ts';
import { createState, writeFirstConfig } from '../../src/cli/roles.ts';
import { pneExample } from '../../src/config/pne-config.ts';
import { lockState } from '../../src/nodes/control-socket.ts';
import { makeGateway } from '../../src/nodes/gateway/state.ts';
import { initServer, openServerAdmin } from '../../src/nodes/server/admin.ts';
import { retireServerKey, rollServerKey } from '../../src/nodes/server/key-set.ts';

/** Files by their SHA-256, and whether the server's database says that it is initialised. */
export type Kept = Readonly<Record<string, string>>;

interface Setup {
  readonly name: string;
  readonly run: () => void;
}

/** @param root in which all is made; all of it may be there already */
export function setups(root: string): readonly Setup[] {
  const server = join(root, 'var/lib/server');
  const gateway = { state: join(root, 'var/lib/gateway'), config: join(root, 'etc/cpns/gateway.toml') };
  const pne = { state: join(root, 'home/pne'), config: join(root, 'home/config/pne.toml') };
  return [
    {
      name: 'pne',
      run: () => {
        makePne(createState('pne', pne));
        writeFirstConfig('pne', pne, pneExample('virtual'));
      },
    },
    {
      name: 'server',
      run: () => {
        try {
          initServer({ stateDir: server, realm: 'op.example', clock: { wallSeconds: () => 1_800_000_000 } });
        } catch (error) {
          if (!(error instanceof Error && 'status' in error && error.status === 'conflict')) throw error;
        }
        openServerAdmin(server).close();
      },
    },
    {
      name: 'gateway',
      run: () => {
        makeGateway(createState('gateway', gateway));
        writeFirstConfig('gateway', gateway, '[server]\nurl = "https://localhost:8443"\n');
      },
    },
    {
      name: 'server keys',
      run: () => {
        if (!existsSync(join(server, 'server-2.key'))) rollServerKey(server);
        if (existsSync(join(server, 'server-1.key'))) retireServerKey(server, 1);
      },
    },
    { name: 'daemon', run: () => lockState(gateway.state).release() },
  ];
}

/** Keys, certificates and configurations below a directory. */
export function keptIn(root: string): Kept {
  const kept: Record<string, string> = {};
  if (!existsSync(root)) return kept;
  for (const entry of readdirSync(root, { recursive: true, encoding: 'utf8' }))
    if (/\.(pem|key|crt|toml|pub)$/.test(entry))
      kept[entry] = createHash('sha256')
        .update(readFileSync(join(root, entry)))
        .digest('hex');
  return kept;
}

const [, program = '', root = ''] = process.argv;
if (program.endsWith('power/first-start.ts')) {
  const { CPNS_POWER_MARKS } = process.env;
  const marks = openSync(CPNS_POWER_MARKS ?? '/dev/null', 'a');
  for (const { name, run } of setups(root)) {
    run();
    writeSync(marks, JSON.stringify({ name, kept: keptIn(root) }));
  }
}
