/**
 * What an adapter has to reach to be called fit: the bar that Home Assistant sets for its adapters (connect within about
 * a second, 95 of 100 within two tries, five links), and that runs end well. Owns the numbers and the verdicts. What
 * could not be tested is never a pass.
 */
import { p95 } from './statistics.ts';

export interface Bar {
  readonly what: string;
  readonly target: string;
  readonly measured: string;
  readonly verdict: 'met' | 'missed' | 'not tested';
}

const CONNECT_MS = 1_000;
const RATE = 0.95;
const TRIES = 2;
const LINKS = 5;

const percent = (share: number): string => `${(100 * share).toFixed(1).replace(/\.0$/, '')} %`;

/** What of a report is judged. */
export interface Measured {
  readonly runs: readonly {
    readonly ok: boolean;
    readonly phases: { readonly connect?: number | undefined; readonly reconnect?: number | undefined };
    readonly tries: number | null;
    readonly triesAgain: number | null;
  }[];
  readonly pnes: readonly unknown[];
  readonly links: { readonly pnes: number; readonly live: number } | null;
}

export function barsOf(report: Measured): readonly Bar[] {
  return [connectBar(report), triesBar(report), linksBar(report), successBar(report)];
}

const notTested = (what: string, target: string, why: string): Bar => ({
  ...{ what, target, measured: why },
  verdict: 'not tested',
});

function connectBar({ runs }: Measured): Bar {
  const what = 'connect';
  const target = `p95 ≤ ${CONNECT_MS / 1000} s`;
  const values = runs.flatMap(({ phases }) => [phases.connect ?? [], phases.reconnect ?? []].flat());
  if (values.length === 0) return notTested(what, target, 'no link came about');
  const reached = p95(values);
  return {
    ...{ what, target, measured: `${Math.round(reached)} ms of ${values.length} links` },
    verdict: reached <= CONNECT_MS ? 'met' : 'missed',
  };
}

/** Of all times that a connection was wanted, first links and later ones. */
function triesBar({ runs }: Measured): Bar {
  const what = `linked within ${TRIES} tries`;
  const target = `≥ ${percent(RATE)}`;
  const wanted = runs.flatMap(({ phases, tries, triesAgain }) => [
    ...(tries === null ? [] : [{ tries, linked: phases.connect !== undefined }]),
    ...(triesAgain === null ? [] : [{ tries: triesAgain, linked: phases.reconnect !== undefined }]),
  ]);
  if (wanted.length === 0) return notTested(what, target, 'no connection was asked for');
  const good = wanted.filter(({ tries, linked }) => linked && tries <= TRIES).length;
  return {
    ...{ what, target, measured: `${percent(good / wanted.length)}, ${good} of ${wanted.length}` },
    verdict: good / wanted.length >= RATE ? 'met' : 'missed',
  };
}

function linksBar({ links, pnes }: Measured): Bar {
  const what = 'links at once';
  const target = `≥ ${LINKS}`;
  if (links === null || links.pnes < LINKS) {
    const known = links === null ? '' : `; ${links.live} of ${links.pnes} at once were reached`;
    return notTested(what, target, `${LINKS} PNE adapters are needed, ${pnes.length} given${known}`);
  }
  return {
    ...{ what, target, measured: `${links.live} of ${links.pnes}` },
    verdict: links.live >= LINKS ? 'met' : 'missed',
  };
}

function successBar({ runs }: Measured): Bar {
  const what = 'runs through every phase';
  const target = `≥ ${percent(RATE)}`;
  if (runs.length === 0) return notTested(what, target, 'no run was made');
  const good = runs.filter(({ ok }) => ok).length;
  return {
    ...{ what, target, measured: `${percent(good / runs.length)}, ${good} of ${runs.length}` },
    verdict: good / runs.length >= RATE ? 'met' : 'missed',
  };
}
