/**
 * Runs the benchmarks and prints one report: `npm run bench`, or `npx tsx scripts/bench.ts --help`.
 * Owns the command line; what is measured is in scripts/bench. Progress goes to stderr, and nothing is written into the
 * repository unless asked for.
 */
import { writeFileSync } from 'node:fs';
import { release } from 'node:os';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { benchBackEnds } from './bench/back-ends.ts';
import { benchEstablishment } from './bench/establishment.ts';
import { benchLink } from './bench/link.ts';
import { benchPage } from './bench/page.ts';
import { type BenchSection, missedOf, reportOf, toMarkdown } from './bench/report.ts';
import { benchServerCpu } from './bench/server-cpu.ts';

const HELP = `Usage: npx tsx scripts/bench.ts [options]

Measures on the virtual radio, with real noble and bleno, and prints a markdown report. About four minutes.

Options:
  --only NAME   establishment, link, server, back-ends or page; may be repeated. back-ends, which compares the two
                Bluetooth back-ends in about four minutes, and page, which drives the PNE's page in Chromium, run only
                where they are named
  --runs N      runs of the establishment (12), of each link radio (3) and of each back-end (5), blocks of the server's
                registrations (5)
  --kernel      parties on adapters of this kernel, the radio behind /dev/vhci: as root; scripts/guest/bench does it in
                a guest, at 30 ms with 6 packets; establishment and link only
  --quick       a rough look in under a minute
  --json FILE   also write the report as JSON; - for standard output in place of the markdown
  --write       also write docs/bench.md
  --strict      exit with 1 when a target is missed
  --help        this text

Examples:
  npx tsx scripts/bench.ts --quick
  npx tsx scripts/bench.ts --only establishment --runs 30
  npx tsx scripts/bench.ts --only link --only server --json bench.json
  npx tsx scripts/bench.ts --only back-ends
  npx tsx scripts/bench.ts --only page --runs 5
  npx tsx scripts/bench.ts --strict --write
`;

const DOCUMENT = fileURLToPath(new URL('../docs/bench.md', import.meta.url));

interface Settings {
  readonly runs: number | undefined;
  readonly quick: boolean;
  readonly kernel: boolean;
  readonly onProgress: (line: string) => void;
}

/** An emulated machine holds no shorter interval, and none without a miss. */
const ON_KERNEL = { kernel: true, intervalMs: 30, keepSpoilt: true };

const BENCHES: Readonly<Record<string, (settings: Settings) => Promise<BenchSection>>> = {
  establishment: ({ runs, quick, kernel, onProgress }) =>
    benchEstablishment({ runs: runs ?? (quick ? 3 : 12), onProgress, ...(kernel && ON_KERNEL) }),
  link: ({ runs, quick, kernel, onProgress }) =>
    benchLink({
      runs: runs ?? (quick ? 1 : 3),
      onProgress,
      ...(kernel && { ...ON_KERNEL, packetsPerEvent: [6] }),
      ...(quick && { packetsPerEvent: [6], flowMs: 500 }),
    }),
  server: ({ runs, quick, onProgress }) => {
    const blocks = runs ?? (quick ? 2 : 5);
    return benchServerCpu({
      blocks,
      registrations: blocks * (quick ? 20 : 40),
      warmUp: quick ? 1 : 3,
      onProgress,
    });
  },
  'back-ends': ({ runs, quick, onProgress }) =>
    benchBackEnds({ runs: runs ?? (quick ? 1 : 5), onProgress, ...(quick && { flowMs: 500 }) }),
  page: ({ runs, quick, onProgress }) => benchPage({ runs: runs ?? (quick ? 1 : 5), onProgress }),
};

/** They need what is installed for development only. */
const ONLY_BY_NAME = ['back-ends', 'page'];

function fail(message: string): never {
  process.stderr.write(`bench: ${message}; see --help\n`);
  process.exit(2);
}

function readOptions() {
  try {
    return parseArgs({
      options: {
        only: { type: 'string', multiple: true, default: [] },
        runs: { type: 'string' },
        quick: { type: 'boolean', default: false },
        kernel: { type: 'boolean', default: false },
        json: { type: 'string' },
        write: { type: 'boolean', default: false },
        strict: { type: 'boolean', default: false },
        help: { type: 'boolean', short: 'h', default: false },
      },
    }).values;
  } catch (error) {
    return fail(error instanceof Error ? error.message : String(error));
  }
}

async function main(): Promise<void> {
  const options = readOptions();
  if (options.help) {
    process.stdout.write(HELP);
    return;
  }
  for (const name of options.only) if (!(name in BENCHES)) fail(`there is no ${name}`);
  const runs = options.runs === undefined ? undefined : Number(options.runs);
  if (runs !== undefined && !(Number.isInteger(runs) && runs >= 1)) fail('--runs wants a number from 1');
  const { quick, kernel } = options;
  const sections: BenchSection[] = [];
  for (const [name, bench] of Object.entries(BENCHES)) {
    if (options.only.length > 0 ? !options.only.includes(name) : ONLY_BY_NAME.includes(name)) continue;
    if (kernel && (name === 'server' || ONLY_BY_NAME.includes(name))) continue;
    const onProgress = (line: string) => process.stderr.write(`${name}: ${line}\n`);
    onProgress('begins');
    sections.push(await bench({ runs, quick, kernel, onProgress }));
  }
  const report = reportOf(sections, quick, kernel ? release() : undefined);
  const markdown = toMarkdown(report);
  const json = `${JSON.stringify(report, null, 2)}\n`;
  process.stdout.write(options.json === '-' ? json : markdown);
  if (options.json !== undefined && options.json !== '-') writeFileSync(options.json, json);
  if (options.write && !kernel) writeFileSync(DOCUMENT, markdown);
  const missed = missedOf(report);
  if (missed.length > 0) process.stderr.write(`bench: ${missed.length} targets missed\n`);
  if (options.strict && missed.length > 0) process.exitCode = 1;
}

await main();
