/**
 * A code that a gateway shows, as people use it from two terminals: `cpns gateway qr` and `cpns pne enrol --as central` show
 * the same number, and the answer at the gateway decides.
 */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { TestNetwork } from '../nodes/network.ts';

const MAIN = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url));
const WITHIN_MS = 30_000;

/** A command with all that it has printed. */
class Command {
  readonly child: ChildProcess;
  readonly ended: Promise<number | null>;
  said = '';

  constructor(...words: readonly string[]) {
    this.child = spawn(process.execPath, ['--import', 'tsx', MAIN, ...words]);
    for (const stream of [this.child.stdout, this.child.stderr])
      stream?.on('data', (chunk) => (this.said += chunk));
    this.ended = new Promise((resolve) => this.child.on('close', resolve));
  }

  type(line: string): void {
    this.child.stdin?.write(`${line}\n`);
  }

  /** What the first group of a pattern matched, once it did. */
  async prints(pattern: RegExp): Promise<string> {
    for (const endAt = performance.now() + WITHIN_MS; ; ) {
      const found = pattern.exec(this.said);
      if (found) return found[1] ?? '';
      if (performance.now() > endAt) throw new Error(`it did not print ${pattern}: ${this.said}`);
      await new Promise((resolve) => setTimeout(resolve, 30));
    }
  }
}

describe('cpns gateway qr', function () {
  this.timeout(120_000);
  let network: TestNetwork;
  const commands: Command[] = [];
  let gateway: string;
  let pne: readonly string[];

  const cpns = (...words: readonly string[]) => {
    const command = new Command(...words);
    commands.push(command);
    return command;
  };

  before(async () => {
    network = await TestNetwork.open();
    const written = (name: string, text: string) => {
      const file = join(network.dir, name);
      writeFileSync(file, text, { mode: 0o600 });
      return file;
    };
    gateway = join(network.dir, 'gateway');
    mkdirSync(gateway, { mode: 0o700 });
    await network.enrolGateway(gateway, 'Alice', 'Hall');
    const bluetooth = `[bluetooth]\nadapter = "${network.radio.moniker}"\n`;
    const config = written(
      'gateway.toml',
      `[server]\nurl = "${network.server.url}"\n${bluetooth}as = "peripheral"\n`,
    );
    const device = '[device]\nkind = "phone"\npne_id = "Phone"\n';
    pne = [
      '--state',
      join(network.dir, 'pne'),
      '--config',
      written('pne.toml', `${bluetooth}as = "central"\n${device}`),
    ];
    await cpns('gateway', 'run', '--state', gateway, '--config', config, '--trace').prints(/"ready"/);
  });
  after(async () => {
    for (const { child } of commands) child.kill('SIGTERM');
    await Promise.all(commands.map(({ ended }) => ended));
    await network.close();
  });

  /** Up to the two numbers. */
  async function compare(): Promise<{ qr: Command; enrol: Command }> {
    const qr = cpns('gateway', 'qr', '--print', '--state', gateway);
    const code = await qr.prints(/^ {2}([A-Z2-7]{5}(?:-[A-Z2-7]{5}){9})$/m);
    const enrol = cpns('pne', 'enrol', ...pne);
    enrol.type(code);
    const here = await qr.prints(/"Phone" has the code\..* (\d{3} \d{3})$/m);
    assert.equal(await enrol.prints(/has to show {2}(\d{3} \d{3})/), here);
    return { qr, enrol };
  }

  it('a no: nobody is enrolled, and the code is void', async () => {
    const { qr, enrol } = await compare();
    qr.type('maybe');
    qr.type('n');
    assert.equal(await qr.ended, 1);
    assert.match(qr.said, /user-refused/);
    assert.equal(await enrol.ended, 1);
    assert.match(enrol.said, /user-refused: at the gateway the numbers were not the same/);
  });

  it('a yes: it is the user’s, and both say so', async () => {
    const { qr, enrol } = await compare();
    qr.type('y');
    assert.equal(await qr.ended, 0, qr.said);
    assert.equal(await enrol.ended, 0, enrol.said);
    assert.match(qr.said, /^enrolled/m);
    assert.match(enrol.said, /this PNE is Alice's/);
  });
});
