/**
 * What a firmware profile holds: how a kind of adapter is recognised, what its radio can do, what to ask of it, its quirks,
 * and what a PNE on it says of itself. The truth; firmware-profiles/profile.schema.json is generated from it. Every fact
 * names the source it was looked up in; an unknown is null. Must not read a file nor know a library.
 */
import * as v from 'valibot';

const text = (longest: number) => v.pipe(v.string(), v.minLength(1), v.maxLength(longest));
const within = (least: number, most: number) => v.pipe(v.number(), v.minValue(least), v.maxValue(most));
const whole = (least: number, most: number) =>
  v.pipe(v.number(), v.integer(), v.minValue(least), v.maxValue(most));
const described = <const S extends v.GenericSchema>(schema: S, description: string) =>
  v.pipe(schema, v.description(description));

/** `4.19` of the first two numbers of `uname -r`. */
const Kernel = v.pipe(v.string(), v.regex(/^\d{1,2}\.\d{1,3}$/));
const Hex16 = v.pipe(v.string(), v.regex(/^0x[0-9a-f]{4}$/));
const UsbId = v.pipe(v.string(), v.regex(/^[0-9a-f]{4}:[0-9a-f]{4}$/));

const grounded = {
  why: described(text(400), 'for a person: what follows from the sources, or what was weighed'),
  sources: described(
    v.pipe(v.array(text(40)), v.minLength(1), v.maxLength(6)),
    'names of entries of `sources`',
  ),
};

/** A value with its reason and sources; `null` is unknown, and then the generic profile's holds. */
const fact = <const S extends v.GenericSchema>(value: S, description: string) =>
  described(
    v.union([
      v.strictObject({ value, ...grounded }),
      v.strictObject({
        value: v.null(),
        why: v.optional(grounded.why),
        sources: v.optional(grounded.sources),
      }),
    ]),
    description,
  );

const Conditions = v.strictObject({
  deviceTreeModel: v.optional(
    described(v.array(text(64)), 'of /proc/device-tree/model, with or without its " Rev 1.2"'),
  ),
  bus: v.optional(described(v.picklist(['usb', 'uart', 'virtual', 'socket']), 'where the adapter is')),
  usb: v.optional(described(v.array(UsbId), 'vendor:product')),
  manufacturer: v.optional(described(v.array(Hex16), 'of HCI Read Local Version')),
  lmpSubversion: v.optional(described(v.array(Hex16), 'of HCI Read Local Version')),
  csrFirmware: v.optional(
    described(
      v.picklist(['genuine', 'clone']),
      'by the rule of the kernel: manufacturer, HCI revision, LMP subversion and bcdDevice agree, or not',
    ),
  ),
  ...grounded,
});

const ChannelRule = v.strictObject({
  use: v.picklist(['user', 'raw']),
  kernelFrom: v.optional(Kernel),
  kernelBelow: v.optional(Kernel),
  ...grounded,
});

const bounded = { kernelFrom: v.optional(Kernel), kernelBelow: v.optional(Kernel), ...grounded };
const Quirk = v.union([
  v.strictObject({
    name: described(v.literal('wait-after-reset'), 'nothing is sent for so long after HCI Reset'),
    ms: whole(1, 2000),
    ...bounded,
  }),
  v.strictObject({
    name: described(
      v.literal('no-optional-commands'),
      'neither data length nor PHY is set: the chip states commands that it does not survive',
    ),
    ...bounded,
  }),
  v.strictObject({
    name: described(v.literal('unreliable'), 'the owner is warned when the adapter is opened; `why` is said'),
    ...bounded,
  }),
]);

const Source = v.strictObject({
  where: described(
    v.pipe(v.string(), v.regex(/^(https:\/\/\S+|docs\/\S+|src\/\S+)$/), v.maxLength(300)),
    'an address, or a file of this project',
  ),
  says: described(text(300), 'what it says, in our words'),
});

export const ProfileSchema = v.pipe(
  v.strictObject({
    $schema: v.optional(v.literal('./profile.schema.json')),
    name: described(v.pipe(v.string(), v.regex(/^[a-z0-9][a-z0-9-]{1,38}$/)), 'also the name of the file'),
    title: described(text(80), 'for a person'),
    match: described(
      v.array(Conditions),
      'alternatives, each with conditions that must all hold; none in the generic profile',
    ),
    radio: v.strictObject({
      links: fact(whole(1, 64), 'links at once as central; a gateway never begins more'),
      aclBuffers: fact(
        v.strictObject({ bytes: whole(27, 1021), count: whole(1, 255) }),
        'most that is used of the LE data buffers, whatever the controller states',
      ),
      dataLength: fact(
        whole(27, 251),
        'bytes of a link-layer packet to suggest to the controller; 27 suggests nothing',
      ),
      phys: fact(
        v.pipe(v.array(v.picklist(['1M', '2M', 'coded'])), v.minLength(1)),
        'PHYs to allow by default; 1M alone sets nothing',
      ),
      channel: described(
        v.array(ChannelRule),
        'what `hci:N` without a suffix opens; the first rule whose kernel fits, else the generic profile',
      ),
    }),
    connection: v.strictObject({
      intervalMs: fact(
        v.strictObject({ least: within(7.5, 4000), most: within(7.5, 4000) }),
        'connection interval to ask for',
      ),
      supervisionTimeoutMs: fact(whole(2000, 32_000), 'silence after which the controller calls a link lost'),
    }),
    scan: v.strictObject({
      silenceMs: fact(whole(250, 600_000), 'a scan that hears nothing at all for so long is started anew'),
      settleMs: fact(whole(0, 2000), 'pause between the end of a scan and a connection attempt'),
    }),
    quirks: v.array(Quirk),
    capability: described(
      v.strictObject({
        class: fact(text(32), 'kind of device, where the configuration says none'),
        model: fact(text(64), 'model, where the configuration says none'),
        chip: fact(text(32), 'radio chip'),
        bluetooth: fact(
          v.pipe(v.string(), v.regex(/^\d\.\d$/)),
          'version of the Core Specification that the controller states',
        ),
      }),
      'what a PNE announces in step 2 unless its configuration states a capability',
    ),
    sources: v.record(v.pipe(v.string(), v.regex(/^[a-z0-9][a-z0-9-]{0,39}$/)), Source),
  }),
  v.rawCheck(({ dataset, addIssue }) => {
    if (!dataset.typed) return;
    const known = new Set(Object.keys(dataset.value.sources));
    const used = citedSources(dataset.value);
    for (const name of used) if (!known.has(name)) addIssue({ message: `no source is called "${name}"` });
    for (const name of known)
      if (!used.has(name)) addIssue({ message: `nothing cites the source "${name}"` });
    const interval = dataset.value.connection.intervalMs.value;
    if (interval && interval.least > interval.most) addIssue({ message: 'intervalMs: least is over most' });
  }),
);

export type Profile = v.InferOutput<typeof ProfileSchema>;
export type MatchConditions = v.InferOutput<typeof Conditions>;
export type ProfileQuirk = v.InferOutput<typeof Quirk>;
export type Fact<T> = { readonly value: T; readonly why?: string; readonly sources?: readonly string[] };

/** Every source that anything in a profile names. */
function citedSources(value: unknown): Set<string> {
  const found = new Set<string>();
  const visit = (item: unknown): void => {
    if (typeof item !== 'object' || item === null) return;
    for (const [key, inner] of Object.entries(item)) {
      if (key === 'sources' && Array.isArray(inner)) for (const name of inner) found.add(String(name));
      else visit(inner);
    }
  };
  visit(value);
  return found;
}
