/**
 * The fault matrix as one page that needs nothing else: no request, no script for reading it, light and dark, and in every
 * cell a word, so that it does not rest on colour. A cell opens a card with outcome, times, seed and the command.
 * Owns the look. What is shown is matrix-report.ts's.
 */
import {
  again,
  cellAt,
  countsInWords,
  figuresOf,
  MARKS,
  type Mark,
  type MatrixReport,
  markOf,
  type ReportedCell,
  seconds,
  timesInWords,
} from './matrix-report.ts';

const text = (value: unknown): string =>
  String(value).replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);

const STYLE = `
:root { color-scheme: light dark;
  --page: light-dark(#fbfaf8, #14161a); --ink: light-dark(#1c1d20, #e4e5e8); --soft: light-dark(#666a71, #989da6);
  --line: light-dark(#dedbd5, #2b2f36); --card: light-dark(#ffffff, #1d2026);
  --member: light-dark(#d3efdb, #173a26); --member-ink: light-dark(#14532b, #9fe3b7);
  --nothing: light-dark(#d6eaf5, #15344a); --nothing-ink: light-dark(#0d4767, #9ed2f1);
  --signed-unheard: light-dark(#fbeac2, #443510); --signed-unheard-ink: light-dark(#6b4a00, #f4d487);
  --not-yet-notified: light-dark(#eadcf7, #382450); --not-yet-notified-ink: light-dark(#522a80, #d6b8f5);
  --failed: light-dark(#c8242c, #d9363e); --failed-ink: #ffffff; }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 2.2rem clamp(1rem, 3vw, 3rem); max-width: max-content; background: var(--page);
  color: var(--ink); font: 15px/1.45 system-ui, sans-serif; }
h1 { font-size: 1.5rem; margin: 0 0 .2rem; letter-spacing: -.01em; } h2 { font-size: 1.05rem; margin: 2rem 0 .5rem; }
p { margin: .25rem 0; max-width: 105ch; } .soft { color: var(--soft); }
code { font: .86em ui-monospace, monospace; background: color-mix(in srgb, var(--ink) 7%, transparent);
  padding: .1em .35em; border-radius: 4px; overflow-wrap: anywhere; }
.share { display: flex; height: 10px; border-radius: 5px; overflow: hidden; margin: 1.1rem 0 .7rem; gap: 2px; }
.share i { background: var(--fill); min-width: 3px; }
ul.legend { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(34rem, 100%), 1fr)); gap: .35rem 1.5rem;
  list-style: none; padding: 0; margin: 0 0 1rem; max-width: 84rem; }
ul.legend li { display: flex; gap: .6rem; align-items: baseline; }
.chip { flex: none; min-width: 5.2rem; text-align: center; font-size: .8rem; padding: .1rem .4rem; border-radius: 4px;
  background: var(--fill); color: var(--on); }
.member { --fill: var(--member); --on: var(--member-ink); } .nothing { --fill: var(--nothing); --on: var(--nothing-ink); }
.signed-unheard { --fill: var(--signed-unheard); --on: var(--signed-unheard-ink); }
.not-yet-notified { --fill: var(--not-yet-notified); --on: var(--not-yet-notified-ink); }
.failed { --fill: var(--failed); --on: var(--failed-ink); font-weight: 700; }
.na, .not-run { --fill: transparent; --on: var(--soft); }
.tools { display: flex; gap: 1.5rem; margin: .8rem 0; }
.matrix { overflow-x: auto; border: 1px solid var(--line); border-radius: 8px; background: var(--card); max-width: 100%; }
table { border-collapse: separate; border-spacing: 2px; padding: 4px; }
thead th { vertical-align: bottom; padding: .3rem 0; font-weight: 500; font-size: .8rem; color: var(--soft); }
thead th span { writing-mode: vertical-rl; transform: rotate(180deg); max-height: 15rem; text-align: left; }
tbody th { position: sticky; left: 0; background: var(--card); text-align: left; font-weight: 500; white-space: nowrap;
  padding: 0 .8rem 0 .4rem; z-index: 1; } tbody th b { display: inline-block; min-width: 1.7em; color: var(--soft); font-weight: 500;
  text-align: right; margin-right: .5em; font-variant-numeric: tabular-nums; }
td { padding: 0; } td.na, td.not-run { text-align: center; color: var(--soft); font-size: .72rem; opacity: .75; }
td button { all: unset; box-sizing: border-box; cursor: pointer; width: 3.7rem; height: 2.3rem; border-radius: 4px; text-align: center;
  background: var(--fill); color: var(--on); font-size: .72rem; line-height: 1.15; display: block; position: relative; overflow: hidden; }
td button small { display: block; opacity: .8; font-size: .68rem; font-variant-numeric: tabular-nums; }
td.na button { height: 2.3rem; }
td button::after { content: ''; position: absolute; left: 0; bottom: 0; height: 2px; width: var(--share, 0%); background: var(--on); opacity: .55; }
td button:hover, td button:focus-visible { outline: 2px solid var(--ink); outline-offset: 1px; }
tr:hover tbody th, tbody tr:hover th { color: var(--ink); text-decoration: underline; text-underline-offset: 3px; }
:root:has(#only:checked) tbody td:not(.failed) { opacity: .16; }
[popover] { border: 1px solid var(--line); border-radius: 10px; background: var(--card); color: var(--ink); padding: 1.2rem 1.4rem;
  width: min(40rem, 92vw); box-shadow: 0 12px 40px #0005; } [popover]::backdrop { background: #0003; }
[popover] h3 { margin: 0 0 .5rem; font-size: 1.05rem; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .3rem .9rem; margin: .8rem 0 0; } dt { color: var(--soft); }
dd { margin: 0; overflow-wrap: anywhere; } dd code { display: inline-block; user-select: all; }
ol.failures { padding: 0; list-style: none; display: grid; gap: .8rem; max-width: 84rem; }
ol.failures li { border-left: 4px solid var(--failed); padding: .1rem 0 .1rem .9rem; }
@media print { .tools { display: none; } .matrix { overflow: visible; } body { max-width: none; } }
`;

/** A whole HTML document. */
export function matrixPage(report: MatrixReport): string {
  const figures = figuresOf(report);
  const { seed, startedAt, tookMs, platform } = report;
  const failed = report.cells.filter((cell) => markOf(cell) === 'failed');
  const headline =
    failed.length > 0 ? `${failed.length} of ${figures.run} cells failed` : `all ${figures.run} cells passed`;
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Fault matrix: ${text(headline)}</title>
<style>${STYLE}</style>
</head>
<body>
<h1>Fault matrix: ${text(headline)}</h1>
<p class="soft">Each step of the establishment against each fault, between four real processes: PNE, initiating gateway (gw2),
server, home gateway (gw1). The safety rules S1–S5 are checked on all disks after every commit; when the fault is over, what
everybody holds has to be a legal outcome in time.</p>
<p class="soft">${text(startedAt.slice(0, 16).replace('T', ' '))} UTC · ${text(platform)} · took ${text(seconds(tookMs))} · seed <code>${text(seed)}</code></p>
${share(figures.counts, figures.run)}
${legend(figures.counts)}
<p>Time ${text(timesInWords(figures))}; the line under a cell shows it, on a scale to the longest.</p>
<div class="tools"><label><input type="checkbox" id="only"> show failures only</label><span class="soft">A cell opens its card.</span></div>
${matrix(report, figures.converged?.maxMs ?? 1)}
${failures(report, failed)}
${report.cells.map((cell) => card(report, cell)).join('\n')}
</body>
</html>
<!-- ${text(countsInWords(figures))} -->
`;
}

function share(counts: Readonly<Record<Mark, number>>, run: number): string {
  const parts = marks().filter((mark) => counts[mark] > 0 && mark !== 'na');
  const bars = parts.map((mark) => `<i class="${mark}" style="flex:${counts[mark]}"></i>`);
  return run > 0 ? `<div class="share" aria-hidden="true">${bars.join('')}</div>` : '';
}

function legend(counts: Readonly<Record<Mark, number>>): string {
  const items = marks().map(
    (mark) =>
      `<li><span class="chip ${mark}">${text(MARKS[mark].word)}</span><span><b>${counts[mark]}</b> <span class="soft">${text(MARKS[mark].meaning)}</span></span></li>`,
  );
  return `<ul class="legend">${items.join('')}</ul>`;
}

function matrix(report: MatrixReport, longestMs: number): string {
  const headings = report.columns.map(({ title }) => `<th scope="col"><span>${text(title)}</span></th>`);
  const rows = report.rows.map(({ step, name }) => {
    const cells = report.columns.map(({ id }) => box(cellAt(report, step, id), longestMs));
    return `<tr><th scope="row"><b>${step}</b>${text(name)}</th>${cells.join('')}</tr>`;
  });
  return `<div class="matrix" tabindex="0" role="region" aria-label="the matrix"><table>
<thead><tr><th></th>${headings.join('')}</tr></thead>
<tbody>
${rows.join('\n')}
</tbody></table></div>`;
}

function box(cell: ReportedCell | undefined, longestMs: number): string {
  const mark = markOf(cell);
  if (!cell) return '<td class="not-run"></td>';
  const { word } = MARKS[mark];
  const time = cell.convergedMs === undefined ? '' : `<small>${text(seconds(cell.convergedMs))}</small>`;
  const width = Math.round((100 * (cell.convergedMs ?? 0)) / longestMs);
  const hint = `${cell.step}:${cell.fault}, ${cell.detail}`;
  return `<td class="${mark}"><button popovertarget="${idOf(cell)}" style="--share:${width}%" title="${text(hint)}">${text(word)}${time}</button></td>`;
}

function failures(report: MatrixReport, failed: readonly ReportedCell[]): string {
  if (failed.length === 0) return '';
  const items = failed.map(
    (cell) =>
      `<li><b>${text(titleOf(report, cell))}</b><br>${text(cell.detail)}<br><code>${text(again(report, cell))}</code></li>`,
  );
  return `<h2>What failed</h2>\n<ol class="failures">${items.join('\n')}</ol>`;
}

function card(report: MatrixReport, cell: ReportedCell): string {
  const mark = markOf(cell);
  const facts: (readonly [string, string])[] = [['in words', text(cell.detail)]];
  if (cell.convergedMs !== undefined) facts.push(['outcome after', text(seconds(cell.convergedMs))]);
  if (mark !== 'na') {
    facts.push(['whole cell', text(seconds(cell.tookMs))], ['seed', `<code>${text(cell.seed)}</code>`]);
    facts.push(['again', `<code>${text(again(report, cell))}</code>`]);
  }
  const list = facts.map(([name, value]) => `<dt>${name}</dt><dd>${value}</dd>`);
  return `<div popover id="${idOf(cell)}"><h3>${text(titleOf(report, cell))}</h3>
<span class="chip ${mark}">${text(MARKS[mark].word)}</span> <span class="soft">${text(MARKS[mark].meaning)}</span>
<dl>${list.join('')}</dl></div>`;
}

function titleOf({ rows, columns }: MatrixReport, { step, fault }: ReportedCell): string {
  const name = rows.find((row) => row.step === step)?.name ?? '';
  const title = columns.find(({ id }) => id === fault)?.title ?? fault;
  return `Step ${step}, ${name}: ${title}`;
}

const marks = (): readonly Mark[] => (Object.keys(MARKS) as Mark[]).filter((mark) => mark !== 'not-run');
const idOf = ({ step, fault }: ReportedCell): string => `c${step}-${fault.replace(/[^a-z0-9-]/gi, '_')}`;
