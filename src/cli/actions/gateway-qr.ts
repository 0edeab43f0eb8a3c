/**
 * `cpns gateway qr`: has the running gateway show a code, draws it, asks whether the device that has it shows the same
 * digits, and waits until it was used. The code goes to the terminal and into files that only the user can read, never
 * into a log.
 */
import { rmSync, writeFileSync } from 'node:fs';
import { ControlError, callControl } from '../../nodes/control-socket.ts';
import type { Comparison } from '../../nodes/gateway/pairing.ts';
import { qrTextOf } from '../../security/enrolment-code.ts';
import { digitsInGroups, drawQr } from '../enrol-display.ts';
import { InterruptedError, UsageError } from '../exit-codes.ts';
import { fields, print } from '../output.ts';
import { Asker } from '../prompt.ts';
import { qrPng } from '../qr-png.ts';
import { existingState, type RoleOptions } from '../roles.ts';

interface Options extends RoleOptions {
  readonly json?: boolean;
  readonly page?: string;
  readonly png?: string;
  readonly print?: boolean;
}

interface Shown {
  readonly code: string;
  readonly expiresInMs: number;
}

/** `comparing` is null when that question is over. */
type QrEvent = Shown | { readonly comparing: Comparison | null };

export async function gatewayQr(options: Options): Promise<void> {
  if (!process.stdout.isTTY && !options.print && !options.json) {
    throw new UsageError(
      'stdout is no terminal, and whoever reads the code can become a PNE of yours; --print shows it anyway',
    );
  }
  const page = pageOf(options.page);
  const stateDir = existingState('gateway', options);
  const ended = new AbortController();
  const interrupt = () => ended.abort(new InterruptedError());
  process.once('SIGINT', interrupt);
  let asker: Asker | undefined;
  const onEvent = (event: unknown) => {
    const qrEvent = event as QrEvent;
    if ('code' in qrEvent) return show(qrEvent, page, options);
    asker?.close();
    const { comparing } = qrEvent;
    if (!comparing) return;
    if (options.json) process.stdout.write(`${JSON.stringify({ comparing })}\n`);
    asker = new Asker();
    compare(stateDir, comparing, asker).catch((error) => ended.abort(error));
  };
  try {
    const paired = await callControl(stateDir, 'show-code', {}, { onEvent, signal: ended.signal });
    print(options.json, paired, () => `enrolled\n${fields(paired as object)}`);
  } finally {
    process.off('SIGINT', interrupt);
    asker?.close();
    if (options.png !== undefined) rmSync(options.png, { force: true });
  }
}

/** @throws UsageError when it is no page, or would send the code to whoever serves it */
function pageOf(text: string | undefined): URL | undefined {
  if (text === undefined) return undefined;
  if (!URL.canParse(text) || !/^https?:$/.test(new URL(text).protocol))
    throw new UsageError(`"${text}" is no page: write https://HOST[:PORT]/`);
  const url = new URL(text);
  if (url.search || url.hash)
    throw new UsageError('the page is an address without ? and #: the code goes behind the #');
  return url;
}

function show({ code, expiresInMs }: Shown, page: URL | undefined, options: Options): void {
  const plain = code.replaceAll(/[\s-]/g, '');
  // Behind the #, which browsers never send to anybody.
  const text = page ? `${page.href}#${plain}` : qrTextOf(plain);
  if (options.png !== undefined) writeFileSync(options.png, qrPng(text), { mode: 0o600 });
  if (options.json) {
    process.stdout.write(`${JSON.stringify({ code, text, expiresInMs })}\n`);
    return;
  }
  const minutes = Math.round(expiresInMs / 60_000);
  const lines = [drawQr(text), '', `  ${code}`, ...(page ? ['', `  ${text}`] : [])];
  process.stdout.write(
    `${lines.join('\n')}\n\nIt lives for ${minutes} minutes and enrols once. Ctrl-C takes it back.\n`,
  );
}

/** Where input has ended nobody has compared: that is a no. */
async function compare(stateDir: string, { digits, label, thumbprint }: Comparison, asker: Asker) {
  const name = label === undefined ? `A device without a name (${thumbprint.slice(0, 16)})` : `"${label}"`;
  process.stderr.write(
    `\n${name} has the code. Look at your device: the number here is  ${digitsInGroups(digits)}\n`,
  );
  for (;;) {
    const typed = (await asker.ask('Does it show the same number? [y/n] '))?.trim().toLowerCase() ?? 'n';
    if (!/^(y|yes|n|no)$/.test(typed)) continue;
    asker.close();
    return callControl(stateDir, 'compared', { digits, same: typed.startsWith('y') }).catch(unlessOver);
  }
}

/** The device went away, or its minute was over, before the answer came. */
function unlessOver(error: unknown): void {
  if (!(error instanceof ControlError && error.status === 'unknown-transaction')) throw error;
  process.stderr.write('it does not wait any more; it may try again while the code lives\n');
}
