/**
 * Configuration files: defaults, and for each kind of mistake the whole message a user gets.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { toHex } from '../../src/base/bytes.ts';
import { ConfigError } from '../../src/config/config-error.ts';
import {
  approvalRules,
  GatewaySchema,
  gatewayDefaults,
  gatewayExample,
} from '../../src/config/gateway-config.ts';
import { parseConfig, readConfig } from '../../src/config/load.ts';
import { configFile, configPlaces, stateDirectory } from '../../src/config/paths.ts';
import { decideJoin, PneSchema, pneExample } from '../../src/config/pne-config.ts';
import { ServerSchema, serverExample } from '../../src/config/server-config.ts';
import { editDistance, nearest } from '../../src/config/suggest.ts';
import { lineOf } from '../../src/config/toml-lines.ts';
import { DEFAULT_SERVER_LIMITS } from '../../src/establishment/server-types.ts';
import { DEFAULT_TRANSPORT_LIMITS } from '../../src/https/server-limits.ts';

const SCHEMAS = { server: ServerSchema, gateway: GatewaySchema, pne: PneSchema };
const URL_LINES = '[server]\nurl = "https://s.example"\n';

/** The message that a text gives, without the file's directory. */
function complaint(role: keyof typeof SCHEMAS, text: string): string {
  try {
    parseConfig<(typeof SCHEMAS)[keyof typeof SCHEMAS]>(SCHEMAS[role], { file: `${role}.toml`, text });
  } catch (error) {
    assert(error instanceof ConfigError, String(error));
    return error.message;
  }
  return 'accepted';
}

describe('configuration', () => {
  describe('mistakes', () => {
    const table: readonly [what: string, role: keyof typeof SCHEMAS, text: string, message: string][] = [
      [
        'a missing key',
        'pne',
        '[[device.content]]\nname = "music"\n',
        `pne.toml:1: device.content[1].media_type: missing
  expected: a name of 1 to 24 bytes without control characters
  example:  [[device.content]] media_type = "audio/flac"`,
      ],
      [
        'a missing table',
        'gateway',
        '',
        `gateway.toml: server: missing
  expected: a table`,
      ],
      [
        'a mistyped key',
        'gateway',
        `${URL_LINES}\n[bluetooth]\nadaptor = "hci:0"\n`,
        `gateway.toml:5: bluetooth.adaptor: unknown key; did you mean adapter?
  expected: one of adapter, capture, random_address, as, peripheral_adapter, profile, backend, wait_minutes`,
      ],
      [
        'an unknown table',
        'pne',
        '[zzzzzzzz]\n',
        `pne.toml:1: zzzzzzzz: unknown key
  expected: one of bluetooth, device, join, log`,
      ],
      [
        'a wrong type',
        'server',
        'realm = "a.b"\nport = "80"\n',
        `server.toml:2: port: "80" is not right here
  expected: a TCP port, 0 to 65535
  example:  port = 8443`,
      ],
      [
        'out of range',
        'server',
        'realm = "a.b"\n[terms]\n# five euro\nlimit = -5\n',
        `server.toml:4: terms.limit: out of range
  expected: minor units of the currency, 0 to 4294967295
  example:  [terms] limit = 500`,
      ],
      [
        'a moniker that names nothing',
        'pne',
        '[bluetooth]\nadapter = "usb:0"\n',
        `pne.toml:2: bluetooth.adapter: names no Bluetooth controller
  expected: hci:N, hci:N/user, hci:N/raw, h4:unix:PATH, h4:tcp:HOST:PORT, virtual or virtual:PATH
  example:  [bluetooth] adapter = "hci:0"`,
      ],
      [
        'a back-end that there is not',
        'pne',
        '[bluetooth]\nbackend = "abandonwear"\n',
        `pne.toml:2: bluetooth.backend: "abandonwear" is not right here
  expected: "abandonware" or "stoprocent"
  example:  [bluetooth] backend = "stoprocent"`,
      ],
      [
        'http in place of https',
        'gateway',
        '[server]\nurl = "http://s.example"\n',
        `gateway.toml:2: server.url: not the address of a server
  expected: https://HOST[:PORT] without a path
  example:  [server] url = "https://cpns.example.net:8443"`,
      ],
      [
        'the second rule',
        'gateway',
        `${URL_LINES}[[approvals.rule]]\ndecision = "allow"\n[[approvals.rule]]\ndecision = "alow"\n`,
        `gateway.toml:6: approvals.rule[2].decision: "alow" is not right here
  expected: "allow", "deny" or "ask"
  example:  [[approvals.rule]] decision = "ask"`,
      ],
      [
        'a bound on a denial',
        'gateway',
        `${URL_LINES}[[approvals.rule]]\ndecision = "deny"\nmax_limit = 5\ncurrency = "EUR"\n`,
        `gateway.toml:3: approvals.rule[1]: max_limit and max_period_days belong to decision = "allow" only
  expected: a table`,
      ],
      [
        'a capability that is too long',
        'pne',
        `[device]\ncapability = "${'00'.repeat(513)}"\n`,
        `pne.toml:2: device.capability: 513 bytes, but at most 512 are carried
  expected: hexadecimal, or a table of at most 512 bytes as CBOR
  example:  [device] capability = { class = "headset", audio = ["sbc", "lc3"] }`,
      ],
      [
        'no TOML',
        'pne',
        '[device]\nkind = headset\n',
        `pne.toml:2: not TOML at column 8: invalid value
  expected: lines like key = "text", key = 5 or [table]`,
      ],
    ];
    for (const [what, role, text, message] of table) {
      it(`${role}: ${what}`, () => assert.equal(complaint(role, text), message));
    }

    it('are all reported at once, in the order of the file', () => {
      const message = complaint('server', 'hots = "a"\nport = 70000\nrealm = "A"\n');
      const heads = message.split('\n').filter((line) => !line.startsWith(' '));
      assert.deepEqual(heads, [
        'server.toml:1: hots: unknown key; did you mean host?',
        'server.toml:2: port: out of range',
        'server.toml:3: realm: not a domain name in lower case',
      ]);
    });

    it('a file that is not there', () => {
      assert.throws(() => readConfig(PneSchema, '/nowhere/pne.toml'), /pne\.toml: can't be read \(ENOENT\)/);
    });
  });

  describe('values', () => {
    it('the examples that init writes are right', () => {
      const server = parseConfig(ServerSchema, { text: serverExample() });
      assert.equal(server.terms.periodDays, 30);
      const gateway = parseConfig(GatewaySchema, { text: gatewayExample() });
      assert.equal(gateway.pn.invite, true);
      const pne = parseConfig(PneSchema, { text: pneExample() });
      assert.equal(pne.device.kind, 'headset');
    });

    it('limits of the server: the defaults are those it applies, and each can be set', () => {
      const { challengeSeconds: _fixed, ...usual } = DEFAULT_SERVER_LIMITS;
      const { limits } = parseConfig(ServerSchema, { text: serverExample() });
      assert.deepEqual(limits, { server: usual, transport: DEFAULT_TRANSPORT_LIMITS });
      // The example names every one of them: with the # taken off and other numbers, all of them are set.
      const text = serverExample()
        .replace(/^# (\w+) = \d+ /gm, '$1 = 7 ')
        .replace(/^# (\w+) = \d+$/gm, '$1 = 7');
      const set = parseConfig(ServerSchema, {
        text: text.slice(text.indexOf('[limits]'), text.indexOf('# [metrics]')),
      });
      const numbers = [...Object.values(set.limits.server), ...Object.values(set.limits.transport)];
      assert.deepEqual(new Set(numbers), new Set([7]));
      assert.throws(() => parseConfig(ServerSchema, { text: '[limits]\nconnections = 0\n' }), /connections/);
    });

    it('the page of the server has a certificate that browsers know, or there is none', () => {
      const page = serverExample().split('# [page]')[1]?.split('# [metrics]')[0] ?? '';
      const text = `[page]${page.replaceAll('\n# ', '\n')}`;
      const read = parseConfig(ServerSchema, { text });
      assert.deepEqual(read.page?.listen, { host: '0.0.0.0', port: 8445 });
      assert.equal(parseConfig(ServerSchema, { text: serverExample() }).page, undefined);
      assert.match(complaint('server', '[page]\nlisten = "0.0.0.0:8445"\n'), /page\.cert/);
    });

    it('defaults', () => {
      const gateway = parseConfig(GatewaySchema, { text: URL_LINES });
      assert.deepEqual(gateway, gatewayDefaults('https://s.example'));
      const pne = parseConfig(PneSchema, { text: '' });
      assert.equal(pne.bluetooth.adapter, 'hci:0');
      assert.equal(pne.join.policy, 'ask');
      assert.equal(pne.device.capability, undefined);
    });

    it('a capability in hexadecimal is taken as it is', () => {
      const pne = parseConfig(PneSchema, { text: '[device]\ncapability = "00 ff10"\n' });
      assert.equal(toHex(pne.device.capability ?? new Uint8Array()), '00ff10');
    });

    it('the default of approvals becomes a last rule unless it is to ask', () => {
      const base = { approvals: { default: 'ask', rules: [] } } as const;
      assert.deepEqual(approvalRules(base), []);
      const denying = { approvals: { default: 'deny', rules: [] } } as const;
      assert.deepEqual(approvalRules(denying), [{ decision: 'deny' }]);
    });

    it('the first join rule that matches answers', () => {
      const text = `[join]\npolicy = "ask"
[[join.rule]]\ndecision = "decline"\nuser = "bob"\ngateway = "car"
[[join.rule]]\ndecision = "accept"\nuser = "bob"\n`;
      const { join: rules } = parseConfig(PneSchema, { text });
      assert.equal(decideJoin(rules, { user: 'bob', gateway: 'car' }), 'decline');
      assert.equal(decideJoin(rules, { user: 'bob', gateway: 'home' }), 'accept');
      assert.equal(decideJoin(rules, { user: 'eve', gateway: 'home' }), 'ask');
    });
  });

  describe('places', () => {
    it('state: option, CPNS_STATE, systemd, XDG, home', () => {
      const all = { CPNS_STATE: '/b', STATE_DIRECTORY: '/c:/d', XDG_STATE_HOME: '/e' };
      assert.equal(stateDirectory('pne', '/a', all), '/a');
      assert.equal(stateDirectory('pne', undefined, all), '/b');
      assert.equal(stateDirectory('pne', undefined, { ...all, CPNS_STATE: '' }), '/c');
      assert.equal(stateDirectory('pne', undefined, { XDG_STATE_HOME: '/e' }), '/e/cpns/pne');
      assert.match(
        stateDirectory('pne', undefined, { XDG_STATE_HOME: 'relative' }),
        /\/\.local\/state\/cpns\/pne$/,
      );
    });

    it('config: option, CPNS_CONFIG, XDG', () => {
      const directory = mkdtempSync(join(tmpdir(), 'cpns-config-'));
      try {
        const file = join(directory, 'x.toml');
        writeFileSync(file, '');
        assert.equal(configFile('pne', file, {}), file);
        assert.equal(configFile('pne', undefined, { CPNS_CONFIG: file }), file);
        assert.throws(
          () => configFile('pne', `${file}.no`, {}),
          /named by --config, but there is no such file/,
        );
        assert.deepEqual(configPlaces('pne', { XDG_CONFIG_HOME: '/x' }), [
          '/x/cpns/pne.toml',
          '/etc/cpns/pne.toml',
        ]);
      } finally {
        rmSync(directory, { recursive: true });
      }
    });
  });

  it('lines of keys: dotted, quoted, nested arrays, text over several lines', () => {
    const text = 'a.b = 1\n"c d" = """\nx = 1\n"""\n[t]\nx = 2\n[[r]]\n[r.s]\ny = 1\n[[r]]\n[r.s]\ny = 2\n';
    assert.equal(lineOf(text, ['a', 'b']), 1);
    assert.equal(lineOf(text, ['c d']), 2);
    assert.equal(lineOf(text, ['x']), undefined);
    assert.equal(lineOf(text, ['t', 'x']), 6);
    assert.equal(lineOf(text, ['r', 0, 's', 'y']), 9);
    assert.equal(lineOf(text, ['r', 1, 's', 'y']), 12);
    assert.equal(lineOf(text, ['t', 'missing']), 5);
  });

  it('near names', () => {
    assert.equal(editDistance('prot', 'port'), 1);
    assert.equal(nearest('random-adress', ['adapter', 'random_address']), 'random_address');
    assert.equal(nearest('zebra', ['port', 'host']), undefined);
  });
});
