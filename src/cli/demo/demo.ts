/**
 * `cpns demo`: starts a server, gateways and PNEs as processes of their own on a virtual radio, lets them enrol and
 * establish a PN, and draws every message. Owns the order and the failures; leaves no process behind.
 */
import { closeSync, mkdirSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { openVirtualRadio, type VirtualRadio } from '../../bluetooth/virtual-radio/server.ts';
import { UsageError } from '../exit-codes.ts';
import { stopSignals } from '../stop-signals.ts';
import { type Cast, layOut } from './cast.ts';
import { type FlowEvent, flowLine, resultLine } from './flow-event.ts';
import { ladderHeader, ladderLine, ladderStyle } from './ladder.ts';
import { LAST_STEP, Sequencer } from './sequencer.ts';
import { DemoFailure, Stage } from './stage.ts';
import { describeVerdict, insist } from './verdict.ts';

export interface DemoOptions {
  readonly pnes: number;
  readonly json?: string;
  readonly keep?: string;
  readonly interval?: number;
  readonly packets: number;
  readonly timeout: number;
}

const MAX_SOCKET_PATH_BYTES = 107;

export async function demo(options: DemoOptions): Promise<void> {
  const startedAtMs = Date.now();
  if (options.keep !== undefined) checkLength(resolve(options.keep));
  const root = options.keep === undefined ? mkdtempSync(join(tmpdir(), 'cpns-demo-')) : resolve(options.keep);
  mkdirSync(root, { recursive: true, mode: 0o700 });
  // Keys are in there: gone too when the process exits without coming to its end (a reader of stdout that left, say).
  const forgetRoot = (): void => {
    if (options.keep === undefined) rmSync(root, { recursive: true, force: true });
  };
  process.on('exit', forgetRoot);
  const json = options.json === undefined ? undefined : openSync(options.json, 'w', 0o644);
  const writeJson = (line: string): void => void (json !== undefined && writeSync(json, `${line}\n`));
  const draw = painter(options.pnes);
  const sequencer = new Sequencer((event) => {
    draw(event);
    writeJson(flowLine(event));
  });
  const cast = layOut(root, options.pnes, options.keep !== undefined);
  const stage = new Stage(cast, startedAtMs, (event) => sequencer.push(event));
  const told = stopSignals();
  let radio: VirtualRadio | undefined;
  try {
    process.stdout.write(`${opening(cast)}\n\n`);
    radio = await openVirtualRadio({
      path: join(root, 'radio.sock'),
      intervalMs: options.interval,
      packetsPerEvent: options.packets,
    });
    const work = stage.play(radio.moniker, options.timeout * 1000);
    const verdict = await Promise.race([work, told.signal]);
    stage.hush();
    sequencer.flush();
    if (typeof verdict === 'number') {
      process.exitCode = verdict;
      return;
    }
    process.stdout.write(`\n${describeVerdict(verdict)}\n`);
    insist(verdict);
    for (const { number } of cast.homes) {
      if (sequencer.reached(number) < LAST_STEP)
        throw new DemoFailure('timeout', `PNE ${number}: step 13 was not seen`);
    }
    for (const { number: pne } of cast.homes) {
      writeJson(
        resultLine({ result: 'registered', pne, pnId: verdict.pnId, inventoryVersion: verdict.version }),
      );
    }
    process.stdout.write(`done in ${((Date.now() - startedAtMs) / 1000).toFixed(2)} s\n`);
    if (options.keep !== undefined) process.stdout.write(keptText(root, cast));
  } catch (error) {
    sequencer.flush();
    const failure = stage.explain(error, (pne) => sequencer.reached(pne));
    writeJson(resultLine(failure.result));
    process.stdout.write('\n');
    process.stderr.write(`${failure.text}\n`);
    throw failure.error;
  } finally {
    told.forget();
    await stage.end();
    await radio?.close();
    if (json !== undefined) closeSync(json);
    forgetRoot();
    process.off('exit', forgetRoot);
  }
}

/** The sockets of the processes are in there, and the name of one has at most 107 bytes. */
function checkLength(root: string): void {
  const longest = Buffer.byteLength(join(root, 'gw1-finn', 'control.sock'));
  if (longest > MAX_SOCKET_PATH_BYTES) {
    throw new UsageError(
      `--keep ${root}: ${longest - MAX_SOCKET_PATH_BYTES} bytes too long for the sockets in it`,
    );
  }
}

function painter(pnes: number): (event: FlowEvent) => void {
  const { LC_ALL = '', LC_CTYPE = '', LANG = '', NO_COLOR = '', TERM = '' } = process.env;
  const style = ladderStyle({ LC_ALL, LC_CTYPE, LANG, NO_COLOR, TERM }, process.stdout.isTTY === true);
  const options = { ...style, pnes };
  let begun = false;
  return (event) => {
    if (!begun) process.stdout.write(`${ladderHeader(options)}\n`);
    begun = true;
    process.stdout.write(`${ladderLine(event, options)}\n`);
  };
}

function opening({ homes, initiator }: Cast): string {
  const owners = homes.map(
    ({ user, gateway, pne }) => `${pne.name} and its home gateway ${gateway.name} of ${user}`,
  );
  return [
    `server, ${owners.join(', ')}, and ${initiator.user}'s gateway gw2: ${2 * homes.length + 2} processes`,
    'noble and bleno over HCI on the virtual radio; HTTPS with TLS 1.3 and client certificates on loopback',
  ].join('\n');
}

function keptText(root: string, cast: Cast): string {
  const capture = cast.initiator.gateway.capture ?? '';
  return [
    `kept in ${root}`,
    `  cpns trace ${capture} --keylog ${cast.keylog}`,
    `  cpns pn list --state ${cast.server.stateDir}`,
    '',
  ].join('\n');
}
