/**
 * `cpns trace`: a capture message by message, or one body. Owns reading the inputs and the printing.
 */
import { readFileSync } from 'node:fs';
import { type Bytes, fromHex, toHex } from '../../base/bytes.ts';
import { nearest } from '../../config/suggest.ts';
import { parseSegment } from '../../link/segment.ts';
import { nodePrimitives } from '../../security/primitives-node.ts';
import { UsageError } from '../exit-codes.ts';
import { print } from '../output.ts';
import { readOneLine } from '../prompt.ts';
import { readBtsnoop } from '../trace/btsnoop-reader.ts';
import { type CapturedSegment, GattCapture } from '../trace/gatt-capture.ts';
import { parseKeyLog } from '../trace/key-log.ts';
import { type DecodedMessage, LinkDecoder } from '../trace/link-decoder.ts';
import { formatView, messageNames, type View, viewMessage } from '../trace/message-view.ts';

interface Options {
  readonly keylog?: string;
  readonly segments?: boolean;
  readonly message?: string;
  readonly json?: boolean;
}

export async function traceFile(file: string | undefined, options: Options): Promise<void> {
  if (options.message !== undefined) return traceMessage(options.message, file, options.json);
  if (file === undefined) throw new UsageError('name a capture, or a message with --message');
  const keys = options.keylog === undefined ? new Map() : parseKeyLog(readText(options.keylog));
  const primitives = nodePrimitives();
  const gatt = new GattCapture();
  const links = new Map<number, LinkDecoder>();
  let [messages, closed] = [0, 0];
  for (const packet of readBtsnoop(readBytes(file))) {
    const segment = gatt.push(packet);
    if (!segment) continue;
    const link = links.get(segment.connection) ?? new LinkDecoder(primitives, keys);
    links.set(segment.connection, link);
    if (options.segments) showSegment(segment, options.json);
    const message = decode(link, segment);
    if (!message) continue;
    messages++;
    if (message.body === undefined) closed++;
    showMessage(message, options.json);
  }
  if (options.json) return;
  const hint = closed > 0 && options.keylog === undefined ? '; --keylog FILE opens them' : '';
  process.stderr.write(`${links.size} links, ${messages} messages, ${closed} of them not opened${hint}\n`);
}

/** A segment that is none ends what can be read of its link, not the trace. */
function decode(link: LinkDecoder, segment: CapturedSegment): DecodedMessage | undefined {
  try {
    return link.push(segment);
  } catch (error) {
    process.stderr.write(`packet ${segment.number}: ${error instanceof Error ? error.message : error}\n`);
    return undefined;
  }
}

function fieldsOf({ name, body }: DecodedMessage): { readonly fields?: View; readonly problem?: string } {
  if (!body) return {};
  try {
    const fields = viewMessage(name, body);
    return fields === undefined ? { fields: toHex(body) } : { fields };
  } catch (error) {
    return { fields: toHex(body), problem: error instanceof Error ? error.message : String(error) };
  }
}

function showMessage(message: DecodedMessage, json: boolean | undefined): void {
  const { fields, problem = message.problem } = fieldsOf(message);
  const { body: _body, ...facts } = message;
  if (json) {
    process.stdout.write(`${JSON.stringify({ ...facts, fields, problem })}\n`);
    return;
  }
  const { from, name, bytes, segments, epoch, lane, link, linkKind, connection } = message;
  const to = { gateway: 'pne', pne: 'gateway', central: 'peripheral', peripheral: 'central' }[from];
  const where = link === '' ? '' : `, link ${link} (${linkKind})`;
  const size = `${bytes} bytes in ${segments} segment${segments === 1 ? '' : 's'}`;
  process.stdout.write(
    `${time(message.atMs)}  #${connection}  ${from} -> ${to}  ${name}  ${size}, epoch ${epoch}, lane ${lane}${where}\n`,
  );
  if (fields !== undefined) process.stdout.write(`${formatView(fields, '    ')}\n`);
  if (problem !== undefined) process.stdout.write(`    (${problem})\n`);
}

function showSegment(
  { number, atMs, connection, from, segment }: CapturedSegment,
  json: boolean | undefined,
): void {
  let text: string;
  try {
    const { bare, start, end, lane, epoch, seq, grant, length, payload } = parseSegment(segment);
    const parts = { bare, start, end, lane, epoch, seq, grant, length, payload: payload.length };
    if (json) {
      process.stdout.write(`${JSON.stringify({ segment: parts, number, atMs, connection, from })}\n`);
      return;
    }
    const flags = [bare && 'bare', start && 'start', end && 'end'].filter(Boolean).join(' ') || 'more';
    text = `${flags}, seq ${seq}, lane ${lane}, epoch ${epoch}${grant === undefined ? '' : `, grants ${grant}`}, ${payload.length} bytes`;
  } catch (error) {
    text = error instanceof Error ? error.message : String(error);
  }
  process.stdout.write(`${time(atMs)}  #${connection}  packet ${number} of the ${from}: ${text}\n`);
}

const time = (atMs: number): string => new Date(atMs).toISOString().slice(11, 23);

async function traceMessage(
  name: string,
  typed: string | undefined,
  json: boolean | undefined,
): Promise<void> {
  const known = messageNames();
  if (!known.includes(name) && name !== 'Data') {
    const meant = nearest(name, known);
    throw new UsageError(
      `no message ${name}${meant ? `; did you mean ${meant}?` : ''}\n  there are ${known.join(', ')}`,
    );
  }
  const hex = typed ?? (await readOneLine('body in hexadecimal: ', 'body'));
  const view = viewMessage(name, parseHex(hex));
  if (view !== undefined) print(json, view, () => formatView(view, ''));
}

function parseHex(text: string): Bytes {
  try {
    return fromHex(text.replaceAll(/[\s:]/g, '').replace(/^0x/i, ''));
  } catch {
    throw new UsageError('the body has to be hexadecimal');
  }
}

function readBytes(file: string): Buffer {
  try {
    return readFileSync(file);
  } catch (error) {
    throw new UsageError(`${file}: ${error instanceof Error ? error.message : error}`);
  }
}

const readText = (file: string): string => readBytes(file).toString('utf8');
