/** A party in a process of its own, for processes.test.ts: `party.ts BACK-END central|peripheral MONIKER [ADDRESS]`. */
import { type BackEnd, openCentral, openPeripheral } from '../../src/bluetooth/open.ts';

const [backEnd, role, moniker = '', address = ''] = process.argv.slice(2);
const options = { backEnd: backEnd as BackEnd };

async function central(): Promise<void> {
  const port = await openCentral(moniker, options);
  await port.connect(address, { deadlineMs: 5000 });
  // The signal asks for an orderly end; the process then has to exit by itself.
  process.once('SIGUSR2', () => void port.close());
  console.log('LINKED');
}

async function peripheral(): Promise<void> {
  const port = await openPeripheral(moniker, options);
  port.onLink = () => console.log('LINKED');
  await port.startAdvertising({ serviceData: new Uint8Array(13).fill(1) });
  console.log('READY');
}

void (role === 'central' ? central() : peripheral());
