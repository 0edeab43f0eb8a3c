/**
 * `cpns profile detect | list | show | check`: what is known of adapters, printed.
 */
import { identifyAdapter } from '../../bluetooth/open.ts';
import { findProfile, profileFolder, readProfile, shippedProfiles } from '../../profiles/load.ts';
import type { MatchConditions, Profile } from '../../profiles/schema.ts';
import { adapterView } from '../adapter-view.ts';
import { EXIT } from '../exit-codes.ts';
import { fields, inert, print, table, withProgress } from '../output.ts';

interface Json {
  readonly json?: boolean;
}

export async function profileDetect(
  options: Json & { readonly adapter: string; readonly open?: boolean },
): Promise<void> {
  const { adapter, open } = options;
  const found = adapterView(await withProgress(`asking ${adapter}`, identifyAdapter(adapter, { open })));
  print(options.json, { adapter, ...found }, () =>
    [
      `${found.profile}: ${found.title}`,
      ...found.because.map((why) => `  ${inert(why)}`),
      ...found.warnings.map((why) => `  warning: ${why}`),
      ...found.possible.map(
        ({ name, unknown }) =>
          `  could be ${name}; not known: ${unknown.join(', ')} (--open asks the controller)`,
      ),
      ...(adapter.startsWith('hci:')
        ? [`  ${adapter.split('/')[0]} opens the ${found.channel.use} channel: ${found.channel.why}`]
        : []),
      '',
      inertLines(fields(found.identity)),
    ].join('\n'),
  );
}

const conditionsOf = ({ why: _why, sources: _sources, ...rest }: MatchConditions): string =>
  Object.entries(rest)
    .map(([name, value]) => `${name} ${Array.isArray(value) ? value.join('|') : value}`)
    .join(', ');

export function profileList({ json }: Json): void {
  const rows = shippedProfiles().map(({ name, title, match }) => ({ name, title, match }));
  print(json, rows, () =>
    table(
      ['name', 'adapter', 'recognised by'],
      rows.map(({ name, title, match }) => [name, title, match.map(conditionsOf).join('; or ')]),
    ),
  );
}

export function profileShow(name: string, { json }: Json): void {
  const profile = findProfile(name);
  print(json, profile, () => inertLines(describe(profile)));
}

function describe(profile: Profile): string {
  const { radio, connection, scan, capability } = profile;
  const { channel, ...limits } = radio;
  const facts = Object.entries({ ...limits, ...connection, ...scan, ...capability }).map(
    ([fact, { value, why, sources }]) => [
      fact,
      value === null ? 'not known' : plain(value),
      why,
      sources?.join(', '),
    ],
  );
  const rules = channel.map(({ use, why, sources, ...kernels }) => [
    ...['channel', [use, plain(kernels)].filter(Boolean).join(' '), why, sources.join(', ')],
  ]);
  const quirks = profile.quirks.map(({ name, why, sources, ...rest }) => [
    ...['quirk', [name, plain(rest)].filter(Boolean).join(' '), why, sources.join(', ')],
  ]);
  return [
    `${profile.name}: ${profile.title}`,
    ...profile.match.map((conditions) => `  ${conditionsOf(conditions)} (${conditions.sources.join(', ')})`),
    '',
    table(['fact', 'value', 'why', 'sources'], [...facts, ...rules, ...quirks]),
    '',
    ...Object.entries(profile.sources).map(([source, { where, says }]) => `${source}  ${where}\n  ${says}`),
  ].join('\n');
}

function plain(value: unknown): string {
  if (typeof value !== 'object' || value === null) return String(value);
  if (Array.isArray(value)) return value.join(', ');
  return Object.entries(value)
    .map(([name, inner]) => `${name} ${inner}`)
    .join(', ');
}

/** A file of a profile is a text that somebody else chose. */
const inertLines = (text: string): string => text.split('\n').map(inert).join('\n');

export function profileCheck(files: readonly string[], { json }: Json): void {
  const named =
    files.length > 0 ? files : shippedProfiles().map(({ name }) => `${profileFolder()}/${name}.json`);
  const results = named.map((file) => {
    const { profile, faults } = readProfile(file);
    return { file, name: profile?.name ?? null, faults };
  });
  const wrong = results.filter(({ faults }) => faults.length > 0);
  print(json, results, () =>
    inertLines(
      [
        ...wrong.flatMap(({ faults }) => faults),
        `${results.length - wrong.length} of ${results.length} profiles are right`,
      ].join('\n'),
    ),
  );
  if (wrong.length > 0) process.exitCode = EXIT.failure;
}
