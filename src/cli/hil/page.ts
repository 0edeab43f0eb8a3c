/**
 * The report of a hardware run as one page that needs nothing else: no request, no script, light and dark. Owns the look;
 * figures and words are src/hil's and report-text.ts's.
 */
import type { Bar } from '../../hil/bars.ts';
import { PHASES, type Phase } from '../../hil/phases.ts';
import { type Figures, figuresOf, type HilReport, type SideRecord } from '../../hil/report.ts';
import type { Summary } from '../../hil/statistics.ts';
import { runsPlot, shareBar, text } from './plots.ts';
import { adapterText, endedText, hostText, ms, percent, range } from './report-text.ts';

const STYLE = `
:root { color-scheme: light dark;
  --page: light-dark(#fbfaf8, #14161a); --ink: light-dark(#1c1d20, #e4e5e8); --soft: light-dark(#666a71, #989da6);
  --line: light-dark(#dedbd5, #2b2f36); --card: light-dark(#ffffff, #1d2026); --of: light-dark(#2b6cb0, #7cb7ee);
  --bin: light-dark(#c9dbee, #2b4563); --good: light-dark(#14532b, #9fe3b7); --good-back: light-dark(#e1f1e6, #173122);
  --bad: light-dark(#b01e26, #ff8d91); --bad-back: light-dark(#fae3e3, #3d1b1d); --open-back: light-dark(#ece9e3, #2b2f36); }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 2.2rem clamp(1rem, 3vw, 3rem); max-width: 76rem; background: var(--page);
  color: var(--ink); font: 15px/1.45 system-ui, sans-serif; }
h1 { font-size: 1.5rem; margin: 0 0 .2rem; letter-spacing: -.01em; } h2 { font-size: 1.05rem; margin: 2rem 0 .5rem; }
h1 b { color: var(--good); } h1 b.bad { color: var(--bad); }
p { margin: .25rem 0; max-width: 105ch; } .soft { color: var(--soft); }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .25rem 1.1rem; margin: 1rem 0; } dt { color: var(--soft); }
dd { margin: 0; overflow-wrap: anywhere; }
.bars { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(15rem, 100%), 1fr)); gap: 1rem; margin: 1.2rem 0; padding: 0; list-style: none; }
.bars li { padding: .75rem 1rem; border: 1px solid var(--line); border-radius: 8px; background: var(--card); }
.bars b { display: block; font-weight: 600; } .bars span { color: var(--soft); } .bars p { font-variant-numeric: tabular-nums; }
.chip { display: inline-block; float: right; margin-left: .6rem; padding: 0 .55rem; border-radius: 1rem; font-size: .85rem; font-weight: 600; background: var(--open-back); color: var(--soft); }
.chip.met { background: var(--good-back); color: var(--good); } .chip.missed { background: var(--bad-back); color: var(--bad); }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(30rem, 100%), 1fr)); gap: 1rem; }
figure { margin: 0; padding: .8rem 1rem .6rem; border: 1px solid var(--line); border-radius: 8px; background: var(--card); min-width: 0; }
figcaption { font-weight: 600; margin-bottom: .2rem; } figcaption span { display: block; font-weight: 400; font-size: .85rem; color: var(--soft); }
svg { display: block; width: 100%; height: auto; }
svg text { fill: var(--soft); font: 11px system-ui, sans-serif; font-variant-numeric: tabular-nums; } svg text.at { fill: var(--ink); }
.grid { stroke: var(--line); stroke-width: 1; } .bin { fill: var(--bin); } .dot { fill: var(--of); }
.median { stroke: var(--ink); stroke-width: 1; } .p95 { stroke: var(--ink); stroke-width: 1; stroke-dasharray: 2 3; }
.bar { stroke: var(--bad); stroke-width: 1.2; stroke-dasharray: 6 4; } .cross { stroke: var(--bad); stroke-width: 2; fill: none; }
.piece text { fill: var(--ink); font-size: 13px; } .p0 rect { fill: light-dark(#cfe0f1, #26456a); } .p1 rect { fill: light-dark(#d6ead9, #21452e); }
.p2 rect { fill: light-dark(#f3e3c3, #574317); } .p3 rect { fill: light-dark(#ecd9ea, #4a2b48); } .p4 rect { fill: light-dark(#dfe0e4, #373b43); }
.wide { overflow-x: auto; } .share svg { min-width: 48rem; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { text-align: right; padding: .25rem .5rem; border-bottom: 1px solid var(--line); white-space: nowrap; }
th:first-child, td:first-child, td.words { text-align: left; } td:first-child, th:first-child { padding-left: 0; }
th { color: var(--soft); font-weight: 500; } td.bad { color: var(--bad); font-weight: 600; }
ol.failures { padding: 0; list-style: none; display: grid; gap: .6rem; }
ol.failures li { border-left: 4px solid var(--bad); padding: .1rem 0 .1rem .9rem; overflow-wrap: anywhere; }
summary { cursor: pointer; margin: 2rem 0 .5rem; font-size: 1.05rem; font-weight: 700; }
`;

const CONNECT_BAR_MS = 1_000;

/** A whole HTML document. */
export function hilPage(report: HilReport): string {
  const figures = figuresOf(report);
  const { succeeded, tried, rate } = figures;
  const headline = `${succeeded} of ${tried} runs`;
  const { program, startedAt, tookMs } = report;
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${text(`Hardware in the loop: ${headline}`)}</title>
<style>${STYLE}</style>
</head>
<body>
<h1>Hardware in the loop: <b${figures.accepted ? '' : ' class="bad"'}>${text(headline)}</b> through every phase</h1>
<p class="soft">${text(`${startedAt.slice(0, 16).replace('T', ' ')} UTC · ${Math.round(tookMs / 1000)} s · ${program.name} ${program.version}, build ${program.build}`)}</p>
<p>${text(`${tried > 0 ? percent(succeeded / tried) : '–'}; with 95 % confidence the true rate is ${range(rate)} (Wilson).`)}${report.ended === 'complete' ? '' : ` <b>${text(endedText(report))}.</b>`}</p>
<ul class="bars">${figures.bars.map(barCard).join('')}</ul>
${failures(report)}
<h2>Where the time of a run goes</h2>
<div class="wide share">${shareBar(PHASES.flatMap(({ id, title }) => (figures.phases[id] ? [{ title, value: figures.phases[id].median }] : [])))}</div>
<p class="soft">Medians of the phases, one after the other.</p>
<h2>Phases</h2>
${phaseTable(figures)}
<h2>Run by run</h2>
<p class="soft">A dot is a run, a cross one that failed there; solid line median, dotted line p95, red dashes the bar where it is in sight.</p>
<div class="charts">
${PHASES.map((phase) => phaseFigure(report, figures, phase)).join('\n')}
${rssiFigure(report, figures)}
</div>
<h2>Made on</h2>
<dl>${madeOn(report)}</dl>
${runTable(report)}
</body>
</html>
`;
}

function barCard({ what, target, measured, verdict }: Bar): string {
  return `<li><span class="chip ${verdict === 'not tested' ? 'open' : verdict}">${text(verdict)}</span><b>${text(what)}</b><span>${text(target)}</span><p>${text(measured)}</p></li>`;
}

function failures({ runs }: HilReport): string {
  const failed = runs.flatMap(({ number, failure }) => (failure ? [{ number, ...failure }] : []));
  if (failed.length === 0) return '';
  const items = failed.map(
    ({ number, phase, reason, files }) =>
      `<li><b>Run ${number}, ${text(phase)}</b><br>${text(reason)}${files.length > 0 ? `<br><span class="soft">${files.map(text).join(' · ')}</span>` : ''}</li>`,
  );
  return `<h2>What failed</h2>\n<ol class="failures">${items.join('\n')}</ol>`;
}

function summaryCells(summary: Summary | null, show: (value: number) => string): string {
  if (summary === null) return '<td>0</td><td>–</td><td>–</td><td>–</td><td>–</td>';
  const { count, min, median, p95, max } = summary;
  return `<td>${count}</td>${[min, median, p95, max].map((value) => `<td>${text(show(value))}</td>`).join('')}`;
}

function phaseTable({ phases, kilobytesPerSecond, rssi }: Figures): string {
  const row = (title: string, unit: string, says: string, cells: string): string =>
    `<tr><td>${text(title)} <span class="soft">${text(unit)}</span></td>${cells}<td class="words soft">${text(says)}</td></tr>`;
  const kBps = (value: number): string => value.toFixed(1);
  const rows = [
    ...PHASES.map(({ id, title, says }) => row(title, 'ms', says, summaryCells(phases[id], ms))),
    row(
      'to the PNE',
      'kB/s',
      '65,536 bytes over the time above',
      summaryCells(kilobytesPerSecond.toPne, kBps),
    ),
    row('from the PNE', 'kB/s', '', summaryCells(kilobytesPerSecond.fromPne, kBps)),
    row(
      'heard at',
      'dBm',
      'median of the PNE’s advertisements in each run, as the gateway’s controller states it',
      summaryCells(rssi, (value) => String(Math.round(value))),
    ),
  ];
  return `<div class="wide"><table><thead><tr><th>phase</th><th>n</th><th>min</th><th>median</th><th>p95</th><th>max</th><th></th></tr></thead><tbody>${rows.join('')}</tbody></table></div>`;
}

function phaseFigure({ runs }: HilReport, { phases }: Figures, { id, title, says }: Phase): string {
  const summary = phases[id];
  const values = runs.flatMap(({ number: run, phases: { [id]: value } }) =>
    value === undefined ? [] : [{ run, value }],
  );
  const failed = runs.flatMap(({ number, failure }) => (failure?.phase === id ? [number] : []));
  const body =
    summary === null
      ? `<p class="soft">${failed.length > 0 ? `${failed.length} failed here, none came through.` : 'No run came here.'}</p>`
      : runsPlot({
          ...{ label: title, unit: 'ms', values, failed },
          runs: Math.max(0, ...runs.map(({ number }) => number)),
          median: summary.median,
          p95: summary.p95,
          ...((id === 'connect' || id === 'reconnect') && { bar: CONNECT_BAR_MS }),
        });
  return `<figure><figcaption>${text(title)}, ms<span>${text(says)}</span></figcaption>\n${body}</figure>`;
}

function rssiFigure({ runs }: HilReport, { rssi }: Figures): string {
  if (rssi === null) return '';
  const values = runs.flatMap(({ number: run, rssi: value }) => (value === null ? [] : [{ run, value }]));
  const plot = runsPlot({
    ...{ label: 'RSSI', unit: 'dBm', values, failed: [] },
    runs: Math.max(0, ...runs.map(({ number }) => number)),
    median: rssi.median,
    p95: rssi.p95,
  });
  return `<figure><figcaption>RSSI, dBm<span>the PNE as the gateway’s controller heard it</span></figcaption>\n${plot}</figure>`;
}

function madeOn(report: HilReport): string {
  const { gateway, pnes, clockUncertaintyMs, runs } = report;
  const side = (name: string, record: SideRecord): string =>
    `<dt>${text(name)}</dt><dd>${text(adapterText(record))}<br><span class="soft">${text(`${record.over} on ${hostText(record)}`)}</span></dd>`;
  const radio = runs.find((run) => run.radio !== null)?.radio;
  const link = radio
    ? `interval ${radio.intervalMs} ms, supervision timeout ${radio.supervisionMs} ms, ATT MTU ${radio.mtu ?? 'unknown'}, link-layer packets of ${radio.packetBytes ?? 'an unstated number of'} bytes`
    : 'none';
  return [
    side('gateway', gateway),
    ...pnes.map((record, i) => side(pnes.length > 1 ? `PNE ${i + 1}` : 'PNE', record)),
    `<dt>first link</dt><dd>${text(link)}</dd>`,
    `<dt>clocks</dt><dd>${text(`instants of the PNE are known to ± ${clockUncertaintyMs.toFixed(2)} ms (half of the shortest round trip); only find and disconnect use them`)}</dd>`,
  ].join('');
}

function runTable({ runs }: HilReport): string {
  const heads = ['run', ...PHASES.map(({ title }) => title), 'tries', 'dBm', ''];
  const rows = runs.map(({ number, phases, tries, triesAgain, rssi, failure }) => {
    const cells = PHASES.map(({ id }) => {
      const failed = failure?.phase === id;
      return `<td${failed ? ' class="bad"' : ''}>${text(failed ? 'failed' : ms(phases[id]))}</td>`;
    });
    const times = [tries, triesAgain].map((count) => count ?? '–').join(' + ');
    return `<tr><td>${number}</td>${cells.join('')}<td>${text(times)}</td><td>${text(rssi ?? '–')}</td><td class="words${failure ? ' bad' : ''}">${failure ? text(failure.status) : 'ok'}</td></tr>`;
  });
  return `<details><summary>Every run</summary><div class="wide"><table><thead><tr>${heads.map((head) => `<th>${text(head)}</th>`).join('')}</tr></thead><tbody>${rows.join('')}</tbody></table></div></details>`;
}
