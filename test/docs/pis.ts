/**
 * Raspberry Pis on one machine: each a home directory, all on one virtual radio. Runs command lines as they stand in a
 * document: puts real ports and adapters in, keeps tokens and codes, follows redirections, waits where a person would.
 */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { openVirtualRadio, type VirtualRadio } from '../../src/bluetooth/open.ts';
import { shellWords } from '../support/command-tree.ts';

const MAIN = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url));
const PATIENCE_MS = 40_000;
const LOOK_MS = 300;

interface Ended {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

/** Lines that come before what they act upon is there: a person tries again. */
const PATIENT = [
  /^cpns pne answer/,
  /^cpns gateway approvals/,
  /^cpns audit/,
  /^cpns \w+ status/,
  /^cpns doctor/,
];

export class Pis {
  readonly #home = mkdtempSync(join(tmpdir(), 'cpns-pis-'));
  readonly #radio: VirtualRadio;
  /** By host and role. */
  readonly #daemons = new Map<string, ChildProcess>();
  /** Port of the server of each host that has one. */
  readonly #ports = new Map<string, number>();
  #code = '';
  #enrolling: Promise<Ended> | undefined;

  private constructor(radio: VirtualRadio) {
    this.#radio = radio;
  }

  static async open(): Promise<Pis> {
    const folder = mkdtempSync(join(tmpdir(), 'cpns-air-'));
    return new Pis(await openVirtualRadio({ path: join(folder, 'radio.sock') }));
  }

  async close(): Promise<void> {
    for (const daemon of this.#daemons.values()) await stop(daemon);
    await this.#radio.close();
    rmSync(this.#home, { recursive: true, force: true });
  }

  /** `systemctl enable --now cpns-ROLE`. */
  async start(host: string, role: string): Promise<void> {
    const log = join(this.#home, `${host}-${role}.log`);
    this.#daemons.set(`${host} ${role}`, this.#spawn(host, [role, 'run', '--log-file', log], 'ignore'));
    await this.run(host, `cpns ${role} status`);
  }

  /** `systemctl restart cpns-ROLE`. */
  async restart(host: string, role: string): Promise<void> {
    const daemon = this.#daemons.get(`${host} ${role}`);
    if (daemon) await stop(daemon);
    await this.start(host, role);
  }

  /** `sed -i SCRIPT /etc/cpns/ROLE.toml`, where SCRIPT is `s/FROM/TO/`. */
  edit(host: string, role: string, script: string): void {
    const file = join(this.#home, host, 'config/cpns', `${role}.toml`);
    const [, from = '', to = ''] = script.split('/');
    const before = readFileSync(file, 'utf8');
    const after = before.replace(new RegExp(from, 'gm'), to);
    assert.notEqual(after, before, `${script} changes nothing`);
    writeFileSync(file, after);
  }

  /** A command line of the document, to its good end. */
  async run(host: string, line: string): Promise<void> {
    const input = await this.#inputOf(host, line);
    const words = await this.#real(host, line);
    if (/^cpns pne enrol/.test(line)) return this.#showCode(host, [...words, '--print']);
    const endAt = performance.now() + (PATIENT.some((each) => each.test(line)) ? PATIENCE_MS : 0);
    for (;;) {
      const { code, out, err } = await this.#cpns(host, words, input);
      const waits = code !== 0 || (/approvals$/.test(line) && /nothing waits/.test(out));
      if (waits && performance.now() < endAt) {
        await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
        continue;
      }
      assert.equal(code, 0, `${host}: ${line}: ${out}${err}${this.#logs()}`);
      const file = /> (\S+)$/.exec(line)?.[1];
      if (file !== undefined) this.#keep(file, out);
      if (/^cpns gateway pair/.test(line))
        assert.match((await this.#enrolling)?.err ?? '', /this PNE is ann's/);
      return;
    }
  }

  // biome-ignore lint/suspicious/noExplicitAny: what a command prints, judged by the test
  async json(host: string, line: string): Promise<any> {
    const { code, out, err } = await this.#cpns(host, [...shellWords(line).slice(1), '--json'], '');
    assert.equal(code, 0, err);
    return JSON.parse(out);
  }

  /** Files that people carry from one Pi to the other. */
  #keep(file: string, text: string): void {
    writeFileSync(join(this.#home, file), text);
  }

  async #inputOf(_host: string, line: string): Promise<string> {
    const file = /< (\S+)$/.exec(line)?.[1];
    if (file !== undefined) return readFileSync(join(this.#home, file), 'utf8');
    return /^cpns gateway pair/.test(line) ? this.#code : '';
  }

  /** The words of a line, with what stands for something else replaced by it. */
  async #real(host: string, line: string): Promise<readonly string[]> {
    const [, ...words] = shellWords(line);
    const real: string[] = [];
    for (const word of words) {
      const server = /^https:\/\/(\w+)\.local:8443$/.exec(word)?.[1];
      if (server !== undefined) real.push(`https://127.0.0.1:${this.#ports.get(server)}`);
      else if (word === '0.0.0.0') real.push('127.0.0.1', '--port', String(await this.#port(host)));
      else if (/^hci:\d$/.test(word)) real.push(this.#radio.moniker);
      else if (word === 'ID') real.push(await this.#first(host, 'cpns gateway approvals', 'joinId'));
      else if (word === 'PN') real.push(await this.#first(host, 'cpns pn list', 'pnId'));
      else real.push(word);
    }
    // Where the document leaves the adapter to a default, or to what the kernel has.
    const first = real[0] === 'doctor' && !existsSync(join(this.#home, host, 'config'));
    const needsAdapter = first || /^(gateway|pne) init|^profile detect/.test(real.join(' '));
    if (needsAdapter && !real.includes('--adapter')) real.push('--adapter', this.#radio.moniker);
    return real;
  }

  async #port(host: string): Promise<number> {
    const probe = createServer().listen(0, '127.0.0.1');
    await new Promise((resolve) => probe.once('listening', resolve));
    const { port } = probe.address() as AddressInfo;
    await new Promise((resolve) => probe.close(resolve));
    this.#ports.set(host, port);
    return port;
  }

  async #first(host: string, line: string, name: string): Promise<string> {
    for (const endAt = performance.now() + PATIENCE_MS; performance.now() < endAt; ) {
      const [row] = await this.json(host, line);
      if (row !== undefined) return row[name];
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    }
    return assert.fail(`${host}: ${line} shows nothing`);
  }

  /** The code is on the screen until it was used. */
  async #showCode(host: string, words: readonly string[]): Promise<void> {
    const child = this.#spawn(host, words, 'pipe');
    let [out, err] = ['', ''];
    child.stderr?.on('data', (chunk) => (err += chunk));
    this.#enrolling = new Promise((resolve) => child.on('close', (code) => resolve({ code, out, err })));
    this.#code = await new Promise<string>((resolve, reject) => {
      child.stdout?.on('data', (chunk) => {
        out += chunk;
        const code = /^ {2}([A-Z2-7]{5}(?:-[A-Z2-7]{5}){9})$/m.exec(out)?.[1];
        if (code !== undefined) resolve(code);
      });
      child.on('close', () => reject(new Error(`no code: ${out}${err}`)));
    });
  }

  #logs(): string {
    const names = readdirSync(this.#home).filter((name) => name.endsWith('.log'));
    return names.map((name) => `\n${name}:\n${readFileSync(join(this.#home, name), 'utf8')}`).join('');
  }

  #cpns(host: string, words: readonly string[], input: string): Promise<Ended> {
    const child = this.#spawn(host, words, 'pipe');
    let [out, err] = ['', ''];
    child.stdout?.on('data', (chunk) => (out += chunk));
    child.stderr?.on('data', (chunk) => (err += chunk));
    child.stdin?.on('error', () => {});
    child.stdin?.end(input);
    return new Promise((resolve) => child.on('close', (code) => resolve({ code, out, err })));
  }

  #spawn(host: string, words: readonly string[], stdio: 'pipe' | 'ignore'): ChildProcess {
    const home = join(this.#home, host);
    mkdirSync(home, { recursive: true });
    const { PATH = '' } = process.env;
    const [config, state] = [join(home, 'config'), join(home, 'state')];
    const env = { PATH, HOME: home, XDG_CONFIG_HOME: config, XDG_STATE_HOME: state };
    return spawn(process.execPath, ['--import', 'tsx', MAIN, ...words], { env, stdio });
  }
}

async function stop(daemon: ChildProcess): Promise<void> {
  const ended = new Promise((resolve) => daemon.once('close', resolve));
  if (daemon.exitCode === null && daemon.kill('SIGTERM')) await ended;
}
