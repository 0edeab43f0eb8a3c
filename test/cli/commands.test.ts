/**
 * The command line as users meet it: help with examples everywhere, exit codes, messages that name the mend.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Command } from 'commander';
import { buildProgram } from '../../src/cli/program.ts';

const MAIN = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url));

function pathOf(command: Command): string {
  return command.parent ? `${pathOf(command.parent)} ${command.name()}` : command.name();
}

function everyCommand(command: Command): Command[] {
  return [command, ...command.commands.flatMap(everyCommand)];
}

function helpOf(command: Command): string {
  let text = '';
  command.configureOutput({ writeOut: (part) => (text += part) });
  command.outputHelp();
  return text;
}

describe('help', () => {
  for (const command of everyCommand(buildProgram())) {
    it(`${pathOf(command)}: says what it does, with an example that begins like it`, () => {
      assert.ok(command.description().length > 3);
      const help = helpOf(command);
      assert.match(help, /\nExamples:\n/);
      const examples = help.slice(help.indexOf('\nExamples:\n')).split('\n').slice(2).filter(Boolean);
      assert.ok(examples.length > 0);
      for (const line of examples)
        assert.ok(
          line
            .trim()
            .replace(/^sudo /, '')
            .startsWith(pathOf(command)),
          line,
        );
    });
  }
});

describe('cpns', function () {
  this.timeout(60_000);
  let home = '';

  before(() => {
    home = mkdtempSync(join(tmpdir(), 'cpns-home-'));
  });
  after(() => rmSync(home, { recursive: true, force: true }));

  const cpns = (args: readonly string[], input = '') => {
    const { PATH = '' } = process.env;
    const { status, stdout, stderr } = spawnSync(process.execPath, ['--import', 'tsx', MAIN, ...args], {
      env: { PATH, HOME: home, XDG_CONFIG_HOME: join(home, 'config'), XDG_STATE_HOME: join(home, 'state') },
      input,
      encoding: 'utf8',
    });
    return { status, stdout, stderr };
  };

  it('wrong usage is 2, help is 0', () => {
    assert.equal(cpns(['--help']).status, 0);
    assert.equal(cpns(['nonsense']).status, 2);
    const bad = cpns(['demo', '--pnes', '6']);
    assert.equal(bad.status, 2);
    assert.match(bad.stderr, /a whole number from 1 to 5/);
  });

  it('no state: 2, and the command that makes it', () => {
    const { status, stderr } = cpns(['gateway', 'status']);
    assert.equal(status, 2);
    assert.match(stderr, /make it with `cpns gateway init`/);
  });

  it('a server from nothing: init, users, tokens, revocation', () => {
    assert.equal(cpns(['server', 'init']).status, 2);
    const init = cpns(['server', 'init', '--realm', 'test.example', '--port', '0']);
    assert.equal(init.status, 0, init.stderr);
    assert.equal(statSync(join(home, 'state/cpns/server')).mode & 0o777, 0o700);
    assert.match(readFileSync(join(home, 'config/cpns/server.toml'), 'utf8'), /realm = "test\.example"/);

    const again = cpns(['server', 'init', '--realm', 'test.example']);
    assert.equal(again.status, 1);
    assert.match(again.stderr, /conflict/);

    assert.equal(cpns(['server', 'user', 'add', 'ann']).status, 0);
    const token = cpns(['server', 'token', 'create', 'ann', 'home']);
    assert.match(token.stdout, /^CPNSGW:[A-Z2-7 -]+\n$/);
    const unknown = cpns(['server', 'token', 'create', 'eve', 'home']);
    assert.equal(unknown.status, 1);
    assert.match(unknown.stderr, /not-found/);

    assert.equal(cpns(['server', 'user', 'revoke', 'ann']).status, 0);
    const users = JSON.parse(cpns(['server', 'user', 'list', '--json']).stdout) as { revoked: boolean }[];
    assert.deepEqual(
      users.map(({ revoked }) => revoked),
      [true],
    );
    assert.match(cpns(['pn', 'list']).stdout, /no personal network/);
    const status = cpns(['server', 'status']);
    assert.equal(status.status, 1);
    assert.match(status.stderr, /no daemon runs there[\s\S]*cpns server\|gateway\|pne run/);
  });

  it('a configuration that is wrong: 2, with file, line and key', () => {
    const file = fileURLToPath(new URL('../../package.json', import.meta.url));
    cpns(['pne', 'init']);
    const { status, stderr } = cpns(['pne', 'run', '--config', file]);
    assert.equal(status, 2);
    assert.match(stderr, /package\.json:1: not TOML/);
  });

  it('a gateway that is not enrolled: 1, the status and the mend', () => {
    assert.equal(
      cpns(['gateway', 'init', '--server', 'https://localhost:1', '--adapter', 'virtual:/nowhere']).status,
      0,
    );
    const run = cpns(['gateway', 'run', '--log-level', 'silent']);
    assert.equal(run.status, 1);
    assert.match(run.stderr, /not-enrolled[\s\S]*Enrol first/);
    const enrol = cpns(['gateway', 'enrol'], 'CPNSGW:AAAA\n');
    assert.equal(enrol.status, 1);
    assert.match(enrol.stderr, /token-invalid/);
    assert.equal(cpns(['gateway', 'enrol'], '').status, 2);
  });

  it('no radio: 1, and what starts one', () => {
    const run = cpns(['pne', 'run', '--adapter', 'virtual:/nowhere/r.sock', '--log-level', 'silent']);
    assert.equal(run.status, 1);
    assert.match(run.stderr, /Start the virtual radio first \(`cpns radio`\)/);
    assert.equal(cpns(['pne', 'run', '--adapter', 'usb:1', '--log-level', 'silent']).status, 2);
  });

  it('an enrolment code is shown on a terminal only, unless asked', () => {
    const { status, stderr } = cpns(['pne', 'enrol', '--adapter', 'virtual:/nowhere/r.sock']);
    assert.equal(status, 2);
    assert.match(stderr, /--print shows it anyway/);
  });
});
