/**
 * The demo's processes from the first to the last: sets up operator, users and gateways with the functions behind the
 * `init`, `user add`, `token create` and `enrol` commands, spawns the `run` commands, types each PNE's code in at its home
 * gateway, and waits until all hold the same. Owns what a failure is and how it is told.
 */
import { statusOfError } from '../../base/errors.ts';
import { STATUSES, type Status } from '../../base/statuses.ts';
import { callControl, NoDaemonError } from '../../nodes/control-socket.ts';
import { makeGateway } from '../../nodes/gateway/state.ts';
import { initServer } from '../../nodes/server/admin.ts';
import type { TraceEvent } from '../../nodes/trace.ts';
import { Attribution, type ProcessRole } from './attribution.ts';
import {
  type Cast,
  gatewaysOf,
  type HomeParts,
  type Part,
  writeHomeConfig,
  writeInitiatorConfig,
  writePneConfig,
  writeServerConfig,
} from './cast.ts';
import { type Child, type ChildLine, Children, logTail } from './children.ts';
import { enrolGateways } from './enrol-gateways.ts';
import type { FlowEvent, FlowResult } from './flow-event.ts';
import { LAST_STEP } from './sequencer.ts';
import { confirmedAtHome, inventoryAt, membershipOf, reachVerdict, type Verdict } from './verdict.ts';

/** A failure with its status and the process to look at. */
export class DemoFailure extends Error {
  override readonly name = 'DemoFailure';
  readonly status: Status;
  readonly pne: number | undefined;
  readonly logFile: string | undefined;

  constructor(
    status: Status,
    message: string,
    at: { pne?: number | undefined; logFile?: string | undefined } = {},
  ) {
    super(message);
    this.status = status;
    this.pne = at.pne;
    this.logFile = at.logFile;
  }
}

const POLL_MS = 25;
/** Failures that another attempt mends by itself; the demo's deadline ends the patience. */
const RETRIED: ReadonlySet<string> = new Set(['link', 'local', 'success']);

export class Stage {
  readonly #cast: Cast;
  readonly #children: Children;
  readonly #attribution: Attribution;
  readonly #roles = new Map<string, ProcessRole & { readonly part: Part }>();
  readonly #failed: Promise<never>;
  #fail: (error: DemoFailure) => void = () => {};
  /** Last status other than ok that a party reported, by PNE; for the story of a timeout. */
  readonly #lastStatus = new Map<number, Status>();
  #ending = false;

  constructor(cast: Cast, startedAtMs: number, onEvent: (event: FlowEvent) => void) {
    this.#cast = cast;
    this.#attribution = new Attribution(startedAtMs, onEvent);
    this.#failed = new Promise((_, reject) => {
      this.#fail = reject;
    });
    this.#failed.catch(() => {});
    this.#children = new Children({
      onLine: (name, line) => this.#take(name, line),
      onDeath: (child, how) => this.#died(child, how),
    });
  }

  async play(adapter: string, timeoutMs: number): Promise<Verdict> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(this.#late(timeoutMs)), timeoutMs);
    });
    try {
      return await Promise.race([this.#perform(adapter), this.#failed, late]);
    } finally {
      clearTimeout(timer);
    }
  }

  /** Nothing that is said from now on counts. */
  hush(): void {
    this.#ending = true;
  }

  end(): Promise<void> {
    this.hush();
    return this.#children.stop();
  }

  /** What is printed and written of a failure. */
  explain(
    error: unknown,
    reached: (pne: number) => number,
  ): { readonly text: string; readonly result: FlowResult; readonly error: unknown } {
    const status = error instanceof DemoFailure ? error.status : statusOfError(error);
    const pne = error instanceof DemoFailure ? error.pne : undefined;
    const behind =
      this.#cast.homes.map(({ number }) => number).sort((a, b) => reached(a) - reached(b))[0] ?? 1;
    const step = reached(pne ?? behind) + 1;
    const after = step > LAST_STEP ? `after step ${LAST_STEP}` : `at step ${step}`;
    const where = step === 0 ? 'before step 0 (enrolment)' : after;
    const logFile = error instanceof DemoFailure ? error.logFile : undefined;
    const lines = [`demo failed ${where}: ${status}`];
    if (logFile !== undefined) lines.push(`last lines of ${logFile}:`, logTail(logFile));
    else
      for (const { part } of this.#roles.values())
        lines.push(`${part.name}: ${logTail(part.logFile).split('\n').at(-1)}`);
    return {
      text: lines.join('\n'),
      result: { result: 'failed', ...(pne !== undefined && { pne }), step, status },
      error,
    };
  }

  async #perform(adapter: string): Promise<Verdict> {
    const { homes, server, initiator, realm } = this.#cast;
    // The slowest first: a process starts while the next ones are prepared.
    const pnes = homes.map((home) => {
      writePneConfig(home, adapter);
      return this.#run('pne', home.pne, { party: 'pne', pne: home.number }, ['--enrol'], false);
    });
    writeServerConfig(this.#cast);
    initServer({ stateDir: server.stateDir, realm, hosts: ['localhost', '127.0.0.1'] });
    const serverUp = this.#run('server', server, { party: 'server' }, []).waitFor('ready');
    const gateways = gatewaysOf(this.#cast);
    for (const { part } of gateways) makeGateway(part.stateDir);
    const { url: address = '' } = await serverUp;
    await enrolGateways(this.#cast, address);
    writeInitiatorConfig(this.#cast, address, adapter);
    this.#run('gateway', initiator.gateway, { party: 'gateway' }, []);
    await Promise.all(homes.map((home, i) => this.#pair(home, pnes[i], address, adapter)));
    return this.#settle();
  }

  /** As its owner would: reads the code off the PNE, types it in at the home gateway. */
  async #pair(home: HomeParts, pne: Child | undefined, url: string, adapter: string): Promise<void> {
    writeHomeConfig(home, url, adapter);
    const gateway = this.#run('gateway', home.gateway, { party: 'home-gateway', pne: home.number }, []);
    const [shown] = await Promise.all([pne?.waitFor('code'), gateway.waitFor('ready')]);
    try {
      await callControl(home.gateway.stateDir, 'pair', { code: shown?.code ?? '' });
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      const status = error instanceof Error && 'status' in error ? (error.status as Status) : 'internal';
      throw new DemoFailure(status, `enrolment of ${home.pne.name} at ${home.gateway.name}: ${message}`, {
        pne: home.number,
        logFile: home.gateway.logFile,
      });
    }
  }

  #run(role: string, part: Part, process: ProcessRole, extra: readonly string[], secrets = true): Child {
    this.#roles.set(part.name, { ...process, part });
    const { keylog } = this.#cast;
    const radio = part.capture === undefined ? [] : ['--capture', part.capture];
    // Both ends of a link have the same keys; one of them writes them down.
    if (part.capture !== undefined && keylog !== undefined && secrets) radio.push('--keylog', keylog);
    return this.#children.start(
      part.name,
      [role, 'run', '--state', part.stateDir, '--config', part.configFile, ...radio, ...extra],
      part.logFile,
    );
  }

  /** Waits until PNEs, gateways and server have all that the last join changed. */
  async #settle(): Promise<Verdict> {
    const { homes, initiator } = this.#cast;
    for (;;) {
      const memberships = await Promise.all(homes.map(membershipOf));
      const [first] = memberships;
      const same = memberships.every((one) => one?.pnId === first?.pnId && one?.version === homes.length);
      if (first && same) {
        const outcomes = await Promise.all(
          homes.map((home, i) => confirmedAtHome(home, memberships[i]?.joinId ?? '')),
        );
        const inventory = await inventoryAt(initiator.gateway.stateDir, first.pnId);
        if (inventory && outcomes.every((outcome) => outcome !== undefined)) {
          return reachVerdict(this.#cast, first.pnId);
        }
      }
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
      if (this.#ending) throw new NoDaemonError('stopping');
    }
  }

  #take(name: string, line: ChildLine): void {
    const role = this.#roles.get(name);
    // What they say while they end is no part of the flow.
    if (!role || this.#ending) return;
    if (line.event === undefined) {
      if (line.name !== undefined) this.#attribution.push(role, line as unknown as TraceEvent);
      return;
    }
    const status = line.status;
    if (status === undefined || status === 'ok' || role.pne === undefined) return;
    this.#lastStatus.set(role.pne, status);
    const kind = STATUSES[status]?.class;
    const final =
      line.event === 'refused' || line.event === 'alarm' || (kind !== undefined && !RETRIED.has(kind));
    if (!final) return;
    const at = { pne: role.pne, logFile: role.part.logFile };
    this.#fail(new DemoFailure(status, `${name}: ${STATUSES[status]?.sentence ?? status}`, at));
  }

  #died(child: Child, how: string): void {
    const role = this.#roles.get(child.name);
    const at = { pne: role?.pne, logFile: child.logFile };
    this.#fail(new DemoFailure('internal', `the process ${child.name} ended (${how})`, at));
  }

  #late(timeoutMs: number): DemoFailure {
    const [pne, status] = [...this.#lastStatus][0] ?? [];
    const said = status === undefined ? '' : `; the last status was ${status}`;
    return new DemoFailure(status ?? 'timeout', `not done after ${timeoutMs / 1000} s${said}`, { pne });
  }
}
