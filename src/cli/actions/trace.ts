/**
 * `cpns trace`: a capture message by message, or one body. Owns reading the inputs and the printing.
 */
import { readFileSync } from 'node:fs';
import { type Bytes, fromHex, toHex } from '../../base/bytes.ts';
import { readBtsnoop } from '../../bluetooth/hci/btsnoop-reader.ts';
import { nearest } from '../../config/suggest.ts';
import { parseSegment } from '../../link/segment.ts';
import { nodePrimitives } from '../../security/primitives-node.ts';
import { UsageError } from '../exit-codes.ts';
import { inertJson, print } from '../output.ts';
import { readOneLine } from '../prompt.ts';
import { type CapturedSegment, GattCapture } from '../trace/gatt-capture.ts';
import { type LinkSecrets, parseKeyLog } from '../trace/key-log.ts';
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
  traceCapture(readBytes(file), keys, options, {
    result: (text) => process.stdout.write(`${text}\n`),
    note: (text) => process.stderr.write(`${text}\n`),
  });
}

/** Where lines go: what was found, and what is said about it. */
export interface TraceOutput {
  readonly result: (text: string) => void;
  readonly note: (text: string) => void;
}

/**
 * A capture message by message; it may be a stranger's.
 * @throws UsageError when it is no btsnoop file of H4, or a damaged one
 */
export function traceCapture(
  file: Buffer,
  keys: ReadonlyMap<string, LinkSecrets>,
  options: Options,
  output: TraceOutput,
): void {
  const primitives = nodePrimitives();
  const gatt = new GattCapture();
  const links = new Map<number, LinkDecoder>();
  let [messages, closed] = [0, 0];
  for (const packet of readBtsnoop(file)) {
    const segment = gatt.push(packet);
    if (!segment) continue;
    const link = links.get(segment.connection) ?? new LinkDecoder(primitives, keys);
    links.set(segment.connection, link);
    if (options.segments) showSegment(segment, options.json, output);
    const message = decode(link, segment, output);
    if (!message) continue;
    messages++;
    if (message.body === undefined) closed++;
    showMessage(message, options.json, output);
  }
  if (options.json) return;
  const hint = closed > 0 && options.keylog === undefined ? '; --keylog FILE opens them' : '';
  output.note(`${links.size} links, ${messages} messages, ${closed} of them not opened${hint}`);
}

/** A segment that is none ends what can be read of its link, not the trace. */
function decode(
  link: LinkDecoder,
  segment: CapturedSegment,
  { note }: TraceOutput,
): DecodedMessage | undefined {
  try {
    return link.push(segment);
  } catch (error) {
    note(`packet ${segment.number}: ${error instanceof Error ? error.message : error}`);
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

function showMessage(message: DecodedMessage, json: boolean | undefined, { result }: TraceOutput): void {
  const { fields, problem = message.problem } = fieldsOf(message);
  const { body: _body, ...facts } = message;
  if (json) {
    result(inertJson({ ...facts, fields, problem }));
    return;
  }
  const { from, name, bytes, segments, epoch, lane, link, linkKind, connection } = message;
  const to = { gateway: 'pne', pne: 'gateway', central: 'peripheral', peripheral: 'central' }[from];
  const where = link === '' ? '' : `, link ${link} (${linkKind})`;
  const size = `${bytes} bytes in ${segments} segment${segments === 1 ? '' : 's'}`;
  result(
    `${time(message.atMs)}  #${connection}  ${from} -> ${to}  ${name}  ${size}, epoch ${epoch}, lane ${lane}${where}`,
  );
  if (fields !== undefined) result(formatView(fields, '    '));
  if (problem !== undefined) result(`    (${problem})`);
}

function showSegment(
  { number, atMs, connection, from, segment }: CapturedSegment,
  json: boolean | undefined,
  { result }: TraceOutput,
): void {
  let text: string;
  try {
    const { bare, start, end, lane, epoch, seq, grant, length, payload } = parseSegment(segment);
    const parts = { bare, start, end, lane, epoch, seq, grant, length, payload: payload.length };
    if (json) {
      result(inertJson({ segment: parts, number, atMs, connection, from }));
      return;
    }
    const flags = [bare && 'bare', start && 'start', end && 'end'].filter(Boolean).join(' ') || 'more';
    text = `${flags}, seq ${seq}, lane ${lane}, epoch ${epoch}${grant === undefined ? '' : `, grants ${grant}`}, ${payload.length} bytes`;
  } catch (error) {
    text = error instanceof Error ? error.message : String(error);
  }
  result(`${time(atMs)}  #${connection}  packet ${number} of the ${from}: ${text}`);
}

/** The time of day; a capture may state an instant that no calendar has. */
function time(atMs: number): string {
  const date = new Date(atMs);
  return Number.isNaN(date.getTime()) ? '??:??:??.???' : date.toISOString().slice(11, 23);
}

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
