/**
 * A central with a live link in a process of its own, for raw.guest.ts: `raw-party.ts MONIKER`. Links to the first
 * CPNS peripheral in sight, says `LINKED`, then ends in the way that a line on its standard input says.
 */
import { createInterface } from 'node:readline';
import { openCentral } from '../../src/bluetooth/open.ts';

const [moniker = ''] = process.argv.slice(2);

const ends: Readonly<Record<string, (close: () => Promise<void>) => void>> = {
  close: (close) => void close(),
  exit: () => process.exit(0),
  throw: () => {
    throw new Error('on purpose');
  },
};

const central = await openCentral(moniker);
const address = await new Promise<string>((resolve, reject) => {
  central.startScan((sighting) => resolve(sighting.address)).catch(reject);
});
await central.connect(address, { deadlineMs: 20_000 });
createInterface({ input: process.stdin }).once('line', (how) => {
  process.stdin.destroy(); // nothing but Bluetooth may keep the process
  ends[how]?.(() => central.close());
});
console.log('LINKED');
