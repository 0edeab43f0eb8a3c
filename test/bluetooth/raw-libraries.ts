/**
 * The Bluetooth libraries of each back-end as they come, without a guard, to show each defect first; or with their guards
 * on, in the same situation. What differs in their calls is made alike here. Everything opened is closed by `cleanUp`.
 */
import { EventEmitter } from 'node:events';
import type { BackEnd } from '../../src/bluetooth/back-end.ts';
import { loadNoble } from '../../src/bluetooth/central-abandonware.ts';
import { loadStoprocentNoble } from '../../src/bluetooth/central-stoprocent.ts';
import { CPNS_DOWN_UUID, CPNS_SERVICE_UUID, CPNS_UP_UUID } from '../../src/bluetooth/gatt-service.ts';
import { type Bleno, guardBleno } from '../../src/bluetooth/guards/bleno.ts';
import { guardStoprocentBleno } from '../../src/bluetooth/guards/bleno-stoprocent.ts';
import { guardNoble, type Noble, type NoblePeripheral } from '../../src/bluetooth/guards/noble.ts';
import { guardStoprocentNoble } from '../../src/bluetooth/guards/noble-stoprocent.ts';
import { type HciTransport, openTransport } from '../../src/bluetooth/hci/transport.ts';
import { loadBleno } from '../../src/bluetooth/peripheral-abandonware.ts';
import { loadStoprocentBleno } from '../../src/bluetooth/peripheral-stoprocent.ts';
import type { VirtualRadio } from '../../src/bluetooth/virtual-radio/server.ts';
import { chosenBackEnd, closeLater, once } from './support.ts';

/** A library and what puts its guards on. The fork has the same calls and fields, as far as tests touch them. */
interface Copy<Library> {
  readonly library: Library;
  guard(): () => void;
}

const NOBLES: Readonly<Record<BackEnd, (transport: HciTransport) => Copy<Noble>>> = {
  abandonware: (transport) => {
    const { noble, gatt } = loadNoble(transport);
    return { library: noble, guard: () => guardNoble(noble, gatt, transport) };
  },
  stoprocent: (transport) => {
    const copy = loadStoprocentNoble(transport);
    copy.noble.removeAllListeners('warning');
    const library = copy.noble as unknown as Noble;
    return { library, guard: () => guardStoprocentNoble(copy, transport) };
  },
};

const BLENOS: Readonly<Record<BackEnd, (transport: HciTransport) => Copy<Bleno>>> = {
  abandonware: (transport) => {
    const library = loadBleno(transport);
    return { library, guard: () => guardBleno(library, transport) };
  },
  stoprocent: (transport) => {
    const fork = loadStoprocentBleno(transport);
    const library = fork as unknown as Bleno;
    return { library, guard: () => guardStoprocentBleno(fork, transport, 1) };
  },
};

export interface RawPeripheral extends EventEmitter, NoblePeripheral {
  readonly mtu: number | null;
  readonly state: string;
  connectAsync(): Promise<void>;
  disconnect(): void;
  cancelConnect(): void;
  discoverServicesAsync(uuids: string[]): Promise<unknown>;
  discoverSomeServicesAndCharacteristicsAsync(
    services: string[],
    characteristics: string[],
  ): Promise<{ characteristics: RawCharacteristic[] }>;
}

export interface RawCharacteristic extends EventEmitter {
  readonly uuid: string;
  write(data: Buffer, withoutResponse: boolean): void;
  writeAsync(data: Buffer, withoutResponse: boolean): Promise<void>;
  subscribeAsync(): Promise<void>;
}

export interface RawNoble {
  readonly noble: Noble;
  readonly transport: HciTransport;
  find(address: string): Promise<RawPeripheral>;
}

/** noble as it comes, or with its guards, powered on. */
export async function rawNoble(radio: VirtualRadio, guarded = false): Promise<RawNoble> {
  const transport = await openTransport(radio.moniker);
  const { library: noble, guard } = NOBLES[chosenBackEnd()](transport);
  const release = guarded ? guard() : rawRelease(() => noble._bindings._hci);
  closeLater(() => {
    release();
    transport.close();
  });
  noble.on('warning', () => {});
  const on = once(noble, 'stateChange');
  await on;
  return {
    noble,
    transport,
    find: async (address) => {
      const found = new Promise<RawPeripheral>((resolve) => {
        const seen = (peripheral: RawPeripheral): void => {
          if (peripheral.address !== address) return;
          noble.off('discover', seen);
          resolve(peripheral);
        };
        noble.on('discover', seen);
      });
      noble.startScanning([plain(CPNS_SERVICE_UUID)], true);
      const peripheral = await found;
      const stopped = once(noble, 'scanStop');
      noble.stopScanning();
      await stopped;
      return peripheral;
    },
  };
}

/** Connects a raw noble and finds the two characteristics. */
export async function rawOpen(
  { find }: RawNoble,
  address: string,
): Promise<{ peripheral: RawPeripheral; up: RawCharacteristic; down: RawCharacteristic }> {
  const peripheral = await find(address);
  await peripheral.connectAsync();
  const uuids = [plain(CPNS_UP_UUID), plain(CPNS_DOWN_UUID)];
  const { characteristics } = await peripheral.discoverSomeServicesAndCharacteristicsAsync(
    [plain(CPNS_SERVICE_UUID)],
    uuids,
  );
  const [up, down] = uuids.map((uuid) => characteristics.find((each) => each.uuid === uuid));
  if (!up || !down) throw new Error('the raw peripheral has no CPNS service');
  return { peripheral, up, down };
}

export interface RawBleno {
  readonly bleno: Bleno;
  readonly transport: HciTransport;
  readonly address: string;
  readonly writes: EventEmitter;
  updateValue: ((data: Buffer) => void) | undefined;
  answerWrite: (answer: (result: number) => void) => void;
}

/** bleno as it comes, or with its guards, advertising the CPNS service with characteristics of its own. */
export async function rawBleno(
  radio: VirtualRadio,
  { guarded = false, secureDown = false }: { guarded?: boolean; secureDown?: boolean } = {},
): Promise<RawBleno> {
  const transport = await openTransport(radio.moniker);
  const { library: bleno, guard } = BLENOS[chosenBackEnd()](transport);
  const release = guarded ? guard() : rawRelease(() => bleno._bindings._hci);
  closeLater(() => {
    release();
    transport.close();
  });
  await once(bleno, 'stateChange');
  const raw: RawBleno = {
    bleno,
    transport,
    address: (bleno as unknown as { address: string }).address,
    writes: new EventEmitter(),
    updateValue: undefined,
    answerWrite: (answer) => answer(0),
  };
  const up = new bleno.Characteristic({
    uuid: plain(CPNS_UP_UUID),
    properties: ['write', 'writeWithoutResponse'],
    onWriteRequest: tellingNoConnection((data, _offset, _withoutResponse, answer) => {
      raw.writes.emit('write', data);
      raw.answerWrite(answer);
    }),
  });
  const down = new bleno.Characteristic({
    uuid: plain(CPNS_DOWN_UUID),
    properties: ['notify'],
    ...(secureDown ? { secure: ['notify'] } : {}),
    onSubscribe: tellingNoConnection((_max: number, updateValue: (data: Buffer) => void) => {
      raw.updateValue = updateValue;
      raw.writes.emit('subscribe');
    }),
  });
  bleno.setServices([
    new bleno.PrimaryService({ uuid: plain(CPNS_SERVICE_UUID), characteristics: [up, down] }),
  ]);
  await rawAdvertise(bleno);
  return raw;
}

/** bleno of stoprocent says first which central it is. */
function tellingNoConnection<Values extends unknown[]>(
  take: (...values: Values) => void,
): (...values: Values) => void {
  if (chosenBackEnd() === 'abandonware') return take;
  return (...values) => take(...(values.slice(1) as Values));
}

export async function rawAdvertise(bleno: Bleno): Promise<void> {
  const started = once(bleno, 'advertisingStart');
  (bleno as unknown as { startAdvertising(name: string, uuids: string[]): void }).startAdvertising('raw', [
    plain(CPNS_SERVICE_UUID),
  ]);
  await started;
}

export function plain(uuid: string): string {
  return uuid.replaceAll('-', '');
}

/** Undoes what X2 leaves behind of an unguarded library: the poll timer and the listeners on the process. */
function rawRelease(hci: () => { pollIsDevUp(): void }): () => void {
  const interrupts = new Set(process.listeners('SIGINT'));
  const exits = new Set(process.listeners('exit'));
  return () => {
    hci().pollIsDevUp = () => {};
    for (const each of process.listeners('SIGINT')) if (!interrupts.has(each)) process.off('SIGINT', each);
    for (const each of process.listeners('exit')) {
      if (!exits.has(each)) process.off('exit', each as NodeJS.ExitListener);
    }
  };
}
