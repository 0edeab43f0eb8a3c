/**
 * The runner of the hardware suite on the virtual radio: its report, what it keeps of a failure, and that it leaves nothing
 * behind however it ends. On a real kernel, and between two hosts over ssh, it runs in test/guest.
 */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { readBtsnoop } from '../../src/bluetooth/hci/btsnoop-reader.ts';
import { openVirtualRadio, type VirtualRadio } from '../../src/bluetooth/open.ts';
import { ownCommand } from '../../src/cli/demo/children.ts';
import { PHASE_IDS } from '../../src/hil/phases.ts';
import { PneChild } from '../../src/hil/pne-child.ts';
import { figuresOf, parseReport } from '../../src/hil/report.ts';
import { runSuite, type SuiteOptions } from '../../src/hil/suite.ts';
import { MAIN, startHil } from './command.ts';

const LOCAL = [process.execPath, ...ownCommand()];

describe('the suite for hardware, on the virtual radio', function () {
  this.timeout(120_000);
  let dir: string;
  let temporary: string;
  let radio: VirtualRadio;
  const started: ChildProcess[] = [];

  beforeEach(async () => {
    dir = mkdtempSync(join(tmpdir(), 'cpns-hiltest-'));
    temporary = join(dir, 'tmp');
    mkdirSync(temporary);
    radio = await openVirtualRadio({ path: join(dir, 'radio.sock') });
  });
  afterEach(async () => {
    for (const child of started.splice(0)) child.kill('SIGKILL');
    await radio.close();
    rmSync(dir, { recursive: true, force: true });
  });

  /** With a directory for temporary files of its own. */
  const hil = (...args: readonly string[]) => {
    const command = startHil(args, { TMPDIR: temporary });
    started.push(command.child);
    return command;
  };
  const adapters = () => ['--gateway-adapter', radio.moniker, '--pne-adapter', radio.moniker];
  const suite = (changes: Partial<SuiteOptions>) =>
    runSuite({
      ...{ gatewayAdapter: radio.moniker, pneAdapters: [radio.moniker], localCommand: LOCAL, runs: 3 },
      signal: new AbortController().signal,
      onProgress: () => {},
      keep: join(dir, 'kept'),
      ...changes,
    });
  /** Files of ours; tsx has some of its own there. */
  const left = () => readdirSync(temporary).filter((name) => name.startsWith('cpns'));
  const eventually = async (what: string, holds: () => boolean): Promise<void> => {
    for (const endAt = performance.now() + 60_000; !holds(); ) {
      assert.ok(performance.now() < endAt, what);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  };

  it('goes through every phase three times, reports as text, JSON and page, and leaves nothing behind', async () => {
    const page = join(dir, 'hil.html');
    const { said, ended } = hil('run', ...adapters(), '--runs', '3', '--json', '--html', page);
    assert.equal(await ended, 0, said.progress);
    assert.match(said.progress, /run 3 of 3: ok, connect \d/);
    const report = parseReport(said.out);
    assert.deepEqual([report.ended, report.runs.length], ['complete', 3]);
    for (const run of report.runs) {
      assert.ok(run.ok, JSON.stringify(run.failure));
      assert.deepEqual(Object.keys(run.phases), PHASE_IDS);
      for (const id of PHASE_IDS) assert.ok((run.phases[id] ?? -1) >= 0 && (run.phases[id] ?? 0) < 30_000);
      assert.deepEqual([run.tries, run.triesAgain, run.rssi], [1, 1, -50]);
      assert.equal(run.radio?.mtu, 247);
    }
    assert.equal(report.gateway.adapter.controller?.manufacturer, 0xffff);
    assert.equal(report.pnes[0]?.adapter.controller?.manufacturer, 0xffff);
    assert.equal(report.pnes[0]?.adapter.profile, 'virtual-radio');
    const addresses = [report.gateway, ...report.pnes].map(({ adapter }) => adapter.address ?? '');
    for (const address of addresses) assert.match(address, /^([0-9a-f]{2}:){5}[0-9a-f]{2}$/);
    assert.equal(new Set(addresses).size, 2);
    const { bars, accepted } = figuresOf(report);
    assert.deepEqual(
      bars.map(({ verdict }) => verdict),
      ['met', 'met', 'not tested', 'met'],
    );
    assert.ok(accepted);
    const html = readFileSync(page, 'utf8');
    assert.match(html, /3 of 3 runs/);
    assert.equal(html.match(/<figure>/g)?.length, PHASE_IDS.length + 1);
    assert.doesNotMatch(html, /<script|https?:|undefined|NaN/);
    assert.deepEqual(left(), []);
  });

  it('calls a run with a lost link failed, keeps both captures with the keys, and goes on', async () => {
    const { report, kept = '' } = await suite({
      onPhase: (phase, run) => {
        if (run !== 2 || phase !== 'from-pne') return;
        const link = radio.counters().links.find(({ open }) => open);
        assert.ok(link && radio.dropLink(link.central, link.peripheral));
      },
    });
    assert.deepEqual(
      report.runs.map(({ ok }) => ok),
      [true, false, true],
    );
    const { succeeded, tried, rate, accepted, phases } = figuresOf(report);
    assert.deepEqual([succeeded, tried, accepted], [2, 3, false]);
    assert.ok(rate[0] < 2 / 3 && rate[1] > 2 / 3);
    assert.deepEqual([phases['to-pne']?.count, phases['from-pne']?.count], [3, 2]);
    const { failure } = report.runs[1] ?? {};
    assert.deepEqual([failure?.phase, failure?.status], ['from-pne', 'link-lost']);
    assert.match(failure?.reason ?? '', /HCI reason 0x08/);
    assert.equal(kept, join(dir, 'kept'));
    assert.deepEqual(readdirSync(kept).sort(), [...(failure?.files ?? [])].sort());
    assert.equal(failure?.files.length, 4);
    for (const name of ['run-2-gateway.btsnoop', 'run-2-pne.btsnoop']) {
      const capture: Buffer = readFileSync(join(kept, name));
      const ends = [...readBtsnoop(capture)].filter(({ packet }) => packet[0] === 4 && packet[1] === 5);
      assert.deepEqual([ends.length, ends[0]?.packet[6]], [1, 0x08], name);
    }
    const trace = spawn(process.execPath, [
      ...[...process.execArgv, MAIN, 'trace', join(kept, 'run-2-gateway.btsnoop')],
      ...['--keylog', join(kept, 'run-2.keys')],
    ]);
    let shown = '';
    trace.stdout.on('data', (chunk) => {
      shown += chunk;
    });
    assert.deepEqual(await once(trace, 'close'), [0, null]);
    assert.match(shown, /PnSetupNotify/, 'the kept keys open the kept capture');
  });

  it('of a controller that is gone makes failed runs, and stops when none can be opened', async () => {
    const { report } = await suite({
      runs: 20,
      onPhase: (phase, run) => {
        if (run === 2 && phase === 'establish') void radio.close();
      },
    });
    assert.deepEqual([report.ended, report.runs.length], ['stopped', 5]);
    assert.equal(report.runs[1]?.failure?.phase, 'establish');
    assert.deepEqual(
      report.runs.slice(2).map(({ failure }) => failure?.phase),
      ['start', 'start', 'start'],
    );
    assert.match(report.because ?? '', /no controller answers there/);
  });

  it('tries five links at once where there are five adapters', async () => {
    const { report } = await suite({ runs: 1, pneAdapters: Array.from({ length: 5 }, () => radio.moniker) });
    assert.deepEqual(report.links, { pnes: 5, live: 5 });
    assert.equal(figuresOf(report).bars[2]?.verdict, 'met');
  });

  it('at Ctrl-C reports what was run so far, and leaves neither process nor file behind', async () => {
    const { child, said, ended } = hil('run', ...adapters(), '--runs', '1000', '--json');
    await eventually('two runs', () => /run 2 of 1000: ok/.test(said.progress));
    child.kill('SIGINT');
    assert.equal(await ended, 130, said.progress);
    const report = parseReport(said.out);
    assert.equal(report.ended, 'interrupted');
    assert.ok(report.runs.length >= 2 && report.runs.every(({ ok }) => ok));
    assert.equal(radio.counters().controllers, 0);
    assert.deepEqual(left(), []);
  });

  it("a runner that is killed takes the PNE's process and its state with it", async () => {
    const { child, said } = hil('run', ...adapters(), '--runs', '1000');
    await eventually('a run', () => /run 1 of 1000: ok/.test(said.progress));
    assert.ok(left().some((name) => name.startsWith('cpns-hil-pne-')));
    child.kill('SIGKILL');
    await eventually('the PNE ends', () => radio.counters().controllers === 0);
    await eventually('its state goes', () => left().every((name) => !name.startsWith('cpns-hil-pne-')));
  });

  it('without an adapter ends at once with what mends it; a host that could be an option of ssh is none', async () => {
    const nowhere = `virtual:${join(dir, 'nowhere.sock')}`;
    const gone = hil('run', '--gateway-adapter', nowhere, '--pne-adapter', radio.moniker);
    assert.equal(await gone.ended, 1);
    assert.match(gone.said.progress, /no controller answers there .*cpns radio/s);
    const option = hil('run', ...adapters(), '--pne-host=-oProxyCommand=touch /tmp/x');
    assert.equal(await option.ended, 1);
    assert.match(option.said.progress, /user@host/);
    const word = hil('run', '--gateway-adapter', 'bluetooth', '--pne-adapter', 'hci1');
    assert.equal(await word.ended, 2);
    const same = hil('run', '--gateway-adapter', 'hci0/user', '--pne-adapter', 'hci0');
    assert.equal(await same.ended, 2);
    assert.match(same.said.progress, /hci:0 is named twice/);
    const page = hil('run', ...adapters(), '--html', join(dir, 'no/where.html'));
    assert.equal(await page.ended, 2);
    assert.match(page.said.progress, /--html .*ENOENT/);
    assert.deepEqual(left(), []);
  });

  describe('the process of the PNE', () => {
    const child = (script: string) => {
      const ends: Error[] = [];
      const pne = new PneChild({
        adapter: radio.moniker,
        localCommand: [process.execPath, '-e', script, '--'],
        onHappening: () => {},
        onEnd: (why) => ends.push(why),
      });
      return { pne, ends };
    };
    const own = { name: 'cpns-ble', version: '0.1.0', build: 'ours' };
    const answering = (result: unknown) => `
      process.stdout.write('Welcome to this host\\n{"id":"x"}\\n[]\\n');
      process.stdin.on('data', (line) => {
        const { id } = JSON.parse(line);
        process.stdout.write(JSON.stringify({ id, result: ${JSON.stringify(result)} }) + '\\n');
      });`;

    it('has to be of the same build: the error names both and the mend', async () => {
      const host = { ...{ host: 'h', kernel: 'k', kernelBuild: 'b', model: null, cpu: null }, node: 'v20' };
      const { pne } = child(answering({ program: { ...own, build: 'theirs' }, host }));
      await assert.rejects(pne.meet(own), (error: Error & { mend?: string }) => {
        assert.match(error.message, /version-mismatch: .*build theirs; here it is 0\.1\.0, build ours/);
        assert.match(error.mend ?? '', /--pne-command/);
        return true;
      });
      await pne.end();
    });

    it('may answer nonsense, shout without end, or die: an error each time, never a hang', async () => {
      const nonsense = child(answering({ atMs: 'soon' }));
      await assert.rejects(nonsense.pne.ask('clock'));
      await nonsense.pne.end();
      const endless = child(`setInterval(() => process.stdout.write('x'.repeat(65536)), 1)`);
      await assert.rejects(endless.pne.ask('clock'), /process ended/);
      const dying = child(`process.stderr.write('\\x1b[31mno memory'); process.exit(3)`);
      await assert.rejects(dying.pne.ask('hello'), /ended \(exit code 3\): {1,2}\[31mno memory/);
      assert.equal(dying.ends.length, 1);
      await dying.pne.end();
    });
  });

  it('is reached by ./scripts/test --hil', async () => {
    const root = fileURLToPath(new URL('../..', import.meta.url));
    assert.ok(existsSync(join(root, 'dist/src/cli/main.js')), 'run `npm run build` first');
    const script = readFileSync(join(root, 'scripts/test'), 'utf8');
    assert.match(script, /--hil\) .*exec node dist\/src\/cli\/main\.js hil run "\$@"/);
  });
});
