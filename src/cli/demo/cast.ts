/**
 * Who plays in the demo: users, their gateways and devices, with the configuration of each. Owns names and files only.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { makeDirectory } from '../../security/durable-file.ts';

export interface Part {
  /** Directory, log and process name: `gw1`, `pne1`, … */
  readonly name: string;
  readonly stateDir: string;
  readonly configFile: string;
  readonly logFile: string;
  readonly capture: string | undefined;
}

export interface HomeParts {
  /** From 1. */
  readonly number: number;
  readonly user: string;
  readonly gatewayLabel: string;
  readonly gateway: Part;
  readonly pne: Part;
}

export interface Cast {
  readonly realm: string;
  readonly server: Part;
  readonly initiator: { readonly user: string; readonly gatewayLabel: string; readonly gateway: Part };
  readonly homes: readonly HomeParts[];
  readonly keylog: string | undefined;
}

const REALM = 'demo.cpns.example';
export const INITIATOR = 'bob';
export const PN_NAME = "Bob's car";
const OWNERS = ['ann', 'cleo', 'dan', 'eva', 'finn'] as const;
const DEVICES = [
  ['headset', ['sbc', 'lc3']],
  ['watch', ['steps', 'pulse']],
  ['camera', ['jpeg', 'h264']],
  ['glasses', ['display']],
  ['sensor', ['temperature']],
] as const;

const text = JSON.stringify;

export function layOut(root: string, pnes: number, keep: boolean): Cast {
  const folder = (name: string): string => {
    const path = join(root, name);
    makeDirectory(path);
    return path;
  };
  const [logs, configs] = [folder('logs'), folder('config')];
  const captures = keep ? folder('captures') : undefined;
  const part = (name: string, radio: boolean): Part => ({
    name,
    stateDir: folder(name),
    configFile: join(configs, `${name}.toml`),
    logFile: join(logs, `${name}.log`),
    capture: captures && radio ? join(captures, `${name}.btsnoop`) : undefined,
  });
  return {
    realm: REALM,
    server: part('server', false),
    initiator: { user: INITIATOR, gatewayLabel: 'phone', gateway: part('gw2', true) },
    homes: OWNERS.slice(0, pnes).map((user, i) => ({
      number: i + 1,
      user,
      gatewayLabel: 'home',
      gateway: part(pnes === 1 ? 'gw1' : `gw1-${user}`, true),
      pne: part(pnes === 1 ? 'pne' : `pne-${user}`, true),
    })),
    keylog: keep ? join(root, 'keys.txt') : undefined,
  };
}

const write = (file: string, content: string): void => writeFileSync(file, content, { mode: 0o600 });
const log = '\n[log]\nlevel = "debug"\n';

/** @param port 0 for any free one @param extra further lines */
export function writeServerConfig({ server, realm }: Cast, port = 0, extra = ''): void {
  const lines = [
    'host = "127.0.0.1"',
    `port = ${port}`,
    `realm = ${text(realm)}`,
    'names = ["localhost", "127.0.0.1"]',
  ];
  write(server.configFile, `${lines.join('\n')}\n${extra}${log}`);
}

/** Every gateway with its user, the initiating one first. */
export function gatewaysOf({ initiator, homes }: Cast) {
  return [
    { user: initiator.user, label: initiator.gatewayLabel, part: initiator.gateway },
    ...homes.map(({ user, gatewayLabel: label, gateway: part }) => ({ user, label, part })),
  ];
}

const bluetooth = (adapter: string): string => `\n[bluetooth]\nadapter = ${text(adapter)}\n`;

export function writePneConfig({ number, user, pne }: HomeParts, adapter: string): void {
  const [kind = 'device', formats = []] = DEVICES[number - 1] ?? [];
  const name = `${user[0]?.toUpperCase()}${user.slice(1)}'s ${kind}`;
  const device = [
    '[device]',
    `kind = ${text(kind)}`,
    `pne_id = ${text(name)}`,
    `capability = { class = ${text(kind)}, formats = ${text(formats)} }`,
    '[[device.content]]',
    'name = "demo"',
    'media_type = "text/plain"',
  ];
  const join = `[join]\npolicy = "ask"\n[[join.rule]]\ndecision = "accept"\nuser = ${text(INITIATOR)}\n`;
  write(pne.configFile, `${bluetooth(adapter)}${device.join('\n')}\n${join}${log}`);
}

/** The home gateway's owner has said in advance whom to trust, and up to what price. */
export function writeHomeConfig({ gateway }: HomeParts, url: string, adapter: string): void {
  const rule = `[[approvals.rule]]\ndecision = "allow"\nuser = ${text(INITIATOR)}\nmax_limit = 500\ncurrency = "EUR"\n`;
  write(
    gateway.configFile,
    `[server]\nurl = ${text(url)}\n${bluetooth(adapter)}[approvals]\ndefault = "ask"\n${rule}${log}`,
  );
}

export function writeInitiatorConfig({ initiator }: Cast, url: string, adapter: string): void {
  const pn = `[pn]\nname = ${text(PN_NAME)}\ninvite = true\n`;
  write(initiator.gateway.configFile, `[server]\nurl = ${text(url)}\n${bluetooth(adapter)}${pn}${log}`);
}
