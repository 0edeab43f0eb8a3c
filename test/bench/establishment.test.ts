/** The bench measures what it says: a quick establishment, its counts and its report. No timing is asserted. */
import assert from 'node:assert/strict';
import { STEPS } from '../../scripts/bench/connection-events.ts';
import {
  type EstablishmentRun,
  establishmentSection,
  measureEstablishment,
} from '../../scripts/bench/establishment.ts';
import { missedOf, reportOf, toMarkdown } from '../../scripts/bench/report.ts';

describe('bench: establishment', function () {
  this.timeout(90_000);
  let run: EstablishmentRun;

  before(async () => {
    // A machine that runs tests is busy: what the radio missed spoils figures, not counts.
    [run] = (await measureEstablishment({ runs: 1, keepSpoilt: true })) as [EstablishmentRun];
  });

  it('finds the same bytes and segments on the radio as the parties trace', () => {
    const traced = run.trace.filter(({ step, via }) => via === 'ble' && STEPS.some((own) => own === step));
    assert.deepEqual(
      traced.map(({ step }) => step),
      [...STEPS],
    );
    for (const step of STEPS) {
      const { bytes, segments } = run.messages.of(step);
      const event = traced.find((known) => known.step === step);
      assert.equal(segments.length, event?.segments, `segments of step ${step}`);
      assert.equal(bytes, event?.bytes, `bytes of step ${step}`);
    }
  });

  it('needs at most seven segments', () => {
    const count = STEPS.reduce((sum, step) => sum + run.messages.of(step).segments.length, 0);
    assert.ok(count <= 7, `${count} segments`);
  });

  it('counts an event for each way at least, raw and not', () => {
    for (const { elapsed, inFlight, used } of [run.establishment, run.raw]) {
      assert.ok(elapsed >= 5 && inFlight >= 5 && elapsed >= inFlight, `${elapsed} and ${inFlight}`);
      assert.ok(used >= 5);
    }
  });

  it('reports steps 0 to 14, targets, and that the radio is virtual', () => {
    const report = reportOf([establishmentSection([run])], true);
    const markdown = toMarkdown(report);
    for (let step = 0; step <= 14; step++) assert.match(markdown, new RegExp(`^\\| ${step} \\|`, 'm'));
    assert.match(markdown, /virtual radio/);
    assert.match(markdown, /≤ 7 \| yes/);
    for (const { target } of missedOf(report)) assert.ok(target);
  });
});
