/** Parties in processes of their own: one is killed, the other notices and goes on; one is closed and exits by itself. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import {
  cleanUp,
  closed,
  describeBackEnds,
  newCentral,
  newPeripheral,
  newRadio,
  once,
  sightingOf,
} from './support.ts';

const PARTY = fileURLToPath(new URL('./party.ts', import.meta.url));

const children = new Set<ChildProcess>();

function start(...words: string[]): { child: ChildProcess; says(word: string): Promise<void> } {
  const child = spawn(process.execPath, ['--import', 'tsx', PARTY, ...words], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  children.add(child);
  let heard = '';
  child.stdout.on('data', (chunk: Buffer) => {
    heard += chunk.toString();
  });
  return {
    child,
    says: async (word) => {
      while (!heard.includes(word)) await once(child.stdout, 'data');
    },
  };
}

describeBackEnds('processes', function (backEnd) {
  this.timeout(20_000);
  afterEach(async () => {
    for (const child of children) child.kill('SIGKILL');
    children.clear();
    await cleanUp();
  });

  it('a killed peripheral is noticed within the supervision timeout', async () => {
    const radio = await newRadio();
    const { child, says } = start(backEnd, 'peripheral', radio.moniker);
    await says('READY');
    const central = await newCentral(radio);
    const { address } = await sightingOf(central, 1);
    const link = await central.connect(address, { deadlineMs: 5000 });
    const ended = closed(link);
    const killedAt = performance.now();
    child.kill('SIGKILL');
    assert.equal(await ended, 0x08);
    const ms = performance.now() - killedAt;
    assert.ok(ms > 1500 && ms < 3000, `${ms} ms`);
  });

  it('a killed central is noticed, and the next central is served', async () => {
    const radio = await newRadio();
    const peripheral = await newPeripheral(radio);
    const central = await newCentral(radio);
    const { address } = await sightingOf(central, 1);
    const { child, says } = start(backEnd, 'central', radio.moniker, address);
    const down = await peripheral.nextLink();
    await says('LINKED');
    const ended = closed(down);
    child.kill('SIGKILL');
    assert.equal(await ended, 0x08);
    await Promise.all([central.connect(address, { deadlineMs: 5000 }), peripheral.nextLink()]);
  });

  it('GUARD X2: a process exits by itself after close', async () => {
    const radio = await newRadio();
    const peripheral = await newPeripheral(radio);
    const { address } = await sightingOf(await newCentral(radio), 1);
    const { child, says } = start(backEnd, 'central', radio.moniker, address);
    const down = await peripheral.nextLink();
    await says('LINKED');
    const ended = closed(down);
    const exited = once<number>(child, 'exit');
    child.kill('SIGUSR2');
    assert.equal(await ended, 0x13);
    assert.equal(await exited, 0);
  });
});
