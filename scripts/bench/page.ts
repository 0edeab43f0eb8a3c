/**
 * The PNE's page against the Linux PNE: how long from the chooser to a member, how many bytes, and what the page weighs.
 * The page runs in a headless Chromium whose emulated Bluetooth is bridged to noble (test/web), so a connection costs
 * what DevTools costs and no phone was measured; steps 1 to 13 compare the same gateway's clock.
 */
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { brotliCompressSync, gzipSync } from 'node:zlib';
import type { TraceEvent } from '../../src/nodes/trace.ts';
import { TestNetwork } from '../../test/nodes/network.ts';
import { chromiumPath } from '../../test/web/chromium.ts';
import { PAGE_FOLDER, type PageServer, servePage } from '../../test/web/page-server.ts';
import { Site } from '../../test/web/site.ts';
import type { BenchRow, BenchSection } from './report.ts';

const MAX_COMPRESSED_BYTES = 150_000;

export interface PageBenchOptions {
  readonly runs: number;
  readonly onProgress: (line: string) => void;
}

interface PageRun {
  readonly chooserToQuestionMs: number;
  readonly answerToMemberMs: number;
  readonly gatewayMs: number;
  readonly upBytes: number;
  readonly downBytes: number;
}

/** From step 1 to step 13 as the gateway sent them; whoever is asked answers at once. */
function gatewayMs(trace: readonly TraceEvent[]): number {
  const at = (name: string) => trace.find((event) => event.name === name)?.atMs ?? Number.NaN;
  return at('PnSetupNotify') - at('PnSetupRequest');
}

async function inBrowser(server: PageServer): Promise<PageRun> {
  const site = await Site.open(server);
  try {
    await site.enrol(await site.home());
    await site.inviting();
    const { up, down } = site.bridge.carried;
    const chosenAt = performance.now();
    await site.askToJoin();
    const askedAt = performance.now();
    await site.answerJoin();
    const joinedAt = performance.now();
    return {
      chooserToQuestionMs: askedAt - chosenAt,
      answerToMemberMs: joinedAt - askedAt,
      gatewayMs: gatewayMs(site.network.trace),
      upBytes: site.bridge.carried.up - up,
      downBytes: site.bridge.carried.down - down,
    };
  } finally {
    await site.close();
  }
}

async function onLinux(): Promise<number> {
  const network = await TestNetwork.open();
  try {
    const home = await network.gateway('Alice', 'Hall', { bluetooth: { as: 'peripheral' } });
    const pne = await network.pne('Phone', { bluetooth: { as: 'central' } });
    const { code, used } = network.showCode(home);
    pne.useCode(code);
    await Promise.all([used, pne.enrolled]);
    await network.gateway('Bob', 'Kitchen', { bluetooth: { as: 'peripheral' }, pn: { invite: true } });
    await network.until('membership', () => pne.status().memberships[0]?.version === 1);
    return gatewayMs(network.trace);
  } finally {
    await network.close();
  }
}

/** Bytes of all files of the page together, each compressed by itself. */
export function pageWeight(compress: (bytes: Buffer) => Buffer): number {
  const files = readdirSync(PAGE_FOLDER, { recursive: true, withFileTypes: true });
  return files
    .filter((file) => file.isFile())
    .reduce((sum, { parentPath, name }) => sum + compress(readFileSync(join(parentPath, name))).length, 0);
}

function row(what: string, unit: string, figures: readonly number[]): BenchRow {
  const sorted = figures.toSorted((a, b) => a - b);
  return {
    ...{ what, unit, runs: sorted.length },
    value: Math.round(sorted[sorted.length >> 1] ?? Number.NaN),
    least: Math.round(sorted[0] ?? Number.NaN),
    most: Math.round(sorted.at(-1) ?? Number.NaN),
  };
}

export async function benchPage({ runs, onProgress }: PageBenchOptions): Promise<BenchSection> {
  const server = await servePage();
  const pages: PageRun[] = [];
  const hosts: number[] = [];
  try {
    for (let n = 1; n <= runs; n++) {
      onProgress(`run ${n} of ${runs}`);
      pages.push(await inBrowser(server));
      hosts.push(await onLinux());
    }
  } finally {
    await server.close();
  }
  const gzip = pageWeight((bytes) => gzipSync(bytes, { level: 9 }));
  const figure = (of: (run: PageRun) => number) => pages.map(of);
  return {
    name: 'page',
    title: 'The PNE’s page',
    notes: [
      `Headless ${chromiumVersion()} with emulated Bluetooth, bridged to noble on the virtual radio: no phone, no radio.`,
      'The person answers at once. The Linux PNE is the central, as the page is; steps 1 to 13 by the gateway’s clock.',
    ],
    rows: [
      row(
        'page: chooser to question',
        'ms',
        figure((run) => run.chooserToQuestionMs),
      ),
      row(
        'page: answer to member',
        'ms',
        figure((run) => run.answerToMemberMs),
      ),
      row(
        'page: step 1 to step 13',
        'ms',
        figure((run) => run.gatewayMs),
      ),
      row('Linux PNE: step 1 to step 13', 'ms', hosts),
      row(
        'page: bytes of segments up, OPEN to member',
        'B',
        figure((run) => run.upBytes),
      ),
      row(
        'page: bytes of segments down, OPEN to member',
        'B',
        figure((run) => run.downBytes),
      ),
      {
        ...{ what: 'page: all files, gzip', unit: 'B', value: gzip },
        target: `≤ ${MAX_COMPRESSED_BYTES}`,
        met: gzip <= MAX_COMPRESSED_BYTES,
      },
      { what: 'page: all files, brotli', unit: 'B', value: pageWeight(brotliCompressSync) },
    ],
  };
}

function chromiumVersion(): string {
  return execFileSync(chromiumPath(), ['--version'], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  })
    .split(' ')
    .slice(0, 2)
    .join(' ');
}
