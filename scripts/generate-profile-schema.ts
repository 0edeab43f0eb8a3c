/**
 * Writes firmware-profiles/profile.schema.json (JSON Schema 2020-12) from src/profiles/schema.ts:
 * `npx tsx scripts/generate-profile-schema.ts`. With --check it writes nothing and exits 1 when the file is not up to date.
 * What JSON Schema can't say (every source cited and none missing) `cpns profile check` says.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { ProfileSchema } from '../src/profiles/schema.ts';

/** The part of a valibot schema or action that is read here. */
interface Node {
  readonly kind: 'schema' | 'validation' | 'transformation' | 'metadata';
  readonly type: string;
  readonly pipe?: readonly Node[];
  readonly entries?: Readonly<Record<string, Node>>;
  readonly item?: Node;
  readonly wrapped?: Node;
  readonly key?: Node;
  readonly value?: Node;
  readonly options?: readonly unknown[];
  readonly literal?: unknown;
  readonly requirement?: unknown;
  readonly description?: string;
}

type Json = Readonly<Record<string, unknown>>;

const ACTIONS: Readonly<Record<string, (action: Node, type: unknown) => Json>> = {
  min_length: ({ requirement }, type) => ({ [type === 'array' ? 'minItems' : 'minLength']: requirement }),
  max_length: ({ requirement }, type) => ({ [type === 'array' ? 'maxItems' : 'maxLength']: requirement }),
  min_value: ({ requirement }) => ({ minimum: requirement }),
  max_value: ({ requirement }) => ({ maximum: requirement }),
  integer: () => ({ type: 'integer' }),
  regex: ({ requirement }) => ({ pattern: (requirement as RegExp).source }),
  description: ({ description }) => ({ description }),
  raw_check: () => ({}),
};

const SCHEMAS: Readonly<Record<string, (schema: Node) => Json>> = {
  string: () => ({ type: 'string' }),
  number: () => ({ type: 'number' }),
  null: () => ({ type: 'null' }),
  literal: ({ literal }) => ({ const: literal }),
  picklist: ({ options }) => ({ enum: options }),
  array: ({ item }) => ({ type: 'array', items: toJsonSchema(item as Node) }),
  union: ({ options = [] }) => ({ anyOf: options.map((each) => toJsonSchema(each as Node)) }),
  record: ({ key, value }) => ({
    ...{ type: 'object', propertyNames: toJsonSchema(key as Node) },
    additionalProperties: toJsonSchema(value as Node),
  }),
  strict_object: ({ entries = {} }) => ({
    type: 'object',
    properties: Object.fromEntries(
      Object.entries(entries).map(([name, entry]) => [name, toJsonSchema(entry.wrapped ?? entry)]),
    ),
    required: Object.keys(entries).filter((name) => entries[name]?.type !== 'optional'),
    additionalProperties: false,
  }),
};

function toJsonSchema(schema: Node): Json {
  const make = SCHEMAS[schema.type];
  if (!make) throw new Error(`no JSON Schema for ${schema.type}`);
  let json = make(schema);
  for (const action of schema.pipe?.slice(1) ?? []) {
    const add = ACTIONS[action.type];
    if (!add) throw new Error(`no JSON Schema for ${action.type}`);
    json = { ...json, ...add(action, json['type']) };
  }
  return json;
}

const file = new URL('../firmware-profiles/profile.schema.json', import.meta.url);
const wanted = `${JSON.stringify(
  {
    ...{
      $schema: 'https://json-schema.org/draft/2020-12/schema',
      title: 'Firmware profile of CPNS over BLE',
    },
    ...toJsonSchema(ProfileSchema as unknown as Node),
  },
  undefined,
  2,
)}\n`;

function current(): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}

if (!process.argv.includes('--check')) writeFileSync(file, wanted);
else if (current() !== wanted) {
  console.error(
    'firmware-profiles/profile.schema.json is not up to date: run npx tsx scripts/generate-profile-schema.ts',
  );
  process.exitCode = 1;
}
