/** Reports with given values, for tests of what is made of them. */
import { PHASE_IDS, type PhaseId } from '../../src/hil/phases.ts';
import type { HilReport, RunRecord, SideRecord } from '../../src/hil/report.ts';

export const side = (): SideRecord => ({
  host: { host: 'bench', kernel: 'Linux 6.1 x64', kernelBuild: '#1', model: null, cpu: null, node: 'v20' },
  adapter: {
    moniker: 'hci:0',
    address: null,
    bus: 'usb',
    usb: '0a12:0001',
    product: null,
    driver: 'btusb',
    ...{ profile: 'generic', channel: 'user', controller: null },
  },
  over: 'this process',
});

/** A run that went through, every phase of it as long as told; one that failed in a phase got no further. */
export function runRecord(
  number: number,
  ms: number | Partial<Record<PhaseId, number>>,
  failedIn?: PhaseId,
): RunRecord {
  const reached = failedIn === undefined ? PHASE_IDS : PHASE_IDS.slice(0, PHASE_IDS.indexOf(failedIn));
  const lengthOf = (id: PhaseId) => (typeof ms === 'number' ? ms : (ms[id] ?? 10));
  const failure = failedIn && { phase: failedIn, status: 'link-lost', reason: 'lost', files: [] };
  return {
    ...{ number, startedAt: '2026-01-01T00:00:00.000Z', ok: failedIn === undefined },
    phases: Object.fromEntries(reached.map((id) => [id, lengthOf(id)])),
    ...{
      tries: 1,
      triesAgain: reached.includes('find-again') ? 1 : null,
      rssi: -60,
      heard: 3,
      radio: null,
      failure: failure ?? null,
    },
  };
}

export function reportOf(runs: readonly RunRecord[], changes: Partial<HilReport> = {}): HilReport {
  return {
    ...{ report: 'cpns-hil', version: 1, program: { name: 'cpns-ble', version: '0', build: '0' } },
    ...{ startedAt: '2026-01-01T00:00:00.000Z', tookMs: 1000, planned: runs.length },
    ...{ ended: 'complete', because: null, gateway: side(), pnes: [side()] },
    ...{ clockUncertaintyMs: 0.1, links: null, runs: [...runs] },
    ...changes,
  };
}
