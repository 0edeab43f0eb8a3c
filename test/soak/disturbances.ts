/**
 * What goes wrong in a soak: faults that come over a process or the radio and pass. Owns the list and its weights; each
 * undoes itself before it settles. What is injected is the matrix's (party.ts, virtual-radio/faults.ts), the instant is the
 * seed's.
 */
import type { Faults } from '../../src/bluetooth/virtual-radio/faults.ts';
import { pause } from './pace.ts';
import { type Dice, InVain, type Site } from './site.ts';

export interface Disturbance {
  readonly name: string;
  readonly weight: number;
  readonly run: (site: Site, dice: Dice) => Promise<void>;
}

const HOUR_MS = 3_600_000;
const RESET_MS = 5_000;

/** Something over one process that runs, for a while. */
async function overOne(
  site: Site,
  name: string,
  begin: () => Promise<void> | void,
  lastsMs: number,
  end: () => Promise<void> | void,
): Promise<void> {
  await site.alone(name, async () => {
    await begin();
    await pause(lastsMs, site.signal);
    if (!site.signal.aborted) await end();
  });
}

const restartable = (site: Site, dice: Dice): string =>
  dice.pick(site.free.filter((name) => site.mayRestart(name)));

async function kill(site: Site, dice: Dice): Promise<void> {
  const name = restartable(site, dice);
  await overOne(
    site,
    name,
    () => site.town.kill(name),
    dice.between(100, 3_000),
    () => site.start(name),
  );
}

async function restart(site: Site, dice: Dice): Promise<void> {
  const name = restartable(site, dice);
  await overOne(
    site,
    name,
    () => site.terminate(name),
    dice.between(0, 1_000),
    () => site.start(name),
  );
}

async function freeze(site: Site, dice: Dice): Promise<void> {
  const name = dice.pick(site.free);
  const process = site.town.process(name);
  await overOne(
    site,
    name,
    () => process.signal('SIGSTOP'),
    dice.between(500, 6_000),
    () => process.signal('SIGCONT'),
  );
}

async function fullDisk(site: Site, dice: Dice): Promise<void> {
  const name = dice.pick(site.free);
  const process = site.town.process(name);
  await overOne(
    site,
    name,
    () => process.setDiskFull(true),
    dice.between(500, 4_000),
    () => process.setDiskFull(false),
  );
}

async function leapClock(site: Site, dice: Dice): Promise<void> {
  const name = dice.pick(site.free);
  const process = site.town.process(name);
  const offsetMs = dice.chance(0.5) ? HOUR_MS : -HOUR_MS;
  await overOne(
    site,
    name,
    () => process.setClock(offsetMs),
    dice.between(1_000, 6_000),
    () => {
      process.setClock(0);
      // The operator has looked at it: without that the server signs nothing (docs/protocol.md §4.3).
      if (name === site.server) site.town.administer((admin) => admin.acceptClock());
    },
  );
}

async function resetConnections(site: Site): Promise<void> {
  const process = site.town.process(site.server);
  await site.alone(site.server, async () => {
    if (!process.alive) throw new InVain('the server does not run');
    const late = pause(RESET_MS, site.signal).then(() => {
      throw new InVain('the server did not come to it');
    });
    await Promise.race([process.resetConnections(), late]);
  });
}

/** One open link of the radio. */
function someLink(site: Site, dice: Dice) {
  return dice.pick(site.town.radio.counters().links.filter(({ open }) => open));
}

async function dropLink(site: Site, dice: Dice): Promise<void> {
  const { central, peripheral } = someLink(site, dice);
  if (!site.town.radio.dropLink(central, peripheral)) throw new InVain('it was gone');
}

async function stallLink(site: Site, dice: Dice): Promise<void> {
  const { central, peripheral } = someLink(site, dice);
  const lastsMs = dice.between(500, 6_000);
  if (!site.town.radio.stallLink(central, peripheral, lastsMs)) throw new InVain('it was gone');
  await pause(lastsMs, site.signal);
}

/** The whole air is bad for a while. */
function badAir(faultsOf: (dice: Dice) => Faults): Disturbance['run'] {
  return async (site, dice) => {
    const faults = faultsOf(dice);
    const none = Object.fromEntries(Object.keys(faults).map((name) => [name, undefined]));
    await overOne(
      site,
      'radio',
      () => site.town.radio.setFaults(faults),
      dice.between(2_000, 8_000),
      () => site.town.radio.setFaults(none),
    );
  };
}

export const DISTURBANCES: readonly Disturbance[] = [
  { name: 'SIGKILL, started again', weight: 5, run: kill },
  { name: 'SIGTERM, started again', weight: 2, run: restart },
  { name: 'SIGSTOP', weight: 3, run: freeze },
  { name: 'disk full', weight: 2, run: fullDisk },
  { name: 'clock ±1 h', weight: 2, run: leapClock },
  { name: 'HTTPS reset', weight: 3, run: resetConnections },
  { name: 'link dropped', weight: 3, run: dropLink },
  { name: 'link stalled', weight: 2, run: stallLink },
  {
    name: 'adverts lost',
    weight: 2,
    run: badAir((dice) => ({ advertLossProbability: dice.between(0.5, 0.95) })),
  },
  {
    name: 'slow peer',
    weight: 2,
    run: badAir((dice) => ({ slowPeerPacketsPerSecond: Math.round(dice.between(5, 40)) })),
  },
  {
    name: 'packets lost',
    weight: 2,
    run: badAir((dice) => ({ linkLossProbability: dice.between(0.005, 0.05) })),
  },
  { name: 'value delivered twice', weight: 2, run: badAir(() => ({ repeatValues: 1 })) },
];
