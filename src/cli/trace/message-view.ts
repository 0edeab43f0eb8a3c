/**
 * A message's bytes as fields with names, straight from its declaration, signed and embedded messages taken apart.
 * Owns the walk. Must not verify: a signature is shown as there, not as good.
 */
import { type Bytes, toHex } from '../../base/bytes.ts';
import { CATALOGUE } from '../../messages/catalogue.ts';
import { type Message, signedName } from '../../messages/message.ts';
import type { Schema } from '../../messages/schema.ts';
import type { Choice, Fields } from '../../messages/schema-map.ts';
import { unpadPnSetupResponse } from '../../messages/setup.ts';
import { parseSign1 } from '../../security/cose.ts';
import { inert } from '../output.ts';

export type View = string | number | boolean | null | readonly View[] | { readonly [name: string]: View };

const messages = new Map<string, Message<unknown>>();
for (const { messages: chapter } of CATALOGUE) for (const one of chapter) messages.set(one.name, one);

/** What `cpns trace --message` takes: signed messages by their own name, not their payload's. */
export function messageNames(): readonly string[] {
  return [...messages.values()].map(({ name, info }) => (info.signing ? signedName(name) : name));
}

const MAX_DEPTH = 8;

/**
 * The fields of a message.
 * @returns undefined when no message has this name
 * @throws CpnsError oversize or malformed, with the path and the rule
 */
export function viewMessage(name: string, body: Bytes, depth = 0): View | undefined {
  if (name === 'Data') return { bytes: toHex(body) };
  const plain = messages.get(name);
  if (plain && !plain.info.signing) {
    const exact = name === 'PnSetupResponse' ? unpadPnSetupResponse(body) : body;
    return viewValue(plain, plain.decode(exact), depth);
  }
  const payload = messages.get(`${name}Payload`) ?? plain;
  if (!payload?.info.signing) return undefined;
  const { payload: bytes, signature, kid } = parseSign1(body);
  const fields = viewValue(payload, payload.decode(bytes), depth);
  const { signer, context, over } = payload.info.signing;
  return {
    ...(typeof fields === 'object' && fields !== null ? (fields as Record<string, View>) : {}),
    signature: {
      by: signer,
      context,
      over: over === '' ? 'nothing' : over,
      ...(kid && { kid: toHex(kid) }),
      bytes: toHex(signature),
    },
  };
}

/** A value with the field names of its declaration; byte strings that hold a message are taken apart. */
function viewValue(schema: object, value: unknown, depth: number): View {
  if (value instanceof Uint8Array) return viewBytes(schema as Partial<Schema<unknown>>, value, depth);
  if (typeof value === 'bigint') return value.toString();
  if (typeof value !== 'object' || value === null) return (value ?? null) as View;
  if (Array.isArray(value)) return value.map((item) => viewValue({}, item, depth));
  const fields = fieldsOf(schema, value);
  return Object.fromEntries(
    Object.entries(value).map(([name, inner]) => [name, viewValue(fields[name]?.schema ?? {}, inner, depth)]),
  );
}

/** The declared fields; of a choice, those of the alternative that has just these. */
function fieldsOf(schema: object, value: object): Fields {
  if ('fields' in schema) return schema.fields as Fields;
  if (!('alternatives' in schema)) return {};
  const names = Object.keys(value);
  const { alternatives } = schema as Choice<unknown>;
  const fitting = alternatives.filter(({ fields }) => names.every((name) => name in fields));
  return (fitting[0]?.fields ?? {}) as Fields;
}

function viewBytes({ refers }: Partial<Schema<unknown>>, bytes: Bytes, depth: number): View {
  const [inner] = refers ?? [];
  if (!inner || depth >= MAX_DEPTH || bytes.length === 0) return toHex(bytes);
  try {
    const name = inner.name.endsWith('Payload') ? signedName(inner.name) : inner.name;
    return viewMessage(name, bytes, depth + 1) ?? toHex(bytes);
  } catch {
    return toHex(bytes);
  }
}

const LONG_HEX = 64;

/** A view as indented lines. */
export function formatView(view: View, indent: string): string {
  if (typeof view !== 'object' || view === null) return `${indent}${leaf(view)}`;
  const entries = Array.isArray(view)
    ? view.map((item, i): [string, View] => [`[${i}]`, item])
    : Object.entries(view as Record<string, View>);
  return entries
    .map(([name, inner]) => {
      if (typeof inner !== 'object' || inner === null) return `${indent}${name}: ${leaf(inner)}`;
      const plain = Array.isArray(inner) && inner.every((item) => typeof item !== 'object');
      if (plain) return `${indent}${name}: ${inner.map(leaf).join(', ')}`;
      return `${indent}${name}:\n${formatView(inner, `${indent}  `)}`;
    })
    .join('\n');
}

/** Texts are whatever the peer wrote, where a message has free ones. */
function leaf(view: View): string {
  const text = inert(String(view));
  const long = text.length > LONG_HEX && /^[0-9a-f]+$/.test(text);
  return long ? `${text.slice(0, LONG_HEX)}… (${text.length / 2} bytes)` : text;
}
