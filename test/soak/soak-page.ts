/**
 * A soak as one page that needs nothing else: no request, no script, light and dark. Curves of memory and handles of every
 * process over time with the quiet spans behind them, operations and faults over time, and the figures as tables beside
 * what is drawn. Owns the look; the words are report.ts's.
 */
import { type Curve, type Growth, mib, type Sample } from './growth.ts';
import { duration, facts, headline, passed, type SoakReport, seconds, type Tally } from './report.ts';

const text = (value: unknown): string =>
  String(value).replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);

const STYLE = `
:root { color-scheme: light dark;
  --page: light-dark(#fbfaf8, #14161a); --ink: light-dark(#1c1d20, #e4e5e8); --soft: light-dark(#666a71, #989da6);
  --line: light-dark(#dedbd5, #2b2f36); --card: light-dark(#ffffff, #1d2026); --quiet: light-dark(#e9f3ec, #1b2b22);
  --good: light-dark(#14532b, #9fe3b7); --bad: light-dark(#c8242c, #ff7b80); --operation: light-dark(#2b6cb0, #7cb7ee);
  --fault: light-dark(#c2571a, #f0a36b);
  --server: light-dark(#c8242c, #ff7b80); --gateway: light-dark(#2b6cb0, #7cb7ee); --home: light-dark(#2c7a4b, #7fd3a0);
  --pne: light-dark(#8a5a00, #e2b755); --soak: light-dark(#777a80, #8b9099); }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 2.2rem clamp(1rem, 3vw, 3rem); max-width: 76rem; background: var(--page);
  color: var(--ink); font: 15px/1.45 system-ui, sans-serif; }
h1 { font-size: 1.5rem; margin: 0 0 .2rem; letter-spacing: -.01em; } h2 { font-size: 1.05rem; margin: 2rem 0 .5rem; }
h1 b { color: var(--good); } h1 b.bad { color: var(--bad); }
p { margin: .25rem 0; max-width: 105ch; } .soft { color: var(--soft); }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .25rem 1.1rem; margin: 1rem 0; } dt { color: var(--soft); }
dd { margin: 0; overflow-wrap: anywhere; }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(30rem, 100%), 1fr)); gap: 1rem; }
figure { margin: 0; padding: .8rem 1rem .6rem; border: 1px solid var(--line); border-radius: 8px; background: var(--card); min-width: 0; }
figcaption { font-weight: 600; margin-bottom: .2rem; } figcaption span { font-weight: 400; color: var(--soft); }
svg { display: block; width: 100%; height: auto; overflow: visible; }
svg text { fill: var(--soft); font: 11px system-ui, sans-serif; font-variant-numeric: tabular-nums; }
.grid { stroke: var(--line); stroke-width: 1; } .quiet { fill: var(--quiet); }
.curve { fill: none; stroke: var(--of); stroke-width: 1.5; stroke-linejoin: round; vector-effect: non-scaling-stroke; }
.dot { fill: var(--of); } .bar-operation { fill: var(--operation); } .bar-fault { fill: var(--fault); }
.server { --of: var(--server); } .gateway { --of: var(--gateway); } .home { --of: var(--home); } .pne { --of: var(--pne); }
.soak { --of: var(--soak); } .soak .curve { stroke-dasharray: 4 3; }
ul.legend { display: flex; flex-wrap: wrap; gap: .3rem 1.2rem; list-style: none; padding: 0; margin: .6rem 0; }
ul.legend li { display: flex; align-items: center; gap: .45rem; }
ul.legend i { width: 1.3rem; border-top: 3px solid var(--of); } ul.legend .soak i { border-top-style: dashed; }
ul.legend i.area { height: .8rem; border: 0; background: var(--quiet); outline: 1px solid var(--line); }
ul.legend i.bar { width: .8rem; height: .8rem; border: 0; background: var(--of); border-radius: 2px; }
.tables { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(22rem, 100%), 1fr)); gap: 0 2.5rem; align-items: start; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { text-align: right; padding: .25rem .5rem; border-bottom: 1px solid var(--line); white-space: nowrap; }
th:first-child, td:first-child { text-align: left; padding-left: 0; } th { color: var(--soft); font-weight: 500; }
td.bad { color: var(--bad); font-weight: 700; }
ol.findings { padding: 0; list-style: none; display: grid; gap: .6rem; }
ol.findings li { border-left: 4px solid var(--bad); padding: .1rem 0 .1rem .9rem; overflow-wrap: anywhere; }
`;

const [WIDTH, HEIGHT] = [560, 190];
const [LEFT, RIGHT, TOP, BOTTOM] = [46, 8, 8, 22];
const BARS = 60;

type Kind = 'server' | 'gateway' | 'home' | 'pne' | 'soak';
const KINDS: Readonly<Record<Kind, string>> = {
  server: 'server',
  gateway: 'initiating gateway',
  home: 'home gateways',
  pne: 'PNEs',
  soak: 'the soak itself, with radio and checker',
};

function kindOf(process: string): Kind {
  if (process.startsWith('gw1')) return 'home';
  if (process.startsWith('pne')) return 'pne';
  return process === 'gw2' ? 'gateway' : process === 'server' ? 'server' : 'soak';
}

/** A whole HTML document. */
export function soakPage(report: SoakReport): string {
  const { curves, tookMs, startedAt, platform, seed } = report;
  const title = `Soak: ${headline(report)}`;
  const charts = [
    memoryChart('Heap after a collection', 'in the quiet spans', report, ({ heap }) => heap),
    memoryChart('Resident memory', 'RSS', report, ({ rss }) => rss),
    chart('Open descriptors', '/proc/PID/fd', report, ({ files }) => files, String),
    chart('Active handles', 'of libuv, in the quiet spans', report, ({ handles }) => handles, String),
    activity(report),
    times(report),
  ];
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${text(title)}</title>
<style>${STYLE}</style>
</head>
<body>
<h1>Soak: <b${passed(report) ? '' : ' class="bad"'}>${text(headline(report))}</b></h1>
<p class="soft">${text(startedAt.slice(0, 16).replace('T', ' '))} UTC · ${text(platform)} · ${text(duration(tookMs))} · seed ${text(seed)}</p>
<dl>${facts(report)
    .map(([name, words]) => `<dt>${text(name)}</dt><dd>${text(words)}</dd>`)
    .join('')}</dl>
${findings(report)}
<h2>Over time</h2>
${legend(curves)}
<div class="charts">
${charts.join('\n')}
</div>
<h2>What was done</h2>
<div class="tables">${tallies('operation', report.operations)}${tallies('fault', report.faults)}</div>
<h2>Growth of a process that was not restarted</h2>
<p class="soft">Ends of a straight line through the samples of the quiet spans, the first quarter of the life left out.</p>
${growthTable(report.growth)}
</body>
</html>
`;
}

function findings({ findings: list }: SoakReport): string {
  if (list.length === 0) return '';
  const items = list.map(
    ({ atMs, kind, what }) => `<li><b>${text(kind)}</b> after ${text(seconds(atMs))}<br>${text(what)}</li>`,
  );
  return `<h2>Violations</h2>\n<ol class="findings">${items.join('\n')}</ol>`;
}

function legend(curves: readonly Curve[]): string {
  const present = (Object.keys(KINDS) as Kind[]).filter((kind) =>
    curves.some(({ process }) => kindOf(process) === kind),
  );
  const items = present.map((kind) => `<li class="${kind}"><i></i>${text(KINDS[kind])}</li>`);
  items.push('<li><i class="area"></i>no faults, until everybody has converged and data came through</li>');
  return `<ul class="legend">${items.join('')}</ul>`;
}

/** Places on a chart. */
interface Scale {
  readonly x: (atMs: number) => number;
  readonly y: (value: number) => number;
}

function scaleOf({ tookMs }: SoakReport, most: number): Scale {
  return {
    x: (atMs) => round(LEFT + ((WIDTH - LEFT - RIGHT) * atMs) / Math.max(tookMs, 1)),
    y: (value) => round(HEIGHT - BOTTOM - ((HEIGHT - TOP - BOTTOM) * value) / Math.max(most, 1)),
  };
}

const round = (value: number): number => Math.round(value * 10) / 10;

/** A round number not below it. */
function ceiling(value: number): number {
  const power = 10 ** Math.floor(Math.log10(Math.max(value, 1)));
  return ([1, 2, 2.5, 4, 5, 8, 10].find((step) => step * power >= value) ?? 10) * power;
}

const MIB = 1024 * 1024;

function memoryChart(title: string, says: string, report: SoakReport, of: Reading): string {
  const inMib: Reading = (sample) => {
    const bytes = of(sample);
    return bytes === undefined ? undefined : bytes / MIB;
  };
  return chart(title, `${says}, MiB`, report, inMib, String);
}

type Reading = (sample: Sample) => number | undefined;

/** Curves of all processes; each life is a line of its own. */
function chart(
  title: string,
  says: string,
  report: SoakReport,
  of: Reading,
  show: (value: number) => string,
): string {
  const values = report.curves.flatMap(({ samples }) => samples.flatMap((sample) => of(sample) ?? []));
  const most = ceiling(values.reduce((a, b) => Math.max(a, b), 1));
  const { x, y } = scaleOf(report, most);
  const lines = report.curves.map(({ process, samples }) => {
    const lives = new Map<number, string[]>();
    for (const sample of samples) {
      const value = of(sample);
      if (value === undefined) continue;
      const life = lives.get(sample.pid) ?? [];
      life.push(`${x(sample.atMs)},${y(value)}`);
      lives.set(sample.pid, life);
    }
    const drawn = [...lives.values()].map((points) => {
      const [only = ''] = points;
      const [cx, cy] = only.split(',');
      return points.length > 1
        ? `<polyline class="curve" points="${points.join(' ')}"/>`
        : `<circle class="dot" cx="${cx}" cy="${cy}" r="1.6"/>`;
    });
    return `<g class="${kindOf(process)}"><title>${text(process)}</title>${drawn.join('')}</g>`;
  });
  return figure(title, says, report, { x, y }, axis(most, y, show) + lines.join(''));
}

function activity(report: SoakReport): string {
  const { tookMs, operationsAtMs, faultsAtMs } = report;
  const width = Math.max(tookMs / BARS, 1);
  const counted = (times: readonly number[]): number[] => {
    const bars = Array.from({ length: BARS }, () => 0);
    for (const atMs of times) {
      const at = Math.min(BARS - 1, Math.floor(atMs / width));
      bars[at] = (bars[at] ?? 0) + 1;
    }
    return bars;
  };
  const [operations, faults] = [counted(operationsAtMs), counted(faultsAtMs)];
  const most = ceiling(
    [...operations.keys()].reduce((a, i) => Math.max(a, (operations[i] ?? 0) + (faults[i] ?? 0)), 1),
  );
  const { x, y } = scaleOf(report, most);
  const bars = operations.map((count, i) => {
    const [left, right] = [x(i * width) + 0.5, x((i + 1) * width) - 0.5];
    const [top, middle, foot] = [y(count + (faults[i] ?? 0)), y(count), y(0)];
    const bar = (name: string, from: number, to: number) =>
      to > from
        ? `<rect class="bar-${name}" x="${left}" y="${from}" width="${round(right - left)}" height="${round(to - from)}"/>`
        : '';
    return bar('fault', top, middle) + bar('operation', middle, foot);
  });
  const key = (name: string) => `<li style="--of: var(--${name})"><i class="bar"></i>${name}s</li>`;
  const body = axis(most, y, String) + bars.join('');
  return figure(
    'Operations and faults',
    `begun in each ${text(seconds(width))}`,
    report,
    { x, y },
    body,
    `<ul class="legend">${key('operation')}${key('fault')}</ul>`,
  );
}

/** How long each quiet span took to converge. */
function times(report: SoakReport): string {
  const held = report.quiets.filter(({ convergedMs }) => convergedMs !== undefined);
  const most = ceiling(held.reduce((a, { convergedMs = 0 }) => Math.max(a, convergedMs / 1000), 1));
  const { x, y } = scaleOf(report, most);
  const stems = held.map(({ atMs, convergedMs = 0 }) => {
    const [at, top] = [x(atMs), y(convergedMs / 1000)];
    const hint = `after ${seconds(atMs)}: ${seconds(convergedMs)}`;
    return `<g class="gateway"><title>${text(hint)}</title><line class="curve" x1="${at}" x2="${at}" y1="${y(0)}" y2="${top}"/><circle class="dot" cx="${at}" cy="${top}" r="3"/></g>`;
  });
  return figure(
    'Time to converge',
    'seconds from the end of a burst of faults',
    report,
    { x, y },
    axis(most, y, String) + stems.join(''),
  );
}

function axis(most: number, y: Scale['y'], show: (value: number) => string): string {
  return [0, 0.25, 0.5, 0.75, 1]
    .map((share) => {
      const at = y(share * most);
      const label = share * 2 === Math.round(share * 2) ? show(round(share * most)) : '';
      return `<line class="grid" x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${at}" y2="${at}"/><text x="${LEFT - 6}" y="${at + 4}" text-anchor="end">${text(label)}</text>`;
    })
    .join('');
}

function figure(
  title: string,
  says: string,
  report: SoakReport,
  { x }: Scale,
  body: string,
  below = '',
): string {
  const spans = report.quiets.map(({ atMs, convergedMs = 0, dataMs = 0 }) => {
    const [from, to] = [x(atMs), x(Math.min(report.tookMs, atMs + convergedMs + dataMs))];
    return `<rect class="quiet" x="${from}" y="${TOP}" width="${round(Math.max(1, to - from))}" height="${HEIGHT - TOP - BOTTOM}"/>`;
  });
  const ends = [0, 0.25, 0.5, 0.75, 1].map((share) => {
    const atMs = share * report.tookMs;
    const anchor = share === 0 ? 'start' : share === 1 ? 'end' : 'middle';
    return `<text x="${x(atMs)}" y="${HEIGHT - 5}" text-anchor="${anchor}">${text(clock(atMs))}</text>`;
  });
  return `<figure><figcaption>${text(title)} <span>${text(says)}</span></figcaption>
<svg viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="${text(`${title}, ${says}`)}">${spans.join('')}${body}${ends.join('')}</svg>${below}</figure>`;
}

/** Minutes and seconds since the start. */
function clock(ms: number): string {
  const whole = Math.round(ms / 1000);
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, '0')}`;
}

function tallies(what: string, list: readonly Tally[]): string {
  const rows = list.map(
    ({ name, done, vain }) => `<tr><td>${text(name)}</td><td>${done}</td><td>${vain}</td></tr>`,
  );
  return `<table><thead><tr><th>${what}</th><th>done</th><th>in vain</th></tr></thead><tbody>${rows.join('')}</tbody></table>`;
}

function growthTable(growth: readonly Growth[]): string {
  const judged = growth.filter(({ verdict }) => verdict !== 'short');
  if (judged.length === 0) return '<p>No process lived through enough quiet spans to be judged.</p>';
  const rows = judged.map(({ process, fromMs, toMs, samples, lines }) => {
    const cells = lines.map(({ quantity, from, to, grows }) => {
      const show = quantity === 'heap' || quantity === 'rss' ? mib : (value: number) => value.toFixed(1);
      return `<td${grows ? ' class="bad"' : ''}>${text(`${show(from)} → ${show(to)}${grows ? ', grows' : ''}`)}</td>`;
    });
    return `<tr><td>${text(process)}</td><td>${text(`${clock(fromMs)} – ${clock(toMs)}`)}</td><td>${samples}</td>${cells.join('')}</tr>`;
  });
  return `<div class="wide"><table><thead><tr><th>process</th><th>from, to</th><th>samples</th><th>heap</th><th>RSS</th><th>descriptors</th><th>handles</th></tr></thead><tbody>${rows.join('')}</tbody></table></div>`;
}
