/**
 * The runner's end of the PNE's process: started here or, over ssh, on another host; orders, events, and how its clock
 * stands to ours. One code path for both: only the command differs. Owns that the process ends with the run.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import * as v from 'valibot';
import { CpnsError } from '../base/errors.ts';
import { LineCutter, parseReply } from '../nodes/control-lines.ts';
import type { ProgramIdentity } from './identity.ts';
import { type Hello, ORDERS, type Order, type OrderResult, PneHappening } from './pne-wire.ts';

export interface PneChildOptions {
  /** Moniker of the PNE's adapter, on its host. */
  readonly adapter: string;
  /** How this program is started here: node, its flags, the entry. */
  readonly localCommand: readonly string[];
  readonly remote?: RemoteOptions | undefined;
  /** What the PNE tells, its instants by our clock. */
  readonly onHappening: (happening: PneHappening) => void;
  /** The process is gone, unasked. */
  readonly onEnd: (why: CpnsError) => void;
}

export interface RemoteOptions {
  /** `user@host`, or a host of the ssh configuration. */
  readonly host: string;
  /** How the program is started there; read by the shell there. */
  readonly command: string;
  readonly sshConfig?: string | undefined;
}

/** The first answer takes a whole program to start, on the smallest Pi from a slow card; every other an adapter at most. */
const HELLO_LIMIT_MS = 120_000;
const ANSWER_LIMIT_MS = 60_000;
const PING_MS = 10_000;
const CLOCK_READINGS = 9;
const END_GRACE_MS = 5_000;
const STDERR_TAIL = 2_000;
const SAME_BUILD = 'Install the same package or checkout on both hosts, or name it with --pne-command.';
const SSH_FAILED = 255;
const NOT_FOUND = 127;

interface Waiting {
  readonly order: Order;
  readonly resolve: (result: unknown) => void;
  readonly reject: (error: Error) => void;
}

/** The last resort: they end with their stdin, and all of them with this process. */
const running = new Set<() => void>();
process.on('exit', () => {
  for (const kill of running) kill();
});

export class PneChild {
  /** How it was started, for the report. */
  readonly over: string;
  /** Half of the shortest round trip: how far off its clock may be read. */
  clockUncertaintyMs = Number.POSITIVE_INFINITY;
  readonly #options: PneChildOptions;
  readonly #process: ChildProcess;
  readonly #waiting = new Map<number, Waiting>();
  readonly #ping: NodeJS.Timeout;
  readonly #ended: Promise<void>;
  readonly #kill = () => void this.#process.kill('SIGKILL');
  #ids = 0;
  #stderr = '';
  #spoke = false;
  #ending = false;
  #gone: CpnsError | undefined;
  /** Its clock minus ours. */
  #clockOffsetMs = 0;

  constructor(options: PneChildOptions) {
    this.#options = options;
    const { remote, adapter } = options;
    this.over = remote ? `ssh ${remote.host}` : 'child process';
    const [program = '', ...args] = remote
      ? sshCommand(remote, adapter)
      : [...options.localCommand, 'hil', 'pne', '--adapter', adapter];
    // In a session of its own: Ctrl-C is ours to handle, and it ends with its stdin.
    this.#process = spawn(program, args, { stdio: ['pipe', 'pipe', 'pipe'], detached: true });
    running.add(this.#kill);
    const child = this.#process;
    const cutter = new LineCutter();
    child.stdin?.on('error', () => {});
    child.stdout?.on('data', (chunk: Buffer) => {
      if (!cutter.push(chunk, (line) => this.#take(line))) child.kill();
    });
    child.stderr?.on('data', (chunk: Buffer) => {
      this.#stderr = (this.#stderr + chunk.toString('utf8')).slice(-STDERR_TAIL);
    });
    this.#ended = new Promise((resolve) => {
      let failure: Error | undefined;
      child.on('error', (error) => {
        failure = error;
        if (child.pid === undefined) this.#over(undefined, failure, resolve);
      });
      child.on('close', (code) => this.#over(code, failure, resolve));
    });
    this.#ping = setInterval(() => void this.ask('clock').catch(() => {}), PING_MS).unref();
  }

  /** @throws CpnsError what the PNE's process said, or that it is gone or silent */
  async ask<O extends Order>(order: O, params: object = {}): Promise<OrderResult<O>> {
    if (this.#gone) throw this.#gone;
    const id = ++this.#ids;
    let timer: NodeJS.Timeout | undefined;
    try {
      const result = await new Promise<unknown>((resolve, reject) => {
        const late = () => reject(new CpnsError('timeout', `the PNE's process does not answer "${order}"`));
        timer = setTimeout(late, order === 'hello' ? HELLO_LIMIT_MS : ANSWER_LIMIT_MS);
        this.#waiting.set(id, { order, resolve, reject });
        this.#process.stdin?.write(`${JSON.stringify({ id, method: order, params })}\n`);
      });
      return v.parse(ORDERS[order], result) as OrderResult<O>;
    } finally {
      clearTimeout(timer);
      this.#waiting.delete(id);
    }
  }

  /**
   * Asks who it is.
   * @throws CpnsError version-mismatch when it is not this very program, with what mends it
   */
  async meet(own: ProgramIdentity): Promise<Hello> {
    const hello = await this.ask('hello');
    const { program } = hello;
    if (program.build !== own.build) {
      const where = this.#options.remote?.host ?? 'the child process';
      throw new CpnsError(
        'version-mismatch',
        `${where} has ${plain(`${program.name} ${program.version}`)}, build ${plain(program.build)}; here it is ${own.version}, build ${own.build}`,
        { mend: SAME_BUILD },
      );
    }
    await this.readClock();
    return hello;
  }

  /** Reads its clock a few times; the quickest answer is the least wrong. */
  async readClock(): Promise<void> {
    let best = { uncertaintyMs: Number.POSITIVE_INFINITY, offsetMs: 0 };
    for (let i = 0; i < CLOCK_READINGS; i++) {
      const askedAt = performance.now();
      const { atMs } = await this.ask('clock');
      const answeredAt = performance.now();
      const uncertaintyMs = (answeredAt - askedAt) / 2;
      if (uncertaintyMs < best.uncertaintyMs)
        best = { uncertaintyMs, offsetMs: atMs - (askedAt + answeredAt) / 2 };
    }
    this.#clockOffsetMs = best.offsetMs;
    this.clockUncertaintyMs = best.uncertaintyMs;
  }

  /** An instant of its clock by ours. */
  ours(atMs: number): number {
    return atMs - this.#clockOffsetMs;
  }

  /** Its capture of what was closed last. */
  async capture(): Promise<Buffer> {
    const parts: Buffer[] = [];
    for (let offset = 0; ; ) {
      const { data, end } = await this.ask('capture', { offset });
      const part = Buffer.from(data, 'base64');
      parts.push(part);
      offset += part.length;
      if (end || part.length === 0) return Buffer.concat(parts);
    }
  }

  /** Lets it end by itself, which it does when nobody gives orders; kills it when it does not. */
  async end(): Promise<void> {
    this.#ending = true;
    clearInterval(this.#ping);
    this.#process.stdin?.end();
    const force = setTimeout(this.#kill, END_GRACE_MS);
    await this.#ended;
    clearTimeout(force);
  }

  #over(code: number | null | undefined, failure: Error | undefined, then: () => void): void {
    clearInterval(this.#ping);
    running.delete(this.#kill);
    const first = this.#gone === undefined;
    this.#gone ??= this.#why(code, failure);
    for (const { reject } of this.#waiting.values()) reject(this.#gone);
    if (first && !this.#ending) this.#options.onEnd(this.#gone);
    then();
  }

  #why(code: number | null | undefined, failure: Error | undefined): CpnsError {
    const { remote } = this.#options;
    const said = plain(this.#stderr.trim());
    const told = said ? `: ${said}` : '';
    if (failure && 'code' in failure && failure.code === 'ENOENT' && remote) {
      const mend = 'Install it: `sudo apt-get install openssh-client`.';
      return new CpnsError('not-found', 'there is no ssh here', { mend });
    }
    if (remote && !this.#spoke && code === NOT_FOUND) {
      const mend = 'Install the package there, or say with --pne-command how it is started.';
      return new CpnsError('not-found', `${remote.host} has no \`${remote.command}\`${told}`, { mend });
    }
    if (remote && code === SSH_FAILED) {
      const mend = this.#spoke
        ? 'Look at the connection to that host.'
        : `Make \`ssh -o BatchMode=yes ${remote.host} true\` work first: host name, key, known_hosts.`;
      return new CpnsError('link-lost', `ssh to ${remote.host} ended${told}`, { mend });
    }
    const how = failure?.message ?? `exit code ${code ?? 'none'}`;
    const mend = remote && !this.#spoke ? { mend: SAME_BUILD } : {};
    return new CpnsError('link-lost', `the PNE's process ended (${how})${told}`, mend);
  }

  #take(line: string): void {
    const reply = parseReply(line);
    // A shell may greet before the program speaks.
    if (reply === undefined) return;
    this.#spoke = true;
    if ('event' in reply) {
      const happening = v.safeParse(PneHappening, reply.event);
      if (!happening.success) return;
      const { output } = happening;
      this.#options.onHappening({ ...output, atMs: this.ours(output.atMs) });
      return;
    }
    const waiting = this.#waiting.get(reply.id);
    if ('error' in reply) waiting?.reject(new PneRefusal(reply.error.status, plain(reply.error.message)));
    else waiting?.resolve(reply.result);
  }
}

/** An order that the PNE's process could not carry out. */
export class PneRefusal extends Error {
  override readonly name = 'PneRefusal';
  readonly status: string;

  constructor(status: string, message: string) {
    super(`the PNE: ${message}`);
    this.status = status;
  }
}

/** What another host said, on one line and without what a terminal would act upon. */
const plain = (text: string): string => text.replaceAll(/[\p{C}\p{Zl}\p{Zp}]+/gu, ' ');

/** Nothing but the command's own stdin and stdout goes through. @throws CpnsError when the host could be an option */
function sshCommand({ host, command, sshConfig }: RemoteOptions, adapter: string): string[] {
  if (!/^[A-Za-z0-9_][A-Za-z0-9_.@:%[\]-]*$/.test(host))
    throw new CpnsError('name-not-allowed', 'the PNE host is written user@host');
  const options = {
    BatchMode: 'yes',
    ClearAllForwardings: 'yes',
    ForwardAgent: 'no',
    ForwardX11: 'no',
    PermitLocalCommand: 'no',
    ControlMaster: 'no',
    ConnectTimeout: '15',
    ServerAliveInterval: '5',
    ServerAliveCountMax: '3',
  };
  return [
    'ssh',
    '-T',
    ...(sshConfig === undefined ? [] : ['-F', sshConfig]),
    ...Object.entries(options).flatMap(([name, value]) => ['-o', `${name}=${value}`]),
    '--',
    host,
    `${command} hil pne --adapter ${quoted(adapter)}`,
  ];
}

const quoted = (word: string): string => `'${word.replaceAll("'", "'\\''")}'`;
