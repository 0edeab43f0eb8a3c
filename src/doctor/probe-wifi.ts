/**
 * Looks for Wi-Fi on the frequencies of Bluetooth: interfaces from /sys, their channel from `iw`, which any user may ask.
 */
import { execFile } from 'node:child_process';
import { basename } from 'node:path';
import { promisify } from 'node:util';
import { type Seen, seen, unseen, type WifiFacts } from './facts.ts';
import { codeOf, exists, linkOf, namesIn } from './files.ts';

const LIMIT_MS = 3_000;
/** Drivers whose chips have Bluetooth on them: the built-in ones of Raspberry Pis. */
const COMBO_DRIVERS = ['brcmfmac'];

/** @param ask runs `iw dev NAME info` and gives what it prints */
export async function probeWifi(
  root = '',
  ask: (name: string) => Promise<string> = askIw,
): Promise<readonly WifiFacts[]> {
  const names = namesIn(`${root}/sys/class/net`).filter((name) =>
    exists(`${root}/sys/class/net/${name}/phy80211`),
  );
  return Promise.all(
    names.map(async (name) => ({
      name,
      combo: COMBO_DRIVERS.includes(basename(linkOf(`${root}/sys/class/net/${name}/device/driver`) ?? '')),
      frequency: await frequencyOf(name, ask),
    })),
  );
}

async function frequencyOf(
  name: string,
  ask: (name: string) => Promise<string>,
): Promise<Seen<number | undefined>> {
  try {
    const mhz = /\bchannel \d+ \((\d+) MHz\)/.exec(await ask(name))?.[1];
    return seen(mhz === undefined ? undefined : Number(mhz));
  } catch (error) {
    return unseen(`iw could not be asked (${codeOf(error)}): sudo apt-get install -y iw`);
  }
}

async function askIw(name: string): Promise<string> {
  const { PATH = '' } = process.env;
  const env = { PATH: `${PATH}:/usr/sbin:/sbin`, LC_ALL: 'C' };
  const { stdout } = await promisify(execFile)('iw', ['dev', name, 'info'], { timeout: LIMIT_MS, env });
  return stdout;
}
