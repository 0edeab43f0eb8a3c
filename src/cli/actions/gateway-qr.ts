/**
 * `cpns gateway qr`: has the running gateway show a code, draws it, and waits until it was used. The code goes to the
 * terminal and into files that only the user can read, never into a log.
 */
import { rmSync, writeFileSync } from 'node:fs';
import { callControl } from '../../nodes/control-socket.ts';
import { qrTextOf } from '../../security/enrolment-code.ts';
import { drawQr } from '../enrol-display.ts';
import { InterruptedError, UsageError } from '../exit-codes.ts';
import { fields, print } from '../output.ts';
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

export async function gatewayQr(options: Options): Promise<void> {
  if (!process.stdout.isTTY && !options.print && !options.json) {
    throw new UsageError(
      'stdout is no terminal, and whoever reads the code can become a PNE of yours; --print shows it anyway',
    );
  }
  const page = pageOf(options.page);
  const ended = new AbortController();
  const interrupt = () => ended.abort(new InterruptedError());
  process.once('SIGINT', interrupt);
  try {
    const onEvent = (shown: unknown) => show(shown as Shown, page, options);
    const paired = await callControl(
      existingState('gateway', options),
      'show-code',
      {},
      {
        onEvent,
        signal: ended.signal,
      },
    );
    print(options.json, paired, () => `enrolled\n${fields(paired as object)}`);
  } finally {
    process.off('SIGINT', interrupt);
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
