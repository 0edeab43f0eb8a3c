/**
 * Writes the generated parts of the documents: the table of statuses in docs/protocol.md from src/base/statuses.ts, the
 * checks in docs/troubleshooting.md from the doctor's table, what to enter into an app in docs/phones.md, docs/flow.svg, the
 * picture of parties and flow, from the step table here, and docs/firmware-profiles.md. `--check` exits 1 when one is not up to date.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { STATUSES } from '../src/base/statuses.ts';
import { shippedProfiles } from '../src/profiles/load.ts';
import { phonesTables } from './phones-page.ts';
import { profilesPage } from './profiles-page.ts';
import { troubleshootingChecks } from './troubleshooting-page.ts';

const PARTIES = ['PNE\nof user A', 'PN GW #2\nof user B', 'CPNS\nServer', 'PN GW #1\nof user A'] as const;
const BLE = '#1565c0';
const HTTPS = '#2e7d32';
const LOCAL = '#6d4c41';

interface Row {
  readonly step: number;
  readonly text: string;
  readonly from: number;
  readonly to: number;
  readonly colour: string;
}

const STEPS: readonly Row[] = [
  { step: 0, text: 'Entity Discovery, link opened', from: 0, to: 1, colour: BLE },
  { step: 1, text: 'PN Setup Request', from: 1, to: 0, colour: BLE },
  { step: 2, text: 'PN Setup Response', from: 0, to: 1, colour: BLE },
  { step: 3, text: 'PN Registration Request', from: 1, to: 2, colour: HTTPS },
  { step: 4, text: 'Authentication challenge', from: 2, to: 1, colour: HTTPS },
  { step: 5, text: 'Authentication challenge', from: 1, to: 0, colour: BLE },
  { step: 6, text: 'Authentication response', from: 0, to: 1, colour: BLE },
  { step: 7, text: 'Authentication response', from: 1, to: 2, colour: HTTPS },
  { step: 8, text: 'PNE Confirm Request', from: 2, to: 3, colour: HTTPS },
  { step: 9, text: 'PNE Confirm Response', from: 3, to: 2, colour: HTTPS },
  { step: 10, text: 'PN registered', from: 2, to: 2, colour: LOCAL },
  { step: 11, text: 'PN Registration Response', from: 2, to: 1, colour: HTTPS },
  { step: 12, text: 'Inventory stored', from: 1, to: 1, colour: LOCAL },
  { step: 13, text: 'PN Setup Notify', from: 1, to: 0, colour: BLE },
];

const LANE = 250;
const LEFT = 90;
const TOP = 92;
const ROW = 38;

const x = (party: number): number => LEFT + party * LANE;

function arrow({ step, text, from, to, colour }: Row, index: number): string {
  const y = TOP + index * ROW;
  const label = `${step}  ${text}`;
  if (from === to) {
    return `<circle cx="${x(from)}" cy="${y}" r="6" fill="${colour}"/><text x="${x(from) + 14}" y="${y + 5}" class="label">${label}</text>`;
  }
  const end = x(to) + (from < to ? -8 : 8);
  const middle = (x(from) + x(to)) / 2;
  return (
    `<line x1="${x(from)}" y1="${y}" x2="${end}" y2="${y}" stroke="${colour}" stroke-width="2" marker-end="url(#${colour.slice(1)})"/>` +
    `<text x="${middle}" y="${y - 7}" class="label" text-anchor="middle">${label}</text>`
  );
}

function drawFlow(): string {
  const width = x(PARTIES.length - 1) + 140;
  const height = TOP + STEPS.length * ROW + 34;
  const marker = (colour: string) =>
    `<marker id="${colour.slice(1)}" viewBox="0 0 10 10" refX="8" refY="5" markerWidth="8" markerHeight="8" orient="auto"><path d="M0 0 10 5 0 10z" fill="${colour}"/></marker>`;
  const heads = PARTIES.map((name, party) => {
    const [first, second] = name.split('\n');
    return (
      `<rect x="${x(party) - 62}" y="12" width="124" height="44" rx="8" class="party"/>` +
      `<text x="${x(party)}" y="31" class="head" text-anchor="middle">${first}</text>` +
      `<text x="${x(party)}" y="48" class="label" text-anchor="middle">${second}</text>` +
      `<line x1="${x(party)}" y1="56" x2="${x(party)}" y2="${height - 34}" class="life"/>`
    );
  });
  const legend = [
    ['Bluetooth LE, GATT', BLE],
    ['HTTPS, mutual TLS 1.3', HTTPS],
    ['local', LOCAL],
  ].map(
    ([text, colour], i) =>
      `<circle cx="${LEFT + i * 220}" cy="${height - 16}" r="6" fill="${colour}"/><text x="${LEFT + 12 + i * 220}" y="${height - 11}" class="label">${text}</text>`,
  );
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" font-family="system-ui, sans-serif" role="img" aria-label="The fourteen steps of the establishment between PNE, PN GW 2, CPNS Server and PN GW 1">
<style>.label{font-size:13px;fill:#222}.head{font-size:14px;font-weight:600;fill:#222}.party{fill:#eceff1;stroke:#607d8b}.life{stroke:#b0bec5;stroke-dasharray:4 4}</style>
<rect width="${width}" height="${height}" fill="#fff"/>
<defs>${[BLE, HTTPS, LOCAL].map(marker).join('')}</defs>
${heads.join('\n')}
${STEPS.map(arrow).join('\n')}
${legend.join('\n')}
</svg>
`;
}

function statusTable(): string {
  const rows = Object.entries(STATUSES).map(
    ([name, { code, class: kind, retryable, http, sentence }]) =>
      `| ${code} | \`${name}\` | ${kind} | ${retryable ? 'yes' : ''} | ${http} | ${sentence} |`,
  );
  return ['| code | name | class | retryable | HTTP | sentence |', '|---|---|---|---|---|---|', ...rows].join(
    '\n',
  );
}

const at = (path: string) => fileURLToPath(new URL(`../docs/${path}`, import.meta.url));

/** A document with what stands between `<!-- NAME:begin … -->` and `<!-- NAME:end -->` made anew. */
function withPart(path: string, name: string, part: string): string {
  const text = read(path);
  const [begin, end] = [
    `<!-- ${name}:begin (generated by scripts/generate-docs.ts) -->`,
    `<!-- ${name}:end -->`,
  ];
  const from = text.indexOf(begin);
  const to = text.indexOf(end);
  if (from < 0 || to < from) throw new Error(`${path} has no place for the ${name}`);
  return `${text.slice(0, from + begin.length)}\n${part}\n${text.slice(to)}`;
}

const read = (path: string): string => {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
};

const wanted = new Map([
  [at('protocol.md'), withPart(at('protocol.md'), 'statuses', statusTable())],
  [at('troubleshooting.md'), withPart(at('troubleshooting.md'), 'checks', troubleshootingChecks())],
  [at('phones.md'), withPart(at('phones.md'), 'peripheral', phonesTables())],
  [at('flow.svg'), drawFlow()],
  [at('firmware-profiles.md'), profilesPage(shippedProfiles())],
]);
let stale = 0;
for (const [path, text] of wanted) {
  if (!process.argv.includes('--check')) writeFileSync(path, text);
  else if (read(path) !== text) {
    console.error(`${path} is not up to date: run npx tsx scripts/generate-docs.ts`);
    stale++;
  }
}
process.exit(stale > 0 ? 1 : 0);
